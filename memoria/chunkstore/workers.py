"""Threads that wait for work: a commit of 3 ms cannot start its own each time."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

Task = Callable[[], None]


class Workers:
    """Up to ``count`` threads, the caller's among them, for several short tasks at once.

    Threads start when they are first needed, and end with `close` or with the object; they never
    keep a process from ending. A forked child starts its own. Not for use by several threads.
    """

    def __init__(self, count: int) -> None:
        self._most = count - 1  # the caller works too
        self._pid = 0
        self._pool: ThreadPoolExecutor | None = None

    def run(self, tasks: Sequence[Task]) -> None:
        """Run all tasks; after all have stopped, raise the first error.

        Once a task failed no further one starts, and none is left running on return, not even
        after an interrupt.
        """
        if len(tasks) == 1:
            tasks[0]()
            return
        waiting = list(reversed(tasks))
        errors: list[BaseException] = []
        helpers: list[threading.Event] = []  # set when a helper has stopped

        def work() -> None:
            while not errors:
                try:
                    task = waiting.pop()
                except IndexError:
                    return
                try:
                    task()
                except BaseException as error:
                    errors.append(error)

        def help_out() -> None:
            stopped = threading.Event()
            helpers.append(stopped)  # before the first look at `errors`: one that comes late ends
            try:
                work()
            finally:
                stopped.set()

        try:
            self._start(help_out, min(self._most, len(tasks) - 1))
            work()
        except BaseException as error:  # an interrupt: the others must stop before files are reused
            errors.append(error)
        while helpers:
            try:
                helpers[0].wait()
                del helpers[0]
            except BaseException as error:  # an interrupt must not leave a task behind
                errors.append(error)
        if errors:
            raise errors[0]

    def close(self) -> None:
        """End the threads; a second call does nothing, and `run` starts new ones."""
        if self._pool is not None and self._pid == os.getpid():
            self._pool.shutdown(wait=False)
        self._pool = None

    def _start(self, task: Task, threads: int) -> None:
        from concurrent.futures import ThreadPoolExecutor  # a reader needs none

        if self._pool is None or self._pid != os.getpid():  # threads do not survive a fork
            self._pid, self._pool = os.getpid(), ThreadPoolExecutor(max(1, self._most))
        with contextlib.suppress(RuntimeError):  # no more threads: fewer do it, the caller at least
            for _ in range(threads):
                self._pool.submit(task)
