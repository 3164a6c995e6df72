"""The order of writes that makes a commit atomic and durable.

1. the new chunk files under temporary names, new directories with their files, and the new root
   under a temporary name, each file fsynced;
2. the chunk files renamed into place: a tail is swapped whole, its committed rows unchanged;
3. every directory touched, fsynced;
4. the root renamed, its directory fsynced.

The files of 1 are fsynced at once, the root's too: it means nothing before its rename in 4, which
comes after every other fsync. Up to that rename every reader sees the old state, since nothing
the old root counts has changed; from it on the new one. Only after the last fsync is the commit
acknowledged.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from memoria.chunkstore.disk import Disk
from memoria.chunkstore.garbage import TEMPORARY, remove_tree
from memoria.chunkstore.root import ROOT_NAME
from memoria.chunkstore.spec import GROUP_METADATA, metadata_bytes
from memoria.chunkstore.staged import StoredArray

__all__ = ["refresh_children", "write_commit"]

Encoder = Callable[[], Sequence[Any]]


def write_commit(
    disk: Disk,
    path: Path,
    arrays: Iterable[StoredArray],
    new_groups: Sequence[str],
    root: bytes,
) -> None:
    """Write the staged rows of ``arrays``, then ``root`` as the root of the store at ``path``.

    ``new_groups`` are the groups that have no directory yet, parents first. Raises `OSError`;
    the state on disk is then the old one, or the new one if only the very last fsync failed.
    """
    staged = list(arrays)
    fresh = [array for array in staged if array.fresh]
    grown = [array for array in staged if not array.fresh and array.rows > array.committed]
    swaps = [(_temporary(to), to, encode) for array in grown for to, encode in _files(array)]
    new_root = _temporary(path / ROOT_NAME)
    written: list[tuple[Path, Encoder]] = [(temporary, encode) for temporary, _, encode in swaps]
    written.append((new_root, lambda: [root]))
    try:
        for array in grown:
            array.load_tail()
        made = _make_directories(disk, path, fresh, new_groups)
        _write(disk, [*written, *_new_files(path, fresh, new_groups)])
        for temporary, target, _ in swaps:
            disk.rename(temporary, target)
        touched = {*made, *(array.directory for array in grown)}
        disk.run_all([partial(disk.fsync_dir, directory) for directory in sorted(touched)])
        disk.rename(new_root, path / ROOT_NAME)
    except BaseException:
        for temporary, _ in written:  # a full disk wants its space back
            with contextlib.suppress(OSError):
                remove_tree(disk, temporary)
        if not _may_hold(path / ROOT_NAME, root):  # an interrupt may come just after its rename
            for directory in _directories(path, fresh, new_groups):
                with contextlib.suppress(OSError):
                    remove_tree(disk, directory)
        raise
    disk.fsync_dir(path)


def refresh_children(disk: Disk, arrays: Iterable[StoredArray]) -> None:
    """Bring the arrays' own ``zarr.json`` up to the committed root.

    They may lag behind the root, never lead, so an `OSError` on the way does no harm.
    """
    targets = {array.directory / ROOT_NAME: array for array in arrays}
    _write(
        disk,
        [
            (_temporary(target), partial(_metadata, array.spec.metadata(array.committed)))
            for target, array in targets.items()
        ],
    )
    for target in targets:
        disk.rename(_temporary(target), target)


def _make_directories(
    disk: Disk, path: Path, arrays: Sequence[StoredArray], groups: Sequence[str]
) -> set[Path]:
    """Make the directories of new groups and arrays; every directory that changes by it."""
    directories = _directories(path, arrays, groups)
    for directory in directories:
        remove_tree(disk, directory)  # of a commit that failed: the root never knew it
        disk.mkdir(directory)
    return {*directories, *(directory.parent for directory in directories)}


def _directories(path: Path, arrays: Sequence[StoredArray], groups: Sequence[str]) -> list[Path]:
    return [path / group for group in groups] + [array.directory for array in arrays]


def _may_hold(file: Path, content: bytes) -> bool:
    """Whether ``file`` holds ``content``, as far as can be told."""
    try:
        return file.read_bytes() == content
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _new_files(
    path: Path, arrays: Sequence[StoredArray], groups: Sequence[str]
) -> list[tuple[Path, Encoder]]:
    """The files of new groups and arrays, their metadata first."""
    files: list[tuple[Path, Encoder]] = [
        (path / group / ROOT_NAME, partial(_metadata, GROUP_METADATA)) for group in groups
    ]
    for array in arrays:
        metadata = array.spec.metadata(array.rows)
        files.append((array.directory / ROOT_NAME, partial(_metadata, metadata)))
        files += _files(array)
    return files


def _files(array: StoredArray) -> list[tuple[Path, Encoder]]:
    return [
        (array.directory / array.spec.file_name(index), partial(array.encode, index))
        for index in array.changed_files()
    ]


def _write(disk: Disk, files: Sequence[tuple[Path, Encoder]]) -> None:
    """Encode, write and fsync every file, several at once."""

    def write(path: Path, encode: Encoder) -> None:
        disk.write_durable(path, encode())

    if files:
        disk.run_all([partial(write, path, encode) for path, encode in files])


def _metadata(document: Any) -> list[bytes]:
    return [metadata_bytes(document)]


def _temporary(path: Path) -> Path:
    return path.with_name(path.name + TEMPORARY)
