"""Faults of the place and of the time: full and read-only file systems, limits, clocks, locks."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from unittest import mock

import numpy as np
from fault_kills import Nursery
from fault_operations import OPERATIONS, State, goes_on, step
from fault_runs import Tally

from memoria.chunkstore.files import StoreFiles
from memoria.errors import MemoriaError, StorageError
from memoria.store import MemoryStore
from memoria_cli.__main__ import main

ELSEWHERE = {"pid": 4711, "host": "elsewhere.example", "since": "2001-02-03T04:05:06+00:00"}


class NoMountError(Exception):
    """This process may not mount anything."""


@contextlib.contextmanager
def mounted(place: Path, *options: str, then: tuple[str, ...] = ()) -> Iterator[None]:
    """``mount OPTIONS place`` while the block runs; `NoMountError` where that is not allowed."""
    _mount(*options, str(place))
    try:
        if then:
            _mount(*then, str(place))
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True, capture_output=True)


def _mount(*options: str) -> None:
    try:
        done = subprocess.run(["mount", *options], capture_output=True, text=True)
    except FileNotFoundError as error:
        raise NoMountError(str(error)) from None
    if done.returncode:
        raise NoMountError(done.stderr.strip())


def command(*arguments: object) -> tuple[int, str]:
    """(exit code, what it said on stderr) of `memoria ARGUMENTS`, in this process."""
    out, problems = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(problems):
        code = main([str(one) for one in arguments])
    return code, problems.getvalue()


def new_memory(folder: Path) -> tuple[Path, Path]:
    """(a store with some steps, an input for its two lanes) in ``folder``."""
    OPERATIONS["step"].prepare(folder)
    np.save(folder / "input.npy", np.random.default_rng(0).random((20, 4), dtype=np.float32))
    return folder / "store", folder / "input.npy"


def full_disk(folder: Path, every: int = 12_000) -> Tally:
    """Steps while less and less of a small file system is free, and all of it afterwards."""
    tally = Tally("ENOSPC on a small tmpfs")
    with mounted(folder, "-t", "tmpfs", "-o", "size=6m", "tmpfs"):
        new_memory(folder)
        ballast, failed = folder / "ballast", 0
        for free in range(0, 40 * every, every):
            before = State.of(folder)
            size = shutil.disk_usage(folder).free - free
            descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT)
            os.posix_fallocate(descriptor, 0, max(1, size))
            os.close(descriptor)
            error = None
            try:
                _one_step(folder)
            except StorageError as caught:
                error, failed = str(caught), failed + 1
                if os.strerror(errno.ENOSPC) not in error:
                    tally.problems.append(error)
            _count(tally, folder, before, error, f"{free} bytes free")
            ballast.unlink()
        if not 0 < failed < tally.tried:
            tally.problems.append(f"{failed} of {tally.tried} failed: the disk was of no use")
        goes_on(folder)
    return tally


def size_limit(made: Nursery, folder: Path) -> Tally:
    """`memoria step` in processes that may write no large files."""
    tally = Tally("file size limit (EFBIG) of `memoria step`")
    store, rows = new_memory(folder)
    for number, limit in enumerate((300, 1000, 3000, 5000, 20_000, 65_000, 70_000, 200_000)):
        before, said = State.of(folder), folder / f"said-{number}"
        code = made.end(made.start("limited", limit, said, "step", store, rows, rows))
        error = None if code == 0 else "failed"
        told = Path(f"{said}.stderr").read_text()
        if code not in (0, 1) or (code and ("ulimit" not in told or "Traceback" in told)):
            tally.problems.append(f"limit of {limit}: exit code {code}: {told}")
        _count(tally, folder, before, error, f"limit of {limit}")
    goes_on(folder)
    return tally


def read_only(folder: Path) -> Tally:
    """Where nothing can be written verbs that read do their work, and others change nothing."""
    tally = Tally("read-only mount")
    store, rows = new_memory(folder)
    before = State.of(folder)
    expected = {
        ("inspect", store): 0,
        ("list", store): 0,
        ("remind", store, "--peek", "--cue", rows, "--cue", rows): 0,
        ("step", store, rows, rows): 1,
        ("add", store, rows, rows): 1,
        ("init", folder / "new", "--hidden-dim", 4, "--backbone", "array"): 1,
    }
    with mounted(folder, "--bind", str(folder), then=("-o", "remount,bind,ro")):
        for words, wanted in expected.items():
            code, said = command(*words)
            if code != wanted or "Traceback" in said or (code and "ead-only" not in said):
                tally.problems.append(f"{words[0]}: exit code {code}: {said}")
            tally.count(State.of(folder), [before], words[0])
    goes_on(folder)
    return tally


def clock_jumps(folder: Path) -> Tally:
    """The clock jumps back and far ahead: results are the same, and every time can be shown."""
    tally = Tally("clock jumps")
    new_memory(folder)
    shutil.copytree(folder / "store", folder / "new")  # the same steps at a steady clock
    now, year = time.time_ns(), 365 * 86400 * 10**9
    for shift in (0, -10 * year, 200 * year, -now, -now - year, -20 * year, 0):
        with mock.patch("time.time_ns", return_value=now + shift):
            _one_step(folder)
        _one_step(folder, "new")
        found = State.of(folder)
        same = len(set(found.contents)) == 1
        tally.count(found if same else "other results", [found], f"{shift} ns")
        for words in (("inspect", folder / "store"), ("list", folder / "store")):
            code, said = command(*words)
            if code:
                tally.problems.append(f"{shift} ns: {words[0]}: {said}")
        with mock.patch("memoria.chunkstore.locks.datetime", _shifted(shift)):
            held = MemoryStore.open(folder / "store", "r+")
        code, said = command("adjust", folder / "store", "--delta", 1)
        held.close()
        if code != 11 or str(os.getpid()) not in said:
            tally.problems.append(f"{shift} ns: a second writer was told: {said}")
    goes_on(folder)
    return tally


def dead_holders(made: Nursery, folder: Path, count: int = 5) -> Tally:
    """A process is killed while it holds the lock; its note stays, and nobody minds."""
    tally = Tally("lock left behind by a dead process")
    store, _ = new_memory(folder)
    for number in range(count):
        before, ready = State.of(folder), folder / f"ready-{number}"
        process = made.start("hold", ready, store)
        _wait(ready.exists)
        code, said = command("step", store, folder / "input.npy", folder / "input.npy")
        note = json.loads((store / ".lock").read_text())
        words = (str(process), os.uname().nodename, note["since"])
        if code != 11 or any(word not in said for word in words):
            tally.problems.append(f"exit code {code}: {said}")
        made.end(process, 9)  # type: ignore[arg-type]
        if not (store / ".lock").read_text():
            tally.problems.append("the dead process left no note")
        tally.count(State.of(folder), [before], number)
        goes_on(folder)
    return tally


def other_hosts(folder: Path) -> Tally:
    """The note names another host: that alone locks nothing; with the lock it is who holds it."""
    tally = Tally("lock held by another host")
    store, rows = new_memory(folder)
    for note in (ELSEWHERE, {**ELSEWHERE, "since": "9999-12-31T23:59:59+00:00"}):
        before = State.of(folder)
        holder = StoreFiles.open(store, "r+")  # as a file system that two hosts share would show it
        (store / ".lock").write_text(json.dumps(note))
        for words in (("step", store, rows, rows), ("adjust", store, "--delta", 1)):
            code, said = command(*words)
            if code != 11 or any(str(value) not in said for value in note.values()):
                tally.problems.append(f"{words[0]}: exit code {code}: {said}")
            tally.count(State.of(folder), [before], words[0])
        holder.close()
        (store / ".lock").write_text(json.dumps(note))
        goes_on(folder)
    return tally


def _one_step(folder: Path, name: str = "store") -> None:
    store = MemoryStore.open(folder / name, "r+")
    try:
        step(store)
        store.commit()
    finally:
        store.close()


def _count(tally: Tally, folder: Path, before: State, error: str | None, at: str) -> None:
    """After a try that failed with ``error`` nothing has changed, else its steps are there."""
    try:
        found: State | str = State.of(folder)
    except MemoriaError as caught:
        found = str(caught)
    if error is None and isinstance(found, State) and found.steps > before.steps:
        before = found
    tally.count(found, [before], at)


def _wait(ready: Callable[[], bool]) -> None:
    for _ in range(60_000):
        if ready():
            return
        time.sleep(0.001)
    raise TimeoutError


def _shifted(nanoseconds: int) -> type[datetime]:
    """A clock that is off by so much, as far as a date can tell."""

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) + timedelta(microseconds=nanoseconds // 1000)

    return Shifted
