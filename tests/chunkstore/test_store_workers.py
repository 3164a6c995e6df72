"""The threads of a commit: kept for the next one, gone when they should be, never left at work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from memoria.chunkstore.disk import Disk
from memoria.chunkstore.files import StoreFiles
from memoria.chunkstore.spec import ArraySpec
from memoria.chunkstore.workers import Workers

COUNT = 4


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers(COUNT)
    yield made
    made.close()


def alive(before: set[threading.Thread]) -> set[threading.Thread]:
    return set(threading.enumerate()) - before


def settled(before: set[threading.Thread], count: int) -> bool:
    """Whether there come to be ``count`` more threads than before, soon."""
    for _ in range(1000):
        if len(alive(before)) == count:
            return True
        time.sleep(0.01)
    return False


def together(workers: Workers) -> set[int]:
    """Tasks that end only when all run at once; the threads they ran on."""
    meeting, seen = threading.Barrier(COUNT, timeout=60), set[int]()

    def task() -> None:
        seen.add(threading.get_ident())
        meeting.wait()

    workers.run([task] * COUNT)
    return seen


def test_threads_are_kept_for_the_next_call_and_end_at_close(workers: Workers) -> None:
    before = set(threading.enumerate())
    first = together(workers)
    assert len(first) == COUNT
    assert threading.get_ident() in first
    assert together(workers) == first
    workers.close()
    workers.close()
    assert settled(before, 0)
    assert len(together(workers)) == COUNT  # new ones


def test_threads_end_with_their_object() -> None:
    before = set(threading.enumerate())
    workers = Workers(COUNT)
    together(workers)
    assert len(alive(before)) == COUNT - 1
    del workers
    assert settled(before, 0)


def test_few_tasks_start_few_threads(workers: Workers) -> None:
    before = set(threading.enumerate())
    done: list[int] = []
    workers.run([])
    workers.run([lambda: done.append(threading.get_ident())])
    assert done == [threading.get_ident()]
    assert not alive(before)
    workers.run([lambda: done.append(0)] * 2)
    assert len(done) == 3
    assert len(alive(before)) == 1


def test_the_first_error_is_raised_after_all_have_stopped(workers: Workers) -> None:
    running, failed = threading.Semaphore(0), threading.Event()
    ended: list[int] = []

    def fails() -> None:
        for _ in range(COUNT - 1):
            running.acquire()
        failed.set()
        raise OSError("the first")

    def goes_on() -> None:
        running.release()
        failed.wait()
        time.sleep(0.05)
        ended.append(1)

    def never() -> None:
        ended.append(100)

    with pytest.raises(OSError, match="the first"):
        workers.run([fails, *[goes_on] * (COUNT - 1), *[never] * 50])
    assert ended == [1] * (COUNT - 1)
    workers.run([lambda: ended.append(2)] * 3)
    assert ended[COUNT - 1 :] == [2] * 3


def test_an_interrupt_leaves_no_task_at_work(workers: Workers) -> None:
    """Ctrl-C reaches the caller while others work, and a second one while it waits for them."""
    main, ended = threading.get_ident(), list[int]()
    others = threading.Semaphore(0)

    def task() -> None:
        if threading.get_ident() == main:
            for _ in range(COUNT - 1):
                others.acquire()
            signal.raise_signal(signal.SIGINT)
        else:
            others.release()
            time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
            ended.append(1)

    def never() -> None:
        ended.append(100)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            workers.run([*[task] * COUNT, *[never] * 50])
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended == [1] * (COUNT - 1)


def test_a_forked_child_has_threads_of_its_own(workers: Workers) -> None:
    together(workers)
    child = os.fork()
    if child == 0:  # pragma: no cover
        code = 1
        try:
            signal.alarm(60)
            workers.close()  # not those of the parent
            code = 0 if len(together(workers)) == COUNT else 2
            workers.close()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(together(workers)) == COUNT


def test_where_no_thread_can_start_the_caller_does_it_all(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    seen: list[int] = []
    workers.run([lambda: seen.append(threading.get_ident())] * 9)
    assert seen == [threading.get_ident()] * 9


SPEC = ArraySpec("log/ids", "i8", (), 4, None, -1)


def test_a_store_ends_its_threads(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    disk = Disk()
    store = StoreFiles.create(tmp_path / "store", [SPEC], {}, disk=disk)
    during = alive(before)
    assert during
    for number in range(3):
        store.append("log/ids", [number])
        store.commit()
    assert during <= alive(before)  # kept
    assert len(alive(before)) < 6
    store.close()
    assert settled(before, 0)


UNCLOSED = """
import atexit, sys
from memoria.chunkstore.files import StoreFiles
store = StoreFiles.open(sys.argv[1], "r+")
store.append("log/ids", range(9))
store.commit()
def late():
    store.append("log/ids", [9])
    store.commit()
    print("late", flush=True)
atexit.register(late)
"""


def test_a_process_that_never_closed_its_store_ends(tmp_path: Path) -> None:
    path = tmp_path / "store"
    StoreFiles.create(path, [SPEC], {}).close()
    done = subprocess.run(
        [sys.executable, "-c", UNCLOSED, str(path)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "late\n", "")
    store = StoreFiles.open(path)
    assert store.rows("log/ids") == 10
    store.close()
