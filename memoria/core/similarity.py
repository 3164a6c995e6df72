"""Correlation of engrams with a cue, and which engrams can be among the best."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Final

import numpy as np

from memoria.core.arrays import NUMPY, Array, ArrayOps

_AT_ONCE: Final = 2**12  # vectors of a lane; bounds memory
_UNIT: Final = 2.0**-24  # float32 rounds by at most this, relatively


def exact_squares(vectors: Array, ops: ArrayOps = NUMPY) -> Array:
    """Squared lengths [B, N] of ``vectors`` float32 [B, N, D], summed in float64, as float32."""
    starts = range(0, max(1, vectors.shape[1]), _AT_ONCE)
    doubles = (ops.cast(vectors[:, first : first + _AT_ONCE], "float64") for first in starts)
    with np.errstate(over="ignore"):
        parts = [ops.cast(ops.squares(part), "float32") for part in doubles]
    return parts[0] if len(parts) == 1 else ops.concatenate(parts, 1)


class Cue:
    """Vectors that engrams are compared with, and what every comparison needs to know of them.

    Attributes:
        vectors: float [B, W, D].
        ops: of the library that they are arrays of.
        squares: their `exact_squares`, float32 [B, W].
    """

    def __init__(self, vectors: Array, ops: ArrayOps = NUMPY, squares: Array | None = None) -> None:
        self.vectors, self.ops = vectors, ops
        if squares is not None:
            self.squares = squares

    @cached_property
    def squares(self) -> Array:
        return exact_squares(self.vectors, self.ops)

    @cached_property
    def _centred(self) -> tuple[Array, Array, Array]:
        """Mean of the vectors, the vectors less it, and squared lengths of those, in float64."""
        vectors = self.ops.cast(self.vectors, "float64")
        middle = vectors.mean(1)[:, None]
        vectors = vectors - middle
        return middle, vectors, self.ops.squares(vectors)

    def log_correlation(self, keys: Array) -> Array:
        """`log_correlation` of ``keys`` [B, N, D] with the cue, float64 [B, N]."""
        middle, vectors, squares = self._centred
        keys = self.ops.cast(keys, "float64") - middle
        distance = self.ops.distances(vectors, keys, squares, self.ops.squares(keys))
        return self.ops.log_sum_exp(-distance) - math.log(vectors.shape[1])

    def split_nearest(
        self, keys: Array, key_squares: Array, valid: Array, count: int
    ) -> tuple[Array, Array]:
        """Which keys are surely among the ``count`` that correlate best, and which may be.

        Scores in float32. A key is decided where it differs from the ``count``-th by more than the
        rounding of both explains; only the others need scores in float64.

        Args:
            keys: float32 [B, N, D], as the cue's vectors.
            key_squares: their `exact_squares`, [B, N].
            valid: keys that count, bool [B, N].
            count: at least 1, at most N.

        Returns:
            (sure, open), bool [B, N] both: no key is in both, and none that is not ``valid`` in
            either. Those that are ``sure`` are at most ``count``, and with the best of the ``open``
            ones they are the best of all.
        """
        ops = self.ops
        if not ops.exact_products:
            few = (valid.sum(1) <= count)[:, None]
            return valid & few, valid & ~few
        width, dimension = self.vectors.shape[1:]
        score = ops.log_kernel_sum(self.vectors, keys, self.squares, key_squares)
        whole = ops.is_host and valid.shape[1] > count and bool(valid.all())
        if not whole:
            score = ops.fill(score, ~valid, -math.inf)
        kth = ops.kth_greatest(score, count)
        with np.errstate(over="ignore"):
            largest = (ops.greatest(self.squares) + ops.greatest(key_squares))[:, None]
        # A sum of D products errs by D units of its terms' absolute sum, which is at most the half
        # of both squares, and counts twice.
        error = 1.1 * (dimension + 32) * _UNIT * largest + (width + 32) * _UNIT * (2.0 + abs(kth))
        told = ops.finite(kth - error)  # not where float32 overflows
        kth, apart = ops.where(told, kth, 0.0), ops.where(told, 2.0 * error, math.inf)
        sure, out = score > kth + apart, score < kth - apart  # both false of a score that is NaN
        if whole:
            return sure, ~(sure | out)
        sure = sure | (valid.sum(1) <= count)[:, None]
        return sure & valid, ~(sure | out) & valid


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
    return Cue(cue, ops).log_correlation(keys)
