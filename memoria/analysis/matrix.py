"""The weights of the connections among some engrams, as a matrix."""

from __future__ import annotations

from typing import Final

import numpy as np

from memoria.analysis.choices import (
    MEMORY_NAMES,
    Kind,
    Option,
    checked_lane,
    chosen_places,
    in_lane,
    sentences,
)
from memoria.analysis.chronicle import Chronicle
from memoria.analysis.result import Analysis
from memoria.errors import InputError
from memoria.timeline.firing_log import IntArray

__all__ = ["CONNECTIONS"]

_CELLS_AT_ONCE: Final = 2**22  # of the incidence of firings; bounds the memory


def _connections(
    chronicle: Chronicle,
    lane: int | None,
    engrams: tuple[int, ...],
    limit: int,
    by: str,
    forgotten: bool,
) -> Analysis:
    """``weight = cofire[source, target] / fire_count[source]``, a row for each of N * N pairs.

    Among the ``limit`` most often fired or newest of the living, or with ``forgotten`` of all, or
    those named; of one lane, the first unless asked. In order of creation; an engram's weight to
    itself is 1.
    """
    if engrams:
        chosen = chosen_places(chronicle, engrams, lane)
        lanes = np.unique(chronicle.lane[chosen])
        if len(lanes) > 1:
            raise InputError(
                f"engrams of lanes {lanes[0]} and {lanes[1]}: lanes are not connected",
                "name engrams of one lane",
            )
        lane = int(lanes[0])
    else:
        lane = 0 if checked_lane(chronicle, lane) is None else lane
        there = in_lane(chronicle, lane)
        if not forgotten:
            alive = np.zeros(len(chronicle), np.bool_)
            alive[chronicle.living(chronicle.steps)] = True
            there &= alive
        places = np.flatnonzero(there)
        if by == "fired":
            places = places[np.argsort(-chronicle.fires[places], kind="stable")[:limit]]
        chosen = np.sort(places)[-limit:]
    counts = _cofire(chronicle, chosen)
    fires, ids = chronicle.fires[chosen], chronicle.ids[chosen]
    return Analysis(
        kind="connections",
        title=f"Connections of {len(chosen)} engrams",
        x_label="to",
        y_label="from",
        note=sentences(
            "" if engrams else {"fired": "the most often fired", "newest": "the newest"}[by],
            f"lane {lane}" if chronicle.lanes > 1 else "",
        ),
        frames={
            "connections": {
                "source": np.repeat(ids, len(ids)),
                "target": np.tile(ids, len(ids)),
                "weight": (counts / np.maximum(fires, 1)[:, None]).reshape(-1),
                "cofire_count": counts.reshape(-1),
            },
            "engrams": {
                "id": ids,
                "born": chronicle.born[chosen],
                "fires": fires,
                "memory": MEMORY_NAMES[chronicle.types_after(chosen, chronicle.steps)],
            },
        },
    )


def _cofire(chronicle: Chronicle, chosen: IntArray) -> IntArray:
    """The co-fire counts [N, N]: the firings' incidence [T, N], transposed, times itself."""
    row = np.full(len(chronicle), -1, np.int64)
    row[chosen] = np.arange(len(chosen))
    counts = np.zeros((len(chosen), len(chosen)), np.int64)
    at_once = max(1, _CELLS_AT_ONCE // max(1, len(chosen)))
    for first in range(1, chronicle.steps + 1, at_once):
        last = min(first + at_once - 1, chronicle.steps)
        entries = slice(int(chronicle.ends[first - 1]), int(chronicle.ends[last]))
        rows = row[chronicle.fired_places[entries]]
        steps = chronicle.fired_steps[entries][rows >= 0] - first
        fired = np.zeros((last - first + 1, len(chosen)), np.float32)
        fired[steps, rows[rows >= 0]] = 1  # sums below 2**24 are exact
        counts += (fired.T @ fired).astype(np.int64)
    return counts


CONNECTIONS: Final = Kind(
    "connections",
    _connections,
    {
        "lane": Option(None, 0),
        "engrams": Option((), most=1000),
        "limit": Option(50, 1, most=1000),
        "by": Option("fired", words=("fired", "newest")),
        "forgotten": Option(False),
    },
)
