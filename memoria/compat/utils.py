"""`memoria.utils` of memoria-pytorch."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["super_unique"]


def super_unique(t: Tensor, dim: int) -> Tensor:
    """The distinct values along ``dim``, each once, the greatest number of them wide, -1 behind.

    Values ascend. Where -1 itself is among them it stands first.
    """
    if t.numel() == 0:
        return t
    moved = t.movedim(dim, -1)
    values, _ = moved.sort(dim=-1)
    first = torch.ones_like(values, dtype=torch.bool)
    first[..., 1:] = values[..., 1:] != values[..., :-1]
    place = first.long().cumsum(-1) - 1
    found = torch.full_like(values, -1)
    found.scatter_(-1, place, values)
    width = int(first.sum(-1).max())
    after = torch.arange(values.shape[-1], device=t.device) >= first.sum(-1, keepdim=True)
    return found.masked_fill(after, -1)[..., :width].movedim(-1, dim)
