"""Every way to walk through a matrix of counts, compiled or not, chooses alike."""

from __future__ import annotations

import copy
import pickle
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memoria import Memoria
from memoria.config import Layout, MemoriaConfig
from memoria.core.arrays import NUMPY
from memoria.core.connections.dense import DenseConnections
from memoria.core.connections.sparse import SparseConnections
from memoria.core.recall import SearchContext, graph_search
from memoria.core.state import LONGTERM, EngramState
from memoria.core.ties import TieRule
from memoria.core.vectors import ArrayVectors


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    lanes=st.integers(1, 3),
    capacity=st.sampled_from([1, 64, 130]),
    most=st.sampled_from([0, 1, 3, 1000]),
    open_share=st.sampled_from([0.0, 0.1, 0.6, 1.0]),
    depth=st.integers(0, 6),
    dtype=st.sampled_from(["int32", "int16"]),
)
def test_all_ways_choose_alike(
    seed: int, lanes: int, capacity: int, most: int, open_share: float, depth: int, dtype: str
) -> None:
    random = np.random.default_rng(seed)
    counts = random.integers(0, most + 1, (lanes, capacity, capacity)).astype(np.int32)
    closed = random.random((lanes, capacity)) >= open_share
    ids = np.cumsum(random.integers(1, 3, (lanes, capacity)), axis=1)
    asked = NUMPY.distinct(random.integers(-1, capacity, (lanes, 9)))
    wide = _connections(counts, compiled=False)
    plain, compiled = (_connections(counts.astype(dtype), each) for each in (False, True))
    ties = TieRule(3, seed, np.arange(lanes))
    first, *others = (
        one.strongest(asked, closed, ids, ties).tolist() for one in (wide, plain, compiled)
    )
    assert others == [first, first]
    ways = (SimpleNamespace(strongest=wide.strongest), plain, compiled)  # the first: by rounds
    by_rounds, *at_once = (_search(one, asked, closed, depth).tolist() for one in ways)
    assert at_once == [by_rounds, by_rounds]
    for one in (plain, compiled):
        one.fire(asked[:, ::-1])
    assert np.array_equal(plain.counts(), compiled.counts())


def test_counts_grow_past_what_narrow_ones_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memoria.core.connections.sparse._NARROW_FIRINGS", 12)
    connections, random = SparseConnections(1, capacity=64), np.random.default_rng(0)
    nothing = np.zeros((1, 64), np.bool_)
    nothing[:, 40:] = True
    counted, dtypes = np.zeros((64, 64), np.int64), set()
    for _ in range(30):
        fired = NUMPY.distinct(random.integers(0, 40, (1, 9)))
        connections.fire(fired)
        counted[np.ix_(fired[0], fired[0])] += 1
        asked = np.arange(40)[None]
        expected = np.where(nothing | np.eye(64, dtype=np.bool_), -1, counted)[:40].argmax(1)
        for one in range(40):  # each beside itself
            shut = nothing.copy()
            shut[0, one] = True
            found = connections.strongest(asked[:, one : one + 1], shut, asked, None)
            assert int(found[0, 0]) == int(expected[one])
        dtypes.add(None if connections._matrix is None else connections._matrix.dtype)
    assert dtypes >= {"int16", "int32"}


def _connections(counts: np.ndarray, compiled: bool) -> DenseConnections:
    made = DenseConnections.from_counts(counts.copy(), NUMPY)
    made.use_compiled(after=0 if compiled else 2**62)
    return made


def _search(links: Any, asked: np.ndarray, closed: np.ndarray, depth: int) -> np.ndarray:
    """All that a walk from ``asked`` finds; its entry points are those of the paper's rule."""
    lanes, capacity = closed.shape
    state = EngramState(lanes, ArrayVectors(lanes, 1, NUMPY), NUMPY)
    state.types = np.where(closed, LONGTERM - 1, LONGTERM).astype(np.uint8)
    state.ids, state.capacity = np.tile(np.arange(capacity), (lanes, 1)), capacity
    config = MemoriaConfig(ltm_search_depth=depth, random_entries=0, tie_break="oldest")
    nobody = np.zeros(lanes, np.int64)
    return graph_search(SearchContext(state, links, config, 0, np.arange(lanes), asked, nobody))


@pytest.mark.parametrize("layout", ["dense", "sparse"])
def test_copies_of_a_memory_go_on_alike(layout: Layout) -> None:
    random = torch.Generator().manual_seed(0)
    memory = Memoria(4, 8, 2, 9, 4, layout=layout)

    def step(one: Memoria, data: torch.Tensor) -> torch.Tensor:
        one.add_working_memory(data)
        indices = one.remind()[1]
        one.adjust_lifespan_and_memories(indices, torch.ones(indices.shape))
        return indices

    for _ in range(6):
        step(memory, torch.rand(1, 3, 8, generator=random))
    core = memory.core
    assert core is not None
    if isinstance(core.connections, DenseConnections):
        core.connections.use_compiled(0)
    others = copy.deepcopy(memory), pickle.loads(pickle.dumps(memory))
    assert all(one.core is not None and one.core.ops is NUMPY for one in others)
    for _ in range(6):
        data = torch.rand(1, 3, 8, generator=random)
        expected = step(memory, data)
        assert all(torch.equal(step(one, data), expected) for one in others)
