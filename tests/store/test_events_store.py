"""Forgetting by hand and pins in a store: recorded, folded, chained into the digest, refused."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lives import LONG, Settings, any_setting, gains, ids_of, vectors
from test_store import (
    assert_as_the_spec_reads_it,
    assert_life_is,
    config_from,
    life_of,
    memoria_from,
    reopened,
    tree,
)

from memoria import Memoria
from memoria.chunkstore.files import StoreFiles
from memoria.errors import DamageError, InputError, StateError
from memoria.query.inspection import Inspection
from memoria.store import MemoryStore, open_memory
from memoria.store.attributes import StateHead
from memoria.store.compacting import compact
from memoria.store.life import Life, StepTable, fold
from memoria.store.memory_files import Cut, MemoryFiles
from memoria.store.reading import open_files
from memoria.store.schema import EventColumn
from memoria.store.verify import verify
from memoria.timeline.log import EventKind

VERBS = ("forget", "pin", "unpin")
FIELDS = ("ids", "types", "expiry", "born", "fires", "pinned", "first_short")
Event = tuple[str, list[int]]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def same_life(one: Life, other: Life) -> None:
    assert (one.step, one.next_id) == (other.step, other.next_id)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def folded(files: MemoryFiles) -> Life:
    return fold(files, files.config, StepTable.read(files))


def folded_from_nothing(files: MemoryFiles) -> Life:
    """As if no state had ever been written out."""
    attributes = files.attributes.model_copy(update={"state": StateHead()})
    return folded(MemoryFiles(files.store, Cut(attributes, {}, files.created, files.log_end)))


def living(memoria: Memoria) -> list[int]:
    """Who is alive, by the store's ids, ascending."""
    ids = ids_of(memoria)
    lanes = ids.shape[0]
    return sorted(i * lanes + b for b in range(lanes) for i in ids[b].tolist() if i >= 0)


def chosen(rng: random.Random, memoria: Memoria, most: int) -> Event:
    """An event of some living engrams, by the store's ids."""
    alive = living(memoria)
    named = rng.sample(alive, min(len(alive), rng.randint(0, most)))
    return rng.choice(("forget", "pin", "pin", "unpin")), named


