"""The strongest connections among the engrams that a graph shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.analysis import Chronicle
from memoria.timeline.log import IntArray

__all__ = ["Wiring"]

_CELLS: Final = 2**22  # firings times engrams that one product takes


@dataclass(frozen=True, eq=False)
class Wiring:
    """Directed connections, all arrays [K], by source, the strongest first.

    ``source`` and ``target`` are ranks among the engrams shown; ``weight = together / fires of the
    source``, of the whole life.
    """

    source: IntArray
    target: IntArray
    together: IntArray
    weight: npt.NDArray[np.float64]

    @classmethod
    def of(cls, chronicle: Chronicle, places: IntArray, each: int) -> Wiring:
        """The ``each`` strongest connections of everyone at ``places`` with the others there."""
        counts = _fired_together(chronicle, places)
        np.fill_diagonal(counts, 0)
        order = np.argsort(-counts, axis=1, kind="stable")[:, :each]  # of equals the older
        source = np.repeat(np.arange(len(places)), order.shape[1])
        target = order.reshape(-1)
        together = counts[source, target].astype(np.int64)
        real = together > 0
        source, target, together = source[real], target[real], together[real]
        weight = together / chronicle.fires[places][source]
        return cls(source, target, together, weight)

    def __len__(self) -> int:
        return len(self.source)


def _fired_together(chronicle: Chronicle, places: IntArray) -> npt.NDArray[Any]:
    """How often each two of ``places`` fired in the same step of the same lane, [n, n].

    A product of the 0/1 incidence with itself: its cost is bounded, however many fire a step.
    """
    rank = np.full(len(chronicle), -1, np.int64)
    rank[places] = np.arange(len(places))
    who = rank[chronicle.fired_places]
    here = who >= 0
    who = who[here]
    firing = chronicle.fired_steps[here] * chronicle.lanes + chronicle.lane[places][who]
    _, firing = np.unique(firing, return_inverse=True)
    order = np.argsort(firing, kind="stable")
    firing, who = firing[order], who[order]
    counts = np.zeros((len(places), len(places)))
    block = max(1, _CELLS // max(1, len(places)))
    for first in range(0, int(firing.max(initial=-1)) + 1, block):
        low, high = np.searchsorted(firing, (first, first + block))
        fired = np.zeros((block, len(places)), np.float32)
        fired[firing[low:high] - first, who[low:high]] = 1  # sums below 2^24 are exact
        counts += fired.T @ fired
    return counts
