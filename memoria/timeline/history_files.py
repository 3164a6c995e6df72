"""Histories as .npz files: written aside, and checked before anything of them is believed."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from memoria.errors import DamageError, StorageError
from memoria.io.atomic_write import atomic_write

__all__ = ["check_log", "read_parts", "write_parts"]

Parts = Mapping[str, npt.NDArray[Any]]
_Made = TypeVar("_Made")

_LOG: Final = ("fired", "fired_ends", "firing_ends", "set_ids", "set_ends", "expiry", "bounds")

_UNSOUND: Final = (  # what zipfile and numpy raise for bytes that `write_parts` never wrote
    *(ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError, OverflowError),
    *(MemoryError, RuntimeError, SyntaxError, zipfile.BadZipFile, zlib.error, struct.error),
)


def write_parts(path: str | os.PathLike[str], parts: Parts) -> None:
    """Write arrays; there is no pickle in it. Raises `StorageError`."""
    with atomic_write(path, overwrite=True) as aside, aside.open("wb") as file:
        np.savez_compressed(file, **parts)  # type: ignore[arg-type]


def read_parts(path: str | os.PathLike[str], make: Callable[[Parts], _Made]) -> _Made:
    """What ``make`` makes of the arrays at ``path``. Raises `StorageError` or `DamageError`."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:  # checksums, before anything is believed
                raise ValueError("checksum")
        with np.load(path, allow_pickle=False) as file:
            parts = {name: file[name] for name in file.files}
        return make(parts)
    except OSError as error:
        raise StorageError(f"{path}: cannot read: {error.strerror or error}") from None
    except _UNSOUND:
        raise DamageError(f"{path}: not a history, or damaged") from None


def check_log(given: Parts) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a `StepLog` among ``given``; ValueError unless they fit together."""
    parts = {name: given[name] for name in _LOG}
    fired, fired_ends, firing_ends, ids, ends, expiry, bounds = parts.values()
    if any(part.dtype != (float if name == "expiry" else int) for name, part in parts.items()):
        raise ValueError("type")
    if any(part.ndim != 1 for name, part in parts.items() if name != "bounds"):
        raise ValueError("dimensions")
    short, made = bounds.reshape(-1, 2).T
    if bounds.shape != (len(made), 2) or not len(made) == len(ends) == len(firing_ends):
        raise ValueError("number of steps")
    lengths = ((fired_ends, fired), (firing_ends, fired_ends), (ends, ids))
    for reach, over in lengths:
        if (np.diff(reach, prepend=0) < 0).any() or len(over) != (reach[-1] if len(reach) else 0):
            raise ValueError("ends")
    if (np.diff(made, prepend=0) < 0).any() or (short < 0).any() or len(expiry) != len(ids):
        raise ValueError("bounds")
    if np.isnan(expiry).any():
        raise ValueError("expiry")
    fired_reach = np.append(0, fired_ends)[firing_ends]
    for who, reach in ((fired, fired_reach), (ids, ends)):
        most = np.repeat(made, np.diff(reach, prepend=0))
        if ((who < 0) | (who >= most)).any():
            raise ValueError("ids")
    return parts
