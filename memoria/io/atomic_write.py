"""Outputs that appear as a whole or not at all, and the check of where they may appear."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from memoria.errors import InputError, StorageError, StoreExistsError


def check_target(
    path: str | os.PathLike[str],
    overwrite: bool | None = False,
    *,
    replaces: Callable[[Path], bool] | None = None,
    outside: str | os.PathLike[str] | None = None,
) -> None:
    """Raise unless a file or a folder may be written at ``path``.

    Args:
        path: where an output is to appear; its folder must exist.
        overwrite: whether a file there may be replaced; None where a caller cannot ask for that.
        replaces: says of a folder at ``path`` whether it may be replaced; by default none may.
        outside: a store in which the output must not lie.

    Raises:
        InputError: ``path`` lies in the store ``outside``.
        StoreExistsError: something at ``path`` must not be replaced.
        StorageError: there is no folder to write to, or it cannot be read.
    """
    path = Path(path)
    if outside is not None and Path(os.path.realpath(path)).is_relative_to(
        os.path.realpath(outside)
    ):
        raise InputError(f"{path}: lies in the store itself", "name a place outside of it")
    try:
        if not path.parent.is_dir():
            raise StorageError(f"{path}: there is no folder {path.parent}", "create it first")
        if not os.path.lexists(path):
            return
        if not overwrite:
            offer = "" if overwrite is None else ", or --force"
            raise StoreExistsError(f"{path}: exists already", f"choose another name{offer}")
        if path.is_dir() and not (replaces is not None and replaces(path)):
            raise StoreExistsError(f"{path}: is a folder of something else", "choose another name")
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"{path}: {error.strerror or error}") from None


@contextmanager
def atomic_write(
    path: str | os.PathLike[str],
    overwrite: bool = False,
    *,
    replaces: Callable[[Path], bool] | None = None,
    outside: str | os.PathLike[str] | None = None,
) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; what is written there appears under ``path``.

    The file or folder is renamed when it is complete and on the disk. `check_target`, whose
    arguments these are, is asked before and again just before the rename. After an error or an
    interruption what was at ``path`` is still there and the temporary one is removed.

    Raises:
        StorageError: the disk refuses; and what `check_target` raises.
    """
    target = Path(path)
    check_target(target, overwrite, replaces=replaces, outside=outside)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        yield temporary
        _sync_tree(temporary)
        check_target(target, overwrite, replaces=replaces, outside=outside)
        if target.is_dir() and not target.is_symlink():
            old = target.with_name(f".{target.name}.{os.getpid()}.old")
            os.rename(target, old)
            os.rename(temporary, target)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(temporary, target)
        _sync(target.parent)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"{target}: cannot be written: {error.strerror or error}") from None
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def _sync_tree(path: Path) -> None:
    """Bring a file, or a folder with all it holds, to the disk."""
    for folder, _, files in os.walk(path):
        for name in files:
            _sync(Path(folder, name))
        _sync(Path(folder))
    if path.is_file():
        _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
