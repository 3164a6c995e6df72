"""The order of writes that makes a commit atomic and durable.

1. the new chunk files under temporary names (written over spare files where there are any),
   new directories with their files, and the new root under a temporary name, each file fsynced;
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
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from memoria.chunkstore.disk import Disk
from memoria.chunkstore.garbage import remove_tree
from memoria.chunkstore.locks import exclusive_lease
from memoria.chunkstore.root import ROOT_NAME, Root
from memoria.chunkstore.sources.local import LocalSource
from memoria.chunkstore.spares import Spares, Swap, temporary
from memoria.chunkstore.spec import GROUP_METADATA, metadata_bytes
from memoria.chunkstore.staged import StoredArray

Encoder = Callable[[], Sequence[Any]]


def write_commit(
    disk: Disk,
    path: Path,
    arrays: Iterable[StoredArray],
    new_groups: Sequence[str],
    root: bytes,
    spares: Spares,
) -> None:
    """Write the staged rows of ``arrays``, then ``root`` as the root of the store at ``path``.

    ``new_groups`` are the groups that have no directory yet, parents first. Raises `OSError`;
    the state on disk is then the old one, or the new one if only the very last fsync failed.
    """
    staged = list(arrays)
    fresh = [array for array in staged if array.fresh]
    grown = [array for array in staged if not array.fresh and array.rows > array.committed]
    written: list[tuple[Swap, Encoder]] = []
    try:
        for array in grown:
            array.load_tail()
            for index in array.changed_files():
                target = array.directory / array.spec.file_name(index)
                swap = spares.swap(target, index * array.spec.file_rows < array.committed)
                written.append((swap, partial(array.encode, index, padded=swap.over)))
        switch = spares.swap(path / ROOT_NAME, True)
        written.append((switch, lambda: [root]))
        made = _make_directories(disk, path, fresh, new_groups)
        new = [(path / name, encode) for name, encode in _new_files(new_groups, fresh)]
        _write_all(disk, path, written, new)
        for swap, _ in written[:-1]:
            spares.switch(disk, swap)
        touched = {*made, *(array.directory for array in grown)}
        disk.run_all([partial(disk.fsync_dir, directory) for directory in sorted(touched)])
        spares.switch(disk, switch)
    except BaseException:
        for swap, _ in written:  # a full disk wants its space back
            with contextlib.suppress(OSError):
                remove_tree(disk, swap.temporary)
        spares.drop(disk)
        if not _may_hold(path / ROOT_NAME, root):  # an interrupt may come just after its rename
            for directory in _directories(path, fresh, new_groups):
                with contextlib.suppress(OSError):
                    remove_tree(disk, directory)
        raise
    disk.fsync_dir(path)
    spares.committed()


def store_files(
    root: Root, rows: Mapping[str, Any], first: Mapping[str, int] | None = None
) -> Iterator[tuple[str, Encoder]]:
    """Every file but the root as bytes, for what ships a store by other means.

    Args:
        root: the state to ship: committed rows, nothing behind them.
        rows: those of each array, as `StoredArray.append` takes them.
        first: for each array the number of the file from which on they are wanted.

    Yields:
        (path in the store, function that makes its bytes).
    """

    def staged() -> Iterator[StoredArray]:  # one after another: it copies the rows
        for name, (spec, _) in root.arrays.items():
            array = StoredArray(spec, LocalSource(Path()), 0, True)
            array.append(rows[name])
            yield array

    return _new_files(root.groups(), staged(), first)


def refresh_children(disk: Disk, arrays: Iterable[StoredArray]) -> None:
    """Bring the arrays' own ``zarr.json`` up to the committed root.

    They may lag behind the root, never lead, so an `OSError` on the way does no harm.
    """
    targets = {array.directory / ROOT_NAME: array for array in arrays}
    tasks = [
        partial(
            _write,
            disk,
            temporary(target),
            partial(_metadata, array.spec.metadata(array.committed)),
        )
        for target, array in targets.items()
    ]
    disk.run_all(tasks)
    for target in targets:
        disk.rename(temporary(target), target)


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
    groups: Iterable[str], arrays: Iterable[StoredArray], first: Mapping[str, int] | None = None
) -> Iterator[tuple[str, Encoder]]:
    """The files of new groups and arrays by their paths in the store, their metadata first."""
    for group in groups:
        yield f"{group}/{ROOT_NAME}", partial(_metadata, GROUP_METADATA)
    for array in arrays:
        name = array.spec.name
        yield f"{name}/{ROOT_NAME}", partial(_metadata, array.spec.metadata(array.rows))
        yield from _changed_files(array, (first or {}).get(name, 0))


def _changed_files(array: StoredArray, first: int = 0) -> Iterator[tuple[str, Encoder]]:
    for index in array.changed_files():
        if index >= first:
            yield f"{array.spec.name}/{array.spec.file_name(index)}", partial(array.encode, index)


def _write_all(
    disk: Disk,
    path: Path,
    swaps: Sequence[tuple[Swap, Encoder]],
    new: Sequence[tuple[Path, Encoder]],
) -> None:
    """Encode, write and fsync every file: those of ``swaps`` and the ``new`` ones."""
    over = [(swap.temporary, encode()) for swap, encode in swaps if swap.over]
    files = [(swap.temporary, encode) for swap, encode in swaps if not swap.over]
    lease = exclusive_lease(path) if over else None
    descriptors: list[tuple[int, Path]] = []
    try:
        if lease is None:  # readers may have the spare files open: make new ones
            files += [(file, partial(_same, parts)) for file, parts in over]
        else:
            with lease:
                for file, parts in over:
                    descriptors.append((disk.overwrite(file, parts), file))
        tasks = [partial(disk.fsync, descriptor, file) for descriptor, file in descriptors]
        tasks += [partial(_write, disk, file, encode) for file, encode in [*files, *new]]
        disk.run_all(tasks)
    finally:
        for descriptor, _ in descriptors:
            os.close(descriptor)


def _write(disk: Disk, path: Path, encode: Encoder) -> None:
    disk.write_durable(path, encode())


def _same(parts: Sequence[Any]) -> Sequence[Any]:
    return parts


def _metadata(document: Any) -> list[bytes]:
    return [metadata_bytes(document)]
