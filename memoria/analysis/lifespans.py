"""The lifespans of some engrams over their lives."""

from __future__ import annotations

from typing import Final

import numpy as np

from memoria.analysis.choices import (
    MEMORY_NAMES,
    Kind,
    Option,
    chosen_places,
    in_lane,
    sentences,
)
from memoria.analysis.chronicle import Chronicle
from memoria.analysis.result import Analysis
from memoria.timeline.firing_log import IntArray

__all__ = ["LIFESPANS"]

_EVERY_STEP: Final = 2000  # steps of a life up to which each is told


def _lifespans(
    chronicle: Chronicle, lane: int | None, engrams: tuple[int, ...], limit: int, by: str
) -> Analysis:
    """``lifespan`` of engrams after each ``step`` from the first to the last of their lives.

    The one after which an engram is forgotten is its last, with 0 or less. Of lives of more than
    2,000 steps only those between which the lifespan changes evenly. ``memory``: after the step.
    Unless ``engrams`` are named, those that lived longest or fired most often.
    """
    if engrams:
        chosen = chosen_places(chronicle, engrams, lane)
    else:
        there = np.flatnonzero(in_lane(chronicle, lane))
        end = np.where(chronicle.gone > 0, chronicle.gone, chronicle.steps)
        worth = chronicle.fires if by == "fired" else end - chronicle.born
        chosen = np.sort(there[np.argsort(-worth[there], kind="stable")[:limit]])
    steps = [_steps(chronicle, place) for place in chosen.tolist()]
    places = np.repeat(chosen, [len(one) for one in steps])
    at = np.concatenate([np.empty(0, np.int64), *steps])
    which = {"lived": "the longest lives", "fired": "the most often fired"}[by]
    return Analysis(
        kind="lifespans",
        title="Lifespan over life",
        x_label="step",
        y_label="lifespan, in steps",
        note=sentences("" if engrams else which, "" if lane is None else f"lane {lane}"),
        frames={
            "lifespans": {
                "id": chronicle.ids[places],
                "step": at,
                "lifespan": chronicle.lifespan(places, at),
                "memory": MEMORY_NAMES[chronicle.types_after(places, at)],
            },
            "engrams": {
                "id": chronicle.ids[chosen],
                "lane": chronicle.lane[chosen],
                "born": chronicle.born[chosen],
                "longterm": chronicle.longterm[chosen],
                "gone": chronicle.gone[chosen],
                "fires": chronicle.fires[chosen],
            },
        },
    )


def _steps(chronicle: Chronicle, place: int) -> IntArray:
    """The steps to tell of an engram."""
    born, gone = int(chronicle.born[place]), int(chronicle.gone[place])
    end = gone or chronicle.steps
    if end - born <= _EVERY_STEP:
        return np.arange(born, end + 1)
    set_at = chronicle.expiries.of_one(place).steps
    longterm = chronicle.longterm[place : place + 1]
    turns = np.concatenate(([born, end], set_at, set_at - 1, longterm, longterm - 1))
    return np.unique(turns[(turns >= born) & (turns <= end)])


LIFESPANS: Final = Kind(
    "lifespans",
    _lifespans,
    {
        "lane": Option(None, 0),
        "engrams": Option((), most=1000),
        "limit": Option(8, 1, most=1000),
        "by": Option("lived", words=("lived", "fired")),
    },
)
