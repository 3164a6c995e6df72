"""Lines of large files of records, kept in ``index/`` from one sync to the next: derived."""

from __future__ import annotations

import contextlib
import hashlib
import os
import zipfile
from pathlib import Path
from typing import Final

import numpy as np

from memoria.io.record_lines import RecordLines

_VERSION: Final = 1


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
                parts = [kept[name] for name in ("digests", "ends", "hashes", "offsets")]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return RecordLines()
        digests, ends, hashes, offsets = parts
        units = len(offsets)
        kinds = [(one.dtype, one.ndim) for one in parts]
        sound = (
            kinds == [(np.uint8, 1), (np.int64, 1), (np.uint8, 1), (np.int64, 1)]
            and len(digests) == 16 * len(ends)
            and len(hashes) == 16 * units
            and (np.diff(ends, prepend=0) >= 0).all()
            and (ends[-1:] == units).all()
        )
        if not sound:
            return RecordLines()
        return RecordLines(digests.tobytes(), ends, hashes.tobytes(), offsets)

    def keep(self, resolved: str, lines: RecordLines) -> None:
        """Keep the lines of a file for the next time, if that is possible."""
        place = self._place(resolved)
        building = place.with_name(f".{place.name}.{os.getpid()}.npz")
        with contextlib.suppress(OSError):
            self._folder.mkdir(exist_ok=True)
            if self._folder.is_symlink():
                return
            try:
                np.savez(
                    building,
                    digests=np.frombuffer(lines.digests, np.uint8),
                    ends=lines.ends,
                    hashes=np.frombuffer(lines.hashes, np.uint8),
                    offsets=lines.offsets,
                )
                os.replace(building, place)
            finally:
                building.unlink(missing_ok=True)

    def _place(self, resolved: str) -> Path:
        words = f"{_VERSION}\0{self._options}\0".encode() + os.fsencode(resolved)
        return self._folder / f"lines-{hashlib.sha256(words).hexdigest()[:24]}.npz"
