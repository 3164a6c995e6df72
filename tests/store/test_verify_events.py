"""`verify` and what format 2 added: events by hand, and eras that compaction began."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from spec_reader import SpecReader
from verify_tools import busy_store, files_of, living_ids, step

from forging import Change, add_to, forge, forge_root, put  # isort: skip

from memoria.store import MemoryStore
from memoria.store.compacting import compact, go_back
from memoria.store.verify import Finding, repair, verify

# Events of the busy store: 0 to 2 pins after step 20, 3 a forgotten engram, 4 an unpin after 23.


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return busy_store(tmp_path_factory.mktemp("busy") / "store")


@pytest.fixture(scope="module")
def compacted(busy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An era after step 24, with six steps and an event since, and a state of an earlier step."""
    path = tmp_path_factory.mktemp("compacted") / "store"
    shutil.copytree(busy, path)
    compact(path)
    numbers = random.Random(9)
    store = MemoryStore.open(path, "r+")
    store.adjust()
    for number in range(25, 30):
        step(store, numbers, number)
    store.pin(living_ids(store)[-1:])
    step(store, numbers, 30)
    store.snapshot("late")
    store.commit()
    store.close()
    return path


@pytest.fixture
def store(busy: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(busy, tmp_path / "store"))


@pytest.fixture
def era(compacted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(compacted, tmp_path / "era"))


def found(path: Path) -> list[Finding]:
    return list(verify(path).findings)


def array(path: Path, name: str) -> Any:
    group: Any = zarr.open_group(path, mode="r")
    return group[name][...]


def words(findings: list[Finding], kind: str) -> str:
    return " | ".join(one.message for one in findings if one.kind == kind)


@pytest.mark.parametrize(
    ("change", "event", "said"),
    [
        (put((1, 0), 3), 1, "stands after step 3, out of order"),
        (put((4, 0), 99), 4, "stands after step 99, out of order"),
        (put((0, 0), 0), 0, "stands after step 0, out of order"),
        (put((2, 1), 9), 2, "kind 9 is none of 1 to 7"),
        (put((2, 2), 10**9), 2, "engram 1000000000: there are 80"),
        (put((2, 2), -5), 2, "engram -5: there are 80"),
        (put((2, 2), 0), 2, "engram 0 was forgotten already"),
    ],
)
def test_events(store: Path, change: Change, event: int, said: str) -> None:
    forge(store, "events/index", change)
    findings = found(store)
    assert f"event {event}: " in words(findings, "events")
    assert said in words(findings, "events")
    assert {one.array for one in findings if one.kind == "events"} == {"events/index"}
    assert verify(store).sound_step < 24


def test_pins_alternate(store: Path) -> None:
    table = SpecReader(store).group["events/index"][...]
    forge(store, "events/index", put((1, 2), table[0, 2]))
    findings = found(store)
    assert f"event 1: engram {table[0, 2]} is pinned already" in words(findings, "events")
    assert f"event 4: engram {table[4, 2]} is not pinned" in words(findings, "events")
    (lane, step_), *_ = [(one.lane, one.step) for one in findings if one.kind == "events"]
    assert (lane, step_) == (int(table[0, 2]) % 2, 21)


def test_events_are_part_of_the_digest(store: Path) -> None:
    """The engram forgotten was another living one."""
    reader = SpecReader(store)
    table = reader.group["events/index"][...]
    others = reader.state(20).engrams.keys() - set(table[:, 2].tolist())
    forge(store, "events/index", put((3, 2), max(others)))
    report = verify(store)
    assert ("log/steps", 21) in [(f.array, f.step) for f in report.findings if f.kind == "digest"]
    assert report.sound_step == 20


def test_the_time_of_an_event_is_information_only(store: Path) -> None:
    forge(store, "events/index", put((3, 3), 0))
    assert found(store) == []


def test_lost_events_cost_the_steps_after_them(store: Path, tmp_path: Path) -> None:
    (store / "events/index/c.0.0").unlink()
    report, repaired = repair(store, tmp_path / "new")
    assert ("missing", "events/index/c.0.0") in [(one.kind, one.path) for one in report.findings]
    assert repaired is not None
    assert repaired.step == report.sound_step == 20
    assert verify(tmp_path / "new").findings == ()


def test_a_pinned_engram_loses_no_lifespan(store: Path) -> None:
    reader = SpecReader(store)
    pinned = reader.group["events/index"][...][:3, 2].tolist()
    last = reader.log_after(20)
    at = [e for e in range(last, len(reader.ids)) if int(reader.ids[e]) in pinned]
    assert at
    for amount in (-50.0, 0.5):
        before = (store / "log/expiry/c.0").read_bytes()
        forge(store, "log/expiry", add_to(at[0], amount))
        assert "it lost lifespan or is no whole number" in words(found(store), "log")
        (store / "log/expiry/c.0").write_bytes(before)


