"""A year of a folder of notes: afterwards the memory holds what the folder holds.

Edits, renames, moves, copies, deletions, restored backups, commands that are cut short, and two
machines by turns, between which the store is shipped.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from memoria.config import MemoriaConfig
from memoria.store import MemoryStore
from memoria.store.archive import import_archive, write_archive
from memoria.store.file_reading import FileReading, OnDelete
from memoria.store.reading import open_files
from memoria.store.verify import verify

CONFIG = MemoriaConfig(hidden_dim=8, backbone="hash", unit="line", wm_length=3)
NAMES = ["a.txt", "b.txt", "c.md", "sub/d.txt", "sub/deep/e.txt"]
LINES = [f"Line {number}." for number in range(12)]  # few: equal lines in many files


class Notes:
    """A folder of notes on one of two machines, and the store that goes between them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.machine = "first"
        self.folder.mkdir(parents=True)
        MemoryStore.create(self.store, CONFIG).close()
        self.backups: list[dict[str, str]] = []

    @property
    def folder(self) -> Path:
        return self.home / self.machine / "notes"

    @property
    def store(self) -> Path:
        return self.home / self.machine / "store"

    def files(self) -> dict[str, str]:
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_text() for path in paths}

    def write(self, name: str, lines: list[str]) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))

    def lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.is_file() else []

    def restore(self, files: dict[str, str]) -> None:
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        for name, text in files.items():
            self.write(name, text.splitlines())

    def switch(self) -> None:
        """Ship the store, and copy the folder, to the other machine."""
        files, shipped = self.files(), self.home / "shipped.zip"
        shipped.unlink(missing_ok=True)
        with closing(open_files(self.store)) as memory:
            write_archive(memory, shipped)
        self.machine = "second" if self.machine == "first" else "first"
        shutil.rmtree(self.home / self.machine, ignore_errors=True)
        self.folder.mkdir(parents=True)
        import_archive(shipped, self.store)
        self.restore(files)

    def sync(self, on_delete: OnDelete = "forget", limit: int | None = None) -> None:
        with here(self.home / self.machine), MemoryStore.open("store", "r+") as store:
            reading = FileReading(store, ["notes"], on_delete, limit=limit)
            reading.step(total=reading.begin())
            reading.finish()
            assert reading.faults == {}

    def cut_short(self, steps: int) -> None:
        """Sync, and be killed after some steps are committed, before anything is finished."""
        with here(self.home / self.machine):
            store = MemoryStore.open("store", "r+")
            reading = FileReading(store, ["notes"], "forget")
            reading.begin()
            left = iter(range(steps))
            reading.step(commit_every=0, until=lambda: next(left, None) is None)
            store.close()

    def units(self) -> Counter[str]:
        texts = "\n".join(self.files().values()).splitlines()
        return Counter(line.strip() for line in texts if line.strip())

    def held(self) -> Counter[str]:
        with MemoryStore.open(self.store) as store:
            living = store.living(np.arange(store.files.created)).tolist()
            return Counter(str(store.first_text(engram)) for engram in living)


@contextmanager
def here(folder: Path) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def live(notes: Notes, chance: random.Random) -> None:
    """Something that happens to the notes in a day."""
    names = [*notes.files()]
    name = chance.choice(NAMES)
    kind = chance.choice(
        ["edit", "edit", "edit", "append", "prepend", "rename", "move", "copy", "delete", "backup",
         "restore", "swap"]
    )  # fmt: skip
    lines = notes.lines(name)
    if kind == "edit":
        lines.insert(chance.randint(0, len(lines)), chance.choice(LINES))
        if len(lines) > 2:
            lines.pop(chance.randrange(len(lines)))
        notes.write(name, lines)
    elif kind == "append":
        notes.write(name, [*lines, *chance.choices(LINES, k=3)])
    elif kind == "prepend":
        notes.write(name, [chance.choice(LINES), *lines])
    elif kind == "backup":
        notes.backups.append(notes.files())
    elif kind == "restore" and notes.backups:
        notes.restore(chance.choice(notes.backups))
    elif not names:
        return
    elif kind == "rename":
        target = notes.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(notes.folder / chance.choice(names), target)
    elif kind == "move" and len(names) > 1:
        here_, there = chance.sample(names, 2)
        taken = notes.lines(here_)
        if taken:
            line = taken.pop(chance.randrange(len(taken)))
            notes.write(here_, taken)
            notes.write(there, [*notes.lines(there), line])
    elif kind == "swap" and len(names) > 1:
        one, other = chance.sample(names, 2)
        first, second = notes.lines(one), notes.lines(other)
        notes.write(one, second)
        notes.write(other, first)
    elif kind == "copy":
        notes.write(name, notes.lines(chance.choice(names)))
    elif kind == "delete":
        os.remove(notes.folder / chance.choice(names))


class Year(RuleBasedStateMachine):
    """Days of a folder of notes, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self._home = tempfile.TemporaryDirectory(prefix="memoria-test-")
        self.notes = Notes(Path(self._home.name))
        self.synced = False

    @rule(seed=st.integers(0, 2**32), days=st.integers(1, 4))
    def days_go_by(self, seed: int, days: int) -> None:
        chance = random.Random(seed)
        for _ in range(days):
            live(self.notes, chance)
        self.synced = False

    @rule()
    def sync(self) -> None:
        self.notes.sync()
        self.synced = True

    @rule(steps=st.integers(0, 3))
    def is_killed(self, steps: int) -> None:
        self.notes.cut_short(steps)
        self.synced = False

    @rule()
    def takes_a_step(self) -> None:
        self.notes.sync(limit=1)
        self.synced = False

    @precondition(lambda self: self.synced)
    @rule()
    def goes_to_the_other_machine(self) -> None:
        self.notes.switch()

    @invariant()
    def holds_what_the_folder_holds(self) -> None:
        if self.synced:
            assert self.notes.held() == self.notes.units()

    def teardown(self) -> None:
        self.notes.sync()
        assert self.notes.held() == self.notes.units()
        assert verify(self.notes.store).findings == ()
        self._home.cleanup()


TestYear = Year.TestCase
TestYear.settings = settings(
    max_examples=12,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_year_of_notes(quick_folder: Path, seed: int) -> None:
    chance, notes = random.Random(seed), Notes(quick_folder / "home")
    for day in range(365):
        live(notes, chance)
        if chance.random() < 0.1:
            notes.cut_short(chance.randint(0, 2))
        if chance.random() < 0.5:
            notes.sync()
            assert notes.held() == notes.units(), day
            if chance.random() < 0.1:
                notes.switch()
    notes.sync()
    assert notes.held() == notes.units()
    assert verify(notes.store).findings == ()
