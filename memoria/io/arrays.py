"""Arrays of numbers in files, as float32, read in part or whole.

They are .npy .npz .pt .safetensors .zarr and .zarr.zip.
``FILE.npz:KEY`` names one array of a file that holds several. Torch is imported for .pt alone, and
nothing is ever unpickled.
"""

from __future__ import annotations

import math
import os
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from memoria.errors import InputError, MemoriaError, StorageError, first_line
from memoria.io.files import ZARR_MARKS, check_file, extension, printable, reading, split_key

_Array = NDArray[Any]
_Part = Callable[[int, int], _Array]
_Raw = tuple[tuple[int, ...], _Part, Callable[[], _Array]]  # shape, rows [start:stop], all of it

_COPY_BELOW: Final = 1 << 26  # bytes; larger float32 .npy files stay mapped, not copied
_MISSING: Final = 1 << 30  # elements of a Zarr array that no file holds, at most: read as zeros
_REAL: Final = frozenset("F64 F32 F16 BF16 I64 I32 I16 I8 U64 U32 U16 U8 BOOL".split())


@dataclass(frozen=True, slots=True)
class ArraySource:
    """An array in a file, not read yet.

    Attributes:
        source: the file as it was named.
        shape: any number of axes.
    """

    source: str
    shape: tuple[int, ...]
    _part: _Part = field(repr=False)
    _whole: Callable[[], _Array] = field(repr=False)

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """A copy of the part [start:stop] of axis 0 as float32. Raises `InputError`."""
        if not self.shape:
            raise InputError(f"{self.source}: is a single number", "give an array of rows")
        return np.array(self._converted(lambda: self._part(start, stop)))

    def read(self) -> NDArray[np.float32]:
        """All of it as float32; a float32 .npy file is mapped read-only instead of copied."""
        return self._converted(self._whole)

    def _converted(self, read: Callable[[], _Array]) -> NDArray[np.float32]:
        with _errors_of(self.source):
            return to_float32(read(), self.source)


def open_array(spec: str | os.PathLike[str]) -> ArraySource:
    """Open the array that ``spec`` names: a file of arrays, or ``FILE:KEY``.

    A file of several arrays needs the key, unless one is called ``vectors``.

    Raises:
        InputError: the file is missing, malformed or empty, holds no real numbers, or several
            arrays of which none is named.
        StorageError: the system refuses to read.
    """
    spec = os.fspath(spec)
    path, key = split_key(spec)
    with reading(path):
        os.stat(path)
    ending = extension(path)
    if ending not in _OPENERS:
        raise InputError(f"{path}: is not an array file", f"known are {' '.join(_OPENERS)}")
    if not os.path.isdir(path):
        check_file(path)
    with _errors_of(path):
        shape, part, whole = _OPENERS[ending](path, key)
    if math.prod(shape) == 0:
        raise InputError(f"{spec}: the array is empty, its shape {list(shape)}")
    return ArraySource(spec, tuple(shape), part, whole)


def read_array(spec: str | os.PathLike[str]) -> NDArray[np.float32]:
    """The whole array as float32, any shape; a .npy file above 64 MiB may be mapped, read-only."""
    array = open_array(spec).read()
    return np.array(array) if array.nbytes < _COPY_BELOW else array


def to_float32(array: _Array, source: str) -> NDArray[np.float32]:
    """Numbers rounded to float32. Raises `InputError` for other types and for overflow to Inf."""
    _check_real(array.dtype, source)
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


def _open_npy(path: str, key: str | None) -> _Raw:
    with np.errstate(over="ignore"):
        return _held(np.lib.format.open_memmap(path, mode="r"), path)


