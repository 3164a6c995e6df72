"""One step of a memory, in positions: add, remind, fire, adjust.

`Memoria` and `MemoryStore` are two faces of this: the one holds everything in tensors, the other
on disk. Arguments are trusted here; the faces check them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from memoria.config import MemoriaConfig
from memoria.core.connections import Connections
from memoria.core.connections.dense import DenseConnections
from memoria.core.connections.sparse import SparseConnections
from memoria.core.recall import Recalled, Search, graph_search, recall
from memoria.core.state import NULL, EngramState, positions_of
from memoria.core.vectors import Vectors

__all__ = ["MemoryCore", "make_connections"]


def make_connections(layout: str, lanes: int, device: torch.device) -> Connections:
    """``dense`` and ``auto`` keep the matrix, ``sparse`` the log."""
    return SparseConnections(lanes) if layout == "sparse" else DenseConnections(lanes, device)


class MemoryCore:
    """EngramState and connections of B lanes that step together. ``step`` counts finished steps."""

    def __init__(
        self,
        config: MemoriaConfig,
        vectors: Vectors,
        connections: Connections,
        lane_ids: Sequence[int],
        device: torch.device,
        search: Search = graph_search,
    ) -> None:
        self.config = config
        self.search = search
        self.connections = connections
        self.lane_ids = torch.tensor(list(lane_ids), dtype=torch.int64, device=device)
        self.state = EngramState(len(lane_ids), vectors, device)
        self.step = 0

    @torch.no_grad()
    def add(self, data: Tensor) -> Tensor:
        """``data`` [B, W, D] float32 becomes working memory; returns its positions [B, W]."""
        count = data.shape[1]
        self.reserve(count)
        return self.state.append(data, self.step, self.config.initial_lifespan)

    def reserve(self, count: int) -> None:
        """Make room for ``count`` more engrams a lane."""
        if not self.state.has_room(count):
            self.close_holes(count)

    def close_holes(self, count: int = 0) -> None:
        """Let the living stand side by side, with room for ``count`` more engrams a lane."""
        kept = self.state.pack(count)
        self.connections.pack(kept, self.state.capacity)

    @torch.no_grad()
    def recall(self, cue: Tensor | None = None) -> Recalled:
        """What the working memory, or a ``cue`` [B, W, D], brings back. Changes nothing."""
        state, connections = self.state, self.connections
        config, lane_ids = self.config, self.lane_ids
        return recall(state, connections, config, self.step, lane_ids, cue, self.search)

    @torch.no_grad()
    def fire(self, recalled: Recalled) -> None:
        """Everything in working memory plus everything reminded fires together once."""
        self.fire_positions(
            torch.cat((self.working_positions(), recalled.longterm, recalled.shortterm), dim=1)
        )

    def fire_positions(self, positions: Tensor) -> None:
        """The engrams at ``positions`` [B, N] (-1 ignored) fire together once."""
        self.state.fire(positions)
        self.connections.fire(positions)

    @torch.no_grad()
    def adjust(self, positions: Tensor, delta: Tensor) -> None:
        """Gains of ``delta`` [B, N] steps for ``positions`` [B, N]; then the step ends."""
        self.state.extend(positions, delta)
        self.state.promote(self.config.stm_capacity)
        self.state.hold(self.step)
        self.step += 1
        self.state.expire(self.step)

    @torch.no_grad()
    def forget(self, positions: Tensor) -> None:
        """Forget the engrams at ``positions`` [B, N] (-1 ignored) at once. Only between steps."""
        self.state.forget(positions, self.step)

    @torch.no_grad()
    def pin(self, positions: Tensor) -> None:
        """Let the engrams at ``positions`` [B, N] lose no lifespan. Only between steps.

        Their lifespan becomes ``ceil(lifespan)``; each step it gains ``max(0, delta)``, rounded up
        again, and loses nothing.
        """
        self.state.pin(positions, self.step)

    @torch.no_grad()
    def unpin(self, positions: Tensor) -> None:
        """Let the engrams at ``positions`` [B, N] age again. Only between steps."""
        self.state.unpin(positions)

    def working_positions(self) -> Tensor:
        """Positions of the working memory, [B, W]."""
        return self.state.working()

    def living_positions(self) -> Tensor:
        """Positions of all engrams, [B, M], -1 on the right."""
        return positions_of(self.state.types != NULL)
