"""The order of writes that makes a commit atomic and durable.

1. the new chunk files under temporary names, each fsynced;
2. renamed into place: a tail chunk is swapped whole, its committed rows unchanged;
3. the files of new directories, fsynced, then every directory touched, fsynced;
4. the root under a temporary name, fsynced, renamed, its directory fsynced.

Up to the rename in 4 every reader sees the old state, since nothing the old root counts has
changed; from it on the new one. Only after the last fsync is the commit acknowledged.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from memoria.store.disk import Disk, run_all
from memoria.store.garbage import TEMPORARY, remove_tree
from memoria.store.root import ROOT_NAME
from memoria.store.spec import GROUP_METADATA
from memoria.store.staged import StoredArray

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
    grown = [array for array in staged if not array.fresh and array.rows > array.committed]
    fresh = [array for array in staged if array.fresh]
    touched = {array.directory for array in grown}
    swaps = [_temporary(target) for array in grown for target, _ in _files(array)]
    try:
        for array in grown:
            array.load_tail()
        _write(disk, [(_temporary(to), encode) for array in grown for to, encode in _files(array)])
        for array in grown:
            for target, _ in _files(array):
                disk.rename(_temporary(target), target)
        touched |= _write_fresh(disk, path, fresh, new_groups)
        run_all([partial(disk.fsync_dir, directory) for directory in sorted(touched)])
        swaps.append(_temporary(path / ROOT_NAME))
        disk.write_durable(_temporary(path / ROOT_NAME), [root])
        disk.rename(_temporary(path / ROOT_NAME), path / ROOT_NAME)
    except BaseException:
        for temporary in swaps:  # a full disk wants its space back
            with contextlib.suppress(OSError):
                remove_tree(disk, temporary)
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


def _write_fresh(
    disk: Disk, path: Path, arrays: Sequence[StoredArray], groups: Sequence[str]
) -> set[Path]:
    """Make the directories of new groups and arrays with their files; every directory touched."""
    directories = [path / group for group in groups] + [array.directory for array in arrays]
    for directory in directories:
        remove_tree(disk, directory)  # of a commit that failed: the root never knew it
        disk.mkdir(directory)
    files: list[tuple[Path, Encoder]] = [
        (path / group / ROOT_NAME, partial(_metadata, GROUP_METADATA)) for group in groups
    ]
    for array in arrays:
        metadata = array.spec.metadata(array.rows)
        files.append((array.directory / ROOT_NAME, partial(_metadata, metadata)))
        files += _files(array)
    _write(disk, files)
    return {*directories, *(directory.parent for directory in directories)}


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
        run_all([partial(write, path, encode) for path, encode in files])


def _metadata(document: Any) -> list[bytes]:
    return [json.dumps(document, sort_keys=True, indent=2).encode()]


def _temporary(path: Path) -> Path:
    return path.with_name(path.name + TEMPORARY)
