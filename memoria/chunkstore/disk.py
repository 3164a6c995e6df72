"""Every operation by which a store changes on disk, in one place.

A test can hand in a `Disk` that records the operations or fails at one of them.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from memoria.chunkstore.workers import Workers
from memoria.errors import StorageError
from memoria.io.atomic_write import check_outside, check_target

_WORKERS: Final = 6  # enough for the file system to write many fsyncs in one journal commit
_IOV_MAX: Final = 512
_fsync_content = getattr(os, "fdatasync", os.fsync)  # without the times of a file; not on macOS


class Disk:
    """The real disk. Every method raises `OSError`.

    `run_all` keeps threads for its next call; `close` ends them. It may be used again after that.
    """

    def __init__(self) -> None:
        self._workers = Workers(_WORKERS)

    def run_all(self, tasks: Sequence[Callable[[], None]]) -> None:
        """Run the tasks on a few threads; after all have stopped, raise the first error.

        Once a task failed no further one starts, and none is left running on return.
        """
        self._workers.run(tasks)

    def close(self) -> None:
        """End the threads; a second call does nothing."""
        self._workers.close()

    def write_file(self, path: Path, parts: Sequence[Any]) -> int:
        """Make a new file ``path`` of the buffers ``parts``; the open descriptor.

        What was there leaves the name, and is not written to: it may have another name too.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            descriptor = os.open(path, flags, 0o666)
        except FileExistsError:
            os.unlink(path)
            descriptor = os.open(path, flags, 0o666)
        try:
            _write_all(descriptor, parts)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def overwrite(self, path: Path, parts: Sequence[Any]) -> int:
        """Let the file ``path`` hold the buffers ``parts`` instead; the open descriptor.

        Its blocks are used again, which saves a file system most of the work of a new file. One
        that has another name too is left alone, and a new file made.
        """
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return self.write_file(path, parts)
        try:
            status = os.fstat(descriptor)
            if status.st_nlink == 1:
                _write_all(descriptor, parts)
                size = sum(memoryview(part).nbytes for part in parts)
                if status.st_size > size:
                    os.ftruncate(descriptor, size)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return self.write_file(path, parts)

    def fsync(self, descriptor: int, path: Path) -> None:
        """Make the content of the open file durable. Never called twice for one content."""
        _fsync_content(descriptor)

    def fsync_dir(self, path: Path) -> None:
        """Make the names in the directory durable."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Put ``source`` in the place of ``target``, atomically."""
        os.rename(source, target)

    def link(self, path: Path, name: Path) -> None:
        """Give the file ``path`` a second name. What had that name loses it."""
        try:
            os.link(path, name, follow_symlinks=False)
        except FileExistsError:
            os.unlink(name)
            os.link(path, name, follow_symlinks=False)

    def mkdir(self, path: Path) -> None:
        """Create one directory."""
        os.mkdir(path)

    def remove(self, path: Path) -> None:
        """Remove one file."""
        os.unlink(path)

    def rmdir(self, path: Path) -> None:
        """Remove one empty directory."""
        os.rmdir(path)

    def write_durable(self, path: Path, parts: Sequence[Any]) -> None:
        """`write_file`, then `fsync`."""
        self.make_durable(self.write_file(path, parts), path)

    def make_durable(self, descriptor: int, path: Path) -> None:
        """`fsync` the open file ``path``, and close it."""
        try:
            self.fsync(descriptor, path)
        finally:
            os.close(descriptor)


def _write_all(descriptor: int, parts: Sequence[Any]) -> None:
    views = [memoryview(part).cast("B") for part in parts if len(part)]
    while views:
        written = os.writev(descriptor, views[:_IOV_MAX])
        while views and written >= len(views[0]):
            written -= len(views.pop(0))
        if written:
            views[0] = views[0][written:]


def check_vacant(place: Path) -> None:
    """Raise unless a store can be created at ``place``: nothing is there, or an empty folder."""
    check_outside(place)
    try:
        if place.is_symlink() or not place.is_dir() or any(place.iterdir()):
            check_target(place, None)
        elif place.samefile(os.curdir):
            raise StorageError(f"{place}: is the current directory", "run it from elsewhere")
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise storage_error(place, "cannot create the store", error) from None


def storage_error(path: Path, what: str, error: OSError) -> StorageError:
    """``error`` in one line, with what to do about it."""
    hints = {
        errno.ENOSPC: "free some space and try again",
        errno.EDQUOT: "free some space and try again",
        errno.EFBIG: "raise the limit on file sizes: ulimit -f",
        errno.EACCES: "check who may write there",
        errno.EPERM: "check who may write there",
        errno.EROFS: "the file system is read-only",
        errno.EBUSY: "name a new directory",
    }
    where = error.filename2 or error.filename or path
    said = error.strerror or str(error)
    return StorageError(f"{where}: {what}: {said}", hints.get(error.errno or 0))
