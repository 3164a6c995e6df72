"""The firings of one lane as a growing log, and co-fire counts counted from it.

A firing appends the positions that fired and nothing else; row i of the co-fire matrix is counted
by going through the firings that i took part in. Plain numpy: `inspect` needs no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from memoria.timeline.frequent import IntArray, Regulars

__all__ = ["FiringLog", "IntArray", "strongest_first", "with_room"]

_Number = TypeVar("_Number", bound=np.generic)

_TABLE: Final = 2**20  # cells up to which counting in a table beats sorting
_PAIRS_AT_ONCE: Final = 2**22  # bounds the memory of `edges`
_TAIL: Final = 4096  # entries that are always gone through, never sorted
_REGULARS_FROM: Final = 2**20  # pairs in one question that make it worth looking for regulars
_WORDS_PER_PAIR: Final = 48  # compared in the time that a pair takes to count
_SCANS: Final = 32  # going through all entries so many times costs as much as sorting them


class FiringLog:
    """``entries`` are positions, ``starts[f]`` is where firing f begins."""

    def __init__(
        self,
        entries: npt.NDArray[np.int32] | IntArray | None = None,
        starts: IntArray | None = None,
    ) -> None:
        nothing = np.empty(0, np.int64)
        self.work = 0  # of all questions so far, in pairs counted
        self._load(nothing if entries is None else entries, nothing if starts is None else starts)

    def _load(self, entries: npt.NDArray[np.int32] | IntArray, starts: IntArray) -> None:
        self._entries = entries.astype(np.int32, copy=False)  # half the memory of int64
        self._used = len(entries)
        self._starts = np.append(starts, self._used)
        self._firings = len(starts)
        self._width = int(entries.max()) + 1 if len(entries) else 0  # above every position
        self._indexed = 0
        self._scanned = 0  # entries gone through unsorted since they were sorted last
        self._by_engram: IntArray = np.empty(0, np.int64)  # firings, grouped by who took part
        self._groups: IntArray = np.zeros(1, np.int64)  # position p's group is [p] to [p + 1]
        self._regulars: Regulars | None = None

    def __len__(self) -> int:
        return self._used

    @property
    def entries(self) -> npt.NDArray[np.int32]:
        """Positions that fired, [N], firing after firing."""
        return self._entries[: self._used]

    @property
    def starts(self) -> IntArray:
        """Where every firing begins in `entries`, and where the last one ends, [F + 1]."""
        return self._starts[: self._firings + 1]

    @property
    def room(self) -> int:
        """Entries there is memory for."""
        return len(self._entries)

    def append(self, positions: IntArray) -> None:
        """One firing of distinct ``positions``."""
        end = self._used + len(positions)
        self._entries = with_room(self._entries, end)
        self._starts = with_room(self._starts, self._firings + 2)
        self._entries[self._used : end] = positions
        self._width = max(self._width, int(positions.max(initial=-1)) + 1)
        self._used = end
        self._firings += 1
        self._starts[self._firings] = end
        self._regulars = None

    def pack(self, kept: IntArray) -> bool:
        """Rename positions ``kept`` to 0..K-1, drop the others and firings left with nobody.

        Returns whether that changed anything.
        """
        if self._width <= len(kept) and (len(kept) == 0 or int(kept[-1]) == len(kept) - 1):
            return False
        rename = np.full(max(self._width, int(kept.max(initial=-1)) + 1), -1, np.int32)
        rename[kept] = np.arange(len(kept))
        entries = rename[self.entries]
        lives = entries >= 0
        before = np.zeros(len(lives) + 1, np.int64)
        np.cumsum(lives, out=before[1:])
        sizes = np.diff(before[self.starts])
        sizes = sizes[sizes > 0]
        self._load(entries[lives], np.cumsum(sizes) - sizes)
        return True

    def drop_index(self) -> None:
        """Release what questions have sorted; the next ones sort again if they must."""
        self._indexed = self._scanned = 0
        self._by_engram, self._groups = np.empty(0, np.int64), np.zeros(1, np.int64)
        self._regulars = None

    def pairs(self, positions: IntArray) -> tuple[IntArray, IntArray]:
        """Everyone who fired with each of ``positions``, once per common firing.

        Returns (which of ``positions``, partner's position), both [total].
        """
        return self._partners(*self._firings_of(positions))

    def tied(
        self, positions: IntArray, shut: npt.NDArray[np.bool_], oldest: bool = False
    ) -> tuple[IntArray, IntArray]:
        """(which of ``positions``, open partner) of all that share a row's greatest count.

        ``shut`` [C] marks what must not be chosen. A row without an open partner gives nothing;
        with ``oldest`` every other row gives one.
        """
        which, firing = self._firings_of(positions)
        row, found = np.empty(0, np.int64), np.empty(0, np.int64)
        regulars = self._regulars_for(firing)
        if regulars is not None:
            before = regulars.words
            row, found, left = regulars.tied(positions, shut)
            self.work += (regulars.words - before) // _WORDS_PER_PAIR
            keep = left[which]
            which, firing = which[keep], firing[keep]
        which, partner = self._most_frequent(which, firing, len(positions), shut)
        if len(row):
            which, partner = np.concatenate((row, which)), np.concatenate((found, partner))
            order = np.argsort(which, kind="stable")
            which, partner = which[order], partner[order]
        if oldest:
            which, first = np.unique(which, return_index=True)
            partner = partner[first]
        return which, partner

    def _most_frequent(
        self, which: IntArray, firing: IntArray, rows: int, shut: npt.NDArray[np.bool_]
    ) -> tuple[IntArray, IntArray]:
        """(row, partner), both ascending: the open ones that came most often to the row's firings.

        ``which`` of ``rows`` rows took part in each ``firing``.
        """
        which, partner = self._partners(which, firing)
        is_open = ~shut[partner]
        cell = which[is_open] * len(shut) + partner[is_open]
        if rows * len(shut) <= max(_TABLE, 2 * len(cell)):
            table = np.bincount(cell)
            cell = np.flatnonzero(table)
            count = table[cell]
        else:
            cell, count = _counted(cell, rows * len(shut))
        which, partner = cell // len(shut), cell % len(shut)
        most = np.zeros(rows, np.int64)
        np.maximum.at(most, which, count)
        best = count == most[which]
        return which[best], partner[best]

    def _partners(self, which: IntArray, firing: IntArray) -> tuple[IntArray, IntArray]:
        """``which`` of some rows with everyone in the ``firing`` it took part in, [total]."""
        first = self._starts[firing]
        sizes = self._starts[firing + 1] - first
        partner = self._entries[_ranges(first, sizes)]
        self.work += len(partner)
        return np.repeat(which, sizes), partner.astype(np.int64)

    def _regulars_for(self, firing: IntArray) -> Regulars | None:
        """The regulars, if they are known or pay for a question about so many firings."""
        if self._regulars is None:
            pairs = int((self._starts[firing + 1] - self._starts[firing]).sum())
            if pairs > max(self._used, _REGULARS_FROM):
                self._regulars = Regulars(self.entries, self.starts)
                self.work += self._used // 2
        return self._regulars

    def rows(self, positions: IntArray, capacity: int) -> npt.NDArray[np.int32]:
        """Rows of the co-fire matrix, [P, capacity]."""
        which, partner = self.pairs(positions)
        cells = np.bincount(which * capacity + partner, minlength=len(positions) * capacity)
        return cells.reshape(len(positions), capacity).astype(np.int32)

    def edges(self, engrams: int, most: int) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
        """The ``most`` strongest connections of positions 0 to ``engrams`` - 1, in batches.

        Yields (source, target, co-fire count), by source, then from the strongest, then from the
        oldest target. Nobody is connected to itself.
        """
        sizes = np.diff(self._starts[: self._firings + 1])
        pairs = np.bincount(
            self._entries[: self._used], weights=np.repeat(sizes, sizes), minlength=engrams
        )
        total = np.cumsum(pairs[:engrams])
        last = 0
        while last < engrams:
            first, before = last, total[last - 1] if last else 0
            last = max(first + 1, int(np.searchsorted(total, before + _PAIRS_AT_ONCE, "right")))
            sources = np.arange(first, last)
            which, partner = self.pairs(sources)
            other = partner != sources[which]
            cell, count = np.unique(which[other] * engrams + partner[other], return_counts=True)
            which, partner = cell // engrams, cell % engrams
            kept = strongest_first(which, partner, count, most)
            yield sources[which[kept]], partner[kept], count[kept].astype(np.int64)

    def pair_count(self) -> int:
        """How many pairs `pairs` would give for all positions: the sum of squared firings."""
        sizes = np.diff(self.starts)
        return int((sizes * sizes).sum())

    def _firings_of(self, positions: IntArray) -> tuple[IntArray, IntArray]:
        """(which of ``positions``, number of a firing it took part in), both [total]."""
        self._index()
        inside = positions < len(self._groups) - 1
        at = np.where(inside, positions, 0)
        low, high = self._groups[at], self._groups[np.minimum(at + 1, len(self._groups) - 1)]
        sizes = np.where(inside, high - low, 0)
        which = np.repeat(np.arange(len(positions)), sizes)
        firing = self._by_engram[_ranges(low, sizes)]
        if self._indexed == self._used:
            return which, firing
        tail = self._entries[self._indexed : self._used]
        wanted = np.zeros(self._width, np.bool_)
        wanted[positions[positions < self._width]] = True
        entry = np.flatnonzero(wanted[tail])
        order = np.argsort(positions)
        found = order[np.searchsorted(positions, tail[entry], sorter=order)]
        late = np.searchsorted(self.starts, entry + self._indexed, side="right") - 1
        return np.concatenate((which, found)), np.concatenate((firing, late))

    def _index(self) -> None:
        """Sort the entries by engram once going through the unsorted ones has cost as much."""
        tail = self._used - self._indexed
        self._scanned += tail
        if tail <= _TAIL or self._scanned <= _SCANS * self._used:
            return
        entries = self._entries[: self._used]
        order = np.argsort(entries, kind="stable")
        firing = np.repeat(np.arange(self._firings), np.diff(self.starts))
        self._by_engram = firing[order]
        sizes = np.bincount(entries)
        self._groups = np.concatenate(([0], np.cumsum(sizes)))
        self._indexed = self._used
        self._scanned = 0


def strongest_first(which: IntArray, partner: IntArray, count: IntArray, most: int) -> IntArray:
    """The cells to keep of rows ``which``: ``most`` a row, from the strongest, then the oldest."""
    order = np.lexsort((partner, -count, which))
    ordered = which[order]
    return order[np.arange(len(ordered)) - np.searchsorted(ordered, ordered) < most]


def _ranges(low: IntArray, sizes: IntArray) -> IntArray:
    """``low[0], low[0]+1, ... (sizes[0] of them), low[1], ...`` as one array."""
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    ranges: IntArray = np.arange(total) + np.repeat(low - (ends - sizes), sizes)
    return ranges


def _counted(cells: IntArray, limit: int) -> tuple[IntArray, IntArray]:
    """The distinct ``cells``, below ``limit``, and how often each occurs."""
    narrow = np.int32 if limit < 2**31 else np.int64  # sorts twice as fast
    ordered = np.sort(cells.astype(narrow))
    first = np.flatnonzero(np.diff(ordered, prepend=-1))
    return ordered[first].astype(np.int64), np.diff(first, append=len(ordered))


def with_room(array: npt.NDArray[_Number], size: int) -> npt.NDArray[_Number]:
    """``array`` with memory for ``size`` elements or more, the new ones undefined."""
    if size <= len(array):
        return array
    grown = np.empty(max(size + size // 4, 1024), array.dtype)
    grown[: len(array)] = array
    return grown
