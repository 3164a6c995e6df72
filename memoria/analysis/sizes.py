"""How many engrams there are in each memory, over the steps."""

from __future__ import annotations

from typing import Final

import numpy as np

from memoria.analysis.choices import Bins, Kind, Option, after_compaction, in_lane, sentences
from memoria.analysis.chronicle import Chronicle
from memoria.analysis.result import Analysis
from memoria.timeline.firing_log import IntArray

__all__ = ["SIZES"]


def _sizes(chronicle: Chronicle, lane: int | None, bins: int) -> Analysis:
    """``shortterm`` and ``longterm`` engrams after ``to_step``, ``working`` ones in it.

    ``born``, ``forgotten`` and ``reminded`` are counted over the run of steps from ``from_step``.
    """
    mine = in_lane(chronicle, lane)
    born, gone, longterm = (
        column[mine] for column in (chronicle.born, chronicle.gone, chronicle.longterm)
    )
    made, lost = chronicle.counted(born), chronicle.counted(gone)
    alive = np.cumsum(made - lost)
    became_old = longterm > 0
    old = np.cumsum(chronicle.counted(longterm[became_old]) - chronicle.counted(gone[became_old]))
    places = chronicle.fired_places
    again = mine[places] & (chronicle.born[places] < chronicle.fired_steps)
    reminded = chronicle.counted(chronicle.fired_steps[again])
    steps = Bins.of(chronicle.first_step, chronicle.steps, bins)
    first = chronicle.first_step - 1
    starts = steps.starts - 1 - first

    def summed(values: IntArray) -> IntArray:
        return np.add.reduceat(values[first:], starts) if len(starts) else values[:0]

    last = steps.ends - 1
    return Analysis(
        kind="sizes",
        title="Engrams in each memory",
        x_label="step",
        y_label="engrams",
        note=sentences(
            steps.note, after_compaction(chronicle), "" if lane is None else f"lane {lane}"
        ),
        frames={
            "sizes": {
                "from_step": steps.starts,
                "to_step": steps.ends,
                "working": made[last],
                "shortterm": (alive - old)[last],
                "longterm": old[last],
                "born": summed(made),
                "forgotten": summed(lost),
                "reminded": summed(reminded),
            }
        },
    )


SIZES: Final = Kind(
    "sizes",
    _sizes,
    {"lane": Option(None, 0), "bins": Option(500, 1)},
)
