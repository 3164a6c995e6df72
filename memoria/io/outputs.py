"""Vectors and named arrays to files, whole or row by row, never half.

Everything is written aside, in the same folder, and renamed when it is complete and on the disk.
An error or an interruption on the way removes what was written aside.
"""

from __future__ import annotations

import json
import os
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from memoria.errors import InputError
from memoria.io.atomic_write import atomic_write, check_target
from memoria.io.row_writers import MARK, FileRows, RowWriter, ZarrRows, zarr_group

__all__ = ["RowWriter", "check_output", "open_rows", "save_arrays"]

_KINDS: Final = (".npy", ".npz", ".safetensors", ".zarr")
_ROW_KINDS: Final = (".npy", ".safetensors", ".zarr")
_SAFE_NAMES: Final = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "int64": "I64",
    "int32": "I32",
    "uint8": "U8",
    "bool": "BOOL",
}

_Array = NDArray[Any]


def check_output(
    path: str | os.PathLike[str], overwrite: bool = False, *, streamed: bool = False
) -> Path:
    """The path, if it can be written. Raises before any work is done.

    `InputError` for an unknown extension (``streamed``: one that takes no rows, .npz),
    `StoreExistsError` when something is there and may not
    be replaced (a folder only if it is an output of this module), `StorageError` without a
    folder to write in.
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

    Arrays hold numbers. Raises what `check_output` raises, and `InputError`.
    """
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise InputError(f"array {name!r} holds {array.dtype}, not numbers")
    if not arrays:
        raise InputError(f"{path}: no array to write")
    with _aside(path, overwrite) as (aside, kind):
        if kind == ".npy":
            if len(arrays) != 1:
                raise InputError(f"{path}: a .npy file holds one array", "name an .npz file")
            with open(aside, "wb") as file:
                (array,) = arrays.values()
                np.lib.format.write_array(file, array, allow_pickle=False)
        elif kind == ".npz":
            _save_npz(aside, arrays)
        elif kind == ".safetensors":
            _save_safetensors(aside, arrays)
        else:
            group = zarr_group(aside)
            for name, array in arrays.items():
                group.create_array(name, data=np.ascontiguousarray(array))
    return Path(path)


@contextmanager
def open_rows(
    path: str | os.PathLike[str], dimension: int, overwrite: bool = False
) -> Iterator[RowWriter]:
    """A `RowWriter` for rows of ``dimension`` numbers to .npy, .safetensors or .zarr.

    Leaving the block without an error makes the file appear under its name. A .zarr output is a
    group with ``vectors`` [N, D] and, when texts come, ``texts/bytes`` (UTF-8, one after the
    other), ``texts/ends`` [M] (each text's end in bytes) and ``texts/rows`` [M] (each text's end
    in rows). The other kinds do not keep texts.
    """
    check_output(path, overwrite, streamed=True)
    with _aside(path, overwrite) as (aside, kind):
        if kind == ".zarr":
            zarr_rows = ZarrRows(aside, dimension)
            yield zarr_rows
            zarr_rows.finish()
        else:
            with open(aside, "wb") as file:
                file_rows = FileRows(file, dimension, kind)
                yield file_rows
                file_rows.finish()


@contextmanager
def _aside(path: str | os.PathLike[str], overwrite: bool) -> Iterator[tuple[Path, str]]:
    """A path to write to and the kind of output; renamed to ``path`` if all goes well."""
    target = Path(path)
    with atomic_write(target, overwrite, replaces=_is_ours) as aside:
        yield aside, target.suffix.lower()


def _is_ours(folder: Path) -> bool:
    try:
        attributes = json.loads((folder / "zarr.json").read_text(encoding="utf-8"))["attributes"]
        return bool(attributes[MARK])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _save_npz(aside: Path, arrays: Mapping[str, _Array]) -> None:
    """Like ``np.savez``, with fixed dates, so that equal arrays give equal files."""
    with zipfile.ZipFile(aside, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")
            with archive.open(member, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)


def _save_safetensors(aside: Path, arrays: Mapping[str, _Array]) -> None:
    header: dict[str, Any] = {}
    place = 0
    for name, array in arrays.items():
        kind = _SAFE_NAMES.get(array.dtype.name)
        if kind is None:
            raise InputError(f"array {name!r}: .safetensors holds no {array.dtype}")
        header[name] = {
            "dtype": kind,
            "shape": list(array.shape),
            "data_offsets": [place, place + array.nbytes],
        }
        place += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(aside, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