def happen(memoria: Memoria, stores: list[MemoryStore], event: Event) -> None:
    verb, named = event
    ids = ids_of(memoria)
    lanes = ids.shape[0]
    rows = [[i // lanes for i in named if i % lanes == lane] for lane in range(lanes)]
    width = max(map(len, rows))
    indices = [
        [row.tolist().index(local) for local in mine] + [-1] * (width - len(mine))
        for row, mine in zip(ids, rows, strict=True)
    ]
    before = memoria.pinned
    held = {int(ids[lane, at]) * lanes + lane for lane, at in before.nonzero().tolist()}
    getattr(memoria, verb)(torch.tensor(indices, dtype=torch.int64))
    changes = {"forget": set(named), "pin": {*named} - held, "unpin": {*named} & held}[verb]
    for store in stores:
        assert getattr(store, verb)(named).tolist() == sorted(changes)


class Lives:
    """A memory in tensors, a store that is never closed, and one that often is."""

    def __init__(self, place: Path, setting: Settings, layout: str, seed: int) -> None:
        self.rng, self.setting = random.Random(seed), setting
        self.memoria = memoria_from(setting)
        config = config_from(setting, layout=layout)
        self.open = MemoryStore.create(place / "open", config)
        self.closed = MemoryStore.create(place / "closed", config)
        self.past: dict[int | str, Life] = {}

    def step(self) -> None:
        setting, rng = self.setting, self.rng
        width = rng.randint(1, setting["wmax"])
        data = vectors(rng, setting["data"], setting["lanes"], width, setting["dim"])
        self.memoria.add_working_memory(data)
        _, indices = self.memoria.remind()
        delta = gains(rng, setting["delta"], indices)
        self.memoria.adjust_lifespan_and_memories(indices, delta)
        for store in (self.open, self.closed):
            store.add(data)
            assert np.array_equal(store.remind().indices, indices)
            store.adjust(delta)
        self._reload()
        self._remember(self.memoria.timestep)
        for number in range(rng.choice((0, 1, 1, 2, 3))):
            happen(self.memoria, [self.open, self.closed], chosen(rng, self.memoria, 3))
            self._reload()
            if rng.randrange(4) == 0:
                name = f"s{self.memoria.timestep}.{number}"
                self.open.snapshot(name)
                self.closed.snapshot(name)
                self._remember(name)
        assert self.open.digest() == self.closed.digest()

    def _reload(self) -> None:
        if self.rng.randrange(3) == 0:
            self.closed = reopened(self.closed, self.rng)

    def _remember(self, moment: int | str) -> None:
        self.open.commit()
        self.past[moment] = life_of(self.open.path)

    def end(self) -> None:
        for store in (self.open, self.closed):
            store.commit()
            assert_life_is(store.path, self.memoria)
            with store:
                pass
            assert_life_is(store.path, self.memoria)
            assert_as_the_spec_reads_it(store.path)
            assert verify(store.path).findings == ()
            for moment, life in self.past.items():
                files = open_files(store.path, moment)
                same_life(folded(files), life)
                same_life(folded_from_nothing_at(files), life)
                files.close()


def folded_from_nothing_at(files: MemoryFiles) -> Life:
    """A view of the past, as if no state had ever been written out."""
    cut = files._cut
    assert cut is not None
    attributes = cut.attributes.model_copy(update={"state": StateHead()})
    return folded(MemoryFiles(files.store, Cut(attributes, cut.rows, cut.created, cut.log_end)))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    setting=any_setting(),
    layout=st.sampled_from(["dense", "sparse"]),
    seed=st.integers(0, 2**32),
    steps=st.integers(1, 8),
)
def test_any_short_life_with_events(setting: Settings, layout: str, seed: int, steps: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        lives = Lives(Path(place), setting, layout, seed)
        for _ in range(steps):
            lives.step()
        lives.end()


@pytest.mark.parametrize("delta", ["real", "eighths"])
def test_a_long_life_with_events(
    tmp_path: Path, delta: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_memory, "_LOG_PER_STATE", 40)  # states amid the life
    lives = Lives(tmp_path, LONG | {"delta": delta}, "sparse", 3)
    for _ in range(25):
        lives.step()
    lives.end()
    final = life_of(lives.open.path)
    old = final.pinned & (final.step - final.born > 3 * LONG["initial_lifespan"])
    assert (old & (final.types == 3)).any()


@pytest.mark.parametrize("seed", range(4))
def test_compaction_changes_nothing_that_events_did(tmp_path: Path, seed: int) -> None:
    lives = Lives(tmp_path, LONG, "sparse", seed)
    for _ in range(12):
        lives.step()
    happen(lives.memoria, [lives.open, lives.closed], ("forget", [living(lives.memoria)[-1]]))
    lives.closed.commit()
    lives.closed.close()
    report = compact(lives.closed.path)
    assert report.engrams_dropped > 0
    lives.closed = MemoryStore.open(lives.closed.path, "r+")
    compacted, at = lives.closed.path, lives.memoria.timestep
    for _ in range(6):
        lives.step()
    lives.open.commit()
    lives.closed.commit()
    kept = {moment for moment in lives.past if isinstance(moment, str) or moment > at}
    assert any(isinstance(moment, str) for moment in kept)
    for moment in kept:
        files = open_files(compacted, moment)
        same_life(folded(files), lives.past[moment])
        files.close()
    same_life(life_of(compacted), life_of(lives.open.path))
    assert verify(compacted).findings == ()
    lives.open.close()
    lives.closed.close()


# -- by hand -------------------------------------------------------------------------------------


def stepped(path: Path, steps: int = 1, lanes: int = 2, **changes: Any) -> MemoryStore:
    """A store of steps with two engrams a lane each; nothing is ever reminded."""
    setting = LONG | {"lanes": lanes, "initial_lifespan": 6, "stm_capacity": 2}
    setting |= {"num_reminded_stm": 0, "num_final_ltms": 0}
    store = MemoryStore.create(path, config_from(setting | changes))
    for _ in range(steps):
        store.step(torch.ones(lanes, 2, 3), 0.0, [[f"{lane}"] * 2 for lane in range(lanes)])
    return store


def test_events_by_hand(tmp_path: Path) -> None:
    with stepped(tmp_path / "s") as store:
        before = store.digest()
        assert store.pin([3, 1]).tolist() == [1, 3]
        assert store.digest() != before
        assert store.pin(np.array([1, 2])).tolist() == [2]
        after = store.digest()
        assert store.pin([1]).tolist() == []
        assert store.unpin([0]).tolist() == []
        assert store.forget([]).tolist() == []
        assert store.digest() == after
        store.step(torch.ones(2, 2, 3), 0.0)
        assert store.forget([1, 4]).tolist() == [1, 4]
        assert store.unpin([2]).tolist() == [2]
        store.commit()
        found = life_of(store.path)
        assert found.ids.tolist() == [0, 2, 3, 5, 6, 7]
        assert found.lifespan().tolist() == [4, 5, 5, 5, 5, 5]
        assert found.pinned.tolist() == [False, False, True, False, False, False]
        store.step(torch.ones(2, 2, 3), 0.0)
        store.commit()
        assert life_of(store.path).lifespan()[:6].tolist() == [3, 4, 5, 4, 4, 4]
    with closing(StoreFiles.open(tmp_path / "s")) as files:
        rows = files.read("events/index")[:, : EventColumn.TIME].tolist()
    pins = [[1, EventKind.PIN, engram] for engram in (1, 3, 2)]
    gone = [[2, EventKind.FORGET, 1], [2, EventKind.FORGET, 4]]
    assert rows == [*pins, *gone, [2, EventKind.UNPIN, 2]]


def test_events_are_dropped_with_what_was_not_committed(tmp_path: Path) -> None:
    with stepped(tmp_path / "s") as store:
        store.commit()
        before = store.digest(), tree(store.path)
        store.forget([0])
        store.pin([1])
        store.rollback()
        assert (store.digest(), tree(store.path)) == before
        assert store.pin([0]).tolist() == [0]
        store.rollback()
    with pytest.raises(InputError), MemoryStore.open(tmp_path / "s", "r+") as store:
        assert len(store.forget([0, 1, 2])) + len(store.forget([0]))
    with MemoryStore.open(tmp_path / "s") as store:
        assert store.digest() == before[0]
        assert life_of(store.path).ids.tolist() == [0, 1, 2, 3]


def test_the_order_of_the_ids_is_no_part_of_the_memory(tmp_path: Path) -> None:
    digests = set()
    for number, ids in enumerate(([0, 3, 2], [3, 2, 0], np.array([2, 0, 3], np.int16))):
        with stepped(tmp_path / str(number)) as store:
            store.pin(ids)
            digests.add(store.digest())
    assert len(digests) == 1


def test_a_closing_writer_writes_out_what_events_did(tmp_path: Path) -> None:
    with stepped(tmp_path / "s") as store:
        pass
    with MemoryStore.open(tmp_path / "s", "r+") as store:
        store.forget([2])
    with closing(StoreFiles.open(tmp_path / "s")) as files:
        state = files.attributes["state"]
        assert state["events"] == 1
        assert files.read(f"state/{state['generation']}/ids").tolist() == [0, 1, 3]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([0, 8], "engram = 8: there is none"),
        ([-1], "engram = -1: there is none"),
        ([0, 1, 0], "engram 0: is named twice"),
        ([1, 2], "engram 2: is forgotten already"),
        ([1.0], "not a list of integers"),
        ([True], "not a list of integers"),
        (3, "not a list of integers"),
        ([[0]], "not a list of integers"),
        ([2**70], "not a list of integers"),
        (["0"], "not a list of integers"),
        ([[0], [0, 1]], "not a list of integers"),
    ],
)
def test_bad_ids_are_refused(tmp_path: Path, verb: str, ids: Any, message: str) -> None:
    with stepped(tmp_path / "s", 2) as store:
        store.forget([2])
        before = store.digest()
        with pytest.raises(InputError, match=message):
            getattr(store, verb)(ids)
        assert store.digest() == before
        store.step(torch.ones(2, 1, 3), 0.0)
    assert life_of(tmp_path / "s").ids.tolist() == [0, 1, 3, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("verb", VERBS)
def test_events_only_between_steps(tmp_path: Path, verb: str) -> None:
    with stepped(tmp_path / "s") as store:
        event: Callable[[list[int]], object] = getattr(store, verb)
        store.add(torch.ones(2, 1, 3))
        with pytest.raises(StateError, match=r"under way \(working\)"):
            event([0])
        store.remind()
        with pytest.raises(StateError, match=r"under way \(reminded\)"):
            event([0])
        store.adjust()
        event([0])
    with MemoryStore.open(tmp_path / "s") as store, pytest.raises(StateError, match="reading"):
        getattr(store, verb)([1])


@pytest.mark.parametrize(
    "row",
    [
        [2, 0, 0, 0],
        [2, 8, 0, 0],
        [3, 1, 0, 0],
        [0, 1, 0, 0],
        [1, 1, 0, 0],
        [-1, 1, 0, 0],
        [2, 1, 8, 0],
        [2, 1, -1, 0],
        [2, 1, 3, 0],
        [2, 2, 3, 0],
        [2, 3, 3, 0],
    ],
    ids=str,
)
@pytest.mark.parametrize("written", [False, True])
def test_events_that_cannot_have_been_are_damage(
    tmp_path: Path, row: list[int], written: bool
) -> None:
    """An unknown kind, a step that is not there or out of order, an engram unknown or forgotten."""
    path = tmp_path / "s"
    store = stepped(path, 2)
    store.pin([3])
    store.forget([3])
    if written:
        with store:
            pass
    else:
        store.commit()
        store.close()
    with closing(StoreFiles.open(path, "r+")) as files:
        files.append("events/index", np.array([[*row, 0]]))
        files.append("events/values", [0.0])
        files.commit()
    with pytest.raises(DamageError):
        life_of(path)


# -- as it is looked at ----------------------------------------------------------------------------


def test_what_inspection_tells(tmp_path: Path) -> None:
    path = tmp_path / "s"
    store = stepped(path, lanes=1, num_reminded_stm=2)  # 0 and 1, later reminded at every step
    store.pin([0])
    store.step(torch.ones(1, 2, 3), 0.5)  # 2 and 3
    store.unpin([0])
    store.forget([2])
    store.step(torch.ones(1, 2, 3), -0.5)  # 4 and 5
    store.pin([3])
    store.step(torch.ones(1, 2, 3), 0.25)  # 6 and 7
    store.commit()
    store.close()
    with Inspection.open(path) as view:
        assert [one["id"] for one in view.engram_list() if one["pinned"]] == [3]
        story = view.engram(0)
        assert [(e["step"], e["what"]) for e in story["events"]] == [(1, "pinned"), (2, "unpinned")]
        assert not story["pinned"]
        assert view.engram(3)["pinned"]
        gone = view.engram(2)
        assert gone["type"] == "forgotten"
        assert gone["forgotten"]["step"] == 2
        assert gone["shortterm"] == 2
        assert (gone["lifespan"], gone["age"]) == (0, 1)
        assert [e["what"] for e in gone["events"]] == ["forgotten"]
        [listed] = view.forgotten_list()
        assert (listed["id"], listed["step"], listed["by_hand"]) == (2, 2, True)
        assert listed["time"] == gone["events"][0]["time"]
        history = view.history()
        assert [one["forgotten"] for one in history] == [0, 1, 0, 0]
        assert [one["living"] for one in history] == [2, 3, 5, 7]
        assert view.summary()["engrams"] == 7
        for one in view.engram_list():
            told = view.engram(one["id"])
            assert {name: told[name] for name in one} == one


def test_the_stories_of_a_life_add_up(tmp_path: Path) -> None:
    """From gains, ageing and events alone comes the lifespan after every firing."""
    lives = Lives(tmp_path, LONG, "sparse", 8)
    for _ in range(25):
        lives.step()
    with lives.open, lives.closed:
        pass
    seen = set()
    with Inspection.open(lives.open.path) as view:
        gone = {one["id"]: one for one in view.forgotten_list()}
        for engram in range(view.created):
            told = view.engram(engram)
            events = {(e["step"], 1, k): e["what"] for k, e in enumerate(told["events"])}
            firings = {(f["step"], 0, 0): f for f in told["firings"]}
            left, step, held = 0.0, told["created"]["step"] - 1, False
            for (when, _, _), what in sorted((events | firings).items()):
                left -= 0 if held else when - step
                step = when
                if isinstance(what, dict):
                    left += what["gain"]
                    assert left == what["lifespan"]
                    assert not held or left == int(left)
                    continue
                held = what == "pinned"
                left = {"pinned": float(np.ceil(left)), "forgotten": 0.0}.get(what, left)
                seen.add(what)
            end = told["forgotten"]["step"] if told["forgotten"] else view.summary()["step"]
            assert told["lifespan"] == left - (0 if held else end - step)
            assert told["pinned"] == held
            assert (engram in gone) == (told["type"] == "forgotten")
            assert not (engram in gone and told["lifespan"] > 0)
            if engram in gone:
                by_hand = "forgotten" in events.values()
                assert gone[engram]["by_hand"] == by_hand
                assert gone[engram]["step"] == end
    assert seen == {"pinned", "unpinned", "forgotten"}
    assert any(not one["by_hand"] for one in gone.values())
