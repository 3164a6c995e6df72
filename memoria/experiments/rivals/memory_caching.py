"""Memory Caching (2026): a recurrent memory's state is kept at segment ends and read later.

With a cache the memory starts anew at every segment, and a query asks it and the kept ones:

    residual  o = S^T q + sum over i of S_i^T q
    gated     o = c_0 S^T q + sum over i of c_i S_i^T q,  c = softmax of u . m_i / sqrt(D)
    sparse    the same with the best few i alone

u is a projection of the token's input, m_i the mean of the inputs of segment i, m_0 that of the
own segment up to the token. The authors also let a memory go on from the last segment, and keep all
states; here the oldest gives way, as the budget asks. The division by sqrt(D) is ours.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Caching = Literal["none", "residual", "gated", "sparse"]


class SegmentGate(nn.Module):
    """How much each token trusts its own segment's memory and the kept ones.

    Args:
        hidden: D.
        best: kept memories a token reads at most; None is all.
    """

    def __init__(self, hidden: int, best: int | None) -> None:
        super().__init__()
        self.best = best
        self.wanted = nn.Linear(hidden, hidden)

    def forward(
        self, states: Tensor, real: Tensor, means: Tensor, kept: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Shares that add up to 1.

        Args:
            states: inputs of the segment [B, S, D].
            real: bool [B, S], false at padding.
            means: of the inputs of earlier segments [B, K, D].
            kept: bool [B, K], false where there is none.

        Returns:
            Shares of the own memory [B, S], and of the kept ones [B, S, K].
        """
        wanted = self.wanted(states) * states.shape[-1] ** -0.5
        own = (wanted * running_mean(states, real)).sum(-1, keepdim=True)
        others = wanted @ means.transpose(1, 2)
        others = others.masked_fill(~kept.unsqueeze(1), -torch.inf)
        if self.best is not None and self.best < others.shape[2]:
            chosen = others.detach().topk(self.best, dim=2).indices
            passed = torch.ones_like(others, dtype=torch.bool).scatter(2, chosen, False)
            others = others.masked_fill(passed, -torch.inf)
        shares = torch.cat((own, others), 2).softmax(2)
        return shares[..., 0], shares[..., 1:]


def running_mean(states: Tensor, real: Tensor) -> Tensor:
    """Mean of ``states`` [B, S, D] up to each, without padding: [B, S, D]."""
    there = real.unsqueeze(2).to(states.dtype)
    return (states * there).cumsum(1) / there.cumsum(1).clamp_min(1.0)


def newer(slots: Tensor, latest: Tensor, read: Tensor) -> Tensor:
    """``slots`` [B, K, ...] with ``latest`` [B, ...] for the oldest, in lanes that ``read`` [B]."""
    shifted = torch.cat((slots[:, 1:], latest.unsqueeze(1)), 1)
    return torch.where(read.view(-1, *[1] * (slots.dim() - 1)), shifted, slots)
