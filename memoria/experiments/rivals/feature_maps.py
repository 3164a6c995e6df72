"""What keys and queries become before a linear memory multiplies them."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Features = Literal["identity", "elu", "taylor", "hash"]

_ANCHORS = 20  # EcoFormer's


class FeatureMap(nn.Module):
    """phi of keys and queries.

    identity: x (after SiLU); elu: elu(x) + 1 (Katharopoulos et al. 2020); taylor: the second-order
    Taylor map of exp(q . k / sqrt(d)) (BASED, Arora et al. 2024); hash: see `Hash`.

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
        if kind == "hash":
            self.hash = Hash(size)

    def forward(self, states: Tensor) -> Tensor:
        """[B, H, S, d] to [B, H, S, F]."""
        if self.kind == "elu":
            return functional.elu(states) + 1.0
        if self.kind == "taylor":
            return taylor(states)
        if self.kind == "hash":
            hashed: Tensor = self.hash(states)
            return hashed
        return functional.silu(states)


def feature_count(kind: Features, size: int) -> int:
    """F of keys of ``size`` numbers."""
    return {"taylor": 1 + size + size * size, "hash": size + 1}.get(kind, size)


def taylor(states: Tensor) -> Tensor:
    """phi with phi(q) . phi(k) = 1 + s + s^2 / 2, where s = q . k / sqrt(d)."""
    size = states.shape[-1]
    squares = (states.unsqueeze(-1) * states.unsqueeze(-2)).flatten(-2)
    parts = torch.ones_like(states[..., :1]), states / size**0.25, squares / (2 * size) ** 0.5
    return torch.cat(parts, -1)


class Hash(nn.Module):
    """Kernelised hashing (EcoFormer, Liu et al. 2022): d bits of a key of d numbers.

    The bits -1 and 1 are the signs of a linear map of a Gaussian kernel between the key and 20
    anchors. With one constant number behind them, phi(q) . phi(k) is b + 1 + the product of b bits:
    1 where all differ, 2 b + 1 where all agree. EcoFormer fits its map to the attention's
    largest and smallest weights now and then; here map and anchors learn with the network, where
    a sign passes the gradient of tanh.

    Args:
        size: d.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.anchors = nn.Embedding(_ANCHORS, size)
        self.bits = nn.Linear(_ANCHORS, size)

    def forward(self, states: Tensor) -> Tensor:
        """[..., d] to [..., d + 1]."""
        size = states.shape[-1]
        anchors = self.anchors.weight / self.anchors.weight.std()  # spread like keys
        apart = (states.unsqueeze(-2) - anchors).square().sum(-1)
        kernel = (-apart / (2 * size)).exp()
        score = self.bits(kernel - kernel.mean(-1, keepdim=True))
        soft = score.tanh()
        sign = torch.where(score >= 0, 1.0, -1.0)
        constant = torch.full_like(soft[..., :1], (size + 1) ** 0.5)
        return torch.cat((soft + (sign - soft).detach(), constant), -1)
