"""The memories that are asked: Memoria, and nearest neighbours kept by age, by use or by chance.

All rank by the same correlation, log of the mean over the cue's vectors of exp(-||cue - v||^2), and
number the passages in the order they were read. `remind` changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, Protocol, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from memoria.config import MemoriaConfig
from memoria.core.connections.dense import DenseConnections
from memoria.core.memory_core import MemoryCore, make_connections
from memoria.core.similarity import log_correlation
from memoria.core.torch_arrays import TorchOps
from memoria.core.vectors import ArrayVectors
from memoria.experiments.reading import MEMORY_SETTINGS, Indices, Vectors
from memoria.experiments.variants import make_memoria
from memoria.timeline.gain import parse_rule

Eviction = Literal["fifo", "lru", "random", "unbounded"]
EVICTIONS: Final[tuple[Eviction, ...]] = get_args(Eviction)

_LANES_AT_ONCE: Final = 32  # cues that one memory is asked with at once


class Reminders(NamedTuple):
    """What P cues bring back, best first.

    Attributes:
        ids: passages in the order in which they were read, int64 [P, R]; -1 pads.
        scores: log correlation with the cue, float64 [P, R]; -inf pads.
    """

    ids: Indices
    scores: NDArray[np.float64]


class Memory(Protocol):
    """A memory that reads steps of passages and can be asked at any time."""

    def step(self, data: Vectors) -> None:
        """Read ``data`` [W, D]: the next W passages."""

    def alive(self) -> Indices:
        """Which passages it still keeps, ascending."""

    def remind(self, cues: Vectors) -> Reminders:
        """What each of ``cues`` [P, D] alone brings back."""


class MemoriaMemory:
    """Memoria in one lane: a store's steps without the disk.

    `remind` gives what long-term search and short-term memory bring back, at most
    ``num_final_ltms + num_reminded_stm``.

    Args:
        config: settings, with the lifespan rule.
        variant: one of `VARIANTS`.
    """

    def __init__(self, config: MemoriaConfig, variant: str = "memoria") -> None:
        ops = TorchOps()
        vectors = ArrayVectors(1, config.hidden_dim, ops)
        connections = make_connections("dense", 1, ops)
        made = make_memoria(variant, **{name: getattr(config, name) for name in MEMORY_SETTINGS})
        self._core = MemoryCore(made.config, vectors, connections, [0], ops, made.search)
        self._rule = parse_rule(config.rule)
        self._width = config.num_final_ltms + config.num_reminded_stm

    def step(self, data: Vectors) -> None:
        core = self._core
        core.add(torch.from_numpy(data).unsqueeze(0))
        found = core.recall()
        core.fire(found)
        positions, scores = found.packed(core.ops)
        kept = positions[0] >= 0
        gains = np.zeros(positions.shape)
        gains[0, kept.numpy()] = self._rule.gains(scores[0, kept].exp().numpy())
        core.adjust(positions, torch.from_numpy(gains))

    def alive(self) -> Indices:
        state = self._core.state
        at = self._core.living_positions()
        return np.sort(state.at(state.ids, at, -1)[0].numpy())

    def remind(self, cues: Vectors) -> Reminders:
        ids = np.full((len(cues), self._width), -1, dtype=np.int64)
        scores = np.full(ids.shape, -np.inf)
        for start in range(0, len(cues), _LANES_AT_ONCE):
            block = torch.from_numpy(cues[start : start + _LANES_AT_ONCE])
            asked = _in_lanes(self._core, len(block))
            positions, score = asked.recall(block.unsqueeze(1)).packed(asked.ops)
            score = score.masked_fill(positions < 0, -torch.inf)
            order = score.argsort(dim=1, descending=True, stable=True)[:, : self._width]
            here = slice(start, start + len(block)), slice(0, order.shape[1])
            ids[here] = asked.state.at(asked.state.ids, positions.gather(1, order), -1).numpy()
            scores[here] = score.gather(1, order).numpy()
        return Reminders(ids, scores)


def _in_lanes(core: MemoryCore, lanes: int) -> MemoryCore:
    """The one lane of ``core`` as ``lanes`` lanes alike that share its tensors: for asking only.

    Lanes never influence each other, so many cues at once find what they find one by one.
    """
    state = core.state
    living = core.living_positions()
    at = living[0]
    asked = MemoryCore(
        core.config,
        _SharedVectors(state.data_at(living)[0]),
        make_connections("dense", lanes, core.ops),
        core.lane_ids.tolist() * lanes,
        core.ops,
        core.search,
    )
    columns = (state.ids, state.types, state.expiry, state.born, state.fires)
    ids, types, expiry, born, fires = (one[:, at].expand(lanes, -1) for one in columns)
    asked.state.load(ids, types, expiry, born, fires, state.next_id)
    room = asked.state.capacity - len(at)
    counts = pad(core.connections.counts()[0][at][:, at], (0, room, 0, room))
    asked.connections = DenseConnections.from_counts(counts.expand(lanes, -1, -1), core.ops)
    asked.step = core.step
    return asked


class _SharedVectors:
    """Every lane holds the same ``rows`` [M, D]; nothing can be added."""

    def __init__(self, rows: Tensor) -> None:
        self._rows = rows

    @property
    def dimension(self) -> int:
        return self._rows.shape[1]

    def append(self, positions: Tensor, data: Tensor) -> None:
        raise TypeError("a memory that is only asked takes nothing in")

    def gather(self, positions: Tensor, ids: Tensor) -> Tensor:
        rows = self._rows[positions.clamp_min(0)]
        return rows.masked_fill_((positions < 0).unsqueeze(2), 0.0)

    def pack(self, positions: Tensor, capacity: int) -> None:
        raise TypeError("a memory that is only asked is not packed")

    def revise(self, lane: int, position: int, engram: int, vector: Tensor) -> None:
        raise TypeError("a memory that is only asked is not edited")


class NearestMemory:
    """Nearest neighbours: keeps vectors as they are and brings back those that correlate best.

    Args:
        dimension: D.
        eviction: what has to go: the oldest ("fifo"), what was least recently read or among the
            best of a step's cue ("lru", the older of equals), any ("random"), or nothing
            ("unbounded", the ceiling).
        reminded: how many come back (R).
        sizes: passages kept after each step at most; None for "unbounded".
        seed: of "random".
    """

    def __init__(
        self,
        dimension: int,
        eviction: Eviction,
        reminded: int,
        sizes: Sequence[int] | None = None,
        seed: int = 0,
    ) -> None:
        if (sizes is None) != (eviction == "unbounded"):
            raise ValueError(f"eviction {eviction!r} with sizes {sizes!r}")
        self._eviction, self._reminded, self._sizes = eviction, reminded, sizes
        self._rng = np.random.default_rng((seed, 2))
        self._vectors = torch.zeros((0, dimension))
        self._ids = np.zeros(0, dtype=np.int64)
        self._used = np.zeros(0, dtype=np.int64)
        self._read = self._steps = 0

    def step(self, data: Vectors) -> None:
        if self._eviction == "lru" and len(self._ids):
            cue, keys = data[None], self._vectors.numpy()[None]
            self._used[self._best(log_correlation(cue, keys)[0])] = self._steps
        count = len(data)
        self._vectors = torch.cat((self._vectors, torch.from_numpy(data)))
        self._ids = np.concatenate((self._ids, np.arange(self._read, self._read + count)))
        self._used = np.concatenate((self._used, np.full(count, self._steps)))
        self._read += count
        if self._sizes is not None:
            self._evict(self._sizes[self._steps])
        self._steps += 1

    def alive(self) -> Indices:
        return self._ids

    def remind(self, cues: Vectors) -> Reminders:
        width = min(self._reminded, len(self._ids))
        ids = np.full((len(cues), self._reminded), -1, dtype=np.int64)
        scores = np.full(ids.shape, -np.inf)
        asked, keys = torch.from_numpy(cues).double(), self._vectors.double()
        squares = asked.square().sum(1, keepdim=True) + keys.square().sum(1)
        found = torch.addmm(squares, asked, keys.T, alpha=-2.0).clamp_min_(0.0).neg_().numpy()
        for row, score in enumerate(found):
            best = self._best(score)
            ids[row, :width], scores[row, :width] = self._ids[best], score[best]
        return Reminders(ids, scores)

    def _best(self, scores: NDArray[np.float64]) -> Indices:
        return np.argsort(-scores, kind="stable")[: self._reminded]

    def _evict(self, size: int) -> None:
        surplus = len(self._ids) - size
        if surplus <= 0:
            return
        if self._eviction == "random":
            gone = self._rng.permutation(len(self._ids))[:surplus]
        elif self._eviction == "lru":
            gone = np.argsort(self._used, kind="stable")[:surplus]
        else:
            gone = np.arange(surplus)
        kept = np.ones(len(self._ids), dtype=bool)
        kept[gone] = False
        self._ids, self._used = self._ids[kept], self._used[kept]
        self._vectors = self._vectors[torch.from_numpy(kept)]
