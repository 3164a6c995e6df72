"""Correlation of engrams with a cue, and which engrams can be among the best."""

from __future__ import annotations

import math
from typing import Final

from memoria.core.arrays import NUMPY, Array, ArrayOps

_UNIT: Final = 2.0**-24  # float32 rounds by at most this, relatively


def log_correlation(cue: Array, keys: Array, ops: ArrayOps = NUMPY) -> Array:
    """``log(mean over w of exp(-||cue_w - key_n||^2))``.

    The mean of the exponentials itself underflows to zero at D=768, hence a logsumexp. The matrix
    product cancels where vectors nearly agree, hence float64, and distances from the mean of the
    cue: what all vectors share costs no digits.

    Args:
        cue: float [B, W, D].
        keys: float [B, N, D].
        ops: of the library that both are arrays of.

    Returns:
        Log correlations, float64 [B, N].
    """
    cue = ops.cast(cue, "float64")
    middle = cue.mean(1)[:, None]
    cue, keys = cue - middle, ops.cast(keys, "float64") - middle
    distance = ops.distances(cue, keys, ops.squares(cue), ops.squares(keys))
    return ops.log_sum_exp(-distance) - math.log(cue.shape[1])


def split_nearest(
    cue: Array, keys: Array, valid: Array, count: int, ops: ArrayOps = NUMPY
) -> tuple[Array, Array]:
    """Which keys are surely among the ``count`` with the highest `log_correlation`, and which may.

    Scores in float32. A key is decided where it differs from the ``count``-th by more than the
    rounding of both explains; only the others need scores in float64.

    Args:
        cue: float32 [B, W, D].
        keys: float32 [B, N, D].
        valid: keys that count, bool [B, N].
        count: at least 1, at most N.
        ops: of the library that all are arrays of.

    Returns:
        (sure, open), bool [B, N] both: no key is in both, and none that is not ``valid`` in either.
        Those that are ``sure`` are at most ``count``, and with the best of the ``open`` ones they
        are the best of all.
    """
    few = (valid.sum(1) <= count)[:, None]
    if not ops.exact_products:
        return valid & few, valid & ~few
    width, dimension = cue.shape[1:]
    cue_square, key_square = ops.squares(cue), ops.squares(keys)
    score = ops.log_kernel_sum(cue, keys, cue_square, key_square) - math.log(width)
    score = ops.fill(score, ~valid, -math.inf)
    kth = ops.kth_greatest(score, count)
    largest = (ops.greatest(cue_square) + ops.greatest(key_square))[:, None]
    # A sum of D products errs by D units of its terms' absolute sum: both squares, and the product
    # of both by the half of theirs, twice.
    error = 2.1 * (dimension + 16) * _UNIT * largest + (width + 32) * _UNIT * (1.0 + abs(kth))
    told = ops.finite(kth - error)  # not where float32 overflows
    kth, error = ops.where(told, kth, 0.0), ops.where(told, error, 0.0)
    sure = ((score > kth + 2.0 * error) & told) | few
    may_be = (score >= kth - 2.0 * error) | ~told
    return sure & valid, may_be & ~sure & valid
