"""Correlation of engrams with a cue, and which engrams can be among the best."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

_UNIT: Final = 2.0**-24  # float32 rounds by at most this, relatively


def log_correlation(cue: Tensor, keys: Tensor) -> Tensor:
    """``log(mean over w of exp(-||cue_w - key_n||^2))``.

    The mean of the exponentials itself underflows to zero at D=768, hence a logsumexp. The matrix
    product cancels where vectors nearly agree, hence float64, and distances from the mean of the
    cue: what all vectors share costs no digits.

    Args:
        cue: float [B, W, D].
        keys: float [B, N, D].

    Returns:
        Log correlations, float64 [B, N].
    """
    cue = cue.double()
    middle = cue.mean(dim=1, keepdim=True)
    cue, keys = cue - middle, keys.double() - middle
    squares = cue.square().sum(2).unsqueeze(2) + keys.square().sum(2).unsqueeze(1)
    distance = torch.baddbmm(squares, cue, keys.transpose(1, 2), alpha=-2.0).clamp_min_(0.0)
    return torch.logsumexp(-distance, dim=1) - math.log(cue.shape[1])


def may_be_nearest(cue: Tensor, keys: Tensor, valid: Tensor, count: int) -> Tensor:
    """Mask of the keys that can be among the ``count`` with the highest `log_correlation`.

    Scores in float32, and drops only keys that are worse than the ``count``-th by more than the
    rounding of both explains; so the best of the rest in float64 are the best of all.

    Args:
        cue: float32 [B, W, D].
        keys: float32 [B, N, D].
        valid: keys that count, bool [B, N].
        count: at least 1.

    Returns:
        bool [B, N], false where not ``valid``.
    """
    if torch.get_float32_matmul_precision() != "highest":
        return valid
    dimension = cue.shape[2]
    norm = torch.linalg.vector_norm  # one pass, nothing of size N x D in between
    cue_square, key_square = norm(cue, dim=2).square(), norm(keys, dim=2).square()
    squares = cue_square.unsqueeze(2) + key_square.unsqueeze(1)
    distance = torch.baddbmm(squares, cue, keys.transpose(1, 2), alpha=-2.0)
    score = torch.logsumexp(-distance.clamp_min_(0.0), dim=1) - math.log(cue.shape[1])
    score.masked_fill_(~valid, -torch.inf)
    kth = score.topk(count, dim=1).values[:, -1:]
    largest = cue_square.amax(1, keepdim=True) + key_square.amax(1, keepdim=True)
    # a sum of D products errs by D units of its terms' absolute sum; d^2 is three such sums
    error = 4.0 * (dimension + 8) * _UNIT * largest + 32.0 * _UNIT * (1.0 + kth.abs())
    near = score >= kth - 2.0 * error
    # where a lane is short of keys, or float32 overflows, everything stays
    possible: Tensor = (near | ~(kth - error).isfinite()) & valid
    return possible
