"""Arrays of numbers from .zarr folders, of any writer: looked through before zarr decodes them.

No links are followed, only plain codecs are let in, and no chunk may unpack to more than its
shape: their headers are read first. Blosc is left out, since its decoder crashes on torn data.
"""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from memoria.errors import InputError
from memoria.io.inputs.files import check_expansion
from memoria.io.inputs.raw_arrays import RawArray, check_kind, check_shape, first_line, pick

__all__ = ["open_zarr"]

_METADATA: Final = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
_MAX_METADATA: Final = 1 << 23  # bytes of one metadata file
_MAX_CHUNK: Final = 1 << 28  # bytes of one chunk, unpacked
_PLAIN: Final = ("bytes", "endian", "crc32c", "transpose")
_PACKERS: Final = ("gzip", "zlib", "zstd")
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_CHECKSUM: Final = 4


def open_zarr(path: str, key: str | None) -> RawArray:
    """The array at ``path``, or the array ``key`` of the group there."""
    sizes = _files(path)
    import zarr

    try:
        node = zarr.open(path, mode="r", use_consolidated=False)
        if isinstance(node, zarr.Group):
            found = node.get(key) if key is not None else None
            if not isinstance(found, zarr.Array):
                found = node[pick(path, [name for name, _ in node.arrays()], key)]
            node = found
        elif key is not None:
            raise InputError(f"{path}:{key}: the file is one array", f"write {path}")
        if not isinstance(node, zarr.Array):
            raise InputError(f"{path}: is no array")
        shape, dtype = tuple(node.shape), np.dtype(node.dtype)
        document = node.metadata.to_dict()
        chunk, shards = math.prod(node.chunks), node.shards
    except InputError:
        raise
    except Exception as error:  # zarr raises many kinds on a malformed folder
        raise InputError(f"{path}: not a readable zarr array: {first_line(error)}") from None
    check_kind(dtype, path)
    check_shape(path, shape)
    inside = os.path.join(path, node.path, "")
    held = {name: size for name, size in sizes.items() if name.startswith(inside)}
    item = max(4, dtype.itemsize)
    if (math.prod(shards) if shards else chunk) * item > _MAX_CHUNK:
        raise InputError(f"{path}: its chunks are too large", f"at most {_MAX_CHUNK} bytes each")
    check_expansion(path, math.prod(shape) * item, sum(held.values()))
    with_shards = shards is not None
    for packer in _packers(path, document):
        inner = math.prod(shards) // chunk if with_shards and shards else 0
        _check_chunks(path, held, packer, chunk * dtype.itemsize, inner, document)
    array = node

    def part(start: int, stop: int) -> NDArray[Any]:
        try:
            return np.asarray(array[start:stop] if shape else array[()])
        except Exception as error:  # a checksum, a codec, a missing file
            raise InputError(f"{path}: cannot be read: {first_line(error)}") from None

    return RawArray(shape, dtype, part, lambda: part(0, shape[0] if shape else 1))


def _files(path: str) -> dict[str, int]:
    """The size of every file below a folder, by path. Raises for links and devices."""
    found: dict[str, int] = {}
    waiting = [os.path.join(path, "")]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_symlink():
                    raise InputError(f"{entry.path}: is a symbolic link", "copy what it points to")
                if entry.is_dir():
                    waiting.append(entry.path)
                elif entry.is_file():
                    found[entry.path] = entry.stat().st_size
                    if entry.name in _METADATA and found[entry.path] > _MAX_METADATA:
                        raise InputError(f"{entry.path}: {found[entry.path]} bytes of metadata")
                else:
                    raise InputError(f"{entry.path}: is not a regular file")
    return found


