"""What lies in a store's directories: what is missing, what does not belong, what is left over."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from memoria.chunkstore.garbage import TEMPORARY, is_stale
from memoria.chunkstore.root import LEASE_NAME, LOCK_NAME, ROOT_NAME, Root, read_root
from memoria.chunkstore.sources.local import Entry, FileReplacedError, NotAFileError, Source
from memoria.chunkstore.spec import GROUP_METADATA, ArraySpec, parse_array
from memoria.errors import ConfigError, MemoriaError
from memoria.store.schema import DERIVED
from memoria.store.verify.damaged import Damage
from memoria.store.verify.findings import Findings

_MOST_METADATA: Final = 2**20
_GAPS: Final = 100  # missing files of one array that are named one by one


@dataclass
class Tree:
    """Counts of a store's files, and ``present``: sizes of each array's files by their number."""

    files: int = 0
    bytes: int = 0
    garbage: dict[str, int] = field(default_factory=lambda: {"files": 0, "bytes": 0})
    present: dict[str, dict[int, int]] = field(default_factory=dict)
    damages: list[Damage] = field(default_factory=list)


def walk(source: Source, root: Root | None, findings: Findings) -> Tree:
    """Look at every name in ``source``; without ``root`` only links are known to be wrong."""
    tree = Tree()
    known = {"", *(root.groups() if root else ())}
    arrays = {name: spec for name, (spec, _) in root.arrays.items()} if root else {}
    waiting = [""]
    while waiting:
        directory = waiting.pop()
        below = f"{directory}/" if directory else ""
        entries = _entries(source, directory, findings)
        if directory in arrays:
            tree.present[directory] = {}
        for name in sorted(entries):
            place, entry = below + name, entries[name]
            if entry.kind == "link":
                findings.add("link", place, "is a symbolic link", array=_array(arrays, directory))
            elif entry.kind == "directory":
                if place == DERIVED:
                    continue
                if root is None or place in known or place in arrays:
                    waiting.append(place)
                elif is_stale(place, root):
                    _count_garbage(source, place, tree, findings)
                else:
                    findings.note(place, "is a directory that is no part of the store")
            elif entry.kind == "other":
                findings.note(place, "is neither a file nor a directory")
            else:
                tree.files += 1
                tree.bytes += entry.size
                _file(place, directory, name, entry.size, arrays, root, tree, findings)
    if root is not None:
        _missing(source, root, tree, findings)
    return tree


def _file(
    place: str,
    directory: str,
    name: str,
    size: int,
    arrays: dict[str, ArraySpec],
    root: Root | None,
    tree: Tree,
    findings: Findings,
) -> None:
    """One regular file: ours, garbage, or no part of the store."""
    if name.endswith(TEMPORARY):
        tree.garbage["files"] += 1
        tree.garbage["bytes"] += size
        return
    if name == ROOT_NAME or root is None or (not directory and name in (LOCK_NAME, LEASE_NAME)):
        return
    spec = arrays.get(directory)
    number = _number(name, spec) if spec is not None else None
    if spec is None or number is None:
        findings.note(place, "is a file that is no part of the store")
        return
    tree.present[directory][number] = size
    if number >= spec.file_count(root.arrays[directory][1]):  # of a commit that did not end
        tree.garbage["files"] += 1
        tree.garbage["bytes"] += size


def _missing(source: Source, root: Root, tree: Tree, findings: Findings) -> None:
    """Directories, metadata and chunk files that the root names and that are not there."""
    for name in root.groups():
        _check_metadata(source, name, None, 0, findings)
    for name, (spec, rows) in root.arrays.items():
        _check_metadata(source, name, spec, rows, findings)
        present = tree.present.get(name, {})
        count = spec.file_count(rows)
        there = sorted(number for number in present if number < count)
        named = 0
        for first, last in _gaps(there, count):
            for number in range(first, min(last, first + max(0, _GAPS - named))):
                named += 1
                tree.damages.append(_hole(spec, rows, number, number + 1))
                first = number + 1
            if first < last:
                tree.damages.append(_hole(spec, rows, first, last))


def _hole(spec: ArraySpec, rows: int, first: int, last: int) -> Damage:
    """The files from number ``first`` to before ``last`` are missing."""
    message = "missing" if last == first + 1 else f"missing, as are all up to number {last - 1}"
    return Damage(
        "missing",
        f"{spec.name}/{spec.file_name(first)}",
        spec.name,
        first * spec.file_rows,
        min(rows, last * spec.file_rows),
        message,
    )


def _gaps(there: list[int], count: int) -> list[tuple[int, int]]:
    """The stretches of 0 to ``count`` between the numbers ``there`` (ascending)."""
    edges = [-1, *there, count]
    return [(a + 1, b) for a, b in pairwise(edges) if b > a + 1]


def _check_metadata(
    source: Source, name: str, spec: ArraySpec | None, rows: int, findings: Findings
) -> None:
    """A child's own ``zarr.json``: it may lag behind the root, never lead or differ."""
    place = f"{name}/{ROOT_NAME}"
    array = None if spec is None else name
    try:
        file = source.open(place)
        content = file.read(0, _MOST_METADATA + 1)
        file.close()
    except FileNotFoundError:
        findings.add("missing", place, "missing", array=array)
        return
    except NotAFileError as error:
        findings.add("metadata", place, f"is {error.strerror}", array=array)
        return
    except MemoriaError as error:  # of an archive
        findings.add("unreadable", place, error.message, array=array)
        return
    except (OSError, FileReplacedError) as error:
        findings.add(
            "unreadable", place, getattr(error, "strerror", None) or "changes", array=array
        )
        return
    fault, shown = _metadata_fault(content, spec)
    if shown > rows and shown > _rows_now(source, name):
        fault = f"leads the root: {shown} rows, committed are {rows}"
    if fault:
        findings.add("metadata", place, fault, array=array)


