"""Ranks among the living and back, at a cost that does not grow with what is remembered.

The living are counted in blocks of 64 positions: a rank is a sum over blocks and within one.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

__all__ = ["BLOCK", "LivingRanks", "whole_blocks"]

BLOCK: Final = 64


class LivingRanks:
    """``alive`` bool [B, C], C a multiple of `BLOCK`, is the caller's and is given at each call."""

    def __init__(self, alive: Tensor) -> None:
        self._counts = _blocks(alive).sum(2)

    def change(self, lane: Tensor, position: Tensor, amount: int) -> None:
        """The engrams at distinct places were born (+1) or died (-1)."""
        each = torch.full_like(lane, amount)
        self._counts.index_put_((lane, position // BLOCK), each, accumulate=True)

    def living(self) -> Tensor:
        """How many live, [B]."""
        return self._counts.sum(1)

    def rank(self, alive: Tensor, positions: Tensor) -> Tensor:
        """How many of the living stand before each of ``positions`` [B, N]; -1 stays -1."""
        at = positions.clamp_min(0)
        block, inside = at // BLOCK, at % BLOCK
        before = (self._counts.cumsum(1) - self._counts).gather(1, block)
        lane = torch.arange(at.shape[0], device=at.device).unsqueeze(1)
        earlier = torch.arange(BLOCK, device=at.device) < inside.unsqueeze(2)
        within = (_blocks(alive)[lane, block] & earlier).sum(2)
        return (before + within).masked_fill_(positions < 0, -1)

    def select(self, alive: Tensor, ranks: Tensor) -> Tensor:
        """Positions of the living engrams of ``ranks`` [B, N], each below the lane's count."""
        ends = self._counts.cumsum(1)
        block = torch.searchsorted(ends, ranks.contiguous(), right=True)
        block.clamp_max_(self._counts.shape[1] - 1)
        inside = ranks - (ends - self._counts).gather(1, block)
        lane = torch.arange(ranks.shape[0], device=ranks.device).unsqueeze(1)
        seen = _blocks(alive)[lane, block].cumsum(2, dtype=torch.int16)
        return block * BLOCK + (seen <= inside.unsqueeze(2)).sum(2)


def whole_blocks(count: int) -> int:
    """``count`` rounded up to whole blocks."""
    return -(-count // BLOCK) * BLOCK


def _blocks(alive: Tensor) -> Tensor:
    return alive.view(alive.shape[0], alive.shape[1] // BLOCK, BLOCK)
