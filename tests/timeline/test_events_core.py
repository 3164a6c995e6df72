"""Forgetting by hand and pins: both layouts beside the oracle, and their rules by hand."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lives import (
    LAYOUTS,
    LONG,
    Settings,
    any_setting,
    assert_same_state,
    ids_of,
    live,
    oracle_of,
    subjects_of,
    vectors,
)
from oracle import OracleMemoria
from test_history import retold

from memoria import EngramType, Memoria
from memoria.config import Layout
from memoria.errors import InputError, ShapeError, StateError
from memoria.timeline.summary import EngramsInfo

VERBS = ("forget", "pin", "unpin")


def happen(rng: random.Random, subjects: list[Memoria], oracle: OracleMemoria, most: int) -> None:
    """Some events between two steps, of any engrams, repeats and -1 among them."""
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        verb = rng.choice(("forget", "pin", "pin", "unpin"))
        width = rng.randint(0, most)
        picks = [[rng.randrange(-1, len(ln.traces)) for _ in range(width)] for ln in oracle.lanes]
        getattr(oracle, verb)(picks)
        for memoria in subjects:
            indices = torch.tensor(picks, dtype=torch.int64).reshape(len(oracle.lanes), width)
            getattr(memoria, verb)(indices)
            assert_same_state(memoria, oracle)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(setting=any_setting(), life=st.integers(0, 2**32), steps=st.integers(1, 30))
def test_any_short_life_with_events_equals_the_oracle(
    setting: Settings, life: int, steps: int
) -> None:
    rng = random.Random(life)
    subjects, oracle = subjects_of(setting, LAYOUTS), oracle_of(setting)
    for _ in range(steps):
        live(rng, subjects, oracle, setting)
        happen(rng, subjects, oracle, 4)


_LONG_LIVES: dict[str, Settings] = {
    "two lanes": {},
    "real gains, three lanes": {"delta": "real", "lanes": 3, "lane_ids": [7, 3, 1]},
    "short lives": {"initial_lifespan": 1.5, "wmax": 4, "delta": "real"},
    "no short-term room": {"stm_capacity": 0, "random_entries": 2},
    "all ties": {"tie_break": "oldest", "random_entries": 0, "data": "grid", "lanes": 1},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", _LONG_LIVES)
def test_a_long_life_with_events_equals_the_oracle(name: str, layout: Layout) -> None:
    setting = LONG | _LONG_LIVES[name]
    rng = random.Random(name)
    subjects, oracle = subjects_of(setting, (layout,)), oracle_of(setting)
    longest = 0
    for _ in range(110):
        live(rng, subjects, oracle, setting)
        happen(rng, subjects, oracle, 2)
        pinned = [t for lane in oracle.lanes for t in lane.traces if t.pinned]
        longest = max([longest, *(t.age for t in pinned if t.kind == EngramType.LONGTERM)])
    assert longest > 3 * setting["initial_lifespan"]  # pins held through moves and packing
    assert any(lane.forgotten for lane in oracle.lanes)


def memory(lifespans: list[float], layout: Layout = "sparse") -> Memoria:
    """One lane after its first step, its engrams with these lifespans."""
    memoria = Memoria(2, 3, 2, 1, 2, layout=layout, track_id=True)
    memoria.add_working_memory(torch.arange(len(lifespans) * 2.0).reshape(1, -1, 2))
    indices = torch.arange(len(lifespans))[None]
    memoria.adjust_lifespan_and_memories(indices, torch.tensor([lifespans], dtype=torch.float64))
    return memoria


def age(memoria: Memoria, steps: int = 1, gains: dict[int, float] | None = None) -> None:
    """Steps in which nothing fires; the engrams of ``gains`` (by index) gain at each end."""
    given = gains or {}
    for _ in range(steps):
        memoria.adjust_lifespan_and_memories(
            torch.tensor([list(given)], dtype=torch.int64),
            torch.tensor([list(given.values())], dtype=torch.float64),
        )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_pin_by_hand(layout: Layout) -> None:
    memoria = memory([0.25, 3, 2.5, 90], layout)
    memoria.pin(torch.tensor([[0, 2, -1, 2]]))
    assert memoria.engrams.lifespan.tolist() == [[1, 3, 3, 90]]
    assert memoria.pinned.tolist() == [[True, False, True, False]]
    age(memoria)
    assert memoria.engrams.lifespan.tolist() == [[1, 2, 3, 89]]
    age(memoria, gains={0: -7.0, 1: -1.0, 2: 0.5})
    assert ids_of(memoria).tolist() == [[0, 2, 3]]  # 1 is over
    assert memoria.engrams.lifespan.tolist() == [[1, 4, 88]]
    age(memoria, 70)  # beyond the look-ahead of what is soon over
    assert memoria.engrams.lifespan.tolist() == [[1, 4, 18]]
    memoria.unpin(torch.tensor([[0, 1, 2]]))
    assert memoria.engrams.lifespan.tolist() == [[1, 4, 18]]
    assert not memoria.pinned.any()
    age(memoria)
    assert memoria.engrams.lifespan.tolist() == [[3, 17]]


def test_repeated_gains_of_a_pinned_engram_are_rounded_up_once() -> None:
    memoria = memory([2, 2])
    memoria.pin(torch.tensor([[0]]))
    memoria.adjust_lifespan_and_memories(
        torch.tensor([[0, 0, 0, 1]]), torch.tensor([[0.5, -3.0, 0.5, 0.5]])
    )
    assert memoria.engrams.lifespan.tolist() == [[3, 1.5]]


def test_the_longest_lifespan_of_a_pinned_engram() -> None:
    memoria = memory([1e300, 2.0**60, 5])
    memoria.pin(torch.tensor([[0, 1, 2]]))
    age(memoria, 3, {2: 1e308})
    age(memoria, 5)
    assert memoria.engrams.lifespan.tolist() == [[2.0**52] * 3]
    assert memoria.timestep == 9


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_forgotten_by_hand_is_never_reminded_again(layout: Layout) -> None:
    setting = LONG | {"initial_lifespan": 40, "lanes": 2}
    rng = random.Random(4)
    memoria = subjects_of(setting, (layout,))[0]
    gone: list[set[int]] = [set(), set()]
    for step in range(60):
        memoria.add_working_memory(vectors(rng, "normal", 2, 2, 3))
        ids = ids_of(memoria)
        _, indices = memoria.remind()
        for lane in (0, 1):
            assert not gone[lane] & {*ids[lane].tolist()}
        memoria.adjust_lifespan_and_memories(indices, torch.full(indices.shape, 0.5))
        ids = ids_of(memoria)
        if step % 3 == 0:
            picks = torch.tensor([[step % 5, 1], [0, 0]])
            gone = [
                before | {*row[at].tolist()}
                for before, row, at in zip(gone, ids, picks, strict=True)
            ]
            memoria.forget(picks)
    assert [len(lane) for lane in gone] == [36, 20]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_memory_of_which_all_was_forgotten_goes_on(layout: Layout) -> None:
    memoria = memory([4, 4, 4, 4, 4], layout)
    memoria.pin(torch.tensor([[1, 3]]))
    memoria.forget(torch.arange(5)[None])
    assert len(memoria.engrams) == 0
    assert memoria.pinned.shape == (1, 0)
    memoria.forget(torch.zeros(1, 0, dtype=torch.int64))
    memoria.add_working_memory(torch.ones(1, 2, 2))
    assert memoria.remind()[1].tolist() == [[]]
    age(memoria)
    assert ids_of(memoria).tolist() == [[]]  # they began with one step
    memoria.add_working_memory(torch.ones(1, 1, 2))
    age(memoria, gains={0: 2.0})
    assert ids_of(memoria).tolist() == [[7]]


@pytest.mark.parametrize("verb", VERBS)
def test_refused_events_change_nothing(verb: str) -> None:
    empty = Memoria(2, 3, 2, 1, 2)
    with pytest.raises(StateError, match="empty"):
        getattr(empty, verb)(torch.zeros(1, 0, dtype=torch.int64))
    memoria = memory([4, 4, 4])
    event: Callable[[object], None] = getattr(memoria, verb)
    before = memoria.engrams
    with pytest.raises(InputError, match="index 3 in lane 0"):
        event(torch.tensor([[0, 3]]))
    with pytest.raises(InputError, match="index -2"):
        event(torch.tensor([[-2]]))
    with pytest.raises(InputError, match="not integers"):
        event([[0]])
    with pytest.raises(ShapeError):
        event(torch.tensor([0]))
    memoria.add_working_memory(torch.ones(1, 1, 2))
    with pytest.raises(StateError, match="a step is under way"):
        event(torch.tensor([[0]]))
    age(memoria)
    assert ids_of(memoria).tolist() == [[0, 1, 2]]
    assert before.lifespan.tolist() == [[4, 4, 4]]
    assert memoria.engrams.lifespan.tolist() == [[3, 3, 3]]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_history_tells_what_events_did(layout: Layout, seed: int) -> None:
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    memoria = Memoria(2, 6, 3, 4, 3, keep_history=True, layout=layout, seed=seed)
    seen: list[list[EngramsInfo]] = []
    unpinned: list[list[set[int]]] = []
    for _ in range(40):
        memoria.add_working_memory(torch.randn(2, rng.randint(1, 3), 4, generator=generator))
        _, indices = memoria.remind()
        gains = torch.randint(0, 3, indices.shape, generator=generator).float()
        memoria.adjust_lifespan_and_memories(indices, gains)
        seen.append(memoria.engrams.status_summary())
        unpinned.append(
            [
                {*row[~pins & (row >= 0)].tolist()}
                for row, pins in zip(ids_of(memoria), memoria.pinned, strict=True)
            ]
        )
        for verb in rng.choices(VERBS, k=2):
            living = int((ids_of(memoria) >= 0).sum(1).min())
            picks = [[rng.randrange(-1, living)] for _ in range(2)]
            getattr(memoria, verb)(torch.tensor(picks))
    assert memoria.history is not None
    for lane, history in enumerate(memoria.history):
        mine = [summaries[lane] for summaries in seen]
        assert list(history.summaries) == mine
        facts = retold(mine)
        assert history.engram_creation_times == facts["born"]
        assert history.engram_deletion_times == facts["died"]
        for time, firings in enumerate(history.firings_per_time):
            expected = dict(facts["firings"][time])
            assert [firing.engram_id for firing in firings] == list(expected)
            for firing in firings:
                aged = firing.engram_id in unpinned[time][lane]
                assert firing.lifespan_gain == expected[firing.engram_id] - (not aged)
