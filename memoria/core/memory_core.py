"""One step of a memory, in positions: add, recall, fire, adjust.

`Memoria` (vectors in an array) and `MemoryStore` (vectors on disk) both drive a `MemoryCore`. They
check arguments; nothing is checked here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from memoria.config import MemoriaConfig
from memoria.core.arrays import Array, ArrayOps
from memoria.core.connections import Connections
from memoria.core.connections.dense import DenseConnections
from memoria.core.connections.sparse import SparseConnections
from memoria.core.recall import LongTermSearch, Recalled, graph_search, recall
from memoria.core.state import NULL, EngramState
from memoria.core.vectors import Vectors


class MemoryCore:
    """The engrams and connections of B lanes that step together.

    Args:
        config: the memory's settings.
        vectors: where the engrams' vectors lie; empty.
        connections: where their co-fire counts lie; empty.
        lane_ids: identity of each lane in the hash, B numbers.
        ops: of the arrays that it works with: numpy's or torch's.
        search: how recall finds long-term engrams.

    Attributes:
        state: the engrams, an `EngramState`.
        step: steps finished.
    """

    def __init__(
        self,
        config: MemoriaConfig,
        vectors: Vectors,
        connections: Connections,
        lane_ids: Sequence[int],
        ops: ArrayOps,
        search: LongTermSearch = graph_search,
    ) -> None:
        self.config = config
        self.search = search
        self.connections = connections
        self.ops = ops
        self.lane_ids = ops.array(np.array(lane_ids, np.int64))
        self.state = EngramState(len(lane_ids), vectors, ops)
        self.step = 0

    def add(self, data: Array, expiry: Array | None = None) -> Array:
        """Add working memory ``data``, float32 [B, W, D]; returns its positions [B, W].

        ``expiry`` float64 [B, W] is that of each; None: all live ``initial_lifespan`` steps.
        """
        self.reserve(data.shape[1])
        until = self.step + self.config.initial_lifespan if expiry is None else expiry
        return self.state.append(data, self.step, until)

    def reserve(self, count: int) -> None:
        """Make room for ``count`` more engrams a lane."""
        if not self.state.has_room(count):
            self.close_holes(count)

    def close_holes(self, count: int = 0) -> None:
        """Pack the arrays, with room for ``count`` more engrams a lane; positions change."""
        kept = self.state.pack(count)
        self.connections.pack(kept, self.state.capacity)

    def recall(self, cue: Array | None = None) -> Recalled:
        """What the working memory, or a ``cue`` [B, W, D], brings back. Changes nothing."""
        return recall(
            state=self.state,
            connections=self.connections,
            config=self.config,
            step=self.step,
            lane_ids=self.lane_ids,
            cue=cue,
            search=self.search,
        )

    def fire(self, recalled: Recalled) -> None:
        """Let working memory and everything ``recalled`` fire together once."""
        self.fire_positions(
            self.ops.concatenate(
                (self.working_positions(), recalled.longterm, recalled.shortterm), 1
            )
        )

    def fire_positions(self, positions: Array) -> None:
        """Let the engrams at ``positions`` [B, N] (-1 ignored) fire together once."""
        self.state.fire(positions)
        self.connections.fire(positions)

    def adjust(self, positions: Array, delta: Array) -> None:
        """End the step: gains, promotion, ageing, forgetting.

        Args:
            positions: engrams that gain lifespan, int64 [B, N], -1 ignored.
            delta: steps gained, float64 [B, N].
        """
        self.state.extend(positions, delta)
        self.state.promote(self.config.stm_capacity)
        self.state.hold(self.step)
        self.step += 1
        self.state.expire(self.step)

    def forget(self, positions: Array) -> None:
        """Forget the engrams at ``positions`` [B, N] (-1 ignored) at once. Only between steps."""
        self.state.forget(positions, self.step)

    def pin(self, positions: Array) -> None:
        """Pin the engrams at ``positions`` [B, N] (-1 ignored). Only between steps.

        ``lifespan = ceil(lifespan)``; at the end of a step ``ceil(lifespan + max(0, delta))``.
        """
        self.state.pin(positions, self.step)

    def unpin(self, positions: Array) -> None:
        """Let the engrams at ``positions`` [B, N] (-1 ignored) age again. Only between steps."""
        self.state.unpin(positions)

    def recall_by_hand(self, positions: Array, gain: float) -> None:
        """Let the engrams at ``positions`` [B, N] (-1 ignored) gain steps. Only between steps."""
        self.state.recall(positions, gain, self.step)

    def working_positions(self) -> Array:
        """Positions of the working memory, [B, W]."""
        return self.state.working()

    def living_positions(self) -> Array:
        """Positions of all engrams, [B, M], -1 on the right."""
        return self.ops.columns(self.state.types != NULL)


def make_connections(layout: str, lanes: int, ops: ArrayOps) -> Connections:
    """Empty connections: ``"sparse"`` keeps a firing log, ``"dense"`` and ``"auto"`` the matrix."""
    return SparseConnections(lanes, ops) if layout == "sparse" else DenseConnections(lanes, ops)
