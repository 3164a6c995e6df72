"""A memory's life as the positions of a slider: counts at each, and who of those shown fired."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from memoria.analysis import Chronicle
from memoria.analysis.scope import Bins
from memoria.report.packing import packed
from memoria.timeline.log import IntArray

__all__ = ["Film"]

_MOST_POSITIONS: Final = 20_000
_MOST_FIRINGS: Final = 500_000  # in the file 2 bytes each and a third


@dataclass(frozen=True, eq=False)
class Film:
    """Position p, counted from 0, is the end of run p of ``bins``: mostly of one step.

    ``counts`` [P] each: who was in which memory in that step as it reminded, ``forgotten`` before
    it, ``fired`` in the run. ``who`` [F]: ranks of the shown that fired, those of position p
    before ``ends[p]``.
    """

    bins: Bins
    counts: dict[str, IntArray]
    who: IntArray
    ends: IntArray

    @classmethod
    def of(cls, chronicle: Chronicle, mine: IntArray, shown: IntArray) -> Film:
        """Of the engrams at the places ``mine``, of which those at ``shown`` are seen.

        Where they fired too often for a file, runs are as long as brings them below that.
        """
        positions = _MOST_POSITIONS
        while True:
            bins = Bins.fit(1, chronicle.steps, positions)
            keys = _fired(chronicle, shown, bins)
            if len(keys) <= _MOST_FIRINGS or len(bins) <= 1:
                break
            less = len(bins) * _MOST_FIRINGS // len(keys)
            positions = max(1, min(len(bins) - 1, less))
        width = max(1, len(shown))
        ends = np.searchsorted(keys, width * np.arange(1, len(bins) + 1))
        return cls(bins, _counts(chronicle, mine, bins), keys % width, ends)

    def document(self) -> dict[str, Any]:
        """For the page."""
        return {
            "steps": self.bins.last,
            "width": self.bins.width,
            "positions": len(self.bins),
            "counts": {name: packed(values) for name, values in self.counts.items()},
            "fired": {"who": packed(self.who), "ends": packed(self.ends)},
        }


def _fired(chronicle: Chronicle, shown: IntArray, bins: Bins) -> IntArray:
    """Every (run, rank of who fired in it), once, as ``run * shown + rank``, ascending."""
    rank = np.full(len(chronicle), -1, np.int64)
    rank[shown] = np.arange(len(shown))
    who = rank[chronicle.fired_places]
    seen = (who >= 0) & (chronicle.fired_steps <= chronicle.steps)
    run = bins.of_steps(chronicle.fired_steps[seen])
    return np.unique(run * max(1, len(shown)) + who[seen])


def _counts(chronicle: Chronicle, mine: IntArray, bins: Bins) -> dict[str, IntArray]:
    last = bins.ends
    born, gone = np.sort(chronicle.born[mine]), chronicle.gone[mine]
    long = chronicle.longterm[mine]
    became = long > 0
    created = np.searchsorted(born, last, side="right")
    forgotten = _before(gone[gone > 0], last)
    longterm = _before(long[became], last) - _before(gone[became & (gone > 0)], last)
    working = created - np.searchsorted(born, last, side="left")
    of_mine = np.zeros(len(chronicle), np.bool_)
    of_mine[mine] = True
    steps = chronicle.fired_steps[of_mine[chronicle.fired_places]]
    fired = np.bincount(bins.of_steps(steps[steps <= chronicle.steps]), minlength=len(bins))
    return {
        "working": working,
        "shortterm": created - forgotten - longterm - working,
        "longterm": longterm,
        "forgotten": forgotten,
        "fired": fired,
    }


def _before(steps: IntArray, last: IntArray) -> IntArray:
    """How many of ``steps`` lie before each of ``last``."""
    return np.searchsorted(np.sort(steps), last, side="left")
