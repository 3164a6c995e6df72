"""Find the connections that changed most between two logs with a common beginning.

Only firings after the common step are counted, in batches, so that memory is bounded. numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from memoria.io.progress import Progress, no_progress
from memoria.timeline.cofiring import FiringLog, count_distinct, ranks
from memoria.timeline.log import Firings, IntArray

_PAIRS_AT_ONCE: Final = 2**19  # bounds the memory


@dataclass(frozen=True)
class ChangedPairs:
    """Pairs of engrams whose co-fire count changed, the greatest changes first, then the oldest.

    Attributes:
        low, high: ids of each pair, ``low < high``, [N].
        change: co-fire count in B less that in A, [N].
        count: pairs changed in all, N or more.
    """

    low: IntArray
    high: IntArray
    change: IntArray
    count: int


@dataclass(frozen=True)
class Tails:
    """The firings of two logs after their last common step.

    Attributes:
        a, b: the logs.
        common: last common step.
        shared: engrams with smaller ids are the same in both; the others count in ``b`` only.
        living: ids that count, ascending [A].
        lanes: B.
    """

    a: Firings
    b: Firings
    common: int
    shared: int
    living: IntArray
    lanes: int

    def pairs(self) -> int:
        """Number of pairs that `changed` counts."""
        return sum(log.pair_count() for lane in range(self.lanes) for log in self._logs(lane))

    def changed(self, most: int, progress: Progress = no_progress) -> ChangedPairs:
        """The ``most`` pairs whose co-fire count changed most; ``progress`` counts engrams."""
        low, high, change = (np.empty(0, np.int64) for _ in range(3))
        count = done = 0
        for lane in range(self.lanes):
            logs = self._logs(lane)
            ids = self._of_lane(lane)
            total = np.cumsum(sum(log.pair_counts(len(ids)) for log in logs))
            last = 0
            while last < len(ids):
                first, before = last, total[last - 1] if last else 0
                fitting = np.searchsorted(total, before + _PAIRS_AT_ONCE, "right")
                last = max(first + 1, int(fitting))
                sources = np.arange(first, last)
                cells, difference = _difference(*(_cells(log, sources, len(ids)) for log in logs))
                count += len(cells)
                best = _largest(np.abs(difference), most)
                source, target = np.divmod(cells[best], max(1, len(ids)))
                low = np.concatenate((low, ids[source]))
                high = np.concatenate((high, ids[target]))
                change = np.concatenate((change, difference[best]))
                kept = np.lexsort((high, low, -np.abs(change)))[:most]
                low, high, change = low[kept], high[kept], change[kept]
                done += len(sources)
                progress(done, len(self.living))
        return ChangedPairs(low, high, change, count)

    def _of_lane(self, lane: int) -> IntArray:
        in_lane: IntArray = self.living[self.living % self.lanes == lane]
        return in_lane

    def _logs(self, lane: int) -> tuple[FiringLog, FiringLog]:
        """The firings of the lane in ``a`` and ``b``, by rank among its counted engrams."""
        ids = self._of_lane(lane)
        return _tail(self.a, ids[ids < self.shared], self.common), _tail(self.b, ids, self.common)


def _tail(firings: Firings, ids: IntArray, common: int) -> FiringLog:
    later = firings.steps > common
    fired, steps = firings.ids[later], firings.steps[later]
    return FiringLog.of(ranks(ids, fired), steps)


def _cells(log: FiringLog, sources: IntArray, width: int) -> tuple[IntArray, IntArray]:
    """(source * width + later partner, how often they fired together), ascending."""
    which, partner = log.pairs(sources)
    later = partner > sources[which]
    return count_distinct(sources[which[later]] * width + partner[later], width * width)


def _difference(
    a: tuple[IntArray, IntArray], b: tuple[IntArray, IntArray]
) -> tuple[IntArray, IntArray]:
    """(cell, count in ``b`` less count in ``a``) where they differ."""
    if len(a[0]) == 0:
        return b
    cells = np.concatenate((a[0], b[0]))
    order = np.argsort(cells, kind="stable")
    ordered = cells[order]
    first = np.flatnonzero(np.diff(ordered, prepend=-1))
    change = np.add.reduceat(np.concatenate((-a[1], b[1]))[order], first)
    changed = change != 0
    return ordered[first][changed], change[changed]


def _largest(sizes: IntArray, most: int) -> IntArray:
    """Indices of the ``most`` largest, of equal ones the first."""
    if len(sizes) <= most:
        return np.arange(len(sizes))
    least = _nth_largest(sizes, most)
    above = np.flatnonzero(sizes > least)
    return np.concatenate((above, np.flatnonzero(sizes == least)[: most - len(above)]))


def _nth_largest(sizes: IntArray, number: int) -> int:
    """The size that ``number`` of ``sizes``, all above 0, are not below; most of them are small."""
    greatest = int(sizes.max())
    if greatest > len(sizes):
        return int(np.partition(sizes, len(sizes) - number)[len(sizes) - number])
    at_least = np.cumsum(np.bincount(sizes)[::-1])
    return greatest - int(np.searchsorted(at_least, number))
