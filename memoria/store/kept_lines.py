"""Lines of large files of records, kept in ``index/`` from one sync to the next: derived."""

from __future__ import annotations

import contextlib
import hashlib
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from memoria.io.record_lines import RecordLines

_VERSION: Final = 2
_NAMES: Final = ("digests", "sizes", "groups", "group_digests", "ends", "hashes", "offsets")
_BYTES: Final = frozenset({"digests", "group_digests", "hashes"})  # 16 a line, group or unit


class KeptLines:
    """The lines of files, by what they resolve to and how they are read.

    Args:
        folder: where they lie.
        options: `ReadOptions.key` of how files are read.
    """

    def __init__(self, folder: Path, options: str) -> None:
        self._folder, self._options = folder, options

    def of(self, resolved: str) -> RecordLines:
        """What is known of the lines of a file; nothing where that cannot be read."""
        try:
            with np.load(self._place(resolved), allow_pickle=False) as kept:
                parts = {name: kept[name] for name in _NAMES}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return RecordLines()
        return _checked(parts) or RecordLines()

    def keep(self, resolved: str, lines: RecordLines) -> None:
        """Keep the lines of a file for the next time, if that is possible."""
        place = self._place(resolved)
        building = place.with_name(f".{place.name}.{os.getpid()}.npz")
        with contextlib.suppress(OSError):
            self._folder.mkdir(exist_ok=True)
            if self._folder.is_symlink():
                return
            try:
                parts = {name: getattr(lines, name) for name in _NAMES}
                parts |= {name: np.frombuffer(parts[name], np.uint8) for name in _BYTES}
                np.savez(building, **parts)
                os.replace(building, place)
            finally:
                building.unlink(missing_ok=True)

    def _place(self, resolved: str) -> Path:
        words = f"{_VERSION}\0{self._options}\0".encode() + os.fsencode(resolved)
        return self._folder / f"lines-{hashlib.sha256(words).hexdigest()[:24]}.npz"


def _checked(parts: Mapping[str, Any]) -> RecordLines | None:
    """The lines that these arrays tell of; None where they cannot be."""
    kinds = {name: (np.uint8 if name in _BYTES else np.int64, 1) for name in _NAMES}
    if {name: (one.dtype, one.ndim) for name, one in parts.items()} != kinds:
        return None
    sizes, groups, ends = parts["sizes"], parts["groups"], parts["ends"]
    lines, units = len(sizes), len(parts["offsets"])
    sound = (
        len(ends) == lines
        and len(parts["digests"]) == 16 * lines
        and len(parts["group_digests"]) == 16 * len(groups)
        and len(parts["hashes"]) == 16 * units
        and (sizes > 0).all()
        and (np.diff(groups, prepend=0) > 0).all()
        and (groups[-1:] == lines).all()
        and (np.diff(ends, prepend=0) >= 0).all()
        and (ends[-1:] == units).all()
        and bool(len(groups)) == bool(lines)
    )
    if not sound:
        return None
    return RecordLines(**{n: one.tobytes() if n in _BYTES else one for n, one in parts.items()})
