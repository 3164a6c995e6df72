"""What keys and queries become before a linear memory multiplies them."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Features = Literal["identity", "elu", "taylor"]


class FeatureMap(nn.Module):
    """phi of keys and queries.

    identity: x (after SiLU); elu: elu(x) + 1 (Katharopoulos et al. 2020); taylor: the second-order
    Taylor map of exp(q . k / sqrt(d)) (BASED, Arora et al. 2024).

    Args:
        kind: which map.
        size: d, numbers of a key.

    Attributes:
        count: F, numbers of a feature vector.
    """

    def __init__(self, kind: Features, size: int) -> None:
        super().__init__()
        self.kind = kind
        self.count = feature_count(kind, size)

    def forward(self, states: Tensor) -> Tensor:
        """[B, H, S, d] to [B, H, S, F]."""
        if self.kind == "elu":
            return functional.elu(states) + 1.0
        if self.kind == "taylor":
            return taylor(states)
        return functional.silu(states)


def feature_count(kind: Features, size: int) -> int:
    """F of keys of ``size`` numbers."""
    return 1 + size + size * size if kind == "taylor" else size


def taylor(states: Tensor) -> Tensor:
    """phi with phi(q) . phi(k) = 1 + s + s^2 / 2, where s = q . k / sqrt(d)."""
    size = states.shape[-1]
    squares = (states.unsqueeze(-1) * states.unsqueeze(-2)).flatten(-2)
    parts = torch.ones_like(states[..., :1]), states / size**0.25, squares / (2 * size) ** 0.5
    return torch.cat(parts, -1)
