"""Vectors as one bit a number: a first look over very many in a thirty-second of their bytes."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from memoria.search.growing import GrowingArray
from memoria.search.quantized import Floats

_BLOCK: Final = 1024  # rows that are floats at a time: they stay in the processor's cache


class SignRows:
    """Vectors [n, D], each as the signs of its numbers, D / 8 bytes: cosines are estimated.

        cos(q, v) ~ sqrt(pi / 2 D) * sum over d of q_d sign(v_d)

    The vector asked for keeps its numbers, which finds more than comparing signs with signs. The
    factor makes the estimate right on average for numbers that are normal with mean 0, as those of
    dense embeddings are about; it is off by sqrt((pi / 2 - 1) / D), .04 at D = 384. Where a few
    numbers are great and most are small, as in vectors of hashed words, signs lose more.
    """

    names: ClassVar[tuple[str, ...]] = ("codes",)

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._codes = GrowingArray(np.uint8, (-(-dimension // 8),))

    def __len__(self) -> int:
        return len(self._codes)

    @property
    def arrays(self) -> tuple[npt.NDArray[Any], ...]:
        """Bits [n, D / 8], the first number's the highest of its byte; 1 for more than 0."""
        return (self._codes.values,)

    def reserve(self, count: int) -> None:
        """Make room for ``count`` rows in all."""
        self._codes.reserve(count)

    def append(self, vectors: Floats) -> None:
        """Vectors [n, D] of any length."""
        self.append_codes(np.packbits(np.asarray(vectors) > 0, axis=1))

    def append_codes(self, codes: npt.ArrayLike) -> None:
        """What `arrays` gave of other rows."""
        self._codes.append(codes)

    def replace(self, at: npt.NDArray[np.int64], vectors: Floats) -> None:
        """Other vectors for some rows."""
        self._codes.values[at] = np.packbits(np.asarray(vectors) > 0, axis=1)

    def cut(self, count: int) -> None:
        """Keep the first ``count``."""
        self._codes.cut(count)

    def products(self, vectors: Floats) -> Floats:
        """Estimated products of the rows, of length 1, with ``vectors`` [q, D]: [q, n]."""
        codes = self._codes.values
        out = np.empty((len(vectors), len(codes)), np.float32)
        turned = np.ascontiguousarray(vectors.T)
        for first in range(0, len(codes), _BLOCK):
            last = min(first + _BLOCK, len(codes))
            bits = np.unpackbits(codes[first:last], axis=1, count=self._dimension)
            out[:, first:last] = (bits.astype(np.float32) @ turned).T
        out *= 2  # from bits 0 and 1 to signs -1 and 1
        out -= vectors.sum(1)[:, None]
        out *= np.float32(math.sqrt(math.pi / 2 / max(1, self._dimension)))
        return out
