"""Which engrams fired in which steps."""

from __future__ import annotations

from typing import Final

import numpy as np

from memoria.analysis.choices import (
    MEMORY_NAMES,
    Kind,
    Option,
    after_compaction,
    chosen_places,
    in_lane,
    sentences,
    step_window,
)
from memoria.analysis.chronicle import Chronicle
from memoria.analysis.result import Analysis
from memoria.timeline.firing_log import IntArray

__all__ = ["RASTER"]

_MOST_POINTS: Final = 100_000  # firings drawn at most, unless engrams are named


def _raster(
    chronicle: Chronicle,
    lane: int | None,
    first: int | None,
    last: int | None,
    engrams: tuple[int, ...],
    limit: int,
    by: str,
) -> Analysis:
    """Every firing of some engrams in the steps ``first`` to ``last``.

    ``row`` numbers the engrams in order of creation; ``memory`` is where it stood as it fired,
    ``gain`` the lifespan it got. Of more than ``limit`` engrams: every n-th (``by`` even), the
    most often fired in these steps, or the newest.
    """
    begin, end = step_window(chronicle, first, last)
    entries = slice(int(chronicle.ends[max(begin, 1) - 1]), int(chronicle.ends[end]))
    places, steps = chronicle.fired_places[entries], chronicle.fired_steps[entries]
    counts = np.bincount(places, minlength=len(chronicle))
    if engrams:
        chosen = chosen_places(chronicle, engrams, lane)
        everyone = len(chosen)
    else:
        there = np.flatnonzero((counts > 0) & in_lane(chronicle, lane))
        everyone = len(there)
        chosen = _some(there, counts, limit, by)
    row = np.full(len(chronicle), -1, np.int64)
    row[chosen] = np.arange(len(chosen))
    shown = np.flatnonzero(row[places] >= 0)
    shown = shown[np.lexsort((row[places[shown]], steps[shown]))]
    places, steps = places[shown], steps[shown]
    return Analysis(
        kind="raster",
        title=f"Firings in steps {begin} to {end}",
        x_label="step",
        y_label="engrams, in order of creation",
        note=sentences(
            f"{len(chosen)} of {everyone} engrams, {_HOW[by]}" if len(chosen) < everyone else "",
            f"{after_compaction(chronicle)} of what it did not keep"
            if begin < chronicle.first_step
            else "",
            "" if lane is None else f"lane {lane}",
        ),
        frames={
            "firings": {
                "step": steps,
                "id": chronicle.ids[places],
                "row": row[places],
                "memory": MEMORY_NAMES[chronicle.types(places, steps)],
                "gain": chronicle.expiries.gains(places, steps, chronicle.born[places]),
            },
            "engrams": {
                "row": np.arange(len(chosen)),
                "id": chronicle.ids[chosen],
                "lane": chronicle.lane[chosen],
                "born": chronicle.born[chosen],
                "gone": chronicle.gone[chosen],
                "fires": counts[chosen],
            },
        },
    )


_HOW: Final = {"even": "every n-th", "fired": "the most often fired", "newest": "the newest"}


def _some(there: IntArray, counts: IntArray, limit: int, by: str) -> IntArray:
    """At most ``limit`` of the places ``there``, ascending, that fired not too often together."""
    most = min(limit, len(there))
    while True:
        if by == "fired":
            chosen = np.sort(there[np.argsort(-counts[there], kind="stable")[:most]])
        elif by == "newest":
            chosen = there[len(there) - most :]
        else:
            chosen = there[np.arange(most) * len(there) // max(most, 1)]
        if most <= 1 or int(counts[chosen].sum()) <= _MOST_POINTS:
            return chosen
        most //= 2


RASTER: Final = Kind(
    "raster",
    _raster,
    {
        "lane": Option(None, 0),
        "first": Option(None, 1),
        "last": Option(None, 1),
        "engrams": Option(()),
        "limit": Option(200, 1),
        "by": Option("even", words=("even", "fired", "newest")),
    },
)
