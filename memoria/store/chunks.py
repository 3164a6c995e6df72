"""Rows to the bytes of a chunk or shard file, and back, with a crc32c on every chunk.

file without sharding:  chunk, crc32c (4 bytes)
file with sharding:     (chunk, crc32c) of every chunk begun, then the index: (offset, length)
                        of each place as u8 pairs, 2^64-1 where there is no chunk, and its crc32c
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import google_crc32c
import numpy as np
import numpy.typing as npt

from memoria.errors import DamageError, StorageError
from memoria.store.spec import ArraySpec

__all__ = [
    "CRC_BYTES",
    "DAMAGE_HINT",
    "ChunkFile",
    "crc32c",
    "encode_file",
    "file_sizes",
    "rows_bytes",
]

CRC_BYTES: Final = 4
DAMAGE_HINT: Final = "restore the store from a copy"
_ABSENT: Final = 2**64 - 1
_INDEX_DTYPE: Final = np.dtype("<u8")


def crc32c(data: npt.NDArray[Any] | bytes) -> bytes:
    """The checksum as it stands on disk: 4 bytes, little endian."""
    return int(google_crc32c.value(data)).to_bytes(CRC_BYTES, "little")


def encode_file(spec: ArraySpec, rows: npt.NDArray[Any], used: int) -> list[Any]:
    """The buffers that make the file of ``rows`` [file_rows, *row_shape], ``used`` of them data."""
    chunks = -(-used // spec.chunk_rows)
    parts: list[Any] = []
    flat = rows.reshape(-1)
    size = flat.size // spec.file_chunks
    for start in range(0, chunks * size, size):
        chunk = flat[start : start + size]
        parts += (chunk, crc32c(chunk))
    if spec.shard_rows is not None:
        length = spec.chunk_bytes + CRC_BYTES
        index = np.full((spec.file_chunks, 2), _ABSENT, _INDEX_DTYPE)
        index[:chunks, 0] = np.arange(chunks) * length
        index[:chunks, 1] = length
        flat_index = index.reshape(-1)
        parts += (flat_index, crc32c(flat_index))
    return parts


def file_sizes(spec: ArraySpec, used: int) -> tuple[int, int]:
    """Fewest and most bytes of a sound file with at least ``used`` rows."""
    length = spec.chunk_bytes + CRC_BYTES
    if spec.shard_rows is None:
        return length, length
    index = _index_bytes(spec) + CRC_BYTES
    return -(-used // spec.chunk_rows) * length + index, spec.file_chunks * length + index


def rows_bytes(spec: ArraySpec, rows: int) -> int:
    """Bytes of the files that hold so many rows, and nothing else."""
    whole, rest = divmod(rows, spec.file_rows)
    return whole * file_sizes(spec, spec.file_rows)[0] + (file_sizes(spec, rest)[0] if rest else 0)


class ChunkFile:
    """A chunk or shard file opened for reading: ``with ChunkFile(path, spec) as file``.

    A missing, shortened or changed file raises `DamageError` naming file and array, any other
    trouble `StorageError`.
    """

    def __init__(self, path: Path, spec: ArraySpec) -> None:
        self._path = path
        self._spec = spec
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            self._descriptor = os.open(path, flags)
        except FileNotFoundError:
            raise self._damage("missing") from None
        except OSError as error:
            if os.path.islink(path):
                raise self._damage("a symbolic link") from None
            raise self._trouble(error) from None
        try:
            self._load_index()
        except BaseException:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> ChunkFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)

    def chunk(self, index: int) -> npt.NDArray[Any]:
        """Rows [chunk_rows, *row_shape] of the file's chunk ``index``, read-only, verified."""
        spec = self._spec
        offset = 0
        if self._index is not None:
            offset, length = int(self._index[2 * index]), int(self._index[2 * index + 1])
            if length != spec.chunk_bytes + CRC_BYTES or offset + length > self._end:
                raise self._damage(f"inner chunk {index} missing")
        flat = self._read(offset, spec.chunk_bytes, f"chunk {index}").view(spec.np_dtype)
        return flat.reshape(spec.chunk_rows, *spec.row_shape)

    def _load_index(self) -> None:
        spec = self._spec
        try:
            status = os.fstat(self._descriptor)
        except OSError as error:
            raise self._trouble(error) from None
        if not stat.S_ISREG(status.st_mode):
            raise self._damage("not a file")
        least, most = file_sizes(spec, 1)
        if not least <= status.st_size <= most:
            raise self._damage(f"{status.st_size} bytes long, expected {least} to {most}")
        self._index: npt.NDArray[np.uint64] | None = None
        self._end = status.st_size
        if spec.shard_rows is not None:
            self._end -= _index_bytes(spec) + CRC_BYTES
            index = self._read(self._end, _index_bytes(spec), "shard index")
            self._index = index.view(_INDEX_DTYPE)

    def _read(self, offset: int, size: int, what: str) -> npt.NDArray[np.uint8]:
        try:
            data = os.pread(self._descriptor, size + CRC_BYTES, offset)
            while 0 < len(data) < size + CRC_BYTES:  # a signal, or the limit of one call
                more = os.pread(self._descriptor, size + CRC_BYTES - len(data), offset + len(data))
                if not more:
                    break
                data += more
        except OSError as error:
            raise self._trouble(error) from None
        if len(data) != size + CRC_BYTES:
            raise self._damage(f"{what} cut short")
        content = np.frombuffer(data, np.uint8, size)
        if crc32c(content) != data[size:]:
            raise self._damage(f"checksum of {what} does not match")
        return content

    def _damage(self, what: str) -> DamageError:
        return DamageError(f"{self._path}: {what} (array '{self._spec.name}')", DAMAGE_HINT)

    def _trouble(self, error: OSError) -> StorageError:
        return StorageError(f"{self._path}: cannot read: {error.strerror or error}")


def _index_bytes(spec: ArraySpec) -> int:
    return 16 * spec.file_chunks
