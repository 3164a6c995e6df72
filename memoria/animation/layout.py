"""Where the engrams of an animation stand in every step: working, short-term, long-term memory.

The stage is 16 wide and 9 high. New engrams stand in a column on the left, move to the right
through short-term memory as through a queue, and in long-term memory to the place that a layout
of their connections by networkx (extra ``viz``) gives them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from memoria.animation.select import Cast
from memoria.errors import MissingExtraError
from memoria.timeline.engram_type import EngramType
from memoria.timeline.firing_log import IntArray

__all__ = ["BOXES", "HEIGHT", "WIDTH", "Box", "Staging", "stage"]

FloatArray = npt.NDArray[np.float64]

WIDTH: Final = 16.0
HEIGHT: Final = 9.0
_SEED: Final = 0
_ROUNDS: Final = 150
_STRONGEST: Final = 3  # connections of each engram that are drawn and laid out
_MOST_ROWS: Final = 12  # engrams above each other in the queue
_EVEN: Final = 0.6  # how much of a direction is by rank, which fills the room
_APART: Final = 2.5  # how far the layout keeps engrams from each other


@dataclass(frozen=True)
class Box:
    """A region of the stage."""

    name: str
    title: str
    left: float
    right: float
    bottom: float = 1.55
    top: float = 7.95

    @property
    def middle(self) -> tuple[float, float]:
        """Its centre."""
        return (self.left + self.right) / 2, (self.bottom + self.top) / 2


BOXES: Final = (
    Box("working", "working", 0.35, 1.95),
    Box("shortterm", "short-term memory", 2.25, 6.85),
    Box("longterm", "long-term memory", 7.15, 15.65),
)


@dataclass(frozen=True)
class Staging:
    """``places`` [T, N, 2]; ``links`` [E, 2] connect engrams n, with ``weights`` [E], 0 to 1."""

    places: FloatArray
    links: IntArray
    weights: FloatArray


def stage(cast: Cast) -> Staging:
    """Places and connections of everyone. The same cast is staged the same."""
    settled = np.flatnonzero((cast.kinds == EngramType.LONGTERM).any(axis=0))
    links, weights = _links(cast.together[np.ix_(settled, settled)])
    home = np.zeros((len(cast.ids), 2))
    home[settled] = _home(len(settled), links)
    links = settled[links]
    places = np.empty((len(cast.steps), len(cast.ids), 2))
    working, short, long = BOXES
    column, row, rows, columns = _queue(cast)
    step = (short.right - short.left - 0.5) / max(columns, 1)
    height = short.top - short.bottom - 0.9
    y = short.middle[1] + row * min(0.85, height / max(rows, 1))
    for t in range(len(cast.steps)):
        kinds = cast.kinds[t]
        at = t - column
        places[t, :, 0] = np.where(at < 1, working.middle[0], short.left + 0.25 + (at - 0.5) * step)
        places[t, :, 1] = y
        old = kinds == EngramType.LONGTERM
        places[t, old, 0] = long.left + 0.35 + home[old, 0] * (long.right - long.left - 0.7)
        places[t, old, 1] = long.bottom + 0.35 + home[old, 1] * (long.top - long.bottom - 0.7)
        if t:  # who is gone stays where it was, to fade there
            lost = kinds == 0
            places[t, lost] = places[t - 1, lost]
    for t in range(len(cast.steps) - 2, -1, -1):  # who is not there yet waits where it will be
        waits = (cast.kinds[t] == 0) & (cast.kinds[: t + 1] == 0).all(axis=0)
        places[t, waits] = places[t + 1, waits]
    return Staging(places, links, weights)


def _queue(cast: Cast) -> tuple[FloatArray, FloatArray, int, int]:
    """(the step, from 0, in which each stood in column 0, its row around 0, rows, columns)."""
    kinds = cast.kinds
    count = len(cast.ids)
    column, row = np.zeros(count), np.zeros(count)
    there = kinds > 0
    first = np.where(there.any(axis=0), there.argmax(axis=0), 0)
    new = kinds[first, np.arange(count)] == EngramType.WORKING
    cohorts = [np.flatnonzero(new & (first == t)) for t in range(len(kinds))]
    rows = min(_MOST_ROWS, max([len(one) for one in cohorts] + [1]))
    for t, cohort in enumerate(cohorts):
        column[cohort] = t
        row[cohort] = _spread(len(cohort), rows)
    before = np.flatnonzero(~new)[::-1]  # the newest of those that lived before stand first
    queued = before[kinds[first[before], before] == EngramType.SHORTTERM]
    for start in range(0, len(queued), rows):
        part = queued[start : start + rows]
        column[part] = first[part] - 1 - start // rows
        row[part] = _spread(len(part), rows)
    late = np.flatnonzero(~new & (first > 0))  # born between two shown steps
    column[late] = np.minimum(column[late], first[late] - 1)
    columns = 1
    for t in range(len(kinds)):
        short = kinds[t] == EngramType.SHORTTERM
        if short.any():
            columns = max(columns, int((t - column[short]).max()))
    return column, row, rows, columns


def _spread(count: int, rows: int) -> FloatArray:
    """Rows around 0, from above; more than ``rows`` come closer."""
    places: FloatArray = (count - 1) / 2 - np.arange(count, dtype=np.float64)
    return places * (rows / count) if count > rows else places


def _links(together: npt.NDArray[np.int32]) -> tuple[IntArray, FloatArray]:
    """The strongest connections of each by their counts [L, L], as [E, 2], and their weights."""
    if len(together) < 2:
        return np.empty((0, 2), np.int64), np.empty(0)
    best = np.argsort(-together, axis=1, kind="stable")[:, :_STRONGEST]
    pairs = {
        (min(a, b), max(a, b))
        for a, row in enumerate(best.tolist())
        for b in row
        if a != b and together[a, b] > 1
    }
    links = np.array(sorted(pairs), np.int64).reshape(-1, 2)
    counts = together[links[:, 0], links[:, 1]].astype(np.float64)
    return links, counts / counts.max(initial=1.0)


def _home(count: int, links: IntArray) -> FloatArray:
    """Places [N, 2] in long-term memory, on a disc within 0 and 1.

    Directions and the order of distances from the middle are those of networkx's spring layout.
    """
    try:
        import networkx
    except ImportError:
        raise MissingExtraError("laying out engrams", "viz") from None
    if count == 0:
        return np.empty((0, 2))
    graph = networkx.Graph()
    graph.add_nodes_from(range(count))
    graph.add_edges_from(links.tolist())
    found = networkx.spring_layout(graph, k=_APART / count**0.5, iterations=_ROUNDS, seed=_SEED)
    places = np.array([found[n] for n in range(count)]).reshape(-1, 2)
    away = places - places.mean(axis=0)
    rank = np.hypot(*away.T).argsort(kind="stable").argsort(kind="stable")
    radius = np.sqrt((rank + 0.5) / count) / 2  # as many on every part of the disc
    angle = np.arctan2(away[:, 1], away[:, 0])
    turn = angle.argsort(kind="stable").argsort(kind="stable") / count * 2 * np.pi - np.pi
    angle = _EVEN * turn + (1 - _EVEN) * angle
    return np.column_stack((0.5 + radius * np.cos(angle), 0.5 + radius * np.sin(angle)))
