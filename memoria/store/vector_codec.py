"""Vectors as a store keeps them: float32, float16, or int8 with a scale for each vector.

An engram is rounded when it is added, and the memory works with the rounded vector, so that a store
opened again, or replayed, gives the same results bit for bit.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.config import VectorType
from memoria.errors import InputError

_INT8_MOST: Final = 127

Floats = npt.NDArray[np.float32]


def encode_vectors(rows: Floats, dtype: VectorType) -> dict[str, npt.NDArray[Any]]:
    """Round vectors to what the store holds.

    Args:
        rows: finite vectors, float32 [N, D].
        dtype: type of the array ``vectors``.

    Returns:
        The rows of ``vectors`` [N, D] and, for int8, of ``scales`` [N]: a vector is its int8 row
        times its scale, which is its greatest magnitude over 127, all in float32.

    Raises:
        InputError: a number is out of the range of float16.
    """
    if dtype == "float32":
        return {"vectors": rows}
    if dtype == "float16":
        with np.errstate(over="ignore"):
            half = rows.astype(np.float16)
        if not np.isfinite(half).all():
            largest = float(np.abs(rows).max())
            raise InputError(
                f"data holds {largest:.6g}, beyond the 65504 of float16", "use vectors of length 1"
            )
        return {"vectors": half}
    most: Any = np.float32(_INT8_MOST)
    scales = np.abs(rows).max(axis=1) / most
    for _ in range(4):  # until rounding a rounded vector changes nothing
        scales = scales * most / most
    divisors = np.where(scales > 0, scales, np.float32(1))[:, None]
    whole = np.clip(np.rint(rows / divisors), -_INT8_MOST, _INT8_MOST)
    return {"vectors": whole.astype(np.int8), "scales": scales.astype(np.float32)}


def decode_vectors(stored: npt.NDArray[Any], scales: Floats | None) -> Floats:
    """The vectors [N, D] in float32 that rows of ``vectors`` and ``scales`` stand for."""
    rows = stored.astype(np.float32, copy=False)
    return rows if scales is None else rows * scales[:, None]
