"""A memory in tensors and its store are one: written, taken back, stepped on side by side."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lives import LAYOUTS, any_setting, subjects_of, vectors

from memoria import Memoria
from memoria.config import Layout, MemoriaConfig
from memoria.core import recorder
from memoria.errors import (
    ConfigError,
    InputError,
    StateError,
    StoreExistsError,
    StoreNotFoundError,
)
from memoria.query.inspection import Inspection
from memoria.store import MemoryStore, load_memory, save_memory
from memoria.store.compacting import compact
from memoria.store.replay.recompute import recompute
from memoria.store.verify import verify

SAMPLES = Path(__file__).parents[2] / "stores" / "samples"
SAMPLED = sorted(path for path in SAMPLES.glob("sound/*") if path.is_dir())


def by_hand(rng: random.Random, memory: Memoria) -> None:
    """Sometimes forget, pin or unpin somebody."""
    if memory.timestep and memory.engrams.memory_length and rng.random() < 0.4:
        width = memory.engrams.memory_length
        counts = (memory.engrams.engrams_types != 0).sum(1).tolist()
        picks = [[rng.randrange(-1, count) for _ in range(2)] for count in counts]
        verb = rng.choice((memory.pin, memory.pin, memory.unpin, memory.forget))
        verb(torch.tensor(picks).clamp_max(width - 1))


def step(rng: random.Random, memories: list[Memoria], setting: dict[str, Any]) -> None:
    """One that a store can tell of: one reminder, and only what was reminded gains."""
    if memories[0].timestep and rng.random() < 0.1:  # only time goes by
        nothing = torch.zeros(setting["lanes"], 0, dtype=torch.int64)
        for memory in memories:
            memory.adjust_lifespan_and_memories(nothing, nothing.float())
        return
    width = rng.randint(1, setting["wmax"])
    data = vectors(rng, setting["data"], setting["lanes"], width, setting["dim"])
    for memory in memories:
        memory.add_working_memory(data)
        indices = memory.remind()[1]
    some = indices[:, : rng.randint(0, indices.shape[1])]
    gains = torch.tensor([[rng.randint(-12, 40) / 8 for _ in row] for row in some.tolist()])
    for memory in memories:
        memory.adjust_lifespan_and_memories(some, gains.reshape(some.shape))


def lived(setting: dict[str, Any], seed: int, layout: Layout, steps: int) -> Memoria:
    (memory,) = subjects_of({**setting, "lane_ids": None}, (layout,))
    rng = random.Random(seed)
    for _ in range(steps):
        by_hand(rng, memory)
        step(rng, [memory], setting)
    by_hand(rng, memory)
    return memory


def same(a: Memoria, b: Memoria) -> None:
    assert a.engrams == b.engrams
    assert a.pinned.tolist() == b.pinned.tolist()
    assert a.timestep == b.timestep


def taken(path: Path, at: int | str | None = None) -> Memoria:
    return load_memory(path, at, track_age=True, track_id=True)


def digest(path: Path) -> str:
    with MemoryStore.open(path) as store:
        return store.digest()


def go_on(seed: int, memories: list[Memoria], path: Path, setting: dict[str, Any]) -> None:
    """The store and the memories live on alike."""
    rng = random.Random(seed)
    with MemoryStore.open(path, "r+") as store:
        for _ in range(6):
            width = rng.randint(1, setting["wmax"])
            data = vectors(rng, setting["data"], setting["lanes"], width, setting["dim"])
            store.add(data)
            reminded = store.remind()
            delta = torch.tensor([[rng.randint(0, 24) / 8] * reminded.ids.shape[1]])
            delta = delta.expand(setting["lanes"], -1)
            store.adjust(delta)
            for memory in memories:
                memory.add_working_memory(data)
                memories_, indices = memory.remind()
                assert np.array_equal(indices, reminded.indices)
                assert np.array_equal(memories_, reminded.memories)
                memory.adjust_lifespan_and_memories(indices, delta)
    for memory in memories:
        same(memory, taken(path))
    assert verify(path).findings == ()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    folder, numbers = tmp_path_factory.mktemp("kept"), iter(range(10**6))
    return lambda: folder / str(next(numbers))


@settings(max_examples=12, deadline=None)
@given(
    setting=any_setting(),
    seed=st.integers(0, 2**32),
    layout=st.sampled_from(LAYOUTS),
    steps=st.integers(1, 14),
)
def test_written_and_taken_back_it_lives_on_alike(
    place: Callable[[], Path],
    setting: dict[str, Any],
    seed: int,
    layout: Layout,
    steps: int,
) -> None:
    memory, path, again = lived(setting, seed, layout, steps), place(), place()
    save_memory(memory, path)
    report = verify(path)
    assert report.findings == ()
    back = taken(path)
    same(memory, back)
    save_memory(back, again)
    assert digest(again) == digest(path)
    same(memory, taken(again))
    for _ in range(3):
        step(random.Random(seed), [memory, back], setting)
    same(memory, back)
    save_memory(back, place())
    live_path = place()
    save_memory(memory, live_path)
    go_on(seed, [memory, back], live_path, setting)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("forgets", [False, True])
def test_the_same_steps_make_the_same_store(tmp_path: Path, layout: Layout, forgets: bool) -> None:
    """With nothing forgotten to the last bit; else what compaction would have left of it."""
    generator = torch.Generator().manual_seed(1)
    lifespan = 4.0 if forgets else 99.0
    config = MemoriaConfig(
        hidden_dim=5,
        lanes=3,
        num_reminded_stm=2,
        stm_capacity=6,
        num_final_ltms=3,
        initial_lifespan=lifespan,
        ltm_search_depth=3,
        layout=layout,
        wm_length=2,
        backbone="array",
        seed=9,
    )
    memory = Memoria(2, 6, 3, lifespan, 3, seed=9, layout=layout, keep_history=True)
    with MemoryStore.create(tmp_path / "stepped", config) as store:
        for _ in range(20):
            data = torch.randn(3, 2, 5, generator=generator)
            store.add(data)
            gains = torch.rand(store.remind().ids.shape, generator=generator)
            store.adjust(gains)
            memory.add_working_memory(data)
            memory.adjust_lifespan_and_memories(memory.remind()[1], gains)
    save_memory(memory, tmp_path / "kept")
    if forgets:
        compact(tmp_path / "stepped")
    else:
        assert digest(tmp_path / "kept") == digest(tmp_path / "stepped")
        replayed = recompute(tmp_path / "kept")
        assert (replayed.steps, replayed.identical) == (20, True)
    with Inspection.open(tmp_path / "kept") as kept, Inspection.open(tmp_path / "stepped") as other:
        assert kept.histograms() == other.histograms()
        assert kept.engram_list() == other.engram_list()
        assert kept.edges() == other.edges()
        for one in kept.engram_list():
            stories = [seen.engram(one["id"]) for seen in (kept, other)]
            for story in stories:
                del story["created"]["time"]
            assert stories[0] == stories[1]


@pytest.mark.parametrize("path", SAMPLED, ids=lambda path: path.name)
def test_every_sample_is_taken_up(tmp_path: Path, path: Path) -> None:
    with MemoryStore.open(path) as store:
        done, idle = store.timestep, store.phase == "idle"
    if not idle:
        with pytest.raises(StateError, match=f"at={done}"):
            load_memory(path)
    memory = taken(path, done)
    assert memory.timestep == done
    if done == 0:
        return
    save_memory(memory, tmp_path / "new")
    assert verify(tmp_path / "new").findings == ()
    same(memory, taken(tmp_path / "new"))
    with Inspection.open(path, done) as old, Inspection.open(tmp_path / "new") as new:
        assert old.engram_list() == new.engram_list()


def test_every_step_of_the_past_is_taken_up(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(2)
    memory, seen = Memoria(2, 6, 3, 4.0, 3, track_age=True, track_id=True), []
    for _ in range(12):
        memory.add_working_memory(torch.randn(2, 2, 3, generator=generator))
        indices = memory.remind()[1]
        memory.adjust_lifespan_and_memories(indices, torch.full(indices.shape, 90.0))
        seen.append((memory.engrams, memory.timestep))
        if memory.timestep == 5:
            save_memory(memory, tmp_path / "s")
    with MemoryStore.open(tmp_path / "s", "r+") as store:
        store.snapshot("fifth")
    go_on(3, [taken(tmp_path / "s")], tmp_path / "s", {**SMALL, "dim": 3})
    assert taken(tmp_path / "s", "fifth").engrams == seen[4][0]
    assert taken(tmp_path / "s", 7).timestep == 7
    with pytest.raises(InputError, match="99"):
        load_memory(tmp_path / "s", 99)
    with pytest.raises(InputError, match="none"):
        load_memory(tmp_path / "s", "none")
    with pytest.raises(StoreNotFoundError):
        load_memory(tmp_path / "nowhere")


SMALL: dict[str, Any] = {"lanes": 2, "dim": 4, "wmax": 2, "data": "normal"}


def small(**more: Any) -> Memoria:
    return Memoria(2, 6, 3, 4.0, 3, **more)


def stepped(memory: Memoria, steps: int = 1) -> Memoria:
    for seed in range(steps):
        step(random.Random(seed), [memory], SMALL)
    return memory


def remind_twice(memory: Memoria) -> None:
    memory.add_working_memory(torch.ones(2, 1, 4))
    memory.remind()
    indices = memory.remind()[1]
    memory.adjust_lifespan_and_memories(indices, indices.float())


def never_remind(memory: Memoria) -> None:
    memory.add_working_memory(torch.ones(2, 1, 4))
    memory.adjust_lifespan_and_memories(torch.zeros(2, 0, dtype=torch.int64), torch.zeros(2, 0))


def add_late(memory: Memoria) -> None:
    memory.add_working_memory(torch.ones(2, 1, 4))
    indices = memory.remind()[1]
    memory.add_working_memory(torch.ones(2, 40, 4))
    memory.adjust_lifespan_and_memories(indices, torch.zeros(indices.shape))


def gain_unfired(memory: Memoria) -> None:
    memory.add_working_memory(torch.ones(2, 1, 4))
    fired = {*memory.remind()[1].flatten().tolist(), memory.engrams.memory_length - 1}
    (other, *_) = {*range(memory.engrams.memory_length)} - fired
    memory.adjust_lifespan_and_memories(torch.tensor([[other]] * 2), torch.full((2, 1), 9.0))


@pytest.mark.parametrize("odd", [remind_twice, never_remind, add_late, gain_unfired])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_no_store_can_tell_is_refused_while_it_matters(
    tmp_path: Path, layout: Layout, odd: Callable[[Memoria], None]
) -> None:
    memory = stepped(Memoria(1, 4, 3, 4.0, 1, layout=layout), 5)
    odd(memory)
    with pytest.raises(StateError, match="remind once in every step"):
        save_memory(memory, tmp_path / "s")
    assert list(tmp_path.iterdir()) == []
    for _ in range(20):  # until all that lived through it are gone
        memory.add_working_memory(torch.ones(2, 1, 4))
        indices = memory.remind()[1]
        memory.adjust_lifespan_and_memories(indices, torch.full(indices.shape, -1.0))
    save_memory(memory, tmp_path / "s")
    assert verify(tmp_path / "s").findings == ()
    assert load_memory(tmp_path / "s").engrams == memory.engrams


def begun(memory: Memoria) -> Memoria:
    memory.add_working_memory(torch.ones(2, 1, 4))
    return memory


@pytest.mark.parametrize(
    ("memory", "more", "error", "words"),
    [
        (lambda: small(), {}, StateError, "no step yet"),
        (lambda: begun(small()), {}, StateError, "no step yet"),
        (lambda: begun(stepped(small())), {}, StateError, "a step is under way"),
        (lambda: stepped(small(lane_ids=[1, 0])), {}, StateError, "lane_ids = \\[1, 0\\]"),
        (lambda: stepped(small()), {"lanes": 3}, InputError, "lanes = 3: the memory runs by 2"),
        (lambda: stepped(small()), {"seed": 3}, InputError, "seed = 3: the memory runs by 0"),
        (lambda: stepped(small()), {"rule": "all"}, ConfigError, "rule = 'all'"),
        (lambda: stepped(small()), {"wrong": 1}, ConfigError, "no such setting"),
        (lambda: stepped(small()), {"texts": [{}]}, InputError, "texts of 1 lanes"),
        (lambda: stepped(small()), {"texts": [{99: "a"}, {}]}, InputError, "engram 99 in lane 0"),
        (lambda: stepped(small()), {"texts": [{0: 1}, {}]}, InputError, "not text"),
    ],
)
def test_bad_input_leaves_nothing(
    tmp_path: Path,
    memory: Callable[[], Memoria],
    more: dict[str, Any],
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        save_memory(memory(), tmp_path / "s", **more)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    memory = stepped(small(), 3)
    save_memory(memory, tmp_path / "s")
    before = digest(tmp_path / "s")
    with pytest.raises(StoreExistsError):
        save_memory(stepped(memory), tmp_path / "s")
    assert digest(tmp_path / "s") == before


def test_texts_and_settings_go_along(tmp_path: Path) -> None:
    memory = stepped(small(), 2)
    told = [{0: "one", 1: "two"}, {0: "drei"}]
    save_memory(memory, tmp_path / "s", told, rule="uniform:2", backbone="hash", wm_length=3)
    with Inspection.open(tmp_path / "s") as seen:
        texts = {(one["lane"], one["index"]): one["text"] for one in seen.engram_list()}
        assert (texts[0, 0], texts[0, 1], texts[1, 0], texts[1, 1]) == ("one", "two", "drei", None)
        config = seen.config
    assert (config.rule, config.backbone, config.wm_length) == ("uniform:2", "hash", 3)
    assert (config.lanes, config.hidden_dim) == (2, 4)
    back = load_memory(tmp_path / "s")
    save_memory(back, tmp_path / "t")
    assert digest(tmp_path / "t") == digest(tmp_path / "s")
    assert recompute(tmp_path / "t").identical
    save_memory(back, tmp_path / "u", [{0: "eins"}, {}])
    with Inspection.open(tmp_path / "u") as seen:
        assert [one["text"] for one in seen.engram_list()][:2] == ["eins", "drei"]
    assert verify(tmp_path / "u").findings == ()
    assert digest(tmp_path / "u") != digest(tmp_path / "s")


def test_a_store_without_steps_is_an_empty_memory(tmp_path: Path) -> None:
    config = MemoriaConfig(hidden_dim=4, lanes=2, num_final_ltms=3)
    MemoryStore.create(tmp_path / "s", config).close()
    memory = load_memory(tmp_path / "s")
    assert (memory.timestep, memory.config) == (0, config)
    assert stepped(memory).timestep == 1


@pytest.mark.parametrize("entries", [0, 40])
def test_the_log_is_brought_in_at_any_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entries: int
) -> None:
    """How often it drops the forgotten changes nothing, and it does drop them."""
    whole = stepped(small(), 30)
    save_memory(whole, tmp_path / "whole")
    looked, settle = [], recorder.Recorder._settle
    monkeypatch.setattr(
        recorder.Recorder, "_settle", lambda self, state: looked.append(1) or settle(self, state)
    )
    monkeypatch.setattr(recorder, "_ENTRIES", entries)
    often = stepped(small(), 30)
    assert len(looked) > 2
    save_memory(often, tmp_path / "often")
    assert digest(tmp_path / "whole") == digest(tmp_path / "often")
    assert often.log is not None
    assert often.core is not None
    tables = often.log.record(often.core.state)
    assert len(tables.ids) < tables.counts.sum() / 2


def test_a_memory_that_forgot_everything(tmp_path: Path) -> None:
    memory = stepped(small(track_age=True, track_id=True), 4)
    nothing = torch.zeros(2, 0, dtype=torch.int64)
    for _ in range(40):
        memory.adjust_lifespan_and_memories(nothing, nothing.float())
    assert memory.engrams.memory_length == 0
    save_memory(memory, tmp_path / "s")
    assert verify(tmp_path / "s").findings == ()
    go_on(1, [memory, taken(tmp_path / "s")], tmp_path / "s", SMALL)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_checkpoint_carries_what_a_store_needs(tmp_path: Path, layout: Layout) -> None:
    """Taken between steps or within one, and texts with it."""
    memory = stepped(small(layout=layout), 6)
    save_memory(memory, tmp_path / "first", [{7: "seven"}, {6: "six"}])
    memory = load_memory(tmp_path / "first")
    other = small(layout=layout)
    other.load_state(memory.state())
    for one in (memory, other):
        one.add_working_memory(torch.ones(2, 3, 4))
        indices = one.remind()[1]
    third = small(layout=layout)
    third.load_state(other.state())
    for number, one in enumerate((memory, other, third)):
        one.adjust_lifespan_and_memories(indices, torch.full(indices.shape, 2.0))
        stepped(one, 2)
        save_memory(one, tmp_path / str(number), wm_length=2)
        assert verify(tmp_path / str(number)).findings == ()
    assert len({digest(tmp_path / str(number)) for number in range(3)}) == 1
    with Inspection.open(tmp_path / "2") as seen:
        told = [one["text"] for one in seen.engram_list() if one["text"]]
    assert told == ["six", "seven"]


def test_a_checkpoint_without_its_log_is_no_store(tmp_path: Path) -> None:
    memory, other = stepped(small(), 3), small()
    state = memory.state()
    other.load_state({name: t for name, t in state.items() if not name.startswith("log.")})
    with pytest.raises(StateError, match="of 5 steps the memory knows the last 2 only"):
        save_memory(stepped(other, 2), tmp_path / "s")
    for name, wrong in (("log.ids", state["log.ids"][:-1]), ("log.made", torch.zeros(9).long())):
        with pytest.raises(InputError, match="does not fit together"):
            other.load_state({**state, name: wrong})
    assert other.timestep == 5


@pytest.mark.parametrize("way", ["store", "state", "state without its log"])
def test_a_history_goes_on_from_what_the_living_lived(tmp_path: Path, way: str) -> None:
    whole = stepped(small(keep_history=True), 6)
    whole.pin(torch.tensor([[1], [2]]))
    for seed in range(6, 12):
        step(random.Random(seed), [whole], SMALL)
    save_memory(whole, tmp_path / "s")
    if way == "store":
        other = load_memory(tmp_path / "s", keep_history=True)
    else:
        other = small(keep_history=True)
        state = whole.state()
        if way != "state":
            state = {name: one for name, one in state.items() if not name.startswith("log.")}
        other.load_state(state)
    living = [summary.engrams.keys() for summary in whole.engrams.status_summary()]
    for seed in range(12, 20):
        step(random.Random(seed), [whole, other], SMALL)
    assert whole.history is not None
    assert other.history is not None
    for lane, (mine, theirs) in enumerate(zip(other.history, whole.history, strict=True)):
        assert len(mine) == len(theirs) == 20
        assert mine.alive_engram_ids == theirs.alive_engram_ids
        lifespans = [{i: e.lifespan for i, e in one[-1].engrams.items()} for one in (mine, theirs)]
        assert lifespans[0] == lifespans[1]
        assert {i: t for i, t in theirs.engram_deletion_times.items() if t >= 12} == (
            mine.engram_deletion_times
        )
        if way != "state without its log":
            assert mine[-1].engrams == theirs[-1].engrams
            for id_ in living[lane]:
                assert mine.engram_creation_times[id_] == theirs.engram_creation_times[id_]
                assert mine.engram_firing_times[id_] == theirs.engram_firing_times[id_]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_on_a_gpu(tmp_path: Path, layout: Layout) -> None:
    """The log of a memory there, and a store taken there, are those of the CPU."""
    here, there = small(layout=layout), small(layout=layout, device="cuda")
    stepped(here, 8)
    stepped(there, 8)
    for name, memory in (("here", here), ("there", there)):
        save_memory(memory, tmp_path / name)
    assert digest(tmp_path / "here") == digest(tmp_path / "there")
    back = load_memory(tmp_path / "here", device="cuda")
    assert back.device is not None
    assert back.device.type == "cuda"
    for seed in range(3):
        step(random.Random(seed), [here, back], SMALL)
    save_memory(back, tmp_path / "back")
    assert load_memory(tmp_path / "back").engrams == here.engrams
