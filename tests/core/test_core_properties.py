"""The core beside the plain oracle, number for number, and the oracle by hand."""

from __future__ import annotations

import math
import random
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lives import LAYOUTS, LONG, WAYS, Settings, any_setting, live, oracle_of, subjects_of
from oracle import OracleMemoria, float32, hash63, log_mean_correlation, mix

from memoria.config import Layout
from memoria.core.connections.hot_rows import HotRows


@settings(max_examples=70, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(setting=any_setting(), life=st.integers(0, 2**32), steps=st.integers(1, 30))
def test_any_short_life_equals_the_oracle(setting: Settings, life: int, steps: int) -> None:
    rng = random.Random(life)
    subjects, oracle = subjects_of(setting, WAYS), oracle_of(setting)
    for _ in range(steps):
        live(rng, subjects, oracle, setting)


_LONG_LIVES: dict[str, Settings] = {
    "worded rule, oldest": {"tie_break": "oldest", "random_entries": 0},
    "worded rule, oldest, all ties": {"tie_break": "oldest", "random_entries": 0, "data": "grid"},
    "worded rule, hash": {"random_entries": 0, "data": "copies"},
    "released rule": {},
    "released rule, real gains": {"delta": "real", "lane_ids": [7, 3], "seed": 2**63 - 1},
    "three random entries": {"random_entries": 3, "data": "offset", "lanes": 1},
    "no search": {"ltm_search_depth": 0, "data": "far"},
    "no short-term room": {"stm_capacity": 0, "random_entries": 2},
    "nothing reminded of short-term": {"num_reminded_stm": 0, "data": "grid", "lanes": 3},
    "nothing reminded of long-term": {"num_final_ltms": 0, "lanes": 1},
    "short lives": {"initial_lifespan": 1.5, "wmax": 4, "delta": "real"},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", _LONG_LIVES)
def test_a_long_life_equals_the_oracle(name: str, way: str) -> None:
    setting = LONG | _LONG_LIVES[name]
    rng = random.Random(name)
    subjects, oracle = subjects_of(setting, (way,)), oracle_of(setting)
    for _ in range(160):
        live(rng, subjects, oracle, setting)
    assert any(lane.forgotten for lane in oracle.lanes)  # the life was worth comparing


@pytest.mark.parametrize("way", WAYS)
def test_batches_inside_change_nothing(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sizes that bound memory and pick a way of counting, made tiny so that all ways run."""
    monkeypatch.setattr("memoria.core.connections.dense._ROWS_AT_ONCE", 1)
    monkeypatch.setattr("memoria.timeline.cofiring._TABLE", 0)
    monkeypatch.setattr("memoria.timeline.cofiring._TAIL", 9)
    setting = LONG | {"lanes": 3, "initial_lifespan": 9}
    rng = random.Random(12)
    subjects, oracle = subjects_of(setting, (way,)), oracle_of(setting)
    for _ in range(120):
        live(rng, subjects, oracle, setting)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_life_on_compiled_loops_equals_the_oracle(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memoria.core.connections.dense._COMPILED_AFTER", 0)
    for changes in ({}, {"tie_break": "oldest", "data": "copies", "random_entries": 2}):
        setting = LONG | {"initial_lifespan": 20} | changes
        rng = random.Random(21)
        subjects, oracle = subjects_of(setting, (layout,)), oracle_of(setting)
        for _ in range(80):
            live(rng, subjects, oracle, setting)
        connections: Any = subjects[0]._core.connections
        matrix = connections if layout == "dense" else connections._matrix
        assert matrix._is_compiled


@pytest.mark.parametrize(("hot", "listed", "lists"), [(1, 1, 1), (2, 3, 5), (4, 8, 40)])
@pytest.mark.parametrize("lifespan", [7, 60])
def test_the_index_of_large_logs_equals_the_oracle(
    hot: int, listed: int, lists: int, lifespan: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index that large sparse memories build, from the first firing on and with short lists."""
    small = partial(HotRows, hot=hot, listed=listed, most_lists=lists)
    monkeypatch.setattr("memoria.core.connections.hot_rows.HotRows", small)
    monkeypatch.setattr("memoria.core.connections.sparse._INDEX_AFTER", 0)
    monkeypatch.setattr("memoria.core.connections.sparse._MATRIX_CELLS", 0)
    for changes in ({}, {"tie_break": "oldest", "data": "copies", "random_entries": 2}):
        setting = LONG | {"initial_lifespan": lifespan, "num_final_ltms": 6} | changes
        rng = random.Random(lifespan)
        subjects, oracle = subjects_of(setting, ("sparse",)), oracle_of(setting)
        for _ in range(80):
            live(rng, subjects, oracle, setting)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", _LONG_LIVES)
def test_a_very_long_life_equals_the_oracle(name: str, way: str) -> None:
    setting = LONG | _LONG_LIVES[name]
    rng = random.Random(f"{name}, very long")
    subjects, oracle = subjects_of(setting, (way,)), oracle_of(setting)
    for _ in range(2000):
        live(rng, subjects, oracle, setting)


@pytest.mark.parametrize("way", WAYS)
def test_high_dimensions_do_not_underflow(way: str) -> None:
    """At D=768 exp(-d^2) is 0 for every pair: the plain mean would tie everything."""
    changes = {"dim": 768, "data": "normal", "wmax": 3, "lanes": 1, "num_reminded_stm": 4}
    setting = LONG | changes
    rng = random.Random(5)
    subjects, oracle = subjects_of(setting, (way,)), oracle_of(setting)
    for _ in range(12):
        live(rng, subjects, oracle, setting)


# -- the oracle itself, by hand -------------------------------------------------------------------


def test_oracle_hash_is_the_published_one() -> None:
    assert mix(0x9E3779B97F4A7C15) == 0xE220A8397B1DCDAF  # SplitMix64's first output for seed 0
    inner = 0xE220A8397B1DCDAF
    for _ in range(4):
        inner = mix((inner + 0x9E3779B97F4A7C15) % 2**64)
    assert hash63(0, 0, 0, 0, 0) == inner >> 1
    bits = (0, 1)
    inputs = [(0, t, u, v, w) for t in bits for u in bits for v in bits for w in bits]
    assert len({hash63(*numbers) for numbers in inputs}) == 16


def test_oracle_scores_by_hand() -> None:
    assert log_mean_correlation([[0.0], [2.0]], [1.0]) == pytest.approx(-1.0)
    mean = (math.exp(-1) + math.exp(-4)) / 2
    assert log_mean_correlation([[0.0], [3.0]], [1.0]) == pytest.approx(math.log(mean))
    assert log_mean_correlation([[1000.0]], [0.0]) == -1e6
    assert float32(1e300) == math.inf
    assert float32(0.1) == 0.10000000149011612


def test_oracle_walk_by_hand() -> None:
    """Six long-term engrams with given counts: 6 -> 4 -> 5 -> 2, and everything found is kept."""
    oracle = OracleMemoria(1, 1, 2, 99, 9, tie_break="oldest", random_entries=0)
    for position in range(7):
        oracle.add_working_memory([[[float(position)]]])
        oracle.adjust([[]], [[]])
    lane = oracle.lanes[0]
    assert [trace.kind for trace in lane.traces] == [3, 3, 3, 3, 3, 3, 2]
    for a, b, count in ((6, 4, 2), (4, 5, 3), (5, 2, 1), (4, 1, 2)):
        lane.cofire[a, b] = lane.cofire[b, a] = count
    oracle.add_working_memory([[[6.0]]])
    memories, indices = oracle.remind()
    assert indices == [[5, 4, 2, 6]]  # entry 4, then 5, then 2; the short-term 6 last
    assert memories == [[[5.0], [4.0], [2.0], [6.0]]]
    assert lane.cofire[7, 2] == 1
    assert lane.cofire[5, 2] == 2
    assert (7, 1) not in lane.cofire
