"""`Cofiring`: who fired with whom while Memoria, which forgets nothing here, has read the items."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from memoria.config import MemoriaConfig
from memoria.core.arrays import NumpyOps
from memoria.core.memory_core import MemoryCore, make_connections
from memoria.core.vectors import ArrayVectors

Edges = Literal["all", "together", "reminded", "random"]

_Floats = NDArray[np.float64]


class Cofiring:
    """The firings of Memoria's own steps, with the preset ``keep`` and its default settings.

    Items are numbered in the order of reading. ``edges`` tells which of their pairs are connected:

    - all: those that fired at the same step, by co-fire / sqrt(fires_i fires_j);
    - together: those of one working memory, each by 1;
    - reminded: as all, without those that were of one working memory;
    - random: as many as "all", drawn, each by 1: a control.

    Args:
        dimension: D.
    """

    def __init__(self, dimension: int) -> None:
        ops = NumpyOps()
        config = MemoriaConfig.preset("keep", hidden_dim=dimension, lanes=1)
        vectors, connections = ArrayVectors(1, dimension, ops), make_connections("sparse", 1, ops)
        self._core = MemoryCore(config, vectors, connections, [0], ops)
        self._fired: list[NDArray[np.int64]] = []
        self._steps: list[int] = []  # working memories, by where each ends

    def step(self, vectors: NDArray[Any]) -> None:
        """Read one working memory [W, D]."""
        core = self._core
        core.add(vectors.astype(np.float32)[None])
        found = core.recall()
        core.fire(found)
        positions = found.packed(core.ops)
        reminded = core.state.at(core.state.ids, positions, -1)[0]
        end = core.state.next_id
        own = np.arange(end - len(vectors), end)
        self._fired.append(np.unique(np.concatenate((own, reminded[reminded >= 0]))))
        self._steps.append(end)
        core.adjust(positions, np.zeros(positions.shape))

    def matrix(self, edges: Edges, living: NDArray[np.int64]) -> _Floats:
        """Weights [M, M] between the living, symmetric, 0 on the diagonal."""
        together = self._together(living)
        if edges == "together":
            return together
        at = np.full(self._steps[-1] if self._steps else 0, -1)
        at[living] = np.arange(len(living))
        counts = np.zeros((len(living), len(living)))
        for fired in self._fired:
            here = at[fired]
            here = here[here >= 0]
            counts[np.ix_(here, here)] += 1
        fires = np.sqrt(np.maximum(counts.diagonal(), 1))
        if edges == "reminded":
            counts = np.maximum(counts - together, 0)
        if edges == "random":
            return _random(counts)
        weights: _Floats = counts / fires[:, None] / fires[None]
        np.fill_diagonal(weights, 0)
        return weights

    def _together(self, living: NDArray[np.int64]) -> _Floats:
        step = np.searchsorted(self._steps, living, side="right")
        same: _Floats = (step[:, None] == step[None]).astype(np.float64)
        np.fill_diagonal(same, 0)
        return same


def _random(counts: _Floats) -> _Floats:
    """As many edges as ``counts`` has, anywhere."""
    upper = np.triu_indices(len(counts), 1)
    wanted = int((counts[upper] > 0).sum())
    drawn = np.random.default_rng(0).permutation(len(upper[0]))[:wanted]
    edges = np.zeros_like(counts)
    edges[upper[0][drawn], upper[1][drawn]] = 1
    return edges + edges.T
