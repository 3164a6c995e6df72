"""Mixture of Memories (MoM, Du et al. 2025): a router sends each token to few of several memories.

Only they are written and read, so that tokens interfere less; one more memory is always on.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Router(nn.Module):
    """Chooses ``topk`` of ``count`` memories by softmax(x W), weights renormalised over them."""

    def __init__(self, hidden: int, count: int, topk: int) -> None:
        super().__init__()
        self.topk = topk
        self.score = nn.Linear(hidden, count, bias=False)

    def forward(self, states: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """Choose for ``states`` [B, S, D], ``real`` [B, S].

        Returns:
            Shares [B, S, count] that add up to 1, 0 where not chosen; and the load-balance loss
            ``count * sum of f_i P_i``, f the share of choices and P the mean probability (Fedus
            et al. 2021), which is 1 where the load is even.
        """
        chances = self.score(states).softmax(-1)
        values, indices = chances.topk(self.topk, dim=-1)
        shares = torch.zeros_like(chances).scatter(
            -1, indices, values / values.sum(-1, keepdim=True)
        )
        there = real.unsqueeze(2).to(states.dtype)
        count = there.sum().clamp_min(1.0)
        chosen = torch.zeros_like(chances).scatter(-1, indices, 1.0 / self.topk)
        load, chance = ((one * there).sum((0, 1)) / count for one in (chosen, chances))
        return shares, chances.shape[-1] * (load * chance).sum()
