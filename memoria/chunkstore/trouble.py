"""What the operating system refuses, said in one line."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from memoria.errors import StorageError
from memoria.io.atomic_write import check_target

__all__ = ["check_vacant", "storage_error"]


def check_vacant(place: Path) -> None:
    """Raise unless a store can be created at ``place``: nothing is there, or an empty folder."""
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
