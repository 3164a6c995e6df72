"""The memories that are asked: Memoria, and policies of others.

They number the passages in the order in which they were read. `remind` changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from memoria.config import MemoriaConfig
from memoria.core.arrays import ArrayOps
from memoria.core.connections.dense import DenseConnections
from memoria.core.memory_core import MemoryCore, make_connections
from memoria.core.similarity import exact_squares
from memoria.core.torch_arrays import TorchOps
from memoria.core.vectors import ArrayVectors
from memoria.experiments.policies.life import Cue, Items
from memoria.experiments.policies.policy import Policy, PolicyMemory
from memoria.experiments.reading import MEMORY_SETTINGS, Indices, Vectors
from memoria.experiments.variants import make_memoria
from memoria.timeline.gain import parse_rule

_LANES_AT_ONCE: Final = 32  # cues that one memory is asked with at once


class Reminders(NamedTuple):
    """What P cues bring back, best first.

    Attributes:
        ids: passages in the order in which they were read, int64 [P, R]; -1 pads.
        scores: what ranks them, of Memoria log correlation, float64 [P, R]; -inf pads.
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
        positions = found.packed(core.ops)
        scores = found.scores(core.state, positions)
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
            found = asked.recall(block.unsqueeze(1))
            positions = found.packed(asked.ops)
            score = found.scores(asked.state, positions).masked_fill(positions < 0, -torch.inf)
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
        _SharedVectors(state.data_at(living)[0], core.ops),
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

    def __init__(self, rows: Tensor, ops: ArrayOps) -> None:
        self._rows, self._squares = rows, exact_squares(rows[None], ops)[0]

    @property
    def dimension(self) -> int:
        return self._rows.shape[1]

    def append(self, positions: Tensor, data: Tensor) -> None:
        raise TypeError("a memory that is only asked takes nothing in")

    def gather(self, positions: Tensor, ids: Tensor) -> Tensor:
        rows = self._rows[positions.clamp_min(0)]
        return rows.masked_fill_((positions < 0).unsqueeze(2), 0.0)

    def compare(self, positions: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        squares = self._squares[positions.clamp_min(0)].masked_fill_(positions < 0, 0.0)
        return self.gather(positions, ids), squares

    def pack(self, positions: Tensor, capacity: int) -> None:
        raise TypeError("a memory that is only asked is not packed")

    def revise(self, lane: int, position: int, engram: int, vector: Tensor) -> None:
        raise TypeError("a memory that is only asked is not edited")


class RivalMemory:
    """A policy of `memoria.experiments.policies` that reads vectors alone.

    What a step's cue finds counts as found, where the policy learns of that; asking does not.

    Args:
        policy: who is kept, how candidates are scored, what being found changes.
        dimension: D.
        reminded: how many come back (R).
        sizes: passages kept after each step at most; None keeps all.
        seed: of what is drawn.
    """

    def __init__(
        self,
        policy: Policy,
        dimension: int,
        reminded: int,
        sizes: Sequence[int] | None = None,
        seed: int = 0,
    ) -> None:
        self._memory = PolicyMemory(policy, dimension, seed)
        self._learns = policy.found != "nothing"
        self._reminded, self._sizes, self._steps = reminded, sizes, 0

    def step(self, data: Vectors) -> None:
        if self._learns:
            self._memory.found(self._memory.rank(Cue(data), self._reminded)[0])
        size = None if self._sizes is None else self._sizes[self._steps]
        self._memory.read(Items(data), size)
        self._steps += 1

    def alive(self) -> Indices:
        return self._memory.life.living

    def remind(self, cues: Vectors) -> Reminders:
        ids = np.full((len(cues), self._reminded), -1, dtype=np.int64)
        scores = np.full(ids.shape, -np.inf)
        for row, cue in enumerate(cues):
            found, of_found = self._memory.rank(Cue(cue[None]), self._reminded)
            ids[row, : len(found)], scores[row, : len(found)] = found, of_found
        return Reminders(ids, scores)
