"""Arrays of numbers from files, as float32, read in part or whole."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from memoria.errors import InputError
from memoria.io.inputs.array_files import OPENERS
from memoria.io.inputs.files import check_file, check_memory, extension, reading, split_key
from memoria.io.inputs.raw_arrays import RawArray, check_kind

__all__ = ["ArraySource", "open_array", "read_array", "to_float32"]

_COPY_BELOW: Final = 1 << 26  # bytes; larger float32 files stay mapped, not copied


@dataclass(frozen=True, slots=True)
class ArraySource:
    """An array in a file, not read yet: ``source`` as it was named, ``shape``, any ndim."""

    source: str
    shape: tuple[int, ...]
    _part: Callable[[int, int], NDArray[Any]] = field(repr=False)
    _whole: Callable[[], NDArray[Any]] = field(repr=False)

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """A copy of the part [start:stop] of axis 0 as float32. Raises `InputError`."""
        if not self.shape:
            raise InputError(f"{self.source}: is a single number", "give an array of rows")
        return np.array(self._converted(lambda: self._part(start, stop)))

    def read(self) -> NDArray[np.float32]:
        """All of it as float32; a large float32 file is mapped read-only instead of copied."""
        check_memory(self.source, math.prod(self.shape) * 4)
        return self._converted(self._whole)

    def _converted(self, read: Callable[[], NDArray[Any]]) -> NDArray[np.float32]:
        with reading(self.source):
            try:
                raw = read()
            except MemoryError:
                raise InputError(f"{self.source}: does not fit into memory") from None
            return to_float32(raw, self.source)


def open_array(spec: str | os.PathLike[str]) -> ArraySource:
    """The array that ``spec`` names: .npy, .npz[:key], .pt[:key], .safetensors[:key], .zarr[:key].

    A file of several arrays needs the key, unless one is called ``vectors``. Checked on opening:
    that the file is whole, its header claims no more than it holds, and the numbers are real.
    Raises `InputError`, or `StorageError` where the system refuses to read.
    """
    spec = os.fspath(spec)
    path, key = split_key(spec)
    with reading(path):
        os.stat(path)
    ending = extension(path)
    if ending not in OPENERS:
        raise InputError(f"{path}: is not an array file", f"known are {' '.join(OPENERS)}")
    if not os.path.isdir(path):
        check_file(path)
    with reading(path):
        raw: RawArray = OPENERS[ending](path, key)
    if raw.dtype is not None:
        check_kind(raw.dtype, spec)
    if math.prod(raw.shape) == 0:
        raise InputError(f"{spec}: the array is empty, its shape {list(raw.shape)}")
    return ArraySource(spec, raw.shape, raw.part, raw.whole)


def read_array(spec: str | os.PathLike[str]) -> NDArray[np.float32]:
    """The whole array as float32, any shape; above 64 MiB it may be mapped, read-only."""
    source = open_array(spec)
    array = source.read()
    return np.array(array) if array.nbytes < _COPY_BELOW else array


def to_float32(array: NDArray[Any], source: str) -> NDArray[np.float32]:
    """Numbers rounded to float32. Raises `InputError` for other types and for overflow to Inf."""
    check_kind(array.dtype, source)
    if array.dtype == np.dtype(np.float32):
        return np.asarray(array)
    with np.errstate(over="ignore"):
        converted = array.astype(np.float32)
    if array.dtype.kind == "f" and array.dtype.itemsize > 4:
        overflow = np.isinf(converted) & np.isfinite(array)
        if overflow.any():
            value = array[overflow].flat[0]
            raise InputError(f"{source}: {value:g} is too large for float32", "scale the numbers")
    return converted
