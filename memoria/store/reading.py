"""Opening a store without tensors, now or in the past, for what comes before loading torch."""

from __future__ import annotations

import os
from typing import Final, Literal

from memoria.chunkstore.files import StoreFiles
from memoria.config import MemoriaConfig
from memoria.errors import StateError
from memoria.store.memory_files import MemoryFiles
from memoria.store.past import past_view
from memoria.store.schema import expected_specs

__all__ = ["open_files", "read_config", "split_moment"]

_MOST_DIGITS: Final = 18  # of a step's number; what is longer is no number that a store could have


def open_files(
    path: str | os.PathLike[str], at: int | str | None = None, mode: Literal["r", "r+"] = "r"
) -> MemoryFiles:
    """Open the store's files, with the arrays of its format checked to be there.

    Args:
        path: directory, zip archive or s3:// URL of a store.
        at: snapshot (name) or finished step (number) to see the files as they were then.
        mode: ``"r"`` to read the state committed now, ``"r+"`` to be the store's one writer.

    Raises:
        StoreNotFoundError, StoreLockedError, DamageError: as the store is.
        StateError: ``at`` with ``"r+"``, since the past can only be read.
    """
    if at is not None and mode != "r":
        raise StateError("the past can only be read", "open it with mode='r'")
    files = StoreFiles.open(path, mode, expected_specs)
    try:
        memory = MemoryFiles(files)
        return memory if at is None else past_view(memory, at)
    except BaseException:
        files.close()
        raise


def read_config(path: str | os.PathLike[str], at: int | str | None = None) -> MemoriaConfig:
    """The configuration of the store at ``path``; with ``at``, if that moment of it is there."""
    files = open_files(path, at)
    try:
        return files.config
    finally:
        files.close()


def split_moment(text: str) -> tuple[str, int | str | None]:
    """``STORE@NAME`` and ``STORE@STEP`` as (path, moment); a path that exists has none."""
    path, mark, moment = text.rpartition("@")
    if not mark or not path or "/" in moment or not moment or os.path.lexists(text):
        return text, None
    is_step = moment.isascii() and moment.isdigit() and len(moment) <= _MOST_DIGITS
    return path, int(moment) if is_step else moment
