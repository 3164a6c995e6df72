"""Texts, places and the names of sources against their rules."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from memoria.errors import DamageError
from memoria.store.verify.findings import Findings
from memoria.store.verify.steps import Steps
from memoria.timeline.log import IntArray

__all__ = ["check_texts"]

_ROWS: Final = 4096  # of texts/index at once: as many as a file has
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
        names = ("texts/index", "texts/bytes", "sources/ends", "sources/bytes")
        self._index, self._bytes, self._ends, self._names = map(steps.array, names)
        self._bad_source = 2**62  # the first that is wrong
        self._first_era = steps.files.attributes.era.generation is None

    def sources(self) -> int | None:
        """How many sources there are; None where their list cannot be read."""
        try:
            ends: IntArray = self._loose.sound_rows(self._ends)
            raw = self._loose.sound_rows(self._names).tobytes()
        except DamageError:  # which has been named
            return None
        seen: dict[bytes, int] = {}
        begin = 0
        for number, end in enumerate(ends.tolist()):
            if not begin <= end <= len(raw):
                text = f"its name ends at {end}, not within {begin} and {len(raw)}"
                self._of_source(number, text)
                continue
            name = raw[begin:end]
            if not _is_utf8(name):
                self._of_source(number, "its name is not UTF-8", self._names, begin)
            if name in seen:
                self._of_source(number, f"has the name of source {seen[name]}")
            seen.setdefault(name, number)
            begin = end
        if begin != len(raw):
            text = f"the names end at {begin}, there are {len(raw)} bytes"
            self._say("sources", self._names, begin, text)
        return len(ends)

    def index(self, sources: int | None) -> None:
        """Row after row of texts/index, and the texts that they mark."""
        rows, total = self._loose.committed_rows(self._index), self._loose.rows(self._bytes)
        before, named = 0, 0
        end = self._loose.readable_end(self._index)
        for first in range(0, end, _ROWS):
            last = min(end, first + _ROWS)
            if not self._loose.is_sound(self._index, first, last):
                before = -1  # not known
                continue
            table: IntArray = self._loose.read(self._index, first, last)
            starts = np.append(table[0, 0] if before < 0 else before, table[:-1, 0])
            falls = (table[:, 0] < starts) | (table[:, 0] > total) | (starts < 0)
            for at in np.flatnonzero(falls).tolist():
                text = f"the text ends at {table[at, 0]}, not within {starts[at]} and {total}"
                self._of_engram(first + at, text, self._index)
            named = self._places(first, table, sources, named)
            self._utf8(first, starts, table[:, 0], ~falls)
            before = int(table[-1, 0])
        if before >= 0 and end == rows and before < total:
            self._of_engram(rows - 1, f"the texts end at {before}, there are {total} bytes")
        if sources is not None and named < sources and self._first_era and end == rows:
            self._say("sources", self._ends, named, f"source {named} is named by no engram")

    def _places(self, first: int, table: IntArray, sources: int | None, named: int) -> int:
        """Check columns 1 and 2; returns how many sources have been named by now."""
        source, offset = table[:, 1], table[:, 2]
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
        so_far = np.maximum.accumulate(np.append(named - 1, np.where(wrong, -1, source)))
        if self._first_era:
            for at in np.flatnonzero(~wrong & (source > so_far[:-1] + 1)).tolist():
                text = f"its source is number {source[at]}, the next new one is {so_far[at] + 1}"
                self._of_engram(first + at, text, self._index)
        return int(so_far[-1]) + 1

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
        """Texts one behind another; the rows are first + at and on."""
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
        self._say("sources", array or self._ends, row, f"source {number} {message}")

    def _of_engram(
        self, row: int, message: str, array: str | None = None, at: int | None = None
    ) -> None:
        """Name a finding in the text of the engram in ``row``."""
        name = array or self._bytes
        engram = int(self._steps.engrams(np.array([max(0, row)]))[0])
        where = row if at is None else at
        if array is None:
            where = self._loose.rows(name) - 1
        self._say(
            "texts",
            name,
            where,
            f"engram {engram}: {message}",
            engram % self._steps.lanes,
            self._steps.of_engram(engram),
        )

    def _say(
        self,
        kind: str,
        array: str,
        row: int,
        message: str,
        lane: int | None = None,
        step: int | None = None,
    ) -> None:
        spec = self._loose.spec(array)
        path = f"{array}/{spec.file_name(max(0, row) // spec.file_rows)}"
        self._findings.add(
            kind, path, message, array=array, lane=lane, step=step, spoils=step is not None
        )


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
