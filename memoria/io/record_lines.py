"""What the lines of a large file of records become, known again line by line.

A record depends on its line alone. So a line that was read before, told by a digest of its bytes,
need not be parsed again to say which units it holds.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
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
_DIGEST: Final = 16
_KIND: Final = np.dtype((np.void, _DIGEST))  # a digest, or a hash, as one element
_NONE: Final = bytes(_DIGEST)  # of a line that is to be read again
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, eq=False)
class RecordLines:
    """The lines of a file, each with the units that it becomes. L lines, U units.

    Attributes:
        digests: of each line 16 bytes; zeros where it is to be read again.
        ends: units up to the end of each line, int64 [L].
        hashes: `TextUnit.hash` of each unit, 16 bytes each.
        offsets: offset of each unit, int64 [U].
        starts: first byte of each line, int64 [L], of a file that was scanned; else empty.
    """

    digests: bytes = b""
    ends: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    hashes: bytes = b""
    offsets: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    starts: IntArray = field(default_factory=lambda: np.empty(0, np.int64))


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
    spec: str, options: ReadOptions, known: RecordLines, tell: Callable[[str], None]
) -> RecordLines:
    """The lines of a file, those that are not ``known`` parsed.

    Args:
        spec: ``FILE.jsonl``, or with a field.
        options: how it is read: as ``known`` was.
        known: what lines became before.
        tell: takes a line for each record that is passed over.

    Raises:
        InputError, StorageError: as `memoria.io.texts.read_texts`; but no text is no error.
    """
    path = split_key(spec)[0]
    with reading(path), open(open_regular(path), "rb") as file:
        digests, starts = _digests(file)
        old = np.frombuffer(known.digests, _KIND)
        new = np.frombuffer(digests, _KIND).copy()
        line_of = _found_lines(old, new)  # of the known ones, -1 for a line that is none
        sizes = np.diff(known.ends, prepend=0)
        counts = np.where(line_of < 0, 0, sizes[line_of] if len(sizes) else 0)
        parsed: dict[int, list[TextUnit]] = {}
        for line in np.flatnonzero(line_of < 0).tolist():
            told = list[str]()
            file.seek(int(starts[line]))
            data = file.readline(LINE + 1)
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
    return RecordLines(new.tobytes(), ends, hashes.tobytes(), offsets, starts)


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
    with reading(path), open(open_regular(path), "rb") as file:
        for line, group in itertools.groupby(zip(of_unit.tolist(), wanted, strict=True), _first):
            file.seek(int(lines.starts[line]))
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
        lines = {digest: at for at, digest in enumerate(old.tolist())}
        for at, digest in zip(middle, new[middle.start : middle.stop].tolist(), strict=True):
            found[at] = lines.get(digest, -1)
    found[new == np.frombuffer(_NONE, _KIND)] = -1
    return found


def _alike(old: NDArray[np.void], new: NDArray[np.void]) -> int:
    """How many of the first are the same."""
    same = old == new
    return len(same) if same.all() else int(same.argmin())


def _digests(file: IO[bytes]) -> tuple[bytes, IntArray]:
    """Digest, without its end, and first byte of each line."""
    digests, starts, at, left = list[bytes](), [np.empty(0, np.int64)], 0, b""
    is_marked = file.read(len(_BOM)) == _BOM
    file.seek(0)
    while data := file.read(_BLOCK):
        whole = left + data
        end = whole.rfind(b"\n") + 1
        if end == 0 and len(whole) > LINE:  # no record: whoever parses it says so
            size = len(whole) + _pass_over_line(file)
            digests.append(_NONE)
            starts.append(np.array([at]))
            at, left = at + size, b""
            continue
        lines = whole[:end].split(b"\n")[:-1]
        digests += map(_digest, lines)
        sizes = np.fromiter(map(len, lines), np.int64, len(lines)) + 1
        starts.append(at + np.cumsum(sizes) - sizes)
        at, left = at + end, whole[end:]
    if left:
        digests.append(_digest(left))
        starts.append(np.array([at]))
    if is_marked:  # the first line means something else elsewhere
        digests[0] = _NONE
    return b"".join(digests), np.concatenate(starts)


def _pass_over_line(file: IO[bytes]) -> int:
    """Read to the end of a line; how many bytes that were."""
    size = 0
    while data := file.readline(_BLOCK):
        size += len(data)
        if data.endswith(b"\n"):
            break
    return size


def _digest(line: bytes) -> bytes:
    return hashlib.blake2b(line, digest_size=_DIGEST).digest()


def _first(pair: tuple[int, int]) -> int:
    return pair[0]
