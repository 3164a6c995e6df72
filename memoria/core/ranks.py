"""Rank of a position among the living and back, from counts per block of 64 positions.

``rank = living in earlier blocks + living before it in its own block``: a small sum over blocks and
one within a block, so the cost hardly grows with the number of engrams.
"""

from __future__ import annotations

from typing import Final

from memoria.core.arrays import Array, ArrayOps

BLOCK: Final = 64


class LivingRanks:
    """How many engrams live in each block, kept up to date by `change`.

    The mask ``alive`` bool [B, C], C a multiple of `BLOCK`, stays with the caller and is passed to
    each call.
    """

    def __init__(self, alive: Array, ops: ArrayOps) -> None:
        self._ops = ops
        self._counts = _blocks(alive).sum(2)
        self._inside = ops.arange(BLOCK)
        self._lane = ops.arange(alive.shape[0])[:, None]

    def change(self, lane: Array, position: Array, amount: int) -> None:
        """Count engrams added (+1) or forgotten (-1) at distinct (lane, position), [N] both."""
        self._ops.add_cells(self._counts, lane, position // BLOCK, amount)

    def living(self) -> Array:
        """Living engrams of each lane, [B]."""
        return self._counts.sum(1)

    def rank(self, alive: Array, positions: Array) -> Array:
        """Number of living engrams before each of ``positions`` [B, N]; -1 stays -1."""
        ops = self._ops
        if self._pays_whole(alive, positions):
            each = ops.cast(alive, "int64")
            return ops.take(each.cumsum(1) - each, positions, -1)
        at = ops.maximum(positions, 0)
        block, inside = at // BLOCK, at % BLOCK
        before = ops.take(self._counts.cumsum(1) - self._counts, block, 0)
        earlier = self._inside < inside[:, :, None]
        within = (_blocks(alive)[self._lane, block] & earlier).sum(2)
        return ops.fill(before + within, positions < 0, -1)

    def select(self, alive: Array, ranks: Array) -> Array:
        """Positions [B, N] of living engrams by ``ranks`` [B, N], each below its lane's count."""
        ops = self._ops
        if self._pays_whole(alive, ranks):
            return ops.take(ops.columns(alive), ranks, -1)
        ends = self._counts.cumsum(1)
        last = ends.shape[1] - 1
        block = ops.search(ends, ranks)
        block = ops.where(block > last, last, block)  # of a lane without any
        inside = ranks - ops.take(ends - self._counts, block, 0)
        seen = ops.cast(_blocks(alive)[self._lane, block], "int16").cumsum(2)
        return block * BLOCK + (seen <= inside[:, :, None]).sum(2)

    def _pays_whole(self, alive: Array, asked: Array) -> bool:
        """Whether going through ``alive`` costs less than the blocks of all that is ``asked``."""
        return self._ops.is_host and alive.shape[1] <= asked.shape[1] * BLOCK


def whole_blocks(count: int) -> int:
    """``count`` rounded up to a multiple of `BLOCK`."""
    return -(-count // BLOCK) * BLOCK


def _blocks(alive: Array) -> Array:
    return alive.reshape(alive.shape[0], alive.shape[1] // BLOCK, BLOCK)
