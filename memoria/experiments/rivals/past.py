"""States of the past, kept in order, without those of padding."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["Past", "all_real", "newest"]

Past = tuple[Tensor, Tensor]  # states [B, N, D], and bool [B, N]: False where there is nothing


def all_real(states: Tensor, real: Tensor | None) -> Tensor:
    """``real``, or true everywhere."""
    return states.new_ones(states.shape[:2], dtype=torch.bool) if real is None else real


def newest(past: Past | None, states: Tensor, real: Tensor, count: int) -> tuple[Past, Past]:
    """The last ``count`` of past and ``states`` that are real; and what they displace.

    Real ones stand on the right, in order. What is displaced may be empty: [B, 0, D].
    """
    if past is not None:
        states, real = torch.cat((past[0], states), 1), torch.cat((past[1], real), 1)
    if not bool(real.all()):
        order = real.to(torch.uint8).argsort(dim=1, stable=True)
        states = states.gather(1, order.unsqueeze(2).expand_as(states))
        real = real.gather(1, order)
    first = max(0, states.shape[1] - count)
    states = states.detach()
    return (states[:, first:], real[:, first:]), (states[:, :first], real[:, :first])
