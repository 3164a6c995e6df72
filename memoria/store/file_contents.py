"""What files hold, by their sha256: files that look as before are not read again.

A file looks as before if device, inode, size and the times of its last change are the same, and
lay in the past already when it was read: within the last moments a file can change and look the
same. What is remembered of it is derived, like a search index: no part of a memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final

from memoria.io.bounds import open_regular
from memoria.io.files import reading

_NAME: Final = "files.sqlite"
_VERSION: Final = 1
_SETTLED: Final = 2_000_000_000  # nanoseconds after a change in which another may look the same
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS files (path BLOB PRIMARY KEY, looks TEXT, content BLOB)"
)
_BUSY_SECONDS: Final = 5.0


def _content_of_folder(path: str) -> bytes:
    """sha256 of the names and contents of all regular files below ``path``, in order of name."""
    whole = hashlib.sha256()
    for folder, below, names in os.walk(path):
        below.sort()
        for name in sorted(names):
            place = os.path.join(folder, name)
            if os.path.isfile(place):
                whole.update(os.fsencode(os.path.relpath(place, path)) + b"\0")
                with open(open_regular(place), "rb") as file:
                    whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.digest()


class FileContents:
    """The sha256 of files; ``folder``, if there is one, keeps them for the next time."""

    def __init__(self, folder: Path | None = None) -> None:
        self._place = None if folder is None else folder.resolve() / _NAME
        self._known: dict[str, tuple[str, bytes]] | None = None
        self._new: dict[str, tuple[str, bytes]] = {}

    def of(self, path: str) -> bytes:
        """The sha256 of the file at this real path, or of a Zarr folder's names and files.

        Raises:
            InputError: it is not there.
            StorageError: it cannot be read.
        """
        with reading(path):
            stat = os.stat(path)
            if os.path.isdir(path):
                return _content_of_folder(path)
            looks = _looks(stat)
            known = self._kept().get(path)
            if known is not None and known[0] == looks:
                return known[1]
            begun = time.time_ns()
            with open(open_regular(path), "rb") as file:
                content = hashlib.file_digest(file, "sha256").digest()
                after = os.fstat(file.fileno())
        changed = max(after.st_mtime_ns, after.st_ctime_ns)
        if _looks(after) == looks and changed + _SETTLED < begun:
            self._new[path] = (looks, content)
        return content

    def save(self) -> None:
        """Keep what is known for the next time, if that is possible."""
        if self._place is None or not self._new:
            return
        with contextlib.suppress(OSError, sqlite3.Error):
            self._place.parent.mkdir(exist_ok=True)
            if self._place.is_symlink() or self._place.parent.is_symlink():
                return
            with closing(sqlite3.connect(self._place, timeout=_BUSY_SECONDS)) as database:
                database.execute("PRAGMA synchronous = OFF")
                self._prepare(database)
                database.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", self._rows())
                database.commit()
            self._kept().update(self._new)
            self._new = {}

    def _rows(self) -> Iterable[tuple[bytes, str, bytes]]:
        return ((os.fsencode(path), *told) for path, told in self._new.items())

    def _prepare(self, database: sqlite3.Connection) -> None:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version != _VERSION:
            database.execute("DROP TABLE IF EXISTS files")
            database.execute(f"PRAGMA user_version = {_VERSION}")
        database.execute(_SCHEMA)

    def _kept(self) -> dict[str, tuple[str, bytes]]:
        """What was kept; nothing where that cannot be read."""
        if self._known is None:
            self._known = {}
            if self._place is not None and self._place.is_file():
                with contextlib.suppress(OSError, sqlite3.Error, ValueError, TypeError):
                    self._known = _read(self._place)
        return self._known


def _looks(stat: os.stat_result) -> str:
    """What of a file changes with its content."""
    times = f"{stat.st_mtime_ns} {stat.st_ctime_ns}"
    return f"{stat.st_dev} {stat.st_ino} {stat.st_size} {times}"


def _read(place: Path) -> dict[str, tuple[str, bytes]]:
    """What is kept at ``place``, each path with its looks and content."""
    with closing(sqlite3.connect(f"{place.as_uri()}?mode=ro", uri=True)) as database:
        if database.execute("PRAGMA user_version").fetchone() != (_VERSION,):
            return {}
        return {
            os.fsdecode(path): (looks, content)
            for path, looks, content in database.execute("SELECT * FROM files")
            if len(content) == hashlib.sha256().digest_size
        }
