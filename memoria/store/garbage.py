"""What lies in a store's directories: are the committed files there, and what is left over?"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from memoria.errors import DamageError, StorageError
from memoria.store.chunks import DAMAGE_HINT, file_sizes
from memoria.store.disk import Disk
from memoria.store.locks import exclusive_lease
from memoria.store.root import Root
from memoria.store.spec import ArraySpec

__all__ = ["TEMPORARY", "collect", "remove_tree", "survey"]

TEMPORARY = ".tmp"
_OWN = frozenset({"era", "events", "log", "sources", "state", "texts", "vectors"})  # top names


def survey(path: Path, root: Root) -> list[Path]:
    """Check that files of a sound size cover every committed row; what is left over.

    Left over are ``*.tmp`` files, and what the root does not know of generations (directories
    named by a number beside a committed one) and of the arrays that a first era superseded.
    Symbolic links raise `DamageError`.
    """
    groups = root.groups()
    numbered = {_parent(group) for group in groups if _is_number(group)}
    leftover: list[Path] = []
    for directory in ["", *groups, *root.arrays]:  # parents first: no link is walked through
        entries = _entries(path / directory)
        for name, entry in entries.items():
            if entry.is_dir(follow_symlinks=False):
                group = f"{directory}/{name}" if directory else name
                known = group in groups or group in root.arrays
                number = directory in numbered and _is_number(group)
                stale = not known and (number or group in _OWN)
            else:
                stale = name.endswith(TEMPORARY)
            if stale:
                leftover.append(Path(entry.path))
        if directory in root.arrays:
            _check_files(path / directory, entries, *root.arrays[directory])
    return leftover


def collect(disk: Disk, path: Path, leftover: list[Path]) -> list[Path]:
    """Remove what is left over, unless readers hold the lease. What remains to be removed.

    The root that no longer needs it must be durable already.
    """
    lease = exclusive_lease(path) if leftover else None
    if lease is None:
        return leftover
    remaining = []
    with lease:
        for place in leftover:
            try:
                remove_tree(disk, place)
            except OSError:  # garbage does no harm: the next collection tries again
                remaining.append(place)
    return remaining


def remove_tree(disk: Disk, path: Path) -> None:
    """Remove a file, or a directory with everything in it; links are not followed."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(mode):
        disk.remove(path)
        return
    with os.scandir(path) as entries:
        names = [entry.name for entry in entries]
    for name in names:
        remove_tree(disk, path / name)
    disk.rmdir(path)


def _parent(group: str) -> str:
    return group.rpartition("/")[0]


def _is_number(group: str) -> bool:
    """Is this a generation: ``state/12``?"""
    parent, _, name = group.rpartition("/")
    return bool(parent) and name.isascii() and name.isdigit()


def _entries(directory: Path) -> dict[str, os.DirEntry[str]]:
    try:
        with os.scandir(directory) as found:
            entries = {entry.name: entry for entry in found}
    except (FileNotFoundError, NotADirectoryError):
        raise DamageError(f"{directory}: directory missing", DAMAGE_HINT) from None
    except OSError as error:
        raise StorageError(f"{directory}: cannot read: {error.strerror or error}") from None
    for entry in entries.values():
        if entry.is_symlink():
            raise DamageError(f"{entry.path}: is a symbolic link", DAMAGE_HINT)
    return entries


def _check_files(
    directory: Path, entries: dict[str, os.DirEntry[str]], spec: ArraySpec, rows: int
) -> None:
    for index in range(spec.file_count(rows)):
        name = spec.file_name(index)
        try:
            # a listing may miss a file that is being swapped: ask for it by name
            status = entries[name].stat(follow_symlinks=False) if name in entries else None
            status = status or os.lstat(directory / name)
        except FileNotFoundError:
            raise DamageError(
                f"{directory / name}: missing (array '{spec.name}')", DAMAGE_HINT
            ) from None
        except OSError as error:
            raise StorageError(f"{directory / name}: {error.strerror or error}") from None
        least, most = file_sizes(spec, min(rows - index * spec.file_rows, spec.file_rows))
        if not stat.S_ISREG(status.st_mode) or not least <= status.st_size <= most:
            raise DamageError(
                f"{directory / name}: {status.st_size} bytes long, expected {least} to {most} "
                f"(array '{spec.name}')",
                DAMAGE_HINT,
            )
