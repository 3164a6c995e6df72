"""Survival by step of creation: primacy and recency."""

from __future__ import annotations

from typing import Final

import numpy as np

from memoria.analysis.choices import Bins, Kind, Option, in_lane, sentences
from memoria.analysis.chronicle import Chronicle
from memoria.analysis.result import Analysis
from memoria.timeline.engram_type import EngramType

__all__ = ["SURVIVAL"]


def _survival(chronicle: Chronicle, lane: int | None, bins: int) -> Analysis:
    """``share = alive / created`` of the engrams made in steps ``from_step`` to ``to_step``.

    Alive after the last step; ``shortterm`` and ``longterm`` of them are in which memory. Where
    nothing was made the share is NaN. Compaction changes nothing: it keeps who is alive.
    """
    steps = Bins.of(1, chronicle.steps, bins)
    mine = np.flatnonzero(in_lane(chronicle, lane))
    share = chronicle.lanes if lane is not None else 1
    made = np.bincount(
        steps.of_steps(np.arange(1, chronicle.steps + 1)),
        weights=chronicle.added // share,
        minlength=steps.count,
    ).astype(np.int64)
    kinds = chronicle.types_after(mine, chronicle.steps)
    run = steps.of_steps(chronicle.born[mine])
    counts = {
        kind: np.bincount(run[kinds == kind], minlength=steps.count)
        for kind in (EngramType.SHORTTERM, EngramType.LONGTERM)
    }
    alive = counts[EngramType.SHORTTERM] + counts[EngramType.LONGTERM]
    frame = {
        "from_step": steps.starts,
        "to_step": steps.ends,
        "created": made,
        "alive": alive,
        "shortterm": counts[EngramType.SHORTTERM],
        "longterm": counts[EngramType.LONGTERM],
        "share": np.where(made > 0, alive / np.maximum(made, 1), np.nan),
    }
    return Analysis(
        kind="survival",
        title=f"Survival by step of creation, after step {chronicle.steps}",
        x_label="step of creation",
        y_label="share still alive",
        note=sentences(steps.note, "" if lane is None else f"lane {lane}"),
        frames={"survival": frame},
    )


SURVIVAL: Final = Kind(
    "survival",
    _survival,
    {"lane": Option(None, 0), "bins": Option(100, 1)},
)