def _rows_now(source: Source, name: str) -> int:
    """Rows of the array in the root as it is now: a writer may have gone on."""
    try:
        return read_root(source).arrays[name][1]
    except (MemoriaError, OSError, KeyError):
        return 0


def _metadata_fault(content: bytes, spec: ArraySpec | None) -> tuple[str, int]:
    """What is wrong with a child's metadata, "" if nothing is, and the rows that it shows."""
    if len(content) > _MOST_METADATA:
        return f"is over {_MOST_METADATA} bytes long", 0
    try:
        document: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        return f"is not JSON: {error}", 0
    if spec is None:
        return "" if document == GROUP_METADATA else "is not that of a group of this format", 0
    try:
        found, shown = parse_array(spec.name, document)
    except (ConfigError, ValueError) as error:
        return f"is not that of the array: {error}", 0
    if found != spec:
        return "is that of another array than the root says", 0
    return "", shown


def _number(name: str, spec: ArraySpec) -> int | None:
    """Which chunk file of the array has this name."""
    digits = name.removeprefix("c.").removesuffix(".0" * len(spec.row_shape))
    if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        return None
    return int(digits) if spec.file_name(int(digits)) == name else None


def _count_garbage(source: Source, place: str, tree: Tree, findings: Findings) -> None:
    """Everything below a directory that is left over."""
    waiting = [place]
    while waiting:
        directory = waiting.pop()
        for name, entry in _entries(source, directory, findings).items():
            if entry.kind == "directory":
                waiting.append(f"{directory}/{name}")
            elif entry.kind == "link":
                findings.add("link", f"{directory}/{name}", "is a symbolic link")
            else:
                tree.files += 1
                tree.bytes += entry.size
                tree.garbage["files"] += 1
                tree.garbage["bytes"] += entry.size


def _entries(source: Source, directory: str, findings: Findings) -> dict[str, Entry]:
    try:
        return source.entries(directory)
    except (FileNotFoundError, NotADirectoryError):
        return {}  # its zarr.json will be named
    except OSError as error:
        findings.add("unreadable", directory or ".", error.strerror or str(error))
        return {}


def _array(arrays: dict[str, ArraySpec], directory: str) -> str | None:
    return directory if directory in arrays else None
