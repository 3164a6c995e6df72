"""Texts, places and the names of sources against their rules."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from memoria.errors import DamageError
from memoria.store.payloads import decode_meta
from memoria.store.schema import TextColumn
from memoria.store.verify.findings import Findings
from memoria.store.verify.steps import Steps
from memoria.timeline.log import IntArray

_ROWS: Final = 1024  # of texts/index at once: as many as a file has
_BYTES: Final = 2**22
_NONE: Final = -1

Mask = npt.NDArray[np.bool_]


def check_texts(steps: Steps, findings: Findings) -> None:
    """Name what breaks a rule, with the engram's lane and step."""
    check = _Check(steps, findings)
    sources = check.sources()
    check.index(sources)


class _Check:
    def __init__(self, steps: Steps, findings: Findings) -> None:
        self._steps, self._loose, self._findings = steps, steps.loose, findings
        names = ("texts/index", "texts/bytes", "sources/index", "sources/bytes")
        self._index, self._bytes, self._ends, self._names = map(steps.array, names)
        self._bad_source = 2**62  # the first that is wrong

    def sources(self) -> int | None:
        """How many sources there are; None where their list cannot be read."""
        try:
            ends: IntArray = self._loose.sound_rows(self._ends)
            raw = self._loose.sound_rows(self._names).tobytes()
        except DamageError:  # which has been named
            return None
        seen: dict[tuple[bytes, bytes], int] = {}
        begin = 0
        for number, (end, stop) in enumerate(ends.tolist()):
            if not begin <= end <= stop <= len(raw):
                text = f"its names end at {end} and {stop}, not within {begin} and {len(raw)}"
                self._of_source(number, text)
                continue
            name = raw[begin:end]
            if not (_is_utf8(name) and _is_utf8(raw[end:stop])):
                self._of_source(number, "its name is not UTF-8", self._names, begin)
            names = (name, raw[end:stop])
            if names in seen:
                self._of_source(number, f"has the names of source {seen[names]}")
            seen.setdefault(names, number)
            begin = stop
        if begin != len(raw):
            text = f"the names end at {begin}, there are {len(raw)} bytes"
            self._steps.tell("sources", self._names, begin, text)
        return len(ends)

    def index(self, sources: int | None) -> None:
        """Row after row of texts/index, and the texts that they mark."""
        rows, total = self._loose.committed_rows(self._index), self._loose.rows(self._bytes)
        before = 0
        end = self._loose.readable_end(self._index)
        for first in range(0, end, _ROWS):
            last = min(end, first + _ROWS)
            if not self._loose.is_sound(self._index, first, last):
                before = -1  # not known
                continue
            table: IntArray = self._loose.read(self._index, first, last)
            middles, ends = table[:, TextColumn.TEXT_END], table[:, TextColumn.META_END]
            starts = np.append(table[0, 0] if before < 0 else before, ends[:-1])
            falls = (middles < starts) | (ends < middles) | (ends > total) | (starts < 0)
            for at in np.flatnonzero(falls).tolist():
                text = f"the text ends at {middles[at]}, not within {starts[at]} and {total}"
                if starts[at] <= middles[at] <= total:
                    text = f"the meta ends at {ends[at]}, not within {middles[at]} and {total}"
                self._of_engram(first + at, text, self._index)
            self._places(first, table, sources)
            self._utf8(first, starts, middles, ~falls)
            self._meta(first, middles, ends, ~falls)
            before = int(ends[-1])
        if before >= 0 and end == rows and before < total:
            self._of_engram(rows - 1, f"the texts end at {before}, there are {total} bytes")

    def _meta(self, first: int, starts: IntArray, ends: IntArray, good: Mask) -> None:
        """Each meta is a JSON object."""
        for at in np.flatnonzero(good & (ends > starts)).tolist():
            start, stop = int(starts[at]), int(ends[at])
            if not self._loose.is_sound(self._bytes, start, stop):
                continue
            try:
                decode_meta(self._loose.read(self._bytes, start, stop).tobytes())
            except DamageError:
                self._of_engram(first + at, "the meta is not JSON", self._bytes, start)

    def _places(self, first: int, table: IntArray, sources: int | None) -> None:
        """Check sources, offsets and times."""
        source, offset = table[:, TextColumn.SOURCE], table[:, TextColumn.OFFSET]
        for at in np.flatnonzero(table[:, TextColumn.TIME] < _NONE).tolist():
            text = f"its time is {table[at, TextColumn.TIME]}"
            self._of_engram(first + at, text, self._index)
        known = np.iinfo(np.int64).max if sources is None else sources
        wrong = (source < _NONE) | (source >= known)
        for at in np.flatnonzero(wrong).tolist():
            text = f"its source is number {source[at]}, there are {sources}"
            self._of_engram(first + at, text, self._index)
        odd = ~wrong & ((offset < _NONE) | ((source == _NONE) != (offset == _NONE)))
        for at in np.flatnonzero(odd).tolist():
            text = f"its place is {offset[at]} in source {source[at]}"
            self._of_engram(first + at, text, self._index)
        spoilt = np.flatnonzero(source >= self._bad_source)
        if len(spoilt):
            engram = int(self._steps.engrams(first + spoilt[:1])[0])
            self._findings.spoilt = min(self._findings.spoilt, self._steps.of_engram(engram))

    def _utf8(self, first: int, starts: IntArray, ends: IntArray, good: Mask) -> None:
        """Each text is UTF-8."""
        at = 0
        while at < len(starts):
            if not good[at]:
                at += 1
                continue
            last = at + 1
            while last < len(starts) and good[last] and ends[last] - starts[at] <= _BYTES:
                last += 1
            self._decode(first, starts[at:last], ends[at:last], at)
            at = last

    def _decode(self, first: int, starts: IntArray, ends: IntArray, at: int) -> None:
        """Texts with the metas between them; the rows are first + at and on."""
        begin, stop = int(starts[0]), int(ends[-1])
        if begin == stop or not self._loose.is_sound(self._bytes, begin, stop):
            return
        raw = self._loose.read(self._bytes, begin, stop)
        inner = raw[starts[(starts > begin) & (starts < stop)] - begin]
        if _is_utf8(raw.tobytes()) and not ((inner & 0xC0) == 0x80).any():
            return
        for number, (a, b) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            if not _is_utf8(raw[a - begin : b - begin].tobytes()):
                self._of_engram(first + at + number, "the text is not UTF-8", self._bytes, a)

    def _of_source(
        self, number: int, message: str, array: str | None = None, at: int | None = None
    ) -> None:
        self._bad_source = min(self._bad_source, number)
        row = number if at is None else at
        self._steps.tell("sources", array or self._ends, row, f"source {number} {message}")

    def _of_engram(
        self, row: int, message: str, array: str | None = None, at: int | None = None
    ) -> None:
        """Name a finding in the text of the engram in ``row``."""
        name = array or self._bytes
        engram = int(self._steps.engrams(np.array([max(0, row)]))[0])
        where = row if at is None else at
        if array is None:
            where = self._loose.rows(name) - 1
        text, step = f"engram {engram}: {message}", self._steps.of_engram(engram)
        self._steps.tell("texts", name, where, text, engram=engram, step=step)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
