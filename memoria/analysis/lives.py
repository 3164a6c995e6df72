"""The lives of some engrams: their firings, and their lifespans over the steps."""

from __future__ import annotations

from typing import Final

import numpy as np

from memoria.analysis.chronicle import MEMORY_NAMES, Chronicle
from memoria.analysis.excerpts import excerpts
from memoria.analysis.result import Analysis
from memoria.analysis.scope import (
    after_compaction,
    highest,
    in_lane,
    named_positions,
    note,
    step_window,
)
from memoria.timeline.log import IntArray

_MOST_POINTS: Final = 100_000  # firings shown at most, unless engrams are named
_LEAST_STEPS: Final = 30  # of a raster, unless asked
_EVERY_STEP: Final = 2000  # steps of a life up to which each has a row
_HOW: Final = {
    "even": "every n-th",
    "fired": "the most often fired",
    "newest": "the newest",
    "lived": "the longest lives",
}


def raster(
    chronicle: Chronicle,
    lane: int | None,
    first: int | None,
    last: int | None,
    engrams: tuple[int, ...],
    limit: int,
    by: str,
) -> Analysis:
    """Every firing of some engrams in the steps ``first`` to ``last``.

    Unless steps or engrams are given, the last third of the life: over all of it half of the plane
    would be empty, for nobody fires before its birth.

    ``row`` numbers the engrams in order of creation; ``memory`` is where it stood as it fired,
    ``gain`` the lifespan it got. Of more than ``limit`` engrams: every n-th (``by`` even), the
    most often fired in these steps, or the newest.
    """
    if first is None and last is None and not engrams:
        first = chronicle.steps - max(_LEAST_STEPS, chronicle.steps // 3) + 1
        first = max(first, 1) if chronicle.steps else None
    begin, end = step_window(chronicle, first, last)
    entries = slice(int(chronicle.ends[max(begin, 1) - 1]), int(chronicle.ends[end]))
    positions, steps = chronicle.fired_positions[entries], chronicle.fired_steps[entries]
    counts = np.bincount(positions, minlength=len(chronicle))
    if engrams:
        chosen = candidates = named_positions(chronicle, engrams, lane)
    else:
        candidates = np.flatnonzero((counts > 0) & in_lane(chronicle, lane))
        chosen = _some(candidates, counts, limit, by)
    row = chronicle.ranks(chosen)
    shown = np.flatnonzero(row[positions] >= 0)
    shown = shown[np.lexsort((row[positions[shown]], steps[shown]))]
    positions, steps = positions[shown], steps[shown]
    left_out = len(chosen) < len(candidates)
    return Analysis(
        kind="raster",
        title=f"Firings in steps {begin} to {end}",
        x_label="step",
        y_label="engrams, in order of creation",
        note=note(
            lane,
            f"the last {end - begin + 1} of {end} steps" if last is None and begin > 1 else "",
            f"{len(chosen)} of {len(candidates)} engrams, {_HOW[by]}" if left_out else "",
            f"{after_compaction(chronicle)} of what it did not keep"
            if begin < chronicle.first_step
            else "",
        ),
        frames={
            "firings": {
                "step": steps,
                "id": chronicle.ids[positions],
                "row": row[positions],
                "memory": MEMORY_NAMES[chronicle.types(positions, steps)],
                "gain": chronicle.expiries.gains(positions, steps, chronicle.born[positions]),
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


def _some(candidates: IntArray, counts: IntArray, limit: int, by: str) -> IntArray:
    """At most ``limit`` of the positions, ascending, that fired not too often together."""
    most = min(limit, len(candidates))
    while True:
        if by == "fired":
            chosen = highest(candidates, counts, most)
        elif by == "newest":
            chosen = candidates[len(candidates) - most :]
        else:
            chosen = candidates[np.arange(most) * len(candidates) // max(most, 1)]
        if most <= 1 or int(counts[chosen].sum()) <= _MOST_POINTS:
            return chosen
        most //= 2


def lifespans(
    chronicle: Chronicle, lane: int | None, engrams: tuple[int, ...], limit: int, by: str
) -> Analysis:
    """``lifespan`` of engrams after each ``step`` from the first to the last of their lives.

    The one after which an engram is forgotten is its last, with 0 or less. Of lives of more than
    2,000 steps only those between which the lifespan changes evenly. ``memory``: after the step.
    Unless ``engrams`` are named, those that lived longest or fired most often.
    """
    if engrams:
        chosen = named_positions(chronicle, engrams, lane)
    else:
        end = np.where(chronicle.gone > 0, chronicle.gone, chronicle.steps)
        worth = chronicle.fires if by == "fired" else end - chronicle.born
        chosen = highest(np.flatnonzero(in_lane(chronicle, lane)), worth, limit)
    steps = [_steps(chronicle, position) for position in chosen.tolist()]
    positions = np.repeat(chosen, [len(one) for one in steps])
    at = np.concatenate([np.empty(0, np.int64), *steps])
    return Analysis(
        kind="lifespans",
        title="Lifespan over life",
        x_label="step",
        y_label="lifespan, in steps",
        note=note(lane, "" if engrams else _HOW[by]),
        frames={
            "lifespans": {
                "id": chronicle.ids[positions],
                "step": at,
                "lifespan": chronicle.lifespan(positions, at),
                "memory": MEMORY_NAMES[chronicle.types_after(positions, at)],
            },
            "engrams": {
                **chronicle.engrams(chosen),
                "text": np.array([*excerpts(chronicle, chosen), None], object)[:-1],
            },
        },
    )


def _steps(chronicle: Chronicle, position: int) -> IntArray:
    """The steps of an engram's life that have a row."""
    born, gone = int(chronicle.born[position]), int(chronicle.gone[position])
    end = gone or chronicle.steps
    if end - born <= _EVERY_STEP:
        return np.arange(born, end + 1)
    set_at = chronicle.expiries.of_one(position).steps
    longterm = chronicle.longterm[position : position + 1]
    turns = np.concatenate(([born, end], set_at, set_at - 1, longterm, longterm - 1))
    return np.unique(turns[(turns >= born) & (turns <= end)])
