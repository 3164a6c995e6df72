"""Who may write, and who still reads: two advisory locks in dot files of the store.

``.lock``: exclusive while a writer has the store open; its text says who. The kernel releases it
with the process, so a lock left by a dead process is simply taken over.
``.lease``: shared by readers, exclusive for a moment to collect garbage.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from memoria.chunkstore.root import LEASE_NAME, LOCK_NAME
from memoria.errors import DamageError, StateError, StorageError, StoreLockedError

_MAX_TEXT: Final = 4096
_BUSY: Final = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


class _Lock:
    """An flock on one file, held from construction to `release`."""

    def __init__(self, path: Path, flags: int, operation: int) -> None:
        self._path = path
        self._pid = os.getpid()
        self._descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.flock(self._descriptor, operation)
        except BaseException:
            os.close(self._descriptor)
            raise

    def release(self) -> None:
        """Give the lock back; a second call does nothing."""
        if self._descriptor < 0:
            return
        descriptor, self._descriptor = self._descriptor, -1
        try:
            if self._pid == os.getpid():  # a forked child only drops its copy
                with contextlib.suppress(OSError):
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            os.close(descriptor)


class WriterLock(_Lock):
    """The right to write to the store in directory ``path``.

    Raises `StoreLockedError` naming the holder's pid, host and time, `StorageError` where the
    file system refuses.
    """

    def __init__(self, path: Path) -> None:
        file = path / LOCK_NAME
        try:
            super().__init__(file, os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _BUSY and error.filename is None:  # of flock, not of open
                raise StoreLockedError(
                    f"{path}: is being written by {_holder(file)}", "wait until it is done"
                ) from None
            if file.is_symlink():
                raise DamageError(f"{file}: is a symbolic link", "remove it") from None
            raise StorageError(
                f"{file}: cannot lock: {error.strerror or error}",
                "open it for reading, or move it to a directory you may write to",
            ) from None
        try:
            self._write_text(_who_am_i())
        except OSError as error:
            self.release()
            raise StorageError(f"{file}: cannot write: {error.strerror or error}") from None

    def check(self) -> None:
        """Is this still the lock of the store at its path?

        `StateError` in a forked process, `StorageError` when the directory was moved or replaced.
        """
        if self._pid != os.getpid():
            raise StateError(
                "the store was opened by another process", "open it again after the fork"
            )
        try:
            held, there = os.fstat(self._descriptor), os.lstat(self._path)
        except OSError:
            there = None
        if there is None or (held.st_dev, held.st_ino) != (there.st_dev, there.st_ino):
            raise StorageError(
                f"{self._path.parent}: moved or replaced while it was open", "open it again"
            )

    def moved_to(self, path: Path) -> None:
        """The store's directory has been renamed to ``path``."""
        self._path = path / LOCK_NAME

    def release(self) -> None:
        """Give the lock back and clear its text."""
        if self._descriptor >= 0 and self._pid == os.getpid():
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
        super().release()

    def _write_text(self, holder: dict[str, Any]) -> None:
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(holder).encode(), 0)


class ReaderLease(_Lock):
    """Keeps what a reader's root refers to from being collected. Writes nothing.

    Take it with `ReaderLease.take` before reading the root.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path / LEASE_NAME, os.O_RDONLY, fcntl.LOCK_SH)

    @classmethod
    def take(cls, path: Path) -> ReaderLease | None:
        """The lease, or None where there is no lease file or no locking."""
        try:
            return cls(path)
        except OSError:
            return None


class ExclusiveLease(_Lock):
    """Shuts readers out while garbage is collected: a reader that comes now waits."""

    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT
        super().__init__(path / LEASE_NAME, flags, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *error: object) -> None:
        self.release()


def exclusive_lease(path: Path) -> ExclusiveLease | None:
    """The lease for the writer alone, or None while any reader holds it."""
    try:
        return ExclusiveLease(path)
    except OSError:
        return None


def _who_am_i() -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "host": os.uname().nodename,
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": os.path.basename(sys.argv[0]) if sys.argv else "",
    }


def _holder(file: Path) -> str:
    """The holder in words. The text is only a note, so anything in it may be wrong."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            holder = json.loads(os.pread(descriptor, _MAX_TEXT, 0))
        finally:
            os.close(descriptor)
        pid, host, since = int(holder["pid"]), str(holder["host"]), str(holder["since"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "another process"
    words = f"process {pid} on {host} since {since}"
    return "".join(letter for letter in words if letter.isprintable())[:300]
