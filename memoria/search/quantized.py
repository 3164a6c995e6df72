"""Vectors as one byte a number: what a first look over very many of them needs."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from memoria.search.growing import GrowingArray

Floats = npt.NDArray[np.float32]

_BLOCK: Final = 1024  # rows that are floats at a time: they stay in the processor's cache


class QuantizedRows:
    """Unit vectors [n, D], each as D signed bytes and one scale: cosines are off by about .003."""

    names: ClassVar[tuple[str, ...]] = ("codes", "scales")

    def __init__(self, dimension: int) -> None:
        self._codes = GrowingArray(np.int8, (dimension,))
        self._scales = GrowingArray(np.float32)

    def __len__(self) -> int:
        return len(self._scales)

    @property
    def arrays(self) -> tuple[npt.NDArray[Any], ...]:
        """Bytes [n, D] and scales [n]."""
        return self._codes.values, self._scales.values

    def reserve(self, count: int) -> None:
        """Make room for ``count`` rows in all."""
        self._codes.reserve(count)
        self._scales.reserve(count)

    def append(self, vectors: Floats) -> None:
        """Vectors [n, D] of any length; those of length 0 stay so."""
        for first in range(0, len(vectors), _BLOCK):
            block = np.asarray(vectors[first : first + _BLOCK], np.float32)
            greatest = np.abs(block).max(1, initial=0.0)
            codes = np.rint(block * (127 / np.maximum(greatest, 1e-30))[:, None])
            lengths = np.sqrt((codes * codes).sum(1))
            self.append_codes(codes, np.where(lengths > 0, 1 / np.maximum(lengths, 1.0), 0.0))

    def append_codes(self, codes: npt.ArrayLike, scales: npt.ArrayLike) -> None:
        """What `arrays` gave of other rows."""
        self._codes.append(codes)
        self._scales.append(scales)

    def replace(self, at: npt.NDArray[np.int64], vectors: Floats) -> None:
        """Other vectors for some rows."""
        other = QuantizedRows(self._codes.values.shape[1])
        other.append(vectors)
        codes, scales = self.arrays
        codes[at], scales[at] = other.arrays

    def cut(self, count: int) -> None:
        """Keep the first ``count``."""
        self._codes.cut(count)
        self._scales.cut(count)

    def products(self, vectors: Floats) -> Floats:
        """Products of the rows with ``vectors`` [q, D]: [q, n]."""
        codes, scales = self.arrays
        out = np.empty((len(vectors), len(codes)), np.float32)
        turned = np.ascontiguousarray(vectors.T)
        for first in range(0, len(codes), _BLOCK):
            last = min(first + _BLOCK, len(codes))
            out[:, first:last] = (codes[first:last].astype(np.float32) @ turned).T
        out *= scales
        return out

    def mean_of(self, rows: npt.NDArray[np.bool_]) -> Floats:
        """Mean [D] of the rows marked."""
        codes, scales = self.arrays
        total = np.zeros(codes.shape[1], np.float64)
        for first in range(0, len(codes), _BLOCK):
            part = slice(first, first + _BLOCK)
            weight = scales[part] * rows[part]
            total += weight @ codes[part].astype(np.float32)
        mean: Floats = (total / max(1, int(rows.sum()))).astype(np.float32)
        return mean


def unit(vectors: Floats) -> Floats:
    """Vectors [..., D] of length 1; those of length 0 stay so."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Floats = (vectors / np.maximum(lengths, 1e-30)).astype(np.float32)
    return scaled
