"""Tasks in processes of this machine, some at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from memoria.engines.task import Outcome, Task, failed
from memoria.io.progress import Progress

PARTS: Final = 100  # of one task, as progress counts them
_GRACE_SECONDS: Final = 60.0  # for a checkpoint, before a process is killed
_LOOK_SECONDS: Final = 0.1  # between two looks at how far the processes are
_LOG_TAIL: Final = 4096  # bytes of a log in which a process may have said why it ended


def run_processes(
    tasks: Sequence[Task], jobs: int, progress: Progress, alone: bool = False
) -> list[Outcome]:
    """Do the tasks in processes, ``jobs`` at a time.

    One that fails, or whose process dies, does not stop the others. On a CPU each process uses one
    thread unless OMP_NUM_THREADS says otherwise. An interrupt lets every task stop where it can go
    on later.

    Args:
        tasks: what to do.
        jobs: processes at a time, at least 1.
        progress: counts hundredths of a task.
        alone: give each task a process of its own, rather than one process many tasks.

    Returns:
        What came of each, in the order of ``tasks``.
    """
    processes = _Processes(tasks, alone)
    with ThreadPoolExecutor(jobs) as pool:
        running = [pool.submit(processes.do, number) for number in range(len(tasks))]
        waiting: set[Future[Outcome]] = set(running)
        try:
            while waiting:
                waiting = wait(waiting, _LOOK_SECONDS, FIRST_COMPLETED).not_done
                progress(sum(processes.parts), PARTS * len(tasks))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            processes.stop()
            raise
    processes.close()
    return [one.result() for one in running]


def package_path() -> str:
    """PYTHONPATH with this package in front, for processes that must import the same one."""
    root = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])


class _Worker:
    """A process that does one task after another; what it prints goes to ``log``."""

    def __init__(self, log: IO[bytes]) -> None:
        self.log = log
        reading, writing = os.pipe()
        self._lines = os.fdopen(reading, encoding="utf-8")
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "memoria.engines.worker", str(writing)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=(writing,),
                start_new_session=True,  # Ctrl-C reaches the parent only
                env=_environment(),
                text=True,
            )
        except BaseException:
            self._lines.close()
            raise
        finally:
            os.close(writing)

    def do(self, task: Task, show: Callable[[int], None]) -> dict[str, Any]:
        """Do the task; its last message, or nothing if the process ended without one."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # its exit code says why it died
            words = {"function": task.function, "document": dict(task.document)}
            self.process.stdin.write(json.dumps(words) + "\n")
            self.process.stdin.flush()
        for line in iter(self._lines.readline, ""):
            message: dict[str, Any] = json.loads(line)
            if "status" in message:
                return message
            show(PARTS * message["done"] // max(message["total"], 1))
        return {}

    def end(self) -> int:
        """Let the process end when it has nothing to do; its exit code."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        code = self.process.wait()
        self._lines.close()
        return code


class _Processes:
    """The processes of ``tasks``, and how far each task is in hundredths (``parts``)."""

    def __init__(self, tasks: Sequence[Task], alone: bool) -> None:
        self.tasks = tasks
        self.parts = [0] * len(tasks)
        self._alone = alone
        self._alive: set[_Worker] = set()
        self._idle: list[_Worker] = []
        self._stopped = threading.Event()

    def do(self, number: int) -> Outcome:
        """Do one task, unless all shall stop."""
        try:
            if self._stopped.is_set():
                return Outcome()
            return self._do(number, self.tasks[number])
        except OSError as error:
            return failed(error)
        finally:
            self.parts[number] = PARTS

    def _do(self, number: int, task: Task) -> Outcome:
        def show(part: int) -> None:
            self.parts[number] = part

        worker = self._take(task.log)
        end = worker.do(task, show)
        if end and not self._alone:
            self._idle.append(worker)
        else:
            code = worker.end()
            self._alive.discard(worker)
            with worker.log:
                if not end and not self._stopped.is_set():
                    return Outcome.lost(_cause_of_death(code, worker.log))
        return Outcome(end["document"], end["error"]) if end else Outcome()

    def stop(self) -> None:
        """Ask every process to stop; kill those that have not within the time of a checkpoint."""
        self._stopped.set()
        processes = [worker.process for worker in list(self._alive)]
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + _GRACE_SECONDS
        try:
            for process in processes:
                process.wait(max(0.0, deadline - time.monotonic()))
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            for process in processes:
                process.kill()

    def close(self) -> None:
        """End the processes, which have nothing to do any more."""
        for worker in self._idle:
            worker.end()
            worker.log.close()

    def _take(self, log: Path | None) -> _Worker:
        """A process that waits for a task, or a new one."""
        with suppress(IndexError):
            return self._idle.pop()
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile() if log is None else open(log, "a+b")  # noqa: SIM115
        worker = _Worker(file)  # which keeps it open
        self._alive.add(worker)
        if self._stopped.is_set():
            worker.process.terminate()
        return worker


def _environment() -> dict[str, str]:
    """The parent's, with this package, one thread, and repeatable matrix products on a GPU."""
    default = {"OMP_NUM_THREADS": "1", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    return {**default, **os.environ, "PYTHONPATH": package_path()}


def _cause_of_death(code: int, log: IO[bytes]) -> str:
    """How a process ended that could not say it itself."""
    log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_TAIL))
    lines = log.read().decode("utf-8", "replace").strip().splitlines()
    last = f": {lines[-1]}" if lines else ""
    if code >= 0:
        return f"the process ended with code {code}{last}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    more = ", as when memory runs out" if code == -signal.SIGKILL else ""
    return f"the process was ended by {name}{more}"
