"""The strongest connections in a log of firings: those of every engram, and those of all.

Positions, entries and starts are those of `memoria.timeline.cofiring.FiringLog`. numpy only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.timeline.log import IntArray

Entries = npt.NDArray[np.int32] | IntArray
Edges = tuple[IntArray, IntArray, IntArray]  # source, target, co-fire count

_PAIRS_AT_ONCE: Final = 2**18  # few enough for the processor's cache
_SOURCES_AT_ONCE: Final = 2**14  # of `strongest_of_all`


def strongest_of_each(
    entries: Entries, starts: IntArray, engrams: int, most: int
) -> Iterator[Edges]:
    """The ``most`` strongest connections of positions 0 to ``engrams`` - 1, in batches.

    Args:
        entries: positions that fired, [N], nobody twice in a firing.
        starts: where each firing begins in ``entries``, and where the last one ends, [F + 1].
        engrams: M.
        most: connections of each.

    Yields:
        (source, target, co-fire count), by source, then from the strongest, then from the oldest
        target. Nobody is connected to itself.
    """
    sizes = np.diff(starts)
    firing = np.repeat(np.arange(len(sizes)), sizes)
    width = max(1, engrams, int(entries.max(initial=-1)) + 1)
    # In order within each firing, so that what is sorted below is made of ascending runs.
    members = np.sort(firing * width + entries) - firing * width
    by_engram = firing[np.argsort(members, kind="stable")].astype(np.int32)
    groups = np.concatenate(([0], np.cumsum(np.bincount(members, minlength=width))))
    pairs = np.bincount(members, weights=np.repeat(sizes, sizes), minlength=width)
    total = np.cumsum(pairs[:engrams])
    last = 0
    while last < engrams:
        first, before = last, total[last - 1] if last else 0
        last = max(first + 1, int(np.searchsorted(total, before + _PAIRS_AT_ONCE, "right")))
        own = by_engram[groups[first] : groups[last]]
        row = np.repeat(np.arange(last - first), np.diff(groups[first : last + 1]))
        partner = members[ranges(starts[own], sizes[own])]
        row, partner, count = _counted(np.repeat(row, sizes[own]), partner, last - first, width)
        other = partner != row + first
        row, target, count = _first_of_rows(
            row[other], partner[other], count[other], last - first, most
        )
        yield row + first, target, count


def strongest_of_all(
    entries: Entries, starts: IntArray, fires: IntArray, most: int
) -> Edges | None:
    """The ``most`` strongest connections of all, if so many have the greatest weight, 1.

    By weight (co-fire count / fire count of the source), then by count, then from the oldest
    source, then from the oldest target. Goes from the most to the least often fired engram and
    ends when nobody left can have a stronger one, so that few of the pairs are looked at.

    Args:
        entries, starts: as in `strongest_of_each`, of positions 0 to M - 1 alone.
        fires: how often each position fired in the log, [M].
        most: connections wanted.

    Returns:
        (source, target, co-fire count); None if fewer have weight 1.
    """
    order = np.argsort(-fires, kind="stable")[: int(np.count_nonzero(fires))]
    found: list[Edges] = []
    count = 0
    search = _Inseparable(entries, starts, fires)
    for first in range(0, len(order), _SOURCES_AT_ONCE):
        if count >= most:
            break
        found.append(search.of(order[first : first + _SOURCES_AT_ONCE]))
        count += len(found[-1][0])
    if count < most or not found:
        return None
    source, target, together = (
        np.concatenate(column)[:most] for column in zip(*found, strict=True)
    )
    return source, target, together


class _Inseparable:
    """Who is in every firing of an engram: its connections of weight 1."""

    def __init__(self, entries: Entries, starts: IntArray, fires: IntArray) -> None:
        self._entries, self._starts, self._fires = entries, starts, fires
        self._sizes = np.diff(starts)
        self._firing = np.repeat(np.arange(len(self._sizes)), self._sizes)
        self._keys: IntArray | None = None

    def of(self, sources: IntArray) -> Edges:
        """Those of ``sources``, in their order, then ascending."""
        own, groups = self._firings_of(sources)
        counts = self._fires[sources]
        row, partner = self._candidates(sources, own, groups, 0)
        twice = counts > 1
        if twice.any():
            # What is in the first two firings of those who fired twice.
            second = self._candidates(sources, own, groups, 1, twice)
            row, partner, both = _counted(
                np.concatenate((row, second[0])),
                np.concatenate((partner, second[1])),
                len(sources),
                len(self._fires),
            )
            kept = both == np.minimum(counts[row], 2)
            row, partner = row[kept], partner[kept]
        done: list[tuple[IntArray, IntArray]] = []
        number = 2  # firings that the others are in
        while len(row):
            decided = counts[row] <= number
            done.append((row[decided], partner[decided]))
            row, partner = row[~decided], partner[~decided]
            there = self._fired_in(partner, own[groups[row] + number])
            row, partner = row[there], partner[there]
            number += 1
        if done:
            row, partner = (np.concatenate(column) for column in zip(*done, strict=True))
        order = np.lexsort((partner, row))
        row, partner = row[order], partner[order]
        return sources[row], partner, counts[row]

    def _firings_of(self, sources: IntArray) -> tuple[IntArray, IntArray]:
        """(firings, where those of each of ``sources`` begin)."""
        place = np.full(len(self._fires), -1, np.int32)
        place[sources] = np.arange(len(sources))
        at = np.flatnonzero(place[self._entries] >= 0)
        at = at[np.argsort(place[self._entries[at]], kind="stable")]
        counts = self._fires[sources]
        return self._firing[at], np.cumsum(counts) - counts

    def _candidates(
        self,
        sources: IntArray,
        own: IntArray,
        groups: IntArray,
        number: int,
        having: npt.NDArray[np.bool_] | None = None,
    ) -> tuple[IntArray, IntArray]:
        """(row, member of its firing ``number``) of those that fired as often as the row."""
        rows = np.arange(len(sources)) if having is None else np.flatnonzero(having)
        firing = own[groups[rows] + number]
        partner = self._entries[ranges(self._starts[firing], self._sizes[firing])]
        row = np.repeat(rows, self._sizes[firing])
        able = (self._fires[partner] >= self._fires[sources][row]) & (partner != sources[row])
        return row[able], partner[able].astype(np.int64)

    def _fired_in(self, partner: IntArray, firing: IntArray) -> npt.NDArray[np.bool_]:
        """Whether each ``partner`` took part in the ``firing`` beside it."""
        if len(partner) == 0:
            return np.empty(0, np.bool_)
        width = len(self._fires)
        if self._keys is None:
            self._keys = np.sort(self._firing * width + self._entries)
        wanted = firing * width + partner
        at = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        there: npt.NDArray[np.bool_] = self._keys[at] == wanted
        return there


def strongest_first(which: IntArray, partner: IntArray, count: IntArray, most: int) -> IntArray:
    """The cells to keep of rows ``which``: ``most`` a row, from the strongest, then the oldest."""
    order = np.lexsort((partner, -count, which))
    ordered = which[order]
    return order[np.arange(len(ordered)) - np.searchsorted(ordered, ordered) < most]


def ranges(low: IntArray, sizes: IntArray) -> IntArray:
    """``low[0], low[0]+1, ... (sizes[0] of them), low[1], ...`` as one array."""
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    places: IntArray = np.arange(total) + np.repeat(low - (ends - sizes), sizes)
    return places


def _counted(row: IntArray, partner: Entries, rows: int, width: int) -> Edges:
    """The distinct (row, partner) and how often each occurs, by row, then by partner.

    Fast where ``row`` and, in each run of one row, ``partner`` ascend.
    """
    narrow = np.dtype(np.int32 if rows * width < 2**31 else np.int64)
    cells: npt.NDArray[Any] = row.astype(narrow) * narrow.type(width) + partner.astype(narrow)
    cells.sort(kind="stable")
    first = np.flatnonzero(np.diff(cells, prepend=narrow.type(-1)))
    cells = cells[first]
    distinct = cells // narrow.type(width)
    count = np.diff(first, append=len(row))
    partner = cells - distinct * narrow.type(width)
    return distinct.astype(np.int64), partner.astype(np.int64), count


def _first_of_rows(
    row: IntArray, partner: IntArray, count: IntArray, rows: int, most: int
) -> Edges:
    """The cells that `strongest_first` keeps, in its order, of cells in order.

    Nearly all counts are 1, and those cells are in order already: only the others are sorted.
    """
    often = count > 1
    high = np.flatnonzero(often)
    high = high[strongest_first(row[high], partner[high], count[high], most)]
    high_sizes = np.bincount(row[high], minlength=rows)
    low_row, low_partner = row[~often], partner[~often]
    low_sizes = np.bincount(low_row, minlength=rows)
    low_first = np.cumsum(low_sizes) - low_sizes
    low_sizes = np.minimum(low_sizes, most - high_sizes)
    sizes = high_sizes + low_sizes
    first = np.cumsum(sizes) - sizes
    target = np.empty(int(sizes.sum()), np.int64)
    together = np.ones(len(target), np.int64)
    at = ranges(first, high_sizes)
    target[at], together[at] = partner[high], count[high]
    target[ranges(first + high_sizes, low_sizes)] = low_partner[ranges(low_first, low_sizes)]
    return np.repeat(np.arange(rows), sizes), target, together
