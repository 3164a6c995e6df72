"""Outputs that appear as a whole or not at all, and the check of where they may appear.

Only a regular file is ever replaced. What is written to a pipe or a character device, such as
``/dev/stdout``, goes through it when it is complete.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from memoria.errors import InputError, StorageError, StoreExistsError

_ROOT: Final = "zarr.json"  # of a store, among others
_MARK: Final = b'"memoria"'  # in the root of a store
_MOST_ROOT: Final = 2**22  # bytes of a root that are looked at
_DESCRIPTOR: Final = re.compile(r"/dev/(stdin|stdout|stderr)|/(?:dev|proc/self)/fd/([0-9]{1,9})")
_STANDARD: Final = {"stdin": 0, "stdout": 1, "stderr": 2}


def check_target(
    path: str | os.PathLike[str],
    overwrite: bool | None = False,
    *,
    replaces: Callable[[Path], bool] | None = None,
) -> None:
    """Raise unless a file or a folder may be written at ``path``.

    Args:
        path: where an output is to appear; its folder must exist.
        overwrite: whether a regular file there may be replaced; None where a caller cannot ask for
            that. Links, sockets and block devices never are.
        replaces: says of a folder at ``path`` whether it may be replaced; by default none may.

    Raises:
        InputError: ``path`` lies in a store.
        StoreExistsError: something at ``path`` must not be replaced.
        StorageError: there is no folder to write to, or it cannot be read.
    """
    path = Path(path)
    check_outside(path, itself=overwrite is True)
    try:
        if not path.parent.is_dir():
            raise StorageError(f"{path}: there is no folder {path.parent}", "create it first")
        if not os.path.lexists(path) or is_stream(path):
            return
        if not overwrite:
            offer = "" if overwrite is None else ", or --force"
            raise StoreExistsError(f"{path}: exists already", f"choose another name{offer}")
        if path.is_symlink():
            raise StoreExistsError(f"{path}: is a symbolic link", "name the file itself")
        if path.is_dir():
            if replaces is None or not replaces(path):
                raise StoreExistsError(
                    f"{path}: is a folder of something else", "choose another name"
                )
        elif not path.is_file():
            raise StoreExistsError(f"{path}: is no regular file", "choose another name")
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"{path}: {error.strerror or error}") from None


def check_outside(path: str | os.PathLike[str], itself: bool = False) -> None:
    """Raise `InputError` if ``path`` lies in the directory of a store, or is one (``itself``)."""
    place = Path(os.path.realpath(path))
    for folder in (place, *place.parents) if itself else place.parents:
        try:
            with open(folder / _ROOT, "rb") as root:
                is_store = _MARK in root.read(_MOST_ROOT)
        except OSError:
            continue
        if is_store:
            raise InputError(f"{path}: lies in the store itself", "name a place outside of it")


def is_stream(path: str | os.PathLike[str]) -> bool:
    """Whether ``path`` is a pipe or a character device, a link to one, or an open descriptor."""
    if _descriptor(path) is not None:
        return True
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


@contextmanager
def atomic_write(
    path: str | os.PathLike[str],
    overwrite: bool | None = False,
    *,
    replaces: Callable[[Path], bool] | None = None,
) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; what is written there appears under ``path``.

    The file or folder is renamed when it is complete and on the disk. `check_target`, whose
    arguments these are, is asked before and again just before the rename. After an error or an
    interruption what was at ``path`` is still there and the temporary one is removed. A complete
    file for a stream (`is_stream`) is written through it instead.

    Raises:
        StorageError: the disk refuses; and what `check_target` raises.
    """
    target = Path(path)
    check_target(target, overwrite, replaces=replaces)
    if is_stream(target):
        with _streamed(target) as temporary:
            yield temporary
        return
    temporary = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        yield temporary
        _sync_tree(temporary)
        check_target(target, overwrite, replaces=replaces)
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


@contextmanager
def _streamed(target: Path) -> Iterator[Path]:
    """Yield a temporary path, whose file goes through the pipe or device ``target``."""

    import tempfile  # not for every verb

    with tempfile.TemporaryDirectory(prefix="memoria-") as folder:
        temporary = Path(folder, target.name)
        yield temporary
        if temporary.is_dir():
            raise InputError(f"{target}: takes one file, not a folder", "name a folder to make")
        try:
            number = _descriptor(target)
            opened = target if number is None else os.dup(number)  # which keeps where it stands
            with open(temporary, "rb") as complete, open(opened, "wb") as stream:
                shutil.copyfileobj(complete, stream)
        except OSError as error:
            raise StorageError(f"{target}: cannot be written: {error.strerror or error}") from None


def _descriptor(path: str | os.PathLike[str]) -> int | None:
    """The open descriptor that ``path`` names."""
    named = _DESCRIPTOR.fullmatch(os.path.abspath(path))
    if named is None:
        return None
    number = _STANDARD.get(named[1])
    return int(named[2]) if number is None else number


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
