"""Outputs that are there as a whole or not at all.

They are written aside, in the same folder, and renamed when they are complete and on the disk.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from memoria.errors import InputError, StorageError, StoreExistsError

__all__ = ["check_free", "check_outside", "written_aside"]


def check_free(place: Path, force: bool, folders: bool = False) -> None:
    """Raise unless a file can be made at ``place``, or with ``force`` replaced there.

    ``folders``: so can a folder. Raises `StoreExistsError` or `StorageError`.
    """
    try:
        if not place.parent.is_dir():
            raise StorageError(f"{place}: there is no folder {place.parent}", "create it first")
        if not os.path.lexists(place):
            return
        if not force:
            raise StoreExistsError(f"{place}: exists already", "choose another name, or --force")
        if place.is_dir() and not folders:
            raise StoreExistsError(f"{place}: is a folder of something else", "choose another name")
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"{place}: {error.strerror or error}") from None


def check_outside(place: Path, store: Path) -> None:
    """Raise `InputError` for a ``place`` in the store itself."""
    if Path(os.path.realpath(place)).is_relative_to(os.path.realpath(store)):
        raise InputError(f"{place}: lies in the store itself", "name a place outside of it")


@contextmanager
def written_aside(target: Path, check: Callable[[], object]) -> Iterator[Path]:
    """A path to write a file or a folder to; renamed to ``target`` if all goes well.

    ``check`` is called once before and once after, and raises where ``target`` must not be
    replaced. An error or an interruption on the way removes what was written.
    """
    check()
    aside = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        yield aside
        _sync(aside)
        check()
        if target.is_dir() and not target.is_symlink():
            old = target.with_name(f".{target.name}.{os.getpid()}.old")
            os.rename(target, old)
            os.rename(aside, target)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(aside, target)
        _sync_one(target.parent)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"{target}: cannot be written: {error.strerror or error}") from None
    finally:
        if aside.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Bring a file, or a folder with all it holds, to the disk."""
    for folder, _, files in os.walk(path):
        for name in files:
            _sync_one(Path(folder, name))
        _sync_one(Path(folder))
    if path.is_file():
        _sync_one(path)


def _sync_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
