"""Compaction and going back: what is needed stays, what is not goes, crashes do no harm."""

from __future__ import annotations

import errno
import random
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from fault_disks import ContentDisk, RecordingDisk
from hypothesis import given, settings
from hypothesis import strategies as st
from past_lives import PastLife, Portrait, begin, documents, live, portrait, state_of
from power_loss import Machine, write_tree

from memoria.chunkstore.disk import Disk
from memoria.config import MemoriaConfig
from memoria.errors import InputError, StateError, StorageError
from memoria.query.inspection import Inspection
from memoria.store import MemoryStore
from memoria.store.archive import import_archive, write_archive
from memoria.store.compacting import compact, erase, go_back
from memoria.store.digest import current_digest
from memoria.store.life import StepTable, fold
from memoria.store.reading import open_files

SEEDS = st.integers(0, 2**32)
PHASES = ("idle", "working", "reminded")
few = settings(max_examples=4, deadline=None)
many = settings(max_examples=80, deadline=None)
MORE = 4


def snapshots_of(path: Path) -> dict[str, tuple[int, int]]:
    """(step, events) of each."""
    files = open_files(path)
    try:
        return {n: (one.step, one.events) for n, one in files.attributes.snapshots.items()}
    finally:
        files.close()


def steps_with_events(path: Path) -> set[int]:
    files = open_files(path)
    try:
        return set(files.read("events/index")[:, 0].tolist())
    finally:
        files.close()


def alive(path: Path, at: int | str | None = None) -> set[int]:
    files = open_files(path, at)
    try:
        return set(fold(files, files.config, StepTable.read(files)).ids.tolist())
    finally:
        files.close()


def vectors_held(path: Path) -> set[int]:
    """Ids of the engrams whose vectors the store has."""
    files = open_files(path)
    try:
        ids = np.arange(files.created)
        return set(ids[files.engram_rows(ids) >= 0].tolist())
    finally:
        files.close()


def log_of(path: Path) -> list[tuple[int, int, float]]:
    """(step, engram, expiry) of every entry of the log."""
    files = open_files(path)
    try:
        ends = StepTable.read(files).log_ends()
        step = np.repeat(np.arange(1, len(ends) + 1), np.diff(ends, prepend=0))
        columns = (step, files.read("log/ids"), files.read("log/expiry"))
        return list(zip(*(column.tolist() for column in columns), strict=True))
    finally:
        files.close()


def tell_the_same(compacted: Portrait, whole: Portrait) -> None:
    """What compaction left to tell is what was told before."""
    for name in ("summary", "histograms", "engrams", "edges"):
        assert compacted[name] == whole[name]
    for now, before in zip(compacted["history"], whole["history"], strict=True):
        assert all(now[name] in (None, before[name]) for name in before)
    last = compacted["history"][-1:]
    assert all(one["living"] == whole["history"][-1]["living"] for one in last)
    for now, before in zip(compacted["texts"], whole["texts"], strict=True):
        assert now in (None, before)
    for now, before in zip(compacted["stories"], whole["stories"], strict=True):
        if isinstance(now, str):
            assert "compaction has removed it" in now
            assert before == now or before["type"] == "forgotten"
            continue
        if before["type"] == "forgotten":  # whom it fired with may have gone
            before |= {name: now[name] for name in ("outgoing", "incoming")}
        assert now == before
    gone = [one["id"] for one in whole["forgotten"]]
    assert [one["id"] for one in compacted["forgotten"]] == [
        i for i in gone if i in {one["id"] for one in compacted["forgotten"]}
    ]


def compacts(folder: Path, seed: int) -> None:
    rng = random.Random(seed)
    life = PastLife(seed, rng.choice(["dense", "sparse"]))
    steps, path = rng.randint(0, 9), folder / "s"
    live(life, path, steps, rng, snapshots=0.25)
    begin(life, path, rng.choice(PHASES))
    shutil.copytree(path, folder / "before")
    expected = life.go_on(shutil.copytree(path, folder / "control"), MORE)
    for turn in range(2):
        before = folder / "before"
        names = snapshots_of(path)
        assert names == snapshots_of(before)
        needed = set().union(alive(path), *(alive(path, name) for name in names))
        held, log = vectors_held(path), log_of(path)
        plan = compact(path, dry_run=True)
        assert vectors_held(path) == held
        done = compact(path)
        assert (done.engrams_kept, done.engrams_dropped) == (len(needed), len(held - needed))
        assert vectors_held(path) == needed
        assert log_of(path) == [entry for entry in log if entry[1] in needed]
        assert done.entries_dropped == plan.entries_dropped == len(log) - len(log_of(path))
        assert state_of(path) == state_of(before)
        for name in names:
            assert state_of(path, name) == state_of(before, name)
        with MemoryStore.open(path) as store:
            now = store.timestep
        known, by_hand = {step for step, _ in names.values()} | {now}, steps_with_events(before)
        for step in range(now + 1):
            if step in known or (not done.engrams_dropped and turn == 0):
                if step not in by_hand:
                    assert state_of(path, step) == state_of(before, step)
            elif done.engrams_dropped:
                with pytest.raises(InputError, match="compaction has removed it"):
                    open_files(path, step)
        tell_the_same(documents(path), documents(before))
        tree = {file: file.read_bytes() for file in path.rglob("c.*")}
        assert not compact(path).changes
        assert {file: file.read_bytes() for file in path.rglob("c.*")} == tree
        if turn == 0:
            assert life.go_on(path, MORE, rng.random() < 0.5) == expected
            shutil.rmtree(before)
            shutil.copytree(path, before)


