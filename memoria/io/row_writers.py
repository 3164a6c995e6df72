"""Growing files of vectors: .npy and .safetensors behind a fixed header, .zarr by chunks."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import IO, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from memoria.errors import ShapeError

__all__ = ["MARK", "FileRows", "RowWriter", "ZarrRows", "zarr_group"]

MARK: Final = "memoria_vectors"  # the root attribute of the .zarr outputs written here
_HEADER: Final = 256  # bytes kept for a header whose number of rows comes last
_CHUNK: Final = 1 << 20  # bytes of a chunk of vectors
_TEXT_CHUNK: Final = 1 << 16  # numbers in a chunk of text ends

_Array = NDArray[Any]


class RowWriter(Protocol):
    """Takes rows [n, D] float32 in order; ``texts`` [m] with how many rows each of them has."""

    def append(
        self, rows: NDArray[np.float32], texts: list[str] | None = None, counts: Any = None
    ) -> None: ...


def zarr_group(aside: Path) -> Any:
    """A new group that carries the mark of our outputs."""
    import zarr

    return zarr.create_group(aside, attributes={MARK: 1})


def _check_rows(rows: NDArray[np.float32], dimension: int) -> None:
    if rows.ndim != 2 or rows.shape[1] != dimension:
        raise ShapeError("rows", f"[N, {dimension}]", list(rows.shape))


class FileRows:
    """A `RowWriter`: rows after a header of fixed size, whose count is filled in at the end."""

    def __init__(self, file: IO[bytes], dimension: int, kind: str) -> None:
        self._file, self._dimension, self._kind = file, dimension, kind
        self._rows = 0
        file.write(self._header())

    def append(
        self, rows: NDArray[np.float32], texts: list[str] | None = None, counts: Any = None
    ) -> None:
        _check_rows(rows, self._dimension)
        self._file.write(np.ascontiguousarray(rows, dtype="<f4").tobytes())
        self._rows += len(rows)

    def finish(self) -> None:
        self._file.seek(0)
        self._file.write(self._header())

    def _header(self) -> bytes:
        shape = (self._rows, self._dimension)
        if self._kind == ".npy":
            text = repr({"descr": "<f4", "fortran_order": False, "shape": shape}).encode()
            start = b"\x93NUMPY\x01\x00" + struct.pack("<H", _HEADER - 10)
            return start + text.ljust(_HEADER - 11) + b"\n"
        size = self._rows * self._dimension * 4
        entry = {"dtype": "F32", "shape": list(shape), "data_offsets": [0, size]}
        text = json.dumps({"vectors": entry}).encode()
        return struct.pack("<Q", _HEADER - 8) + text.ljust(_HEADER - 8)


class ZarrRows:
    """A `RowWriter`: rows and texts in a zarr group, written one whole chunk at a time."""

    def __init__(self, aside: Path, dimension: int) -> None:
        self._group = zarr_group(aside)
        self._dimension = dimension
        per_chunk = max(1, _CHUNK // (4 * dimension))
        self._vectors = self._column("vectors", (0, dimension), (per_chunk, dimension), "float32")
        self._texts: dict[str, _ZarrColumn] = {}
        self._bytes = self._rows = 0

    def append(
        self, rows: NDArray[np.float32], texts: list[str] | None = None, counts: Any = None
    ) -> None:
        _check_rows(rows, self._dimension)
        self._vectors.append(rows)
        if texts is not None:
            self._append_texts(texts, [1] * len(texts) if counts is None else counts)
        self._rows += len(rows)

    def finish(self) -> None:
        self._vectors.flush()
        for column in self._texts.values():
            column.flush()

    def _append_texts(self, texts: list[str], counts: Any) -> None:
        if not self._texts:
            for name, kind in (("bytes", "uint8"), ("ends", "int64"), ("rows", "int64")):
                chunk = _CHUNK if name == "bytes" else _TEXT_CHUNK
                self._texts[name] = self._column(f"texts/{name}", (0,), (chunk,), kind)
        encoded = [text.encode("utf-8") for text in texts]
        ends = self._bytes + np.cumsum([len(one) for one in encoded], dtype=np.int64)
        self._texts["bytes"].append(np.frombuffer(b"".join(encoded), dtype=np.uint8))
        self._texts["ends"].append(ends)
        self._texts["rows"].append(self._rows + np.cumsum(counts, dtype=np.int64))
        self._bytes = int(ends[-1]) if len(ends) else self._bytes

    def _column(
        self, name: str, shape: tuple[int, ...], chunks: tuple[int, ...], dtype: str
    ) -> _ZarrColumn:
        from zarr.codecs import Crc32cCodec

        array = self._group.create_array(
            name,
            shape=shape,
            chunks=chunks,
            dtype=dtype,
            compressors=[Crc32cCodec()],  # dense vectors do not shrink; a flipped bit must show
            config={"write_empty_chunks": True},
        )
        return _ZarrColumn(array, chunks[0])


class _ZarrColumn:
    """One growing array; rows wait until they fill a chunk, so no chunk is written twice."""

    def __init__(self, array: Any, chunk: int) -> None:
        self._array, self._chunk = array, chunk
        self._waiting: list[_Array] = []
        self._count = 0

    def append(self, rows: _Array) -> None:
        self._waiting.append(rows)
        self._count += len(rows)
        if self._count >= self._chunk:
            held = np.concatenate(self._waiting)
            whole = len(held) - len(held) % self._chunk
            self._array.append(held[:whole])
            self._waiting, self._count = [held[whole:]], len(held) - whole

    def flush(self) -> None:
        if self._count:
            self._array.append(np.concatenate(self._waiting))
        self._waiting, self._count = [], 0
