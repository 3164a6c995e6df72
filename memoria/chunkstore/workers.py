"""Threads that wait for work: a commit of 3 ms cannot start its own each time."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from queue import SimpleQueue

__all__ = ["Workers"]

Task = Callable[[], None]


class Workers:
    """Up to ``count`` threads, the caller's among them, for several short tasks at once.

    Threads start when they are first needed, and end with `close` or with the object; they never
    keep a process from ending. A forked child starts its own. Not for use by several threads.
    """

    def __init__(self, count: int) -> None:
        self._most = count - 1  # the caller works too
        self._pid = 0
        self._started = 0
        self._queue: SimpleQueue[_Batch | None] = SimpleQueue()
        self._end: Callable[[], object] | None = None

    def run(self, tasks: Sequence[Task]) -> None:
        """Run all tasks; after all have stopped, raise the first error.

        Once a task failed no further one starts, and none is left running on return, not even
        after an interrupt.
        """
        if len(tasks) == 1:
            tasks[0]()
            return
        batch = _Batch(tasks)
        try:
            self._wake(min(self._most, len(tasks) - 1), batch)
            batch.work()
        except BaseException as error:  # an interrupt: the others must stop before files are reused
            batch.errors.append(error)
        batch.wait()
        if batch.errors:
            raise batch.errors[0]

    def close(self) -> None:
        """End the threads; a second call does nothing, and `run` starts new ones."""
        if self._end is not None:
            self._end()
        self._pid, self._end = 0, None

    def _wake(self, helpers: int, batch: _Batch) -> None:
        if self._pid != os.getpid():  # threads do not survive a fork, and locks not always
            self._pid, self._started, self._queue = os.getpid(), 0, SimpleQueue()
            self._end = weakref.finalize(self, _end, self._queue, self._most)
        with contextlib.suppress(RuntimeError):  # no more threads: fewer do it, the caller at least
            while self._started < helpers:
                threading.Thread(target=_help, args=(self._queue,), daemon=True).start()
                self._started += 1
        for _ in range(min(helpers, self._started)):
            self._queue.put(batch)


class _Batch:
    """The tasks of one call, taken by whichever thread is free."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._waiting = list(reversed(tasks))
        self._helping = 0
        self._changed = threading.Condition()
        self.errors: list[BaseException] = []

    def work(self) -> None:
        """Run tasks until none is left or one has failed."""
        while not self.errors:
            try:
                task = self._waiting.pop()
            except IndexError:
                return
            task()

    def help(self) -> None:
        """`work` in a helping thread."""
        with self._changed:  # before the first look at errors: see `wait`
            self._helping += 1
        try:
            self.work()
        except BaseException as error:
            self.errors.append(error)
        finally:
            with self._changed:
                self._helping -= 1
                self._changed.notify()

    def wait(self) -> None:
        """Until no thread runs a task. One that comes after that finds none, or an error."""
        while True:
            try:
                with self._changed:
                    self._changed.wait_for(lambda: not self._helping)
                return
            except BaseException as error:  # an interrupt must not leave a task behind
                self.errors.append(error)


def _help(queue: SimpleQueue[_Batch | None]) -> None:
    while (batch := queue.get()) is not None:
        batch.help()
        del batch  # what its tasks hold must not stay until the next one comes


def _end(queue: SimpleQueue[_Batch | None], threads: int) -> None:
    for _ in range(threads):
        queue.put(None)
