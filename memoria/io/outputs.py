"""Vectors and named arrays to files, whole or row by row: .npy .npz .safetensors .zarr."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from memoria.errors import InputError, ShapeError
from memoria.io.atomic_write import atomic_write, check_target

_KINDS: Final = (".npy", ".npz", ".safetensors", ".zarr")
_ROW_KINDS: Final = (".npy", ".safetensors", ".zarr")
_MARK: Final = "memoria_vectors"  # the root attribute of the .zarr outputs written here
_CHUNK: Final = 1 << 20  # bytes of a chunk of vectors
_TEXT_CHUNK: Final = 1 << 16  # numbers in a chunk of text ends

_Array = NDArray[Any]


class RowWriter(Protocol):
    """Takes rows [n, D] float32 in order; ``texts`` [m] with how many rows each of them has."""

    def append(
        self, rows: NDArray[np.float32], texts: list[str] | None = None, counts: Any = None
    ) -> None: ...


def check_output(
    path: str | os.PathLike[str], overwrite: bool = False, *, streamed: bool = False
) -> Path:
    """The path, if it can be written; raises before any work is done.

    Args:
        path: an output of one of the kinds of this module.
        overwrite: whether what is there may be replaced (a folder only if it was written here).
        streamed: whether rows will be appended, which .npz does not take.

    Raises:
        InputError: the extension is unknown; and what `check_target` raises.
    """
    path = Path(path)
    kinds = _ROW_KINDS if streamed else _KINDS
    if path.suffix.lower() not in kinds:
        raise InputError(
            f"{path}: unknown kind of output {path.suffix!r}", f"known are {' '.join(kinds)}"
        )
    check_target(path, overwrite, replaces=_is_ours)
    return path


def save_arrays(
    path: str | os.PathLike[str], arrays: Mapping[str, _Array], overwrite: bool = False
) -> Path:
    """Write named arrays to .npz, .safetensors or .zarr, or a single one to .npy.

    The file is there as a whole or not at all; equal arrays give equal files. Arrays hold numbers.
    Raises what `check_output` raises, and `InputError`.
    """
    target = check_output(path, overwrite)
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise InputError(f"array {name!r} holds {array.dtype}, not numbers")
    if not arrays:
        raise InputError(f"{path}: no array to write")
    kind = target.suffix.lower()
    if kind == ".npy" and len(arrays) != 1:
        raise InputError(f"{path}: a .npy file holds one array", "name an .npz file")
    with atomic_write(target, overwrite, replaces=_is_ours) as temporary:
        if kind == ".npy":
            with open(temporary, "wb") as file:
                (array,) = arrays.values()
                np.lib.format.write_array(file, array, allow_pickle=False)
        elif kind == ".npz":
            _save_npz(temporary, arrays)
        elif kind == ".safetensors":
            _save_safetensors(temporary, arrays)
        else:
            group = _zarr_group(temporary)
            for name, array in arrays.items():
                group.create_array(name, data=np.ascontiguousarray(array))
    return target


@contextmanager
def open_rows(
    path: str | os.PathLike[str], dimension: int, overwrite: bool = False
) -> Iterator[RowWriter]:
    """Yield a `RowWriter` for rows of ``dimension`` numbers to .npy, .safetensors or .zarr.

    Leaving the block without an error makes the file appear under its name. A .zarr output is a
    group with ``vectors`` [N, D] and, when texts come, ``texts/bytes`` (UTF-8, one after the
    other), ``texts/ends`` [M] (each text's end in bytes) and ``texts/rows`` [M] (each text's end
    in rows). The other kinds do not keep texts.
    """
    target = check_output(path, overwrite, streamed=True)
    kind = target.suffix.lower()
    with atomic_write(target, overwrite, replaces=_is_ours) as temporary:
        if kind == ".zarr":
            zarr_rows = _ZarrRows(temporary, dimension)
            yield zarr_rows
            zarr_rows.finish()
        elif kind == ".npy":
            with open(temporary, "w+b") as file:
                rows = _NpyRows(file, dimension)
                yield rows
                rows.finish()
        else:  # its header comes first and says how many rows there are
            with tempfile.TemporaryFile(dir=temporary.parent) as file:
                rows = _NpyRows(file, dimension)
                yield rows
                _save_safetensors(temporary, {"vectors": rows.finish()})


def _is_ours(folder: Path) -> bool:
    try:
        attributes = json.loads((folder / "zarr.json").read_text(encoding="utf-8"))["attributes"]
        return bool(attributes[_MARK])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _save_npz(temporary: Path, arrays: Mapping[str, _Array]) -> None:
    """Like ``np.savez``, with fixed dates, so that equal arrays give equal files."""
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")
            with archive.open(member, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)


def _save_safetensors(temporary: Path, arrays: Mapping[str, _Array]) -> None:
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, temporary)
    except SafetensorError as error:
        raise InputError(f"{temporary.suffix}: cannot hold these arrays: {error}") from None


def _zarr_group(temporary: Path) -> Any:
    import zarr

    return zarr.create_group(temporary, attributes={_MARK: 1})


def _check_rows(rows: NDArray[np.float32], dimension: int) -> None:
    if rows.ndim != 2 or rows.shape[1] != dimension:
        raise ShapeError("rows", f"[N, {dimension}]", list(rows.shape))


class _NpyRows:
    """Rows of a .npy file; its header leaves room for their number, which is known at the end."""

    def __init__(self, file: IO[bytes], dimension: int) -> None:
        self._file, self._dimension, self._rows = file, dimension, 0
        self._write_header()
        self._start = file.tell()

    def append(
        self, rows: NDArray[np.float32], texts: list[str] | None = None, counts: Any = None
    ) -> None:
        _check_rows(rows, self._dimension)
        self._file.write(np.ascontiguousarray(rows, dtype="<f4").tobytes())
        self._rows += len(rows)

    def finish(self) -> _Array:
        """Complete the header; all rows, mapped."""
        self._file.seek(0)
        self._write_header()
        self._file.flush()
        shape = (self._rows, self._dimension)
        return np.memmap(self._file, "<f4", mode="r", offset=self._start, shape=shape)

    def _write_header(self) -> None:
        shape = (self._rows, self._dimension)
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)


class _ZarrRows:
    """Rows and texts in a zarr group, written one whole chunk at a time."""

    def __init__(self, temporary: Path, dimension: int) -> None:
        self._group = _zarr_group(temporary)
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
