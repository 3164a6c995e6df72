"""Rows to the bytes of a chunk or shard file, and back, with a crc32c on every chunk.

file without sharding:  chunk, crc32c (4 bytes)
file with sharding:     (chunk, crc32c) of every chunk begun, then the index: (offset, length)
                        of each place as u8 pairs, 2^64-1 where there is no chunk, and its crc32c
"""

from __future__ import annotations

from array import array
from functools import lru_cache
from typing import Any, Final

import google_crc32c
import numpy as np
import numpy.typing as npt

from memoria.chunkstore.sources.local import SourceFile, Span
from memoria.chunkstore.spec import ArraySpec
from memoria.errors import DamageError

CRC_BYTES: Final = 4
DAMAGE_HINT: Final = (
    "restore the store from a copy; in a synchronised folder, wait until all of it has arrived"
)
_ABSENT: Final = 2**64 - 1
_INDEX_DTYPE: Final = np.dtype("<u8")
_RESIDUE: Final = 0x48674BC7  # the crc32c of any bytes with their own crc32c behind them


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
    """What is known of one chunk or shard file: where its chunks lie, and which were verified.

    Everything that does not match raises `DamageError` naming file and array. A file with shards
    needs its index first: read `index_span` and give it to `take_index`.
    """

    __slots__ = ("_offsets", "_place", "_spec", "file", "verified")

    def __init__(self, file: SourceFile, spec: ArraySpec, place: str) -> None:
        self.file, self._spec, self._place = file, spec, place
        self.verified = bytearray(spec.file_chunks)  # 1 where the checksum was found to match
        self._offsets = array("q", [0])
        least, most = file_sizes(spec, 1)
        if not least <= file.size <= most:
            raise self.damage(f"{file.size} bytes long, expected {least} to {most}")

    def index_span(self) -> Span | None:
        """Where the shard index lies with its checksum; None without sharding."""
        if self._spec.shard_rows is None:
            return None
        size = _index_bytes(self._spec) + CRC_BYTES
        return self.file, self.file.size - size, size

    def take_index(self, data: bytes) -> None:
        """``data`` are the bytes of `index_span`."""
        size = _index_bytes(self._spec)
        self._check(data, size + CRC_BYTES, "shard index")
        length = self._spec.chunk_bytes + CRC_BYTES
        last = self.file.size - size - CRC_BYTES - length
        full, offsets = _full_index(self._spec.file_chunks, length)
        if last == offsets[-1] and data.startswith(full):
            self._offsets = offsets
            return
        numbers = np.frombuffer(data, _INDEX_DTYPE, size // 8).tolist()
        pairs = zip(numbers[::2], numbers[1::2], strict=True)
        self._offsets = array("q", [at if n == length and at <= last else -1 for at, n in pairs])

    @property
    def chunks(self) -> int:
        """Chunks that the file has bytes for: 1 without sharding."""
        span = self.index_span()
        return 1 if span is None else span[1] // (self._spec.chunk_bytes + CRC_BYTES)

    def check_index(self) -> None:
        """Raise `DamageError` unless a shard is its chunks, one behind another from the first."""
        span, length = self.index_span(), self._spec.chunk_bytes + CRC_BYTES
        if span is None:
            return
        there = [number * length for number in range(self.chunks)]
        absent = [-1] * (self._spec.file_chunks - self.chunks)
        if span[1] % length or self._offsets.tolist() != there + absent:
            raise self.damage("the shard index is not that of chunks one behind another")

    def offset(self, chunk: int) -> int:
        """Where the file's chunk of this number begins."""
        offset = self._offsets[chunk]
        if offset < 0:
            raise self.damage(f"inner chunk {chunk} missing")
        return offset

    def check(self, chunk: int, data: bytes | npt.NDArray[np.uint8]) -> None:
        """Verify chunk and checksum ``data``, and remember it."""
        self._check(data, self._spec.chunk_bytes + CRC_BYTES, f"chunk {chunk}")
        self.verified[chunk] = 1

    def damage(self, what: str) -> DamageError:
        """The error for a file of which ``what`` is true."""
        return DamageError(f"{self._place}: {what} (array '{self._spec.name}')", DAMAGE_HINT)

    def _check(self, data: bytes | npt.NDArray[np.uint8], size: int, what: str) -> None:
        if len(data) != size:
            raise self.damage(f"{what} cut short")
        if google_crc32c.value(data) != _RESIDUE:
            raise self.damage(f"checksum of {what} does not match")


@lru_cache(maxsize=16)
def _full_index(chunks: int, length: int) -> tuple[bytes, array[int]]:
    """The index of a full file, and where its chunks lie: as in nearly all files."""
    offsets = array("q", range(0, chunks * length, length))
    index = np.full((chunks, 2), length, _INDEX_DTYPE)
    index[:, 0] = offsets
    return index.tobytes(), offsets


def _index_bytes(spec: ArraySpec) -> int:
    return 16 * spec.file_chunks
