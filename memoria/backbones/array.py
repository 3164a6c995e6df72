"""Backbone ``array``: the vectors are given as they are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from memoria.backbones.base import BackboneBase, Batch, OptionValue, Vectors, check_options
from memoria.errors import BackboneError, InputError, ShapeError


class ArrayBackbone(BackboneBase):
    """encode(x) = x as float32 [N, D], checked: numbers, finite, D wide.

    Made without a dimension, it takes that of the first batch.
    """

    def __init__(self, dimension: int | None = None) -> None:
        super().__init__("array", dimension or 0)

    def encode(self, batch: Batch) -> Vectors:
        for item in batch[:1]:
            if isinstance(item, (str, bytes)) or not hasattr(item, "__len__"):
                raise BackboneError(
                    f"backbone 'array' takes vectors, and was given {type(item).__name__}",
                    "for texts choose 'hash' or 'hf:ID', for images 'hf:ID'",
                )
        try:
            rows = np.asarray(batch)
        except ValueError:
            raise ShapeError("vectors", f"[N, {self.dimension or 'D'}]", "uneven rows") from None
        if rows.dtype.kind not in "fiub":
            raise InputError(f"vectors of type {rows.dtype} are not numbers", "give float32")
        if rows.size == 0 and rows.ndim < 2:
            return np.zeros((0, self.dimension), dtype=np.float32)
        if rows.ndim != 2 or (self.dimension and rows.shape[1] != self.dimension):
            raise ShapeError("vectors", f"[N, {self.dimension or 'D'}]", list(rows.shape))
        with np.errstate(over="ignore"):
            vectors = rows.astype(np.float32, copy=False)
        finite = np.isfinite(vectors).all(axis=1)
        if not finite.all():
            row = int(np.argmin(finite))
            raise InputError(f"vector {row} of the batch holds NaN or Inf", "remove or repair it")
        self.dimension = self.dimension or int(vectors.shape[1])
        return vectors


def create(
    argument: str | None, dimension: int | None, options: Mapping[str, OptionValue]
) -> ArrayBackbone:
    """The factory of the entry point ``array``."""
    if argument is not None:
        raise BackboneError(f"backbone 'array:{argument}' does not exist", "write 'array'")
    check_options("array", options, ())
    return ArrayBackbone(dimension)
