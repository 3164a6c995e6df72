"""Co-fire counts in two layouts behind one interface.

``co-fire[i, j]`` is the number of firings in which i and j both took part: the Gram matrix
``F^T F`` of the firing x engram incidence F. `DenseConnections` keeps the matrix, for training with
many lanes and up to some thousands of engrams; `SparseConnections` keeps F, for stores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from memoria.core.connections.dense import LaneCounts
    from memoria.core.ties import TieRule
    from memoria.timeline.cofiring import FiringLog

__all__ = ["Connections"]


class Connections(Protocol):
    """What recall needs of a memory's connections. Positions are those of `EngramState`."""

    def pack(self, kept: Tensor, capacity: int) -> None:
        """Positions ``kept`` [B, K] (-1 pads) become 0..K-1; room for ``capacity``."""

    def fire(self, positions: Tensor) -> None:
        """One firing: +1 for every pair of distinct ``positions`` [B, N]; -1 is ignored."""

    def strongest(
        self, current: Tensor, closed: Tensor, ids: Tensor, ties: TieRule | None
    ) -> Tensor:
        """For each of ``current`` [B, P] the open position it fired with most often.

        ``closed`` [B, C] marks what must not be chosen. Among equals (zeros too) the oldest wins,
        or with ``ties`` the greatest hash of its id in ``ids`` [B, C]. -1 in, or nothing open: -1.
        """

    def counts(self) -> Tensor:
        """The matrix [B, C, C], int32."""

    def by_lane(self) -> Sequence[FiringLog] | Sequence[LaneCounts]:
        """Each lane's counts, in positions: `pair_count` and `edges` of them."""
