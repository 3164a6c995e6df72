"""Opening a store without tensors, now or in the past, for what comes before loading torch."""

from __future__ import annotations

import os
from typing import Final

from memoria.chunkstore.files import StoreFiles
from memoria.config import MemoriaConfig
from memoria.store.memory_files import MemoryFiles
from memoria.store.past import past_view
from memoria.store.schema import expected_specs

__all__ = ["open_files", "read_config", "split_moment"]

_MOST_DIGITS: Final = 18  # of a step's number; what is longer is no number that a store could have


def open_files(path: str | os.PathLike[str], at: int | str | None = None) -> MemoryFiles:
    """The store's files for reading, with the arrays of its format checked to be there.

    With ``at`` as a snapshot (by name) or a finished step (by number) left them.
    """
    files = StoreFiles.open(path, "r", expected_specs)
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
