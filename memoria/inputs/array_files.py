"""One opener per array format: each checks the file and says how to read it.

A header is compared with the file's size before anything is allocated.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from memoria.errors import InputError
from memoria.inputs.files import check_memory, shown

__all__ = ["OPENERS", "RawArray"]

_MAX_HEADER: Final = 100_000_000  # bytes, safetensors' own bound
_MOST_DEFLATED: Final = 1_040  # deflate cannot shrink further than by this factor
_SAFETENSORS: Final = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}


@dataclass(frozen=True, slots=True)
class RawArray:
    """An array in its own type: ``part(start, stop)`` along axis 0, or ``whole()``."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None  # None: known only when read
    part: Callable[[int, int], NDArray[Any]]
    whole: Callable[[], NDArray[Any]]


def _held(array: NDArray[Any]) -> RawArray:
    return RawArray(array.shape, array.dtype, lambda start, stop: array[start:stop], lambda: array)


def _open_npy(path: str, key: str | None) -> RawArray:
    with open(path, "rb") as file:
        shape, order, dtype = _npy_header(file, path)
        start = file.tell()
        there = os.fstat(file.fileno()).st_size - start
    _check_size(path, shape, dtype, there)
    return _held(np.memmap(path, dtype, mode="r", offset=start, shape=shape, order=order))


def _npy_header(file: IO[bytes], source: str) -> tuple[tuple[int, ...], Any, np.dtype[Any]]:
    try:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        elif version == (2, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
        else:  # 3.0 is for field names that are not Latin-1
            raise InputError(f"{source}: .npy version {version} holds no plain numbers")
    except (InputError, OSError):
        raise
    except Exception as error:  # numpy parses the header as Python, which fails in many ways
        raise InputError(f"{source}: not a .npy file: {_first_line(error)}") from None
    if any(size < 0 for size in shape):
        raise InputError(f"{source}: the header claims shape {list(shape)}")
    if dtype.hasobject or dtype.kind not in "fiub":
        raise InputError(f"{source}: holds {dtype}, not real numbers", "save it as float32 instead")
    return shape, "F" if fortran else "C", dtype


def _check_size(source: str, shape: tuple[int, ...], dtype: np.dtype[Any], there: int) -> None:
    claimed = math.prod(shape) * dtype.itemsize
    if claimed > there:
        raise InputError(
            f"{source}: truncated: shape {list(shape)} takes {claimed} bytes, {there} are there"
        )
    if claimed == 0:
        raise InputError(f"{source}: the array is empty, its shape {list(shape)}")


def _open_npz(path: str, key: str | None) -> RawArray:
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            info = members[_pick(path, members, key)]
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise InputError(
                    f"{path}: {shown(info.filename)} is packed in a way numpy never does"
                )
            if info.file_size > max(1024, info.compress_size * _MOST_DEFLATED):
                raise InputError(f"{path}: the size of {shown(info.filename)} cannot be true")
            check_memory(path, info.file_size)
            with archive.open(info) as file:
                shape, order, dtype = _npy_header(file, f"{path}:{shown(info.filename)}")
                _check_size(path, shape, dtype, info.file_size - file.tell())
                data = file.read()
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise InputError(f"{path}: not a sound .npz file: {_first_line(error)}") from None
    _check_size(path, shape, dtype, len(data))
    count = math.prod(shape)
    return _held(np.frombuffer(data, dtype, count).reshape(shape, order=order))


def _open_safetensors(path: str, key: str | None) -> RawArray:
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _MAX_HEADER):
            raise InputError(f"{path}: not a .safetensors file, or truncated")
        try:
            header = json.loads(file.read(length))
            entries = {name: value for name, value in header.items() if name != "__metadata__"}
            entry = entries[_pick(path, entries, key)]
            kind, shape = str(entry["dtype"]), tuple(entry["shape"])
            begin, end = entry["data_offsets"]
            whole = all(type(n) is int and n >= 0 for n in (*shape, begin, end))
        except InputError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"{path}: malformed header: {_first_line(error)}") from None
    if kind not in (*_SAFETENSORS, "BF16"):
        raise InputError(f"{path}: holds {shown(kind)}, not real numbers", "save it as F32 instead")
    dtype = np.dtype(_SAFETENSORS.get(kind, "<u2"))
    there = min(end, size - 8 - length) - begin if whole else 0
    if not whole or end - begin != math.prod(shape) * dtype.itemsize:
        raise InputError(f"{path}: malformed header: {kind} {list(shape)} at {begin}:{end}")
    _check_size(path, shape, dtype, max(0, there))
    stored = np.memmap(path, dtype, mode="r", offset=8 + length + begin, shape=shape)
    if kind != "BF16":
        return _held(stored)
    return RawArray(
        shape,
        np.dtype(np.float32),
        lambda start, stop: _from_bfloat16(stored[start:stop]),
        lambda: _from_bfloat16(stored),
    )


def _from_bfloat16(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """bfloat16 is the upper half of a float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _open_pt(path: str, key: str | None) -> RawArray:
    import torch

    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a hostile or torn file fails in many ways
        raise InputError(
            f"{path}: not a file of plain tensors: {_first_line(error)}",
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
    if loaded.numel() * loaded.element_size() > loaded.untyped_storage().nbytes():
        raise InputError(f"{path}: shape {list(loaded.shape)} is more than the file holds")
    tensor = loaded.detach()
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    try:
        return _held(tensor.contiguous().numpy())
    except (TypeError, RuntimeError) as error:
        raise InputError(f"{path}: holds {tensor.dtype}: {_first_line(error)}") from None


def _open_zarr(path: str, key: str | None) -> RawArray:
    import zarr

    try:
        node = zarr.open(path, mode="r")
        if isinstance(node, zarr.Group):
            found = node.get(key) if key is not None else None
            if not isinstance(found, zarr.Array):
                found = node[_pick(path, [name for name, _ in node.arrays()], key)]
            node = found
        elif key is not None:
            raise InputError(f"{path}:{key}: the file is one array", f"write {path}")
        assert isinstance(node, zarr.Array)
        shape, dtype = tuple(node.shape), np.dtype(node.dtype)
    except InputError:
        raise
    except Exception as error:  # zarr raises many kinds on a malformed folder
        raise InputError(f"{path}: not a readable zarr array: {_first_line(error)}") from None
    array = node

    def part(start: int, stop: int) -> NDArray[Any]:
        try:
            return np.asarray(array[start:stop] if shape else array[()])
        except Exception as error:  # a checksum, a codec, a missing file
            raise InputError(f"{path}: cannot be read: {_first_line(error)}") from None

    return RawArray(shape, dtype, part, lambda: part(0, shape[0] if shape else 1))


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
        f"choose one: {path}:{shown(known[0])}",
    )


def _listed(names: list[str]) -> str:
    return (
        ", ".join(map(shown, names[:12])) + (", ..." if len(names) > 12 else "")
        if names
        else "none"
    )


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return shown(lines[0]) if lines else type(error).__name__


OPENERS: Final[dict[str, Callable[[str, str | None], RawArray]]] = {
    ".npy": _open_npy,
    ".npz": _open_npz,
    ".pt": _open_pt,
    ".safetensors": _open_safetensors,
    ".zarr": _open_zarr,
}
