"""What lies in a store's directories: are the committed files there, and what is left over?"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from memoria.chunkstore.codec import DAMAGE_HINT, file_sizes
from memoria.chunkstore.disk import Disk
from memoria.chunkstore.locks import exclusive_lease
from memoria.chunkstore.root import Root
from memoria.chunkstore.sources.local import Entry, Source
from memoria.chunkstore.spec import ArraySpec
from memoria.errors import DamageError, MemoriaError, StorageError

TEMPORARY = ".tmp"
_OWN = frozenset(  # names at the top
    "commands era events log scales sources state texts vectors".split()
)


def survey(source: Source, root: Root) -> list[str]:
    """Check that files of a sound size cover every committed row; the paths of what is left over.

    Left over are ``*.tmp`` files, and what the root does not know of generations (directories
    named by a number beside a committed one) and of the arrays that a first era superseded.
    Symbolic links raise `DamageError`.
    """
    leftover: list[str] = []
    for directory in ["", *root.groups(), *root.arrays]:  # parents first: no link is walked through
        entries = _entries(source, directory)
        for name, entry in entries.items():
            path = f"{directory}/{name}" if directory else name
            is_directory = entry.kind == "directory"
            if is_stale(path, root) if is_directory else name.endswith(TEMPORARY):
                leftover.append(path)
        if directory in root.arrays:
            _check_files(source, entries, *root.arrays[directory])
    return leftover


def is_stale(path: str, root: Root) -> bool:
    """Whether the directory ``path`` of a store is left over: ours once, unknown to ``root``."""
    groups = root.groups()
    if path in groups or path in root.arrays:
        return False
    numbered = {_parent(group) for group in groups if _is_number(group)}
    return path in _OWN or (_parent(path) in numbered and _is_number(path))


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


def _entries(source: Source, directory: str) -> dict[str, Entry]:
    place = source.place(directory)
    try:
        entries = source.entries(directory)
    except (FileNotFoundError, NotADirectoryError):
        raise DamageError(f"{place}: directory missing", DAMAGE_HINT) from None
    except MemoriaError:
        raise
    except OSError as error:
        raise StorageError(f"{place}: cannot read: {error.strerror or error}") from None
    for name, entry in entries.items():
        if entry.kind == "link":
            raise DamageError(f"{place}/{name}: is a symbolic link", DAMAGE_HINT)
    return entries


def _check_files(source: Source, entries: dict[str, Entry], spec: ArraySpec, rows: int) -> None:
    for index in range(spec.file_count(rows)):
        name = spec.file_name(index)
        place = source.place(f"{spec.name}/{name}")
        try:
            # a listing may miss a file that is being swapped: ask for it by name
            entry = entries.get(name) or source.entry(f"{spec.name}/{name}")
        except FileNotFoundError:
            raise DamageError(f"{place}: missing (array '{spec.name}')", DAMAGE_HINT) from None
        except MemoriaError:
            raise
        except OSError as error:
            raise StorageError(f"{place}: {error.strerror or error}") from None
        least, most = file_sizes(spec, min(rows - index * spec.file_rows, spec.file_rows))
        if entry.kind != "file" or not least <= entry.size <= most:
            raise DamageError(
                f"{place}: {entry.size} bytes long, expected {least} to {most} "
                f"(array '{spec.name}')",
                DAMAGE_HINT,
            )