def test_a_state_that_counts_other_events(store: Path) -> None:
    forge_root(store, lambda attributes: attributes["state"].update(events=2))
    assert "state" in {one.kind for one in found(store)}
    forge_root(store, lambda attributes: attributes["state"].update(events=5))
    assert "accounts for 5 events" in words(found(store), "state")


def test_a_compacted_store_is_sound(era: Path, busy: Path) -> None:
    assert array(era, "era/1/vectors").shape[0] < array(busy, "vectors").shape[0] + 24
    report = verify(era)
    assert report.findings == ()
    assert (report.step, report.sound_step) == (31, 31)


def test_every_file_of_an_era_is_named(era: Path) -> None:
    for name in files_of(era):
        if name in (".lock", ".lease"):
            continue
        content = (era / name).read_bytes()
        (era / name).unlink()
        assert name in [one.path for one in found(era)], name
        changed = bytearray(content)
        changed[len(content) // 2] ^= 1
        (era / name).write_bytes(changed)
        paths = [one.path for one in found(era)]
        assert name in paths or name.endswith("/zarr.json"), name
        (era / name).write_bytes(content)
    assert found(era) == []


@pytest.mark.parametrize(
    ("array", "change", "said"),
    [
        ("kept/ids", add_to(3, 1000), "kept/ids are not"),
        ("kept/ends", put(0, -1), "kept/ends are not"),
        ("kept/places", put(0, -7), "kept/places are not"),
    ],
)
def test_what_compaction_kept(era: Path, array: str, change: Change, said: str) -> None:
    forge(era, f"era/1/{array}", change)
    assert said in words(found(era), "era")


def test_another_engram_kept(era: Path) -> None:
    """Its vector and its firings would be those of another one."""
    kept = array(era, "era/1/kept/ids")
    at = next(i for i in range(4, len(kept)) if kept[i] - kept[i - 1] > 1)
    forge(era, "era/1/kept/ids", add_to(at, -1))
    text = words(found(era), "log")
    assert f"engram {kept[at]} fired and was not kept by compaction" in text


def test_damage_before_an_era_cuts_back_to_a_snapshot(era: Path, tmp_path: Path) -> None:
    table = array(era, "era/1/kept/ends")
    forge(era, "era/1/log/ids", put(int(table[15]), 2**40))  # of step 17
    report, repaired = repair(era, tmp_path / "new")
    assert report.sound_step == 16
    assert repaired is not None
    assert (repaired.step, repaired.lost_steps) == (13, 18)  # what the snapshot 'half' names
    assert verify(tmp_path / "new").findings == ()
    with (
        MemoryStore.open(tmp_path / "new") as after,
        MemoryStore.open(era, at="half") as before,
    ):
        assert after.digest() == before.digest()


def test_damage_after_an_era_cuts_back_to_the_step_before(era: Path, tmp_path: Path) -> None:
    rows = array(era, "era/1/vectors").shape[0]
    forge(era, "era/1/vectors", put((rows - 9, 0), 0.75))  # of step 29: four engrams a step
    report, repaired = repair(era, tmp_path / "new")
    assert report.sound_step == 28
    assert repaired is not None
    assert repaired.step == 28
    assert verify(tmp_path / "new").findings == ()
    with MemoryStore.open(tmp_path / "new", "r+") as store:
        store.step(np.ones((2, 1, 4), np.float32))
    assert verify(tmp_path / "new").findings == ()


def test_after_an_era_digests_are_recomputed_and_before_it_are_an_anchor(era: Path) -> None:
    forge(era, "era/1/log/steps", add_to((5, 3), 1))  # step 6 can be compared with nothing
    assert found(era) == []
    forge(era, "era/1/log/steps", add_to((23, 3), 1))  # step 24 began the era
    assert [(one.kind, one.step) for one in found(era)] == [("era", None)]
    forge(era, "era/1/log/steps", add_to((23, 3), -1))
    forge_root(era, lambda root: root["era"].update(digest="0" * 64))  # the chain goes on from it
    assert [(one.kind, one.step) for one in found(era)] == [("era", None), ("digest", 25)]


def test_going_back_is_sound(store: Path) -> None:
    go_back(store, "by-hand", drop_later=True)
    report = verify(store)
    assert report.findings == ()
    assert report.step == 20
