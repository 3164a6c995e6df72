"""What a memory holds of each source: the units of its last reading, and those that came since."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from memoria.store.memory_files import MemoryFiles
from memoria.store.schema import ReadingColumn
from memoria.store.sources import RUN, UnitRows, concatenate, read_unit_rows
from memoria.store.texts import StoredTexts
from memoria.timeline.log import IntArray


class HeldUnits:
    """The readings of a store, as they were when this was made.

    A reading with a content says which units a source has; one without adds to them. Later ones
    count.
    """

    def __init__(self, files: MemoryFiles, stored_texts: StoredTexts) -> None:
        self._files = files
        table = files.read("sources/readings")
        self._ends = np.append(0, table[:, ReadingColumn.UNITS_END])
        self._contents = table[:, ReadingColumn.HASH :]
        self._events = table[:, ReadingColumn.EVENTS]
        sources = table[:, ReadingColumn.SOURCE]
        numbers = np.arange(len(table))
        whole = self._contents.any(1)
        self._whole = np.full(files.rows("sources/index"), -1, np.int64)  # the last of each source
        self._whole[sources[whole]] = numbers[whole]
        added = ~whole & (numbers > self._whole[sources])
        self._added: dict[int, list[int]] = {}  # readings since, by source
        for source, number in zip(sources[added].tolist(), numbers[added].tolist(), strict=True):
            self._added.setdefault(source, []).append(number)
        self._counts: IntArray | None = None  # units that rows stand for, added up
        read = np.append(np.flatnonzero(self._whole >= 0), np.array([*self._added], np.int64))
        self._names = dict(zip(read.tolist(), stored_texts.named_sources(read), strict=True))
        self._by_path: dict[str, int] = {}
        for source in read.tolist():
            if resolved := self._names[source][1]:
                self._by_path[resolved] = source

    def find(self, resolved: str) -> int | None:
        """The source that resolves to this and has been read; None: there is none."""
        return self._by_path.get(resolved)

    def paths(self) -> Iterator[tuple[str, int]]:
        """What each source that has been read resolves to, and its number."""
        return iter(self._by_path.items())

    def name(self, source: int) -> str:
        """The name of a source as it was given."""
        return self._names[source][0]

    def content(self, source: int) -> bytes:
        """The content of which exactly the units are held; b"" where others are held too."""
        if source >= len(self._whole) or self._whole[source] < 0 or source in self._added:
            return b""
        content: bytes = self._contents[self._whole[source]].astype(">i8").tobytes()
        return content

    def is_before_an_event(self, source: int) -> bool:
        """Whether something was done to an engram, such as forgetting it, since it was read."""
        return int(self._events[self._readings(source)[-1]]) < self._files.events

    def engrams(self, without: Collection[int] = ()) -> IntArray:
        """The engrams that hold a unit of a source, ascending; some may be forgotten.

        ``without`` are sources that do not count.
        """
        table = self._files.read("sources/units")
        whole = self._whole.copy()
        whole[[source for source in without if source < len(whole)]] = -1
        added = [at for source, some in self._added.items() if source not in without for at in some]
        readings = np.append(whole[whole >= 0], np.array(added, np.int64))
        held = _mark(self._ends[readings], self._ends[readings + 1], len(table))
        runs = table[held & (table[:, 0] == RUN)]
        held |= _mark(runs[:, 2], runs[:, 2] + runs[:, 3], len(table))
        found = table[held, 0]
        there = np.zeros(self._files.created, bool)
        there[found[(found >= 0) & (found < len(there))]] = True
        return np.flatnonzero(there)

    def count_rows(self, source: int) -> int:
        """Rows of ``sources/units`` that tell of what is held: 0 where nothing is."""
        return sum(int(self._ends[at + 1] - self._ends[at]) for at in self._readings(source))

    def count_units(self, sources: Sequence[int]) -> int:
        """How many units are held of these sources together."""
        if self._counts is None:
            table = self._files.read("sources/units")
            sizes = np.where(table[:, 0] == RUN, table[:, 3], 1)
            self._counts = np.append(0, np.cumsum(sizes))
        spans = [self._ends[[at, at + 1]] for one in sources for at in self._readings(one)]
        return int(sum(self._counts[last] - self._counts[first] for first, last in spans))

    def units(self, source: int) -> UnitRows:
        """The units that are held of a source, in its order, those that were added last."""
        spans = [(int(self._ends[at]), int(self._ends[at + 1])) for at in self._readings(source)]
        parts = [read_unit_rows(self._files, *span) for span in spans]
        return concatenate(parts) if parts else UnitRows.none()

    def _readings(self, source: int) -> list[int]:
        if source >= len(self._whole):  # named since
            return []
        whole = int(self._whole[source])
        return [*([whole] if whole >= 0 else []), *self._added.get(source, ())]


def content_key(
    content: bytes, options: str, keeps_gone: bool = False, has_repeats: bool = False
) -> bytes:
    """What a reading is recorded with: the sha256 of the content, and of how it was read.

    ``options`` are those that change its units, "" for the usual ones. ``keeps_gone``: units that
    the source has no more are held too. ``has_repeats``: some are held by no engram, as they repeat
    others.
    """
    if not options and not keeps_gone and not has_repeats:
        return content
    words = options.encode() + b"\0gone" * keeps_gone + b"\0repeats" * has_repeats
    return hashlib.sha256(content + words).digest()


def _mark(begins: IntArray, ends: IntArray, size: int) -> NDArray[np.bool_]:
    """Which of ``size`` rows are within one of the spans."""
    edges = np.zeros(size + 1, np.int64)
    np.add.at(edges, np.clip(begins, 0, size), 1)
    np.add.at(edges, np.clip(ends, 0, size), -1)
    return np.cumsum(edges[:-1]) > 0