def _open_npz(path: str, key: str | None) -> _Raw:
    with open(path, "rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as archive:
        return _held(archive[_pick(path, archive.files, key)], path)


def _open_safetensors(path: str, key: str | None) -> _Raw:
    from safetensors import deserialize, safe_open

    file = safe_open(path, framework="np")
    name = _pick(path, file.keys(), key)
    stored = file.get_slice(name)
    shape, kind = tuple(stored.get_shape()), stored.get_dtype()
    if kind not in _REAL:
        raise InputError(f"{path}: holds {kind}, not real numbers", "save it as F32 instead")
    if kind == "BF16":  # numpy has no such type: it is the upper half of a float32
        bits = np.frombuffer(dict(deserialize(Path(path).read_bytes()))[name]["data"], "<u2")
        bits = bits.reshape(shape)
        return (
            shape,
            lambda start, stop: _from_bfloat16(bits[start:stop]),
            lambda: _from_bfloat16(bits),
        )
    return shape, lambda start, stop: stored[start:stop], lambda: file.get_tensor(name)


def _from_bfloat16(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _open_pt(path: str, key: str | None) -> _Raw:
    import torch

    try:
        with warnings.catch_warnings(action="ignore"):  # of other versions of pickle
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):
        raise
    except Exception as error:
        raise InputError(
            f"{path}: not a file of plain tensors: {printable(first_line(error))}",
            "save tensors only, with torch.save",
        ) from None
    if isinstance(loaded, dict):
        tensors = {str(k): v for k, v in loaded.items() if isinstance(v, torch.Tensor)}
        loaded = tensors[_pick(path, tensors, key)]
    elif key is not None:
        raise InputError(f"{path}:{key}: the file holds no named tensors", f"write {path}")
    if not isinstance(loaded, torch.Tensor):
        raise InputError(f"{path}: holds a {type(loaded).__name__}, not a tensor")
    if loaded.layout != torch.strided or loaded.is_quantized or loaded.is_complex():
        raise InputError(f"{path}: a plain tensor is needed, this is {loaded.type()}")
    tensor = loaded.detach()
    return _held((tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy(), path)


def _open_zarr(path: str, key: str | None) -> _Raw:
    import zarr

    store, root = _zarr_store(path)
    node = zarr.open(store, mode="r", use_consolidated=False, path=root)
    if isinstance(node, zarr.Group):
        found = node.get(key) if key is not None else None
        if not isinstance(found, zarr.Array):
            with warnings.catch_warnings(action="ignore", category=UserWarning):  # of stray files
                names = [name for name, _ in node.arrays()]
            found = node[_pick(path, names, key)]
        node = found
    elif key is not None:
        raise InputError(f"{path}:{key}: the file is one array", f"write {path}")
    if not isinstance(node, zarr.Array):
        raise InputError(f"{path}: is no array")
    array = node
    _check_real(np.dtype(array.dtype), path)
    _check_stored(path, array)
    return (
        tuple(array.shape),
        lambda start, stop: np.asarray(array[start:stop]),
        lambda: np.asarray(array[...]),
    )


def _zarr_store(path: str) -> tuple[Any, str]:
    """What zarr opens, and where in it the data begin: a folder, or a zip of one or its content."""
    if os.path.isdir(path):
        return path, ""
    from zarr.storage import ZipStore

    with zipfile.ZipFile(path) as archive:
        heads = [name for name in archive.namelist() if name.rpartition("/")[2] in ZARR_MARKS]
    first = min(heads, key=lambda name: name.count("/"), default="")
    return ZipStore(path, mode="r"), first.rpartition("/")[0]


def _check_stored(path: str, array: Any) -> None:
    """Refuse a shape far beyond what the chunks there hold: the rest would be read as zeros."""
    elements = math.prod(array.shape)
    if elements <= _MISSING:
        return
    if os.path.isdir(path):
        files = sum(len(names) for _, _, names in os.walk(os.path.join(path, array.path)))
    else:
        with zipfile.ZipFile(path) as archive:
            files = len(archive.namelist())
    if elements - files * math.prod(array.shards or array.chunks) > _MISSING:
        raise InputError(
            f"{path}: claims the shape {list(array.shape)}, but has {files} files",
            "chunks are missing: copy it again, or give it its true shape",
        )


_OPENERS: Final[dict[str, Callable[[str, str | None], _Raw]]] = {
    ".npy": _open_npy,
    ".npz": _open_npz,
    ".pt": _open_pt,
    ".safetensors": _open_safetensors,
    ".zarr": _open_zarr,
}


def _held(array: _Array, path: str) -> _Raw:
    _check_real(array.dtype, path)
    return array.shape, lambda start, stop: array[start:stop], lambda: array


def _check_real(dtype: np.dtype[Any], source: str) -> None:
    if dtype.kind not in "fiub":
        raise InputError(f"{source}: holds {dtype}, not real numbers", "save it as float32 instead")


@contextmanager
def _errors_of(source: str) -> Iterator[None]:
    """Turn what libraries raise for malformed files into one line with the file's name."""
    try:
        yield
    except MemoriaError:
        raise
    except MemoryError:
        raise InputError(f"{source}: does not fit into memory", "give it in parts") from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise StorageError(f"{source}: cannot be read: {error.strerror}") from None
        kind = extension(split_key(source)[0])
        raise InputError(
            f"{source}: not a sound {kind} file: {printable(first_line(error))}"
        ) from None


def _pick(path: str, names: Iterable[str], key: str | None) -> str:
    """The wanted name: the key, the only one, or ``vectors``."""
    known = sorted(names)
    if key is not None:
        if key not in known:
            raise InputError(f"{path}: holds no array {key!r}", f"it holds {_listed(known)}")
        return key
    if len(known) == 1:
        return known[0]
    if "vectors" in known:
        return "vectors"
    if not known:
        raise InputError(f"{path}: holds no array")
    raise InputError(
        f"{path}: holds {len(known)} arrays: {_listed(known)}",
        f"choose one: {path}:{printable(known[0])}",
    )


def _listed(names: list[str]) -> str:
    more = ", ..." if len(names) > 12 else ""
    return ", ".join(map(printable, names[:12])) + more if names else "none"
