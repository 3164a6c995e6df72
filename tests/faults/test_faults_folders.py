"""Stores in folders that a program synchronises, and where a file system does not lock.

Such a program carries files one by one, in any order, and knows nothing of commits.
"""

from __future__ import annotations

import errno
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from fault_operations import OPERATIONS, RULE, State, data_of, goes_on, step
from fault_places import command

from memoria.errors import DamageError, MemoriaError, StorageError
from memoria.store import MemoryStore
from memoria.store.verify import verify

Files = dict[str, bytes]
CONFLICTS = (
    "zarr.sync-conflict-20260101-120000-ABCDEFG.json",  # Syncthing
    "zarr (Ada's conflicted copy 2026-01-01).json",  # Dropbox, Nextcloud
    "zarr 2.json",  # iCloud
    "zarr-LAPTOP.json",  # OneDrive
    "zarr (1).json",  # Google Drive
    "log/ids/c.sync-conflict-20260101-120000-ABCDEFG.0",
    "vectors/c.0 (Ada's conflicted copy 2026-01-01).0",
    "vectors/c.0 2.0",
    "vectors/.c.0.0.icloud",
    ".stfolder/marker",
    ".dropbox.cache/x",
)


@pytest.fixture
def here(quick_folder: Path) -> Path:
    """A folder with a store of some steps."""
    OPERATIONS["step"].prepare(quick_folder)
    return quick_folder


def files(store: Path) -> Files:
    """What a program would carry."""
    found = (path for path in sorted(store.rglob("*")) if path.is_file())
    return {str(path.relative_to(store)): path.read_bytes() for path in found}


def deliver(store: Path, name: str, content: bytes | None) -> None:
    """One file arrives, or goes."""
    place = store / name
    if content is None:
        place.unlink(missing_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)


def carry(source: Path, target: Path) -> None:
    """All of it arrives."""
    shutil.rmtree(target)
    shutil.copytree(source, target)


def seen(folder: Path) -> State | type[MemoriaError]:
    try:
        return State.of(folder)
    except DamageError as error:
        return type(error)


def written_by(folder: Path, sign: int) -> None:
    """Two steps of a machine, whose sizes are the same on every machine."""
    with MemoryStore.open(folder / "store", "r+") as store:
        for _ in range(2):
            word = "ab" if sign > 0 else "xy"
            store.step(sign * data_of(store, store.timestep), RULE, [[word] * 2] * 2)
            store.commit()


@pytest.mark.parametrize("seed", range(6))
def test_what_has_arrived_in_part_is_the_old_state_the_new_one_or_refused(
    here: Path, tmp_path: Path, seed: int
) -> None:
    other = tmp_path / "other"
    shutil.copytree(here, other)
    old = State.of(other)
    written_by(here, 1)
    new, arriving = State.of(here), files(here / "store")
    before = files(other / "store")
    changes = [(name, arriving.get(name)) for name in sorted({*arriving, *before})]
    changes = [one for one in changes if one[1] != before.get(one[0])]
    random.Random(seed).shuffle(changes)
    found = []
    for name, content in changes:
        deliver(other / "store", name, content)
        found.append(seen(other))
        if found[-1] is DamageError:  # a writer waits, too
            with pytest.raises(DamageError, match="wait until all of it has arrived"):
                MemoryStore.open(other / "store", "r+")
    assert set(found) <= {old, new, DamageError}
    assert found[-1] == new
    goes_on(other)


def test_conflict_copies_are_noted_and_nothing_else(here: Path) -> None:
    before, root = State.of(here), (here / "store" / "zarr.json").read_bytes()
    for name in CONFLICTS:
        deliver(here / "store", name, root)
    report = verify(here / "store")
    assert report.findings == ()
    assert {note.path for note in report.notes} >= {
        name.partition("/")[0] if name.startswith(".") else name for name in CONFLICTS
    }
    assert State.of(here) == before
    goes_on(here)
    assert all((here / "store" / name).exists() for name in CONFLICTS)


@pytest.mark.parametrize("name", [name for name in CONFLICTS if name.startswith("zarr")])
def test_a_conflict_copy_of_the_root_is_told_by_every_verb(here: Path, name: str) -> None:
    assert command("list", here / "store")[1] == ""
    (here / "store" / name).touch()
    for words in (("list",), ("pin", 20), ("verify",)):
        code, said = command(words[0], here / "store", *words[1:])
        assert code == 0
        assert f"{name} is a conflict copy" in said
        assert "memoria verify" in said


def test_two_machines_that_write_by_turns_make_one_life(here: Path, tmp_path: Path) -> None:
    """Each waits until all of the other's has arrived."""
    (tmp_path / "other").mkdir()
    alone, other = tmp_path / "alone", tmp_path / "other"
    shutil.copytree(here, alone)
    shutil.copytree(here / "store", other / "store")
    for turn in range(4):
        writer, reader = (here, other) if turn % 2 else (other, here)
        for folder in (writer, alone):
            with MemoryStore.open(folder / "store", "r+") as store:
                step(store)
        carry(writer / "store", reader / "store")
    assert State.of(here) == State.of(other) == State.of(alone)
    assert verify(here / "store").findings == ()


@pytest.mark.parametrize("seed", range(6))
def test_files_of_two_machines_that_wrote_at_once_are_never_sound_together(
    here: Path, tmp_path: Path, seed: int
) -> None:
    """The last one of each file wins: opening may not notice, `verify` does."""
    other, rng = tmp_path / "other", random.Random(seed)
    shutil.copytree(here, other)
    written_by(here, 1)
    written_by(other, -1)
    states = (State.of(here), State.of(other))
    sides = (files(here / "store"), files(other / "store"))
    mixed = tmp_path / "mixed"
    for name in sorted({*sides[0], *sides[1]}):
        if (content := sides[rng.random() < 0.5].get(name)) is not None:
            deliver(mixed / "store", name, content)
    assert seen(mixed) not in states
    assert verify(mixed / "store").findings != ()


@pytest.fixture(params=[errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def no_locks(request: pytest.FixtureRequest) -> Iterator[None]:
    """A file system without `flock`."""
    refused = OSError(request.param, "no locks here")
    with mock.patch("memoria.chunkstore.locks.fcntl.flock", side_effect=refused):
        yield


def test_without_locks_nobody_writes_and_everybody_reads(here: Path, no_locks: None) -> None:
    before = files(here / "store")
    state = State.of(here)
    for words in (
        ("pin", 20),
        ("adjust", "--delta", 1),
        ("compact", "--yes"),
        ("forget", 20, "--yes"),
    ):
        code, said = command(words[0], here / "store", *words[1:])
        assert (code, said.count("\n")) == (1, 1), said
        assert "cannot lock" in said
        assert "move it to a directory" in said
    with pytest.raises(StorageError, match="cannot lock"):
        MemoryStore.create(here / "new", MemoryStore.open(here / "store").config)
    for words in (("list",), ("inspect",), ("verify",), ("plot", "sizes")):
        assert command(words[0], here / "store", *words[1:])[0] == 0
    assert State.of(here) == state
    changed = {name for name, content in files(here / "store").items() if before[name] != content}
    assert changed <= {".lock"}
