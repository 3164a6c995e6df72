"""Disks for the tests of faults: one that records, one that fails, one that calls in between."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from memoria.chunkstore.disk import Disk

Operation = tuple[str, str, bytes | str]  # what, where, the content or the new name


class RecordingDisk(Disk):
    """Keeps (operation, path relative to ``root``) and fails where it is told to."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root
        self.log: list[tuple[str, str]] = []
        self.fail_at: int | None = None
        self.lasting = False  # fail from then on, not once
        self.errno = errno.EIO
        self._guard = threading.Lock()

    def arm(self, at: int | None, code: int = errno.EIO, lasting: bool = False) -> None:
        self.log.clear()
        self.fail_at, self.errno, self.lasting = at, code, lasting

    def note(self, operation: str, path: Path) -> None:
        with self._guard:
            place = len(self.log)
            at = self.fail_at
            failing = at is not None and (place == at or (self.lasting and place > at))
            self.log.append((operation + "!" * failing, os.path.relpath(path, self.root)))
        if failing:
            raise OSError(self.errno, os.strerror(self.errno), str(path))

    def write_file(self, path: Path, parts: Sequence[Any]) -> int:
        try:
            self.note("write", path)
        except OSError:
            os.close(super().write_file(path, parts[:1]))  # a full disk takes a part
            raise
        return super().write_file(path, parts)

    def overwrite(self, path: Path, parts: Sequence[Any]) -> int:
        try:
            self.note("overwrite", path)
        except OSError:
            os.close(super().overwrite(path, parts[:1]))  # a full disk takes a part
            raise
        return super().overwrite(path, parts)

    def link(self, path: Path, name: Path) -> None:
        self.note("link", name)
        super().link(path, name)

    def fsync(self, descriptor: int, path: Path) -> None:
        self.note("fsync", path)
        super().fsync(descriptor, path)

    def fsync_dir(self, path: Path) -> None:
        self.note("fsync_dir", path)
        super().fsync_dir(path)

    def rename(self, source: Path, target: Path) -> None:
        self.note("rename", target)
        super().rename(source, target)

    def mkdir(self, path: Path) -> None:
        self.note("mkdir", path)
        super().mkdir(path)

    def remove(self, path: Path) -> None:
        self.note("remove", path)
        super().remove(path)

    def rmdir(self, path: Path) -> None:
        self.note("rmdir", path)
        super().rmdir(path)


class ContentDisk(RecordingDisk):
    """Records contents too, in ``operations``; others may add acknowledgements."""

    newest: ContentDisk | None = None  # in use

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        ContentDisk.newest = self
        self.operations: list[Operation] = []

    def note(self, operation: str, path: Path) -> None:
        if operation not in ("write", "overwrite", "link", "rename"):
            self.keep(operation, path, b"")

    def write_file(self, path: Path, parts: Sequence[Any]) -> int:
        self.keep("write", path, _joined(parts))
        return super().write_file(path, parts)

    def overwrite(self, path: Path, parts: Sequence[Any]) -> int:
        assert path.stat().st_nlink == 1  # else a new file is made
        self.keep("overwrite", path, _joined(parts))
        return super().overwrite(path, parts)

    def link(self, path: Path, name: Path) -> None:
        self.keep("link", path, name.relative_to(self.root).as_posix())
        super().link(path, name)

    def rename(self, source: Path, target: Path) -> None:
        self.keep("rename", source, target.relative_to(self.root).as_posix())
        super().rename(source, target)

    def keep(self, operation: str, path: Path, extra: bytes | str) -> None:
        with self._guard:
            self.operations.append((operation, path.relative_to(self.root).as_posix(), extra))


def _joined(parts: Sequence[Any]) -> bytes:
    return b"".join(bytes(memoryview(part).cast("B")) for part in parts)


class VisitedDisk(RecordingDisk):
    """Calls ``visit`` before every operation, while nothing else happens on the disk."""

    def __init__(self, root: Path, visit: Callable[[], None]) -> None:
        super().__init__(root)
        self._visit = visit

    def run_all(self, tasks: Sequence[Callable[[], None]]) -> None:
        for task in tasks:  # one by one, so that every instant comes up
            task()

    def note(self, operation: str, path: Path) -> None:
        self._visit()
        super().note(operation, path)


@contextmanager
def using(disk: Disk) -> Iterator[None]:
    """Every store that is opened or made meanwhile is written through ``disk``."""
    with mock.patch("memoria.chunkstore.files.Disk", return_value=disk):
        yield
