"""Which connections changed most between two logs that share their beginning.

Counted from the firings since then alone, in batches, so that the memory it takes is bounded.
Torch-free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from memoria.io.progress import Progress, no_progress
from memoria.timeline.cofiring import FiringLog
from memoria.timeline.log import Firings, IntArray

__all__ = ["ChangedPairs", "Tails", "cofire_counts"]

_PAIRS_AT_ONCE: Final = 2**21  # bounds the memory


@dataclass(frozen=True)
class ChangedPairs:
    """Pairs of engrams, ``low`` < ``high``, by the ``change`` of their co-fire count, [N].

    The greatest changes first, equal ones from the oldest pair; ``count`` of them in all.
    """

    low: IntArray
    high: IntArray
    change: IntArray
    count: int


@dataclass(frozen=True)
class Tails:
    """What two logs hold after the ``common`` step, of engrams ``living`` [A], ascending ids.

    Engrams from id ``shared`` on are not the same in both, and count in ``b`` alone.
    """

    a: Firings
    b: Firings
    common: int
    shared: int
    living: IntArray
    lanes: int

    def pairs(self) -> int:
        """How many pairs `changed` goes through."""
        return sum(log.pair_count() for lane in range(self.lanes) for log in self._logs(lane))

    def changed(self, most: int, progress: Progress = no_progress) -> ChangedPairs:
        """The ``most`` pairs whose co-fire count changed most; ``progress`` counts engrams."""
        low, high, change = (np.empty(0, np.int64) for _ in range(3))
        count = done = 0
        for lane in range(self.lanes):
            logs = self._logs(lane)
            ids = self._of_lane(lane)
            average = sum(log.pair_count() for log in logs) // max(1, len(ids))
            at_once = max(1, _PAIRS_AT_ONCE // max(1, average))
            for first in range(0, len(ids), at_once):
                sources = np.arange(first, min(first + at_once, len(ids)))
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
        mine: IntArray = self.living[self.living % self.lanes == lane]
        return mine

    def _logs(self, lane: int) -> tuple[FiringLog, FiringLog]:
        """The firings of the lane in a and in b, in places among its living."""
        ids = self._of_lane(lane)
        return _tail(self.a, ids[ids < self.shared], self.common), _tail(self.b, ids, self.common)


def cofire_counts(
    firings: Firings, low: IntArray, high: IntArray, shared: int | None = None
) -> tuple[IntArray, IntArray, IntArray]:
    """(co-fire count, fire count of ``low``, of ``high``) of pairs; ids from ``shared`` on: 0."""
    wanted = np.unique(np.concatenate((low, high)))
    if shared is not None:
        wanted = wanted[wanted < shared]
    mine = np.isin(firings.ids, wanted)
    ids, steps = firings.ids[mine], firings.steps[mine]
    of = {id_: steps[ids == id_] for id_ in wanted.tolist()}
    never = np.empty(0, np.int64)
    ends = zip(low.tolist(), high.tolist(), strict=True)
    pairs = [(of.get(i, never), of.get(j, never)) for i, j in ends]
    counts = [(np.isin(i, j).sum(), len(i), len(j)) for i, j in pairs]
    together, first, second = np.array(counts, np.int64).reshape(-1, 3).T
    return together, first, second


def _tail(firings: Firings, ids: IntArray, common: int) -> FiringLog:
    later = firings.steps > common
    fired, steps = firings.ids[later], firings.steps[later]
    place = np.searchsorted(ids, fired)
    here = np.append(ids, -1)[place] == fired
    return FiringLog(place[here], np.flatnonzero(np.diff(steps[here], prepend=-1)))


def _cells(log: FiringLog, sources: IntArray, width: int) -> tuple[IntArray, IntArray]:
    """(source * width + later partner, how often they fired together), ascending."""
    which, partner = log.pairs(sources)
    later = partner > sources[which]
    cells = np.sort(sources[which[later]] * width + partner[later])
    first = np.flatnonzero(np.diff(cells, prepend=-1))
    return cells[first], np.diff(first, append=len(cells))


def _difference(
    a: tuple[IntArray, IntArray], b: tuple[IntArray, IntArray]
) -> tuple[IntArray, IntArray]:
    """The cells whose counts in b and a differ, and b's less a's."""
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
    """Places of the ``most`` largest, of equal ones the first."""
    if len(sizes) <= most:
        return np.arange(len(sizes))
    least = np.partition(sizes, len(sizes) - most)[len(sizes) - most]
    above = np.flatnonzero(sizes > least)
    return np.concatenate((above, np.flatnonzero(sizes == least)[: most - len(above)]))
