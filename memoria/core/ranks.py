"""Rank of a position among the living and back, from counts per block of 64 positions.

``rank = living in earlier blocks + living before it in its own block``: a small sum over blocks and
one within a block, so the cost hardly grows with the number of engrams.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

BLOCK: Final = 64


class LivingRanks:
    """How many engrams live in each block, kept up to date by `change`.

    The mask ``alive`` bool [B, C], C a multiple of `BLOCK`, stays with the caller and is passed to
    each call.
    """

    def __init__(self, alive: Tensor) -> None:
        self._counts = _blocks(alive).sum(2)

    def change(self, lane: Tensor, position: Tensor, amount: int) -> None:
        """Count engrams added (+1) or forgotten (-1) at distinct (lane, position), [N] both."""
        each = torch.full_like(lane, amount)
        self._counts.index_put_((lane, position // BLOCK), each, accumulate=True)

    def living(self) -> Tensor:
        """Living engrams of each lane, [B]."""
        return self._counts.sum(1)

    def rank(self, alive: Tensor, positions: Tensor) -> Tensor:
        """Number of living engrams before each of ``positions`` [B, N]; -1 stays -1."""
        at = positions.clamp_min(0)
        block, inside = at // BLOCK, at % BLOCK
        before = (self._counts.cumsum(1) - self._counts).gather(1, block)
        lane = torch.arange(at.shape[0], device=at.device).unsqueeze(1)
        earlier = torch.arange(BLOCK, device=at.device) < inside.unsqueeze(2)
        within = (_blocks(alive)[lane, block] & earlier).sum(2)
        return (before + within).masked_fill_(positions < 0, -1)

    def select(self, alive: Tensor, ranks: Tensor) -> Tensor:
        """Positions [B, N] of living engrams by ``ranks`` [B, N], each below its lane's count."""
        ends = self._counts.cumsum(1)
        block = torch.searchsorted(ends, ranks.contiguous(), right=True)
        block.clamp_max_(self._counts.shape[1] - 1)
        inside = ranks - (ends - self._counts).gather(1, block)
        lane = torch.arange(ranks.shape[0], device=ranks.device).unsqueeze(1)
        seen = _blocks(alive)[lane, block].cumsum(2, dtype=torch.int16)
        return block * BLOCK + (seen <= inside.unsqueeze(2)).sum(2)


def whole_blocks(count: int) -> int:
    """``count`` rounded up to a multiple of `BLOCK`."""
    return -(-count // BLOCK) * BLOCK


def _blocks(alive: Tensor) -> Tensor:
    return alive.view(alive.shape[0], alive.shape[1] // BLOCK, BLOCK)
