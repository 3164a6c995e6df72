"""One opener per array format: each checks the file and says how to read it.

A header is compared with the file's size before anything is allocated.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import pickletools
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from memoria.errors import InputError
from memoria.io.bounds import parse_json
from memoria.io.inputs.files import check_expansion, check_memory, shown
from memoria.io.inputs.raw_arrays import RawArray, check_shape, first_line, pick
from memoria.io.inputs.zarr_files import open_zarr

__all__ = ["OPENERS"]

_MAX_HEADER: Final = 100_000_000  # bytes, safetensors' own bound
_MAX_NPY_HEADER: Final = 10_000  # bytes, numpy's own bound, checked before they are read
_MAX_DIRECTORY: Final = 1 << 22  # bytes of a zip's directory: some 50,000 members
_MAX_PICKLE: Final = 1 << 22  # bytes that describe the tensors of a .pt file
_TENSOR_PARTS: Final = (
    ("torch._utils", ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter")),
    ("torch.storage", ("UntypedStorage", "TypedStorage")),
    ("torch.nn.parameter", ("Parameter",)),
    ("torch", ("Size", "device", "Tensor", "UntypedStorage")),
    ("collections", ("OrderedDict",)),
    ("_codecs", ("encode",)),
    ("builtins", ("set", "complex")),
    ("__builtin__", ("set", "complex")),
)
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
        size = file.read(2 if version == (1, 0) else 4)
        length = int.from_bytes(size, "little")
        if length > _MAX_NPY_HEADER:
            raise InputError(f"{source}: not a .npy file: a header of {length} bytes")
        header = io.BytesIO(size + file.read(length))
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(header)
        elif version == (2, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(header)
        else:  # 3.0 is for field names that are not Latin-1
            raise InputError(f"{source}: .npy version {version} holds no plain numbers")
    except (InputError, OSError):
        raise
    except Exception as error:  # numpy parses the header as Python, which fails in many ways
        raise InputError(f"{source}: not a .npy file: {first_line(error)}") from None
    check_shape(source, shape)
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


class _BoundedFile(io.FileIO):
    """A file whose reads are bounded while ``most`` is set: zipfile takes its directory in one."""

    most: int | None = _MAX_DIRECTORY

    def read(self, size: int | None = -1, /) -> bytes:
        asked = -1 if size is None else size
        if self.most is None:
            return super().read(asked) or b""
        data = super().read(self.most + 1 if asked < 0 else min(asked, self.most + 1)) or b""
        if len(data) > self.most:
            raise zipfile.BadZipFile("its directory is too large")
        return data


@contextlib.contextmanager
def _archive(path: str) -> Iterator[zipfile.ZipFile]:
    """The zip file at ``path``, its errors as ours."""
    try:
        with _BoundedFile(path) as file, zipfile.ZipFile(file) as archive:
            file.most = None
            yield archive
    except (
        *(zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError),
        *(UnicodeDecodeError, struct.error, OverflowError),
    ) as error:
        kind = os.path.splitext(path)[1]
        raise InputError(f"{path}: not a sound {kind} file: {first_line(error)}") from None


def _open_npz(path: str, key: str | None) -> RawArray:
    with _archive(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        info = members[pick(path, members, key)]
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(f"{path}: {shown(info.filename)} is packed in a way numpy never does")
        stored = min(info.compress_size, os.path.getsize(path))
        check_memory(path, info.file_size)
        with archive.open(info) as file:
            source = f"{path}:{shown(info.filename)}"
            shape, order, dtype = _npy_header(file, source)
            _check_size(path, shape, dtype, info.file_size - file.tell())
            count = math.prod(shape)
            check_expansion(source, count * max(4, dtype.itemsize), stored)
            data = file.read(count * dtype.itemsize)
    _check_size(path, shape, dtype, len(data))
    return _held(np.frombuffer(data, dtype, count).reshape(shape, order=order))


def _open_safetensors(path: str, key: str | None) -> RawArray:
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _MAX_HEADER):
            raise InputError(f"{path}: not a .safetensors file, or truncated")
        try:
            header = parse_json(file.read(length))
            entries = {name: value for name, value in header.items() if name != "__metadata__"}
            entry = entries[pick(path, entries, key)]
            kind, shape = str(entry["dtype"]), tuple(entry["shape"])
            begin, end = entry["data_offsets"]
            whole = all(type(n) is int and n >= 0 for n in (*shape, begin, end))
        except InputError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path}: malformed header: {first_line(error)}") from None
    if kind not in (*_SAFETENSORS, "BF16"):
        raise InputError(f"{path}: holds {shown(kind)}, not real numbers", "save it as F32 instead")
    dtype = np.dtype(_SAFETENSORS.get(kind, "<u2"))
    there = min(end, size - 8 - length) - begin if whole else 0
    if not whole or end - begin != math.prod(shape) * dtype.itemsize:
        raise InputError(f"{path}: malformed header: {kind} {list(shape)} at {begin}:{end}")
    check_shape(path, shape)
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
    _check_pt(path)
    import torch

    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a hostile or torn file fails in many ways
        raise InputError(
            f"{path}: not a file of plain tensors: {first_line(error)}",
            "save tensors only, with torch.save",
        ) from None
    if isinstance(loaded, dict):
        tensors = {str(k): v for k, v in loaded.items() if isinstance(v, torch.Tensor)}
        loaded = tensors[pick(path, tensors, key)]
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
        raise InputError(f"{path}: holds {tensor.dtype}: {first_line(error)}") from None


def _check_pt(path: str) -> None:
    """Refuse what a file of tensors has no need of, before anything of it is loaded.

    The members must be stored as they are and no more than the file, and the pickle may name
    nothing but tensors: even of what is harmless, much makes room for as much as it is told.
    """
    with _archive(path) as archive:
        members = archive.infolist()
        packed = any(info.compress_type != zipfile.ZIP_STORED for info in members)
        if packed or sum(info.file_size for info in members) > os.path.getsize(path):
            raise InputError(f"{path}: is packed in a way torch never does", "save it again")
        for info in members:
            if not info.filename.endswith(".pkl"):
                continue
            if info.file_size > _MAX_PICKLE:
                raise InputError(f"{path}: {shown(info.filename)} takes {info.file_size} bytes")
            _check_pickle(path, archive.read(info))


def _check_pickle(path: str, pickled: bytes) -> None:
    try:
        for code, argument, _ in pickletools.genops(pickled):
            if code.name == "GLOBAL":
                module, _, name = str(argument).partition(" ")
                known = dict(_TENSOR_PARTS).get(module, ())
                if name in known or (module == "torch" and name.endswith("Storage")):
                    continue
                argument = f"{module}.{name}"
            elif code.name not in ("STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"):
                continue
            named = shown(str(argument or code.name))
            raise InputError(
                f"{path}: not a file of plain tensors: it names {named}",
                "save tensors only, with torch.save",
            )
    except InputError:
        raise
    except Exception as error:  # it parses arguments in many ways
        raise InputError(f"{path}: not a file of plain tensors: {first_line(error)}") from None


OPENERS: Final[dict[str, Callable[[str, str | None], RawArray]]] = {
    ".npy": _open_npy,
    ".npz": _open_npz,
    ".pt": _open_pt,
    ".safetensors": _open_safetensors,
    ".zarr": open_zarr,
}