@few
@given(SEEDS)
def test_compaction_keeps_what_is_needed(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    compacts(tmp_path_factory.mktemp("life"), seed)


@pytest.mark.slow
@many
@given(SEEDS)
def test_compaction_of_many_lives(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    compacts(tmp_path_factory.mktemp("life"), seed)


def goes_back(folder: Path, seed: int) -> None:
    rng = random.Random(seed)
    life = PastLife(seed, rng.choice(["dense", "sparse"]))
    steps, path = rng.randint(1, 9), folder / "s"
    live(life, path, steps, rng, snapshots=0.5)
    names = sorted(snapshots_of(path).items())
    if not names:
        return
    expected = life.go_on(shutil.copytree(path, folder / "control"), MORE)
    begin(life, path, rng.choice(PHASES))
    if rng.random() < 0.5:
        compact(path)
    name, (step, events) = rng.choice(names)
    then = state_of(path, name)
    kept = [n for n, (s, e) in names if s <= step and e <= events]
    earlier = {n: state_of(path, n) for n in kept}
    later = [n for n, _ in names if n not in kept]
    if later:
        with pytest.raises(StateError, match="later snapshots"):
            go_back(path, name)
    told = go_back(path, name, drop_later=True)
    assert (told["step"], told["lost_snapshots"]) == (step, sorted(later))
    assert state_of(path) == then
    assert {n: state_of(path, n) for n in snapshots_of(path)} == earlier
    again = life.go_on(path, steps - step, commit_each=True, by_hand=name.startswith("s"))
    assert len(again) == steps - step
    fresh = steps > step or name.startswith("s")
    assert life.go_on(path, MORE, by_hand=fresh) == expected
    for other in earlier:  # from the state that was gone on from
        go_back(path, other, drop_later=True)
        assert state_of(path) == earlier[other]
        break


@few
@given(SEEDS)
def test_going_back_and_on(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    goes_back(tmp_path_factory.mktemp("life"), seed)


@pytest.mark.slow
@many
@given(SEEDS)
def test_going_back_in_many_lives(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    goes_back(tmp_path_factory.mktemp("life"), seed)


# -- crashes and readers ---------------------------------------------------------------------------

LIFE = PastLife(28, "sparse")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of ten steps, three of them named, and a step begun."""
    path = tmp_path_factory.mktemp("crash") / "s"
    with MemoryStore.create(path, LIFE.config) as opened:
        for step in range(1, 11):
            LIFE.step(opened, step)
            if step in (2, 5, 9):
                opened.snapshot(f"s{step}")
    begin(LIFE, path, "reminded")
    return path


CHANGES: dict[str, Callable[[Path, Disk], object]] = {
    "compact": lambda path, disk: compact(path, disk=disk),
    "go back": lambda path, disk: go_back(path, "s5", drop_later=True, disk=disk),
}


def digest_and_era(path: Path) -> tuple[str, int | None]:
    files = open_files(path)
    try:
        return current_digest(files, files.config.lanes), files.attributes.era.generation
    finally:
        files.close()


def same_files(path: Path) -> set[str]:
    """The directories of arrays and groups that the store has."""
    return {str(place.relative_to(path)) for place in path.rglob("*") if place.is_dir()}


@pytest.mark.parametrize("change", CHANGES)
def test_power_lost_while_rewriting(store: Path, tmp_path: Path, change: str) -> None:
    """At every operation: the old state or the new one, and it goes on."""
    path = shutil.copytree(store, tmp_path / "s")
    disk = ContentDisk(path)
    CHANGES[change](path, disk)
    before, after = digest_and_era(store), digest_and_era(path)
    assert before != after
    assert len(disk.operations) > 60
    expected = {
        before: LIFE.go_on(shutil.copytree(store, tmp_path / "old"), 2),
        after: LIFE.go_on(path, 2, by_hand=change == "compact"),
    }
    committed = 1 + max(
        place for place, (name, _, to) in enumerate(disk.operations) if to == "zarr.json"
    )
    found, last = set(), len(disk.operations)
    for cut in sorted({*range(0, last, 7), *range(committed - 3, committed + 3), last}):
        machine = Machine(store)
        for operation in disk.operations[:cut]:
            machine.apply(operation)
        target = tmp_path / "after"
        write_tree(machine.crash(random.Random(cut), (0.0, 0.5, 0.9, 1.0)[cut % 4]), target)
        now = digest_and_era(target)
        assert now in ((before,) if cut < committed else (before, after))
        if cut > committed:  # the directory's fsync has returned
            assert now == after
        found.add(now)
        if cut % 5 == 0:
            by_hand = now == before or change == "compact"
            assert LIFE.go_on(target, 2, by_hand=by_hand) == expected[now]
        shutil.rmtree(target)
    assert found == {before, after}


@pytest.mark.parametrize("change", CHANGES)
def test_a_failing_disk_leaves_the_old_state(store: Path, tmp_path: Path, change: str) -> None:
    counted = RecordingDisk(tmp_path / "0")
    CHANGES[change](shutil.copytree(store, tmp_path / "0"), counted)
    before, after = digest_and_era(store), digest_and_era(tmp_path / "0")
    operations = len(counted.log)
    for at in range(0, operations, 17):
        path = shutil.copytree(store, tmp_path / "s")
        disk = RecordingDisk(path)
        disk.arm(at, errno.ENOSPC, lasting=at % 2 == 0)
        try:
            CHANGES[change](path, disk)
            assert digest_and_era(path) == after  # what failed was only tidying up
        except StorageError:
            assert digest_and_era(path) in (before, after)
        CHANGES[change](path, Disk())
        assert digest_and_era(path)[0] == after[0]
        with MemoryStore.open(path, "r+"):
            pass
        assert not list(path.rglob("*.tmp"))
        shutil.rmtree(path)


def test_readers_go_on_and_what_they_held_is_collected_later(store: Path, tmp_path: Path) -> None:
    path = shutil.copytree(store, tmp_path / "s")
    whole, past = portrait(path), state_of(path, 3)
    reading = [open_files(path), open_files(path, 3), open_files(path, "s2")]
    held = same_files(path)
    assert compact(path).waiting
    go_back(path, "s5", drop_later=True)
    with MemoryStore.open(path, "r+") as opened:
        LIFE.step(opened, 6, by_hand=False)
    assert held <= same_files(path)
    for files, expected in zip(reading, (whole, past, None), strict=True):
        life = fold(files, files.config, StepTable.read(files))
        ids = np.array(sorted(life.ids))
        assert np.isfinite(files.vectors(ids)).all()
        with Inspection(files) as view:
            if expected is not None:
                assert [one["id"] for one in view.engram_list()] == expected["ids"]
                assert view.digest == expected["digest"]
                assert view.texts(ids.tolist()) == [
                    whole["texts"][engram] for engram in ids.tolist()
                ]
    with MemoryStore.open(path, "r+"):
        pass
    left = same_files(path)
    assert not left & {"vectors", "log", "texts", "sources", "events", "era/1"}
    assert "era/2" in left


def test_generations_are_never_used_twice(tmp_path: Path) -> None:
    """A reader keeps the state it opened, though the store goes back to before there was one."""
    path = tmp_path / "s"
    with MemoryStore.create(path, LIFE.config) as store:
        store.snapshot("nothing")
        LIFE.step(store, 1)
    expected = state_of(path)
    reader = open_files(path)
    for _ in range(2):
        go_back(path, "nothing")
        assert state_of(path)["ids"] == []
        assert LIFE.go_on(path, 1)[-1][1] == expected["digest"]
        assert {**state_of(path), "peeked": 0} == {**expected, "peeked": 0}
    life = fold(reader, reader.config, StepTable.read(reader))
    assert life.ids.tolist() == expected["ids"]
    reader.close()


def test_plain_zarr_reads_what_is_compacted(store: Path, tmp_path: Path) -> None:
    path = shutil.copytree(store, tmp_path / "s")
    compact(path)
    group: Any = zarr.open_group(path, mode="r")
    era = group["era/1"]
    files = open_files(path)
    try:
        for name in (
            "vectors",
            "log/steps",
            "log/ids",
            "log/expiry",
            "texts/index",
            "events/index",
        ):
            np.testing.assert_array_equal(era[name][...], files.read(name))
        assert era["kept/ids"][...].tolist() == files.kept.tolist()
    finally:
        files.close()
    assert sorted(group.keys()) == ["era", "state"]
    assert group.attrs["memoria"]["era"]["generation"] == 1


@pytest.mark.parametrize("verb", ["compact", "erase", "import"])
def test_progress_counts_the_bytes_that_are_written(tmp_path: Path, verb: str) -> None:
    config = MemoriaConfig(hidden_dim=8, initial_lifespan=100.0, backbone="array")
    with MemoryStore.create(tmp_path / "store", config) as store:
        store.add(np.eye(8, dtype=np.float32))
        store.remind()
        store.adjust()
        store.forget([2])
    with closing(open_files(tmp_path / "store")) as files:
        write_archive(files, tmp_path / "archive.zip")
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        told.append((done, total))

    if verb == "compact":
        compact(tmp_path / "store", dry_run=True, progress=progress)
        assert told == []
        compact(tmp_path / "store", progress=progress)
    elif verb == "erase":
        erase(tmp_path / "store", [2], progress=progress)
    else:
        import_archive(tmp_path / "archive.zip", tmp_path / "copy", progress)
    total = told[0][1]
    assert total >= (7 if verb != "import" else 8) * 8 * 4
    assert told == sorted(told)
    assert told[-1] == (total, total)
    assert {one[1] for one in told} == {total}