def _packers(path: str, document: Mapping[str, Any]) -> list[str]:
    """The names of what packs the chunks, at most one. Raises `InputError` for other codecs."""
    if document["zarr_format"] == 2:
        filters, compressor = document.get("filters") or (), document.get("compressor")
        names = [_id(one) for one in (*filters, *([compressor] if compressor else ()))]
    else:
        codecs = [dict(codec) for codec in document["codecs"]]
        if len(codecs) == 1 and codecs[0]["name"] == "sharding_indexed":
            settings = codecs[0]["configuration"]
            if any(codec["name"] not in _PLAIN for codec in settings["index_codecs"]):
                raise InputError(f"{path}: the index of its shards is packed")
            codecs = list(settings["codecs"])
        names = [str(codec["name"]) for codec in codecs]
    strange = [name for name in names if name not in (*_PLAIN, *_PACKERS)]
    packers = [name for name in names if name in _PACKERS]
    if strange or len(packers) > 1:
        raise InputError(
            f"{path}: is packed with {', '.join(strange or packers)}",
            f"write it with zstd, gzip or nothing: known are {' '.join((*_PLAIN, *_PACKERS))}",
        )
    return packers


def _id(codec: Any) -> str:
    return str(codec["id"] if isinstance(codec, Mapping) else codec.codec_id)


def _check_chunks(
    path: str,
    files: Mapping[str, int],
    packer: str,
    most: int,
    inner: int,
    document: Mapping[str, Any],
) -> None:
    """Refuse packed chunks that are not of ``most`` bytes; ``inner`` of them are in a shard."""
    for name in files:
        if Path(name).name in _METADATA:
            continue
        with open(name, "rb") as file:
            for start, length in _spans(path, file, files[name], inner, document):
                file.seek(start)
                if not _fits(packer, file.read(length), most):
                    raise InputError(f"{name}: does not unpack to one chunk of {most} bytes")


def _spans(
    path: str, file: IO[bytes], size: int, inner: int, document: Mapping[str, Any]
) -> Iterator[tuple[int, int]]:
    """Where in a file its packed chunks lie."""
    if not inner:
        yield 0, size
        return
    settings = document["codecs"][0]["configuration"]
    checked = any(codec["name"] == "crc32c" for codec in settings["index_codecs"])
    length = 16 * inner + (_CHECKSUM if checked else 0)
    if size < length:
        raise InputError(f"{path}: a shard is cut short")
    file.seek(0 if str(settings["index_location"]).endswith("start") else size - length)
    index = np.frombuffer(file.read(16 * inner), "<u8").reshape(-1, 2)
    for start, taken in index[index[:, 0] != 2**64 - 1].tolist():
        if start + taken > size:
            raise InputError(f"{path}: a shard points behind its end")
        yield start, taken


def _fits(packer: str, data: bytes, most: int) -> bool:
    """Whether ``data`` unpacks to ``most`` bytes or less, without unpacking more than that."""
    if packer == "zstd":
        return _zstd_size(data) <= most
    try:
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, as its header says
        taken = len(unpacker.decompress(data, most + 1))
    except zlib.error:
        return False
    return taken <= most and len(unpacker.unused_data) <= _CHECKSUM


def _zstd_size(data: bytes) -> float:
    """The bytes that the one frame of ``data`` unpacks to; infinity if it does not say."""
    if data[:4] != _ZSTD_MAGIC or len(data) < 9:
        return math.inf
    flags = data[4]
    single = flags >> 5 & 1
    at = 5 + (1 - single) + (0, 1, 2, 4)[flags & 3]
    width = (single, 2, 4, 8)[flags >> 6]
    size = int.from_bytes(data[at : at + width], "little") + (256 if width == 2 else 0)
    at += width
    last = width == 0
    while not last:  # its blocks, to see that no other frame follows
        block = int.from_bytes(data[at : at + 3], "little")
        last = bool(block & 1) or at >= len(data)
        at += 3 + (1 if block >> 1 & 3 == 1 else block >> 3)
    whole = at + _CHECKSUM * (flags >> 2 & 1)
    return size if width and len(data) - _CHECKSUM <= whole <= len(data) else math.inf
