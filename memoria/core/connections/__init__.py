"""Co-fire counts in two layouts behind one interface.

``co-fire[i, j]`` is the number of firings in which i and j both took part: the Gram matrix
``F^T F`` of the firing x engram incidence F. `DenseConnections` keeps the matrix, for training with
many lanes and up to some thousands of engrams; `SparseConnections` keeps F, for stores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from memoria.core.arrays import Array
    from memoria.core.connections.dense import LaneCounts
    from memoria.core.ties import TieRule
    from memoria.timeline.cofiring import FiringLog

__all__ = ["Connections", "Links", "Walk"]


class Links(Protocol):
    """How strongly engrams are connected, by position in an `EngramState`: what a walk follows."""

    def strongest(self, current: Array, closed: Array, ids: Array, ties: TieRule | None) -> Array:
        """For each current position, the open one with the highest co-fire count.

        Args:
            current: distinct positions, int64 [B, P], -1 for none.
            closed: positions that must not be chosen, bool [B, C].
            ids: local ids, int64 [B, C].
            ties: prefers the greatest hash of the id among equal counts (0 too); None the oldest.

        Returns:
            Positions, int64 [B, P]; -1 for -1, and in a lane with nothing open.
        """


class Walk(Protocol):
    """The method ``walk`` of links that may walk by themselves, all rounds at once."""

    def __call__(self, paths: Array, closed: Array, depth: int) -> Array | None:
        """What ``depth`` rounds of `Links.strongest` without ties find, and ``paths`` themselves.

        Args:
            paths: distinct positions, int64 [B, P], -1 on the right.
            closed: positions that must not be chosen, bool [B, C]; it may change.
            depth: rounds.

        Returns:
            Distinct positions [B, N], ascending, -1 on the right; None leaves it to the caller.
        """


class Connections(Links, Protocol):
    """Co-fire counts by position in an `EngramState`. B lanes, C positions."""

    def pack(self, kept: Array, capacity: int) -> None:
        """Move positions ``kept`` [B, K] to 0..K-1, drop the rest; C becomes ``capacity``."""

    def fire(self, positions: Array) -> None:
        """Count one firing: +1 for each pair of distinct ``positions`` [B, N]; -1 is ignored."""

    def counts(self) -> Array:
        """The matrix [B, C, C], int32."""

    def by_lane(self) -> Sequence[FiringLog] | Sequence[LaneCounts]:
        """Each lane's counts, in positions: `pair_count` and `edges` of them."""
