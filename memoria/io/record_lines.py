"""What the lines of a large file of records become, known again line by line.

A record depends on its line alone. So a line that was read before, told by a digest of its bytes,
need not be parsed again to say which units it holds.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

from memoria.io.bounds import open_regular
from memoria.io.files import find_form, is_stream, reading, split_key
from memoria.io.forms.json_records import LINE
from memoria.io.read_options import ReadOptions
from memoria.io.text_unit import TextUnit
from memoria.io.texts import read_part

LARGE: Final = 1 << 22  # bytes of a file whose lines are worth remembering
IntArray = NDArray[np.int64]
_BLOCK: Final = 1 << 24  # bytes that are hashed at a time
_GROUP: Final = 256  # lines of a group, at most
_DIGEST: Final = 16
_KIND: Final = np.dtype((np.void, _DIGEST))  # a digest, or a hash, as one element
_NONE: Final = bytes(_DIGEST)  # of a line that is to be read again
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, eq=False)
class RecordLines:
    """The lines of a file, each with the units that it becomes. L lines, U units, G groups.

    Lines lie in groups of neighbours, so that those of a group that has not changed need not be
    looked at one by one.

    Attributes:
        digests: of each line 16 bytes; zeros where it is to be read again.
        sizes: bytes of each line, its end counted, int64 [L].
        groups: lines up to the end of each group, int64 [G].
        group_digests: of the bytes of each group 16 bytes.
        ends: units up to the end of each line, int64 [L].
        hashes: `TextUnit.hash` of each unit, 16 bytes each.
        offsets: offset of each unit, int64 [U].
    """

    digests: bytes = b""
    sizes: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    groups: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    group_digests: bytes = b""
    ends: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    hashes: bytes = b""
    offsets: IntArray = field(default_factory=lambda: np.empty(0, np.int64))


def has_record_lines(spec: str) -> bool:
    """Whether a file has a record a line and is large."""
    if is_stream(spec):
        return False
    path = split_key(spec)[0]
    try:
        large = os.path.getsize(path) >= LARGE
    except OSError:
        return False
    form = find_form(path) if large else None
    return form is not None and form.name == "jsonl"


def scan_lines(
    spec: str,
    options: ReadOptions,
    known: RecordLines,
    tell: Callable[[str], None],
    heard: Callable[[int], None] = lambda size: None,
) -> RecordLines:
    """The lines of a file, those that are not ``known`` parsed.

    Args:
        spec: ``FILE.jsonl``, or with a field.
        options: how it is read: as ``known`` was.
        known: what lines became before.
        tell: takes a line for each record that is passed over.
        heard: takes the number of bytes of each line that is parsed.

    Raises:
        InputError, StorageError: as `memoria.io.texts.read_texts`; but no text is no error.
    """
    path = split_key(spec)[0]
    with reading(path), open(open_regular(path), "rb") as file:
        read = _read_lines(file, known)
        starts = np.cumsum(read.sizes) - read.sizes
        old = np.frombuffer(known.digests, _KIND)
        new = np.frombuffer(read.digests, _KIND).copy()
        line_of = _found_lines(old, new)  # of the known ones, -1 for a line that is none
        sizes = np.diff(known.ends, prepend=0)
        counts = np.where(line_of < 0, 0, sizes[line_of] if len(sizes) else 0)
        parsed: dict[int, list[TextUnit]] = {}
        for line in np.flatnonzero(line_of < 0).tolist():
            told = list[str]()
            file.seek(int(starts[line]))
            data = file.readline(LINE + 1)
            heard(len(data))
            parsed[line] = [*read_part(data, spec, options, line, 0, told.append)]
            counts[line] = len(parsed[line])
            if told:
                new[line] = np.frombuffer(_NONE, _KIND)[0]
                for one in told:
                    tell(one)
    ends = np.cumsum(counts)
    hashes = np.empty(int(counts.sum()), _KIND)
    offsets = np.empty(len(hashes), np.int64)
    old_hashes = np.frombuffer(known.hashes, _KIND)
    kept = np.repeat(line_of >= 0, counts)
    of_unit = np.repeat(line_of, counts)[kept]
    within = (np.arange(len(hashes)) - np.repeat(ends - counts, counts))[kept]
    source = (known.ends - sizes)[of_unit] + within
    hashes[kept], offsets[kept] = old_hashes[source], known.offsets[source]
    for line, units in parsed.items():
        first = int(ends[line]) - len(units)
        for at, unit in enumerate(units, first):
            hashes[at] = np.frombuffer(unit.hash, _KIND)[0]
            offsets[at] = unit.offset
    return replace(read, digests=new.tobytes(), ends=ends, hashes=hashes.tobytes(), offsets=offsets)


def units_of_lines(
    spec: str, options: ReadOptions, lines: RecordLines, wanted: Sequence[int]
) -> Iterator[tuple[int, TextUnit]]:
    """Number and unit of the units of a file that are ``wanted``, in order.

    Args:
        spec: the file.
        options: how it is read.
        lines: what `scan_lines` found in it.
        wanted: numbers of units, ascending.
    """
    path, numbers = split_key(spec)[0], np.array(wanted, np.int64)
    of_unit = np.searchsorted(lines.ends, numbers, side="right")
    starts = np.cumsum(lines.sizes) - lines.sizes
    with reading(path), open(open_regular(path), "rb") as file:
        for line, group in itertools.groupby(zip(of_unit.tolist(), wanted, strict=True), _first):
            file.seek(int(starts[line]))
            data = file.readline(LINE + 1)
            first = int(lines.ends[line - 1]) if line else 0
            found = dict(enumerate(read_part(data, spec, options, line, 0), first))
            yield from ((unit, found[unit]) for _, unit in group if unit in found)


def _found_lines(old: NDArray[np.void], new: NDArray[np.void]) -> IntArray:
    """Which of the ``old`` lines each ``new`` one is; -1: none."""
    found = np.full(len(new), -1, np.int64)
    most = min(len(old), len(new))
    first = _alike(old[:most], new[:most])
    last = _alike(old[len(old) - most :][::-1], new[len(new) - most :][::-1])
    last = min(last, most - first)
    found[:first] = np.arange(first)
    found[len(new) - last :] = np.arange(len(old) - last, len(old))
    middle = range(first, len(new) - last)
    if len(middle):
        moved = range(first, len(old) - last)
        lines = dict(zip(old[first : len(old) - last].tolist(), moved, strict=True))
        for at, digest in zip(middle, new[middle.start : middle.stop].tolist(), strict=True):
            found[at] = lines.get(digest, -1)
    found[new == np.frombuffer(_NONE, _KIND)] = -1
    return found


def _alike(old: NDArray[np.void], new: NDArray[np.void]) -> int:
    """How many of the first are the same."""
    same = old == new
    return len(same) if same.all() else int(same.argmin())


def _read_lines(file: IO[bytes], known: RecordLines) -> RecordLines:
    """The lines of a file, without their units; those of groups that are ``known`` are not cut."""
    is_marked = file.read(len(_BOM)) == _BOM
    total, edges = file.seek(0, os.SEEK_END), np.append(0, known.groups)
    bytes_before = np.append(0, np.cumsum(known.sizes))[edges]
    sizes = np.diff(bytes_before).tolist()
    front, begin, back, end = 0, 0, len(sizes), total
    while front < back and begin + sizes[front] <= total:
        last = _last_of_group(file, begin, sizes[front], known, front)
        if last is None or (last != b"\n" and begin + sizes[front] < total):  # it goes on
            break
        begin, front = begin + sizes[front], front + 1
    while front < back and end - sizes[back - 1] >= begin:
        if _last_of_group(file, end - sizes[back - 1], sizes[back - 1], known, back - 1) is None:
            break
        end, back = end - sizes[back - 1], back - 1
    if begin < end < total:
        file.seek(end - 1)
        if file.read(1) != b"\n":  # its first line begins before
            end, back = end + sizes[back], back + 1
    new, first, last_line = _cut_lines(file, begin, end), int(edges[front]), int(edges[back])
    digests = known.digests[: _DIGEST * first] + new.digests + known.digests[_DIGEST * last_line :]
    later = known.groups[back:] - last_line
    so_far = first + len(new.sizes)
    return RecordLines(
        digests=_NONE + digests[_DIGEST:] if is_marked else digests,  # it means something else
        sizes=np.concatenate((known.sizes[:first], new.sizes, known.sizes[last_line:])),
        groups=np.concatenate((known.groups[:front], first + new.groups, so_far + later)),
        group_digests=known.group_digests[: _DIGEST * front]
        + new.group_digests
        + known.group_digests[_DIGEST * back :],
    )


def _last_of_group(
    file: IO[bytes], at: int, size: int, known: RecordLines, group: int
) -> bytes | None:
    """The last byte of the ``size`` bytes from ``at`` on; None if they are not those of a group."""
    file.seek(at)
    found, last = hashlib.blake2b(digest_size=_DIGEST), b""
    while size and (data := file.read(min(size, _BLOCK))):
        found.update(data)
        size, last = size - len(data), data[-1:]
    is_same = found.digest() == known.group_digests[_DIGEST * group : _DIGEST * (group + 1)]
    return last if is_same and not size else None


def _cut_lines(file: IO[bytes], at: int, end: int) -> RecordLines:
    """The lines that the bytes [at, end) of a file are, without their units."""
    digests, sizes, groups, group_digests = list[bytes](), [np.empty(0, np.int64)], [0], b""
    left = b""
    file.seek(at)

    def take(data: bytes, lines: list[bytes], sizes_of: IntArray) -> None:
        nonlocal group_digests
        digests.extend(map(_digest, lines))
        sizes.append(sizes_of)
        edges = [*range(0, len(sizes_of), _GROUP), len(sizes_of)]
        starts = np.append(0, np.cumsum(sizes_of))[edges].tolist()
        view = memoryview(data)
        for start, stop in itertools.pairwise(starts):
            group_digests += _digest(view[start:stop])
        groups.extend((groups[-1] + np.array(edges[1:])).tolist())

    while data := file.read(min(_BLOCK, end - file.tell())):
        whole = left + data
        cut = whole.rfind(b"\n") + 1
        if cut == 0 and len(whole) > LINE:  # no record: whoever parses it says so
            found = hashlib.blake2b(whole, digest_size=_DIGEST)
            size = len(whole) + _pass_over_line(file, found)
            digests.append(_NONE)
            sizes.append(np.array([size]))
            groups.append(groups[-1] + 1)
            group_digests += found.digest()
            left = b""
            continue
        if cut:
            lines = whole[:cut].split(b"\n")[:-1]
            take(whole[:cut], lines, np.fromiter(map(len, lines), np.int64, len(lines)) + 1)
        left = whole[cut:]
    if left:
        take(left, [left], np.array([len(left)]))
    return RecordLines(
        digests=b"".join(digests),
        sizes=np.concatenate(sizes),
        groups=np.array(groups[1:], np.int64),
        group_digests=group_digests,
    )


def _pass_over_line(file: IO[bytes], found: hashlib.blake2b) -> int:
    """Read to the end of a line; how many bytes that were."""
    size = 0
    while data := file.readline(_BLOCK):
        found.update(data)
        size += len(data)
        if data.endswith(b"\n"):
            break
    return size


def _digest(line: bytes | memoryview) -> bytes:
    return hashlib.blake2b(line, digest_size=_DIGEST).digest()


def _first(pair: tuple[int, int]) -> int:
    return pair[0]
