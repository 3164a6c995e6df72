"""Operations under faults, and the count of what they lost."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from fault_disks import ContentDisk, RecordingDisk, VisitedDisk, using
from fault_disks import Operation as DiskOperation
from fault_operations import Operation, State, goes_on
from power_loss import Machine, Tree, write_tree

from memoria.chunkstore.files import StoreFiles
from memoria.errors import MemoriaError, StorageError

Dropped = Callable[[str, str], bool]
ACKNOWLEDGE: DiskOperation = ("acknowledge", "", b"")


@dataclass
class Tally:
    """How often a fault was tried, and what came of the steps acknowledged before it."""

    fault: str
    tried: int = 0
    acknowledged: int = 0
    lost: int = 0
    possible: int | None = None  # tries there are, where they can be counted
    readings: int = 0  # by live readers meanwhile
    problems: list[str] = field(default_factory=list)

    def count(self, found: State | str, allowed: Iterable[State], at: object) -> None:
        """One try: ``found`` (or the error of reading it), the last acknowledged state first."""
        expected = list(allowed)
        self.tried += 1
        self.acknowledged += expected[0].steps
        if found in expected:
            return
        kept = found.steps if isinstance(found, State) else 0
        self.lost += max(0, expected[0].steps - kept)
        self.problems.append(f"{at}: {found}")

    def __iadd__(self, other: Tally) -> Tally:
        self.tried += other.tried
        self.acknowledged += other.acknowledged
        self.lost += other.lost
        self.readings += other.readings
        self.problems += other.problems
        return self


@dataclass
class Recording:
    """An operation undisturbed: the folder before it, what it did, and every state it came to."""

    operation: Operation
    base: Path
    done: list[DiskOperation]
    states: list[State]
    outputs: bool = False  # they are a part of the states

    @classmethod
    def of(cls, operation: Operation, folder: Path, outputs: bool = False) -> Recording:
        base, work = folder / "base", folder / "work"
        base.mkdir()
        operation.prepare(base)
        shutil.copytree(base, work)
        disk, states = ContentDisk(work), [State.of(work, outputs)]

        def acknowledge() -> None:
            states.append(State.of(work, outputs))
            disk.operations.append(ACKNOWLEDGE)

        with using(disk):
            operation.run(work, acknowledge)
        assert states[-1] == State.of(work, outputs)
        assert states[0] not in states[1:]
        return cls(operation, base, disk.operations, states, outputs)

    def allowed(self, acknowledged: int) -> list[State]:
        """States that may be found: the one acknowledged last, and the one under way."""
        return self.states[acknowledged : acknowledged + 2]


def power_loss(
    recording: Recording,
    folder: Path,
    dropped: Dropped = lambda what, path: False,
    survivals: tuple[float, ...] = (0.0, 0.5, 0.9, 1.0),
    step_on: int = 1,
    to_the_end: bool = True,
) -> Tally:
    """Cut the power after every operation, in several ways, without the ``dropped`` ones.

    Every ``step_on``-th of what is found then has to take its next step, too. The first problem
    ends it unless ``to_the_end``.
    """
    tally = Tally(f"power loss: {recording.operation.name}")
    done = [one for one in recording.done if not dropped(*one[:2])]
    known: dict[frozenset[tuple[str, bytes | None]], State | str] = {}
    machine, acknowledged = Machine(recording.base), 0
    for cut in range(len(done) + 1):
        for survival in survivals:
            tree = machine.crash(random.Random(cut), survival)
            key = frozenset(tree.items())
            if key not in known:
                known[key] = _restarted(tree, folder, recording.outputs, len(known) % step_on == 0)
            tally.count(known[key], recording.allowed(acknowledged), f"{cut} {survival}")
            if tally.problems and not to_the_end:
                return tally
        if cut < len(done):
            if done[cut] == ACKNOWLEDGE:
                acknowledged += 1
            else:
                machine.apply(done[cut])
    return tally


def _restarted(tree: Tree, folder: Path, outputs: bool, step_on: bool) -> State | str:
    """What is found after the crash; or an error, of going on from there too."""
    write_tree(tree, folder)
    try:
        state = State.of(folder, outputs)
        if step_on:
            goes_on(folder)
        return state
    except (MemoriaError, AssertionError) as error:
        return str(error) or repr(error)
    finally:
        shutil.rmtree(folder)


def disk_errors(
    recording: Recording, folder: Path, code: int, lasting: bool = False, every: int = 1
) -> Tally:
    """Let every ``every``-th operation of the disk fail in turn, once or from then on."""
    name = f"{errno.errorcode[code]}{' from then on' if lasting else ''}"
    tally = Tally(f"{name}: {recording.operation.name}")
    count = sum(one != ACKNOWLEDGE for one in recording.done)
    for place in range(every // 2, count, every):
        shutil.copytree(recording.base, folder)
        disk, acknowledged = RecordingDisk(folder), 0
        disk.arm(place, code, lasting)

        def acknowledge() -> None:
            nonlocal acknowledged
            acknowledged += 1

        at = f"operation {place}"
        try:
            with using(disk):
                recording.operation.run(folder, acknowledge)
            if acknowledged != len(recording.states) - 1:
                tally.problems.append(f"{at}: not acknowledged, and no error")
        except StorageError as error:
            if os.strerror(code) not in str(error):
                tally.problems.append(f"{at}: {error}")
        if not any(what.endswith("!") for what, _ in disk.log):
            tally.problems.append(f"{at}: was not reached")
        found: State | str
        try:
            found = State.of(folder)
            goes_on(folder)
        except (MemoriaError, AssertionError) as error:
            found = str(error) or repr(error)
        tally.count(found, recording.allowed(acknowledged), at)
        if not lasting and (left := [p.name for p in folder.iterdir() if p.suffix == ".tmp"]):
            tally.problems.append(f"{at}: left over: {left}")
        shutil.rmtree(folder)
    return tally


def readers_at_every_instant(recording: Recording, folder: Path, held: bool) -> Tally:
    """Open a reader between any two operations; ``held``: one from before stays open, too."""
    tally = Tally(f"readers at every instant: {recording.operation.name}")
    shutil.copytree(recording.base, folder)
    acknowledged, latest = 0, 0  # places in the states: acknowledged, and seen already

    def visit() -> None:
        nonlocal latest
        if _being_collected(folder):
            return
        try:
            found: State | str = State.of(folder)
        except MemoriaError as error:
            found = str(error)
        allowed = recording.allowed(acknowledged)
        tally.count(found, allowed, f"after {len(disk.log)} operations")
        if found in allowed:
            place = acknowledged + allowed.index(found)  # type: ignore[arg-type]
            if place < latest:
                tally.problems.append(f"after {len(disk.log)} operations: back to an older state")
            latest = max(latest, place)

    def acknowledge() -> None:
        nonlocal acknowledged
        acknowledged += 1
        visit()

    disk = VisitedDisk(folder, visit)
    reader = StoreFiles.open(folder / "store") if held else None
    before = _rows(reader)
    with using(disk):
        recording.operation.run(folder, acknowledge)
    if _rows(reader) != before:
        tally.problems.append("the reader from before sees something else")
    if reader is not None:
        reader.close()
    if acknowledged != len(recording.states) - 1:
        tally.problems.append("not everything was acknowledged")
    goes_on(folder)
    shutil.rmtree(folder)
    return tally


def _rows(files: StoreFiles | None) -> list[bytes]:
    return [] if files is None else [files.read(name).tobytes() for name in files.names()]


def _being_collected(folder: Path) -> bool:
    """Whether the writer keeps readers out for a moment: a real one would wait."""
    try:
        descriptor = os.open(folder / "store" / ".lease", os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
