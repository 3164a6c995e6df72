"""Eras and snapshots that are not what they say, with sound checksums: refused in one line."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzzing.sealed import Sealed
from past_lives import documents, portrait

from memoria.errors import DamageError, InputError, MemoriaError
from memoria.query.inspection import Inspection
from memoria.query.listing import EngramFilter
from memoria.store import MemoryStore
from memoria.store.compacting import compact, go_back
from memoria.store.copying import copy_memory
from memoria.store.reading import open_files
from memoria.store.schema import EventColumn, StepColumn
from memoria.store.verify import verify

SAMPLE = Path(__file__).parents[2] / "stores" / "samples" / "sound" / "compacted"
NAMES = ("after-4", "after-9", "after-18")
DIGESTS = ("", "0" * 64, "x" * 64, "A" * 64, None, 1)
NUMBERS = (-1, 0, 1, 2**31, 2**40, 2**61, 2**62, 10**30, 0.5, True, None, "1", [], {})


def numbers(value: int) -> Iterator[Any]:
    yield from (other for other in (*NUMBERS, value - 1, value + 1, 2 * value) if other != value)
    yield float(value)


def era_changes() -> Iterator[tuple[str, Any]]:
    era = Sealed.of(SAMPLE).attributes["era"]
    for name, value in era.items():
        if name == "steps":
            bad = (
                [],
                [4],
                [9, 4, 18],
                [4, 4, 9],
                [4, 9, 18, 99],
                [-1],
                [0.5],
                "4",
                None,
                [1, 2, 3],
            )
            yield from ((name, other) for other in bad)
        elif name == "digest":
            yield from ((name, other) for other in DIGESTS)
        else:
            yield from ((name, other) for other in numbers(value))


def snapshot_changes() -> Iterator[tuple[str, Any]]:
    snapshot = Sealed.of(SAMPLE).attributes["snapshots"][NAMES[1]]
    for name in ("step", "events", "created"):
        yield from ((name, other) for other in numbers(snapshot[name]))
    yield from (("digest", other) for other in DIGESTS)
    for other in (None, 1, "n" * 1001):
        yield "note", other


def use(path: Path) -> None:
    """Read, copy, compact, go back and go on in every way; `MemoriaError` in one line at most."""
    before = path.with_name("before")
    for work in (
        lambda: portrait(path),
        *(lambda at=at: portrait(path, at) for at in (*NAMES, 4, 9, 20, 22, 0)),
        lambda: copied(path, None),
        *(lambda at=at: copied(path, at) for at in NAMES),
        lambda: compact(path, dry_run=True),
        lambda: changed(path, before, lambda: compact(path, snapshots=())),
        *(lambda at=at: changed(path, before, lambda: go_back(path, at, True)) for at in NAMES),
        lambda: changed(path, before, lambda: stepped(path)),
    ):
        try:
            work()
        except MemoriaError as error:
            said = str(error)
            assert "\n" not in said, said


def copied(path: Path, at: str | None) -> None:
    target = path.with_name("copy")
    files = open_files(path, at)
    try:
        copy_memory(files, target)
    finally:
        files.close()
        shutil.rmtree(target, ignore_errors=True)


def changed(path: Path, before: Path, work: Any) -> None:
    """Do the work; afterwards the store is again as it was."""
    shutil.copytree(path, before)
    try:
        work()
    finally:
        shutil.rmtree(path)
        before.rename(path)


def stepped(path: Path) -> None:
    with MemoryStore.open(path, "r+") as store:
        store.remind()
        store.adjust(1.0)
        store.step(np.zeros((2, 1, 4), np.float32), texts=[["x"], ["y"]])


def kept_changes() -> Iterator[tuple[str, Any]]:
    for name in ("ids", "ends", "places"):
        values = Sealed.of(SAMPLE).read(f"era/2/kept/{name}")
        for value in (-(2**63), -1, 0, 30, 79, 80, 2**40, 2**63 - 1):
            for at in (0, 7 % len(values), -1):
                changed = values.copy()
                changed[at] = value
                yield name, changed
        yield from ((name, np.resize(values, rows)) for rows in (0, 1, 3, 5, 300))


Forgery = tuple[str, str, Any]
FORGERIES: list[Forgery] = [
    *(("era", name, value) for name, value in era_changes()),
    *(("snapshot", name, value) for name, value in snapshot_changes()),
    *(("kept", name, value) for name, value in kept_changes()),
]


def forged(path: Path, forgery: Forgery) -> Path:
    sealed, (what, name, value) = Sealed.of(SAMPLE), forgery
    if what == "kept":
        sealed.put(f"era/2/kept/{name}", value)
    elif what == "era":
        sealed.attributes["era"][name] = value
    else:
        sealed.attributes["snapshots"][NAMES[1]][name] = value
    return sealed.write(path)


@pytest.mark.parametrize("number", range(0, len(FORGERIES), 41))
def test_a_forgery_does_no_harm(tmp_path: Path, number: int) -> None:
    use(forged(tmp_path / "s", FORGERIES[number]))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(FORGERIES)))
def test_no_forgery_does_harm(tmp_path: Path, number: int) -> None:
    use(forged(tmp_path / "s", FORGERIES[number]))


@pytest.mark.parametrize("name", ["step", "rows", "kept", "log_end", "log_kept", "generation"])
@pytest.mark.parametrize("more", [-1, 1, 2**40])
def test_an_era_that_is_not_what_it_says_is_damage(tmp_path: Path, name: str, more: int) -> None:
    value = Sealed.of(SAMPLE).attributes["era"][name] + more
    path = forged(tmp_path / "s", ("era", name, value))
    with pytest.raises(DamageError) as caught:
        documents(path)
    assert "\n" not in str(caught.value)


def long_lived(path: Path, more: int) -> Path:
    """The sample, as if ``more`` more engrams had been created and compacted away."""
    sealed = Sealed.of(SAMPLE)
    era = sealed.attributes["era"]
    before = era["rows"]

    def shifted(ids: Any, first: int, by: int) -> Any:
        return np.where(ids >= first, ids + by, ids)

    steps = sealed.read("era/2/log/steps")
    now = steps[era["step"] - 1 :]
    now[:, StepColumn.ROWS] += more
    short = now[:, StepColumn.FIRST_SHORT :]
    short[:] = shifted(short, before // 2, more // 2)
    sealed.put("era/2/log/steps", steps)
    kept = era["log_kept"]
    logged = sealed.read("era/2/log/ids")
    logged[kept:] = shifted(logged[kept:], before, more)
    sealed.put("era/2/log/ids", logged)
    events = sealed.read("era/2/events/index")
    events[:, EventColumn.ENGRAM] = shifted(events[:, EventColumn.ENGRAM], before, more)
    sealed.put("era/2/events/index", events)
    state = sealed.attributes["state"]
    assert state["rows"] >= before
    name = f"state/{state['generation']}/ids"
    sealed.put(name, shifted(sealed.read(name), before, more))
    state["rows"] += more
    era["rows"] += more
    return sealed.write(path)


def test_memory_is_taken_for_what_is_there_not_for_what_was_created(tmp_path: Path) -> None:
    more = 2**40
    with Inspection.open(SAMPLE) as view:
        known, first = view.created, Sealed.of(SAMPLE).attributes["era"]["rows"]
        expected = everyone(view), view.history()
        stories = {one: told(view, one) for one in range(known)}
    path = long_lived(tmp_path / "s", more)
    with Inspection.open(path) as view:
        assert view.created == known + more
        assert view.forgotten_list(lane=1) == [
            one for one in view.forgotten_list() if one["lane"] == 1
        ]
        found, history = everyone(view), view.history()
        for one, story in stories.items():
            assert told(view, one + more * (one >= first), more, first) == story
        with pytest.raises(InputError, match="compaction"):
            view.engram(more // 2)
    assert back(found, more, first) == expected[0]
    began = Sealed.of(path).attributes["era"]["step"]
    assert history[began - 1].pop("added") - expected[1][began - 1].pop("added") == more
    assert history == expected[1]
    assert known > first
    use(path)


def everyone(view: Inspection) -> list[Any]:
    return [view.forgotten_list(), list(view.listing(EngramFilter("all")).documents())]


def told(view: Inspection, engram: int, more: int = 0, first: int = 0) -> Any:
    """The story of an engram, or that there is none, in the ids of before."""
    try:
        return back(view.engram(engram), more, first)
    except InputError:
        return None


def back(value: Any, more: int, first: int) -> Any:
    if isinstance(value, dict):
        moved = {k: back(v, more, first) for k, v in value.items()}
        if more and moved.get("id", 0) >= first + more:
            moved["id"] -= more
        return moved
    return [back(one, more, first) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("more", [2**40, 2**61])
def test_an_era_and_a_table_that_lie_alike(tmp_path: Path, more: int) -> None:
    sealed = Sealed.of(SAMPLE)
    steps = sealed.read("era/2/log/steps")
    sealed.attributes["era"]["rows"] += more
    steps[sealed.attributes["era"]["step"] - 1 :, StepColumn.ROWS] += more
    sealed.put("era/2/log/steps", steps)
    use(sealed.write(tmp_path / "s"))
    assert not verify(tmp_path / "s").sound
