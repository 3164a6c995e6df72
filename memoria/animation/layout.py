"""Where the engrams of an animation stand in every step: working, short-term, long-term memory.

The picture is 16 wide and 9 high. New engrams stand in a column on the left, move to the right
through short-term memory as through a queue, and in long-term memory to where a layout of their
connections by networkx (extra ``viz``) has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from memoria.analysis.connections import strongest
from memoria.analysis.layout import layout_on_disc
from memoria.animation.select import ShownEngrams
from memoria.timeline.engram_type import EngramType
from memoria.timeline.log import FloatArray, IntArray

WIDTH: Final = 16.0
HEIGHT: Final = 9.0
_STRONGEST: Final = 3  # connections of each engram that are drawn and laid out
_MOST_ROWS: Final = 12  # engrams above each other in the queue


@dataclass(frozen=True)
class Box:
    """A region of the picture."""

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


@dataclass(frozen=True, eq=False)
class Layout:
    """Where N engrams stand in T steps, and the E links drawn between them.

    Attributes:
        xy: of each engram in each step, float64 [T, N, 2].
        links: the engrams that each link joins, int64 [E, 2].
        weights: strength of each link, 0 to 1, float64 [E].
    """

    xy: FloatArray
    links: IntArray
    weights: FloatArray


def lay_out(shown: ShownEngrams) -> Layout:
    """Place every engram in every step; the same engrams have the same layout.

    Raises:
        MissingExtraError: the extra ``viz`` is not installed.
    """
    types = shown.types
    settled = np.flatnonzero((types == EngramType.LONGTERM).any(axis=0))
    links, weights = _links(shown.cofires[np.ix_(settled, settled)])
    home = np.zeros((len(shown.ids), 2))
    home[settled] = layout_on_disc(len(settled), links)
    working, short, long = BOXES
    column, row, rows, columns = _queue(types)
    step = (short.right - short.left - 0.5) / max(columns, 1)
    height = short.top - short.bottom - 0.9
    xy = np.empty((*types.shape, 2))
    at = np.arange(len(types))[:, None] - column
    xy[..., 0] = np.where(at < 1, working.middle[0], short.left + 0.25 + (at - 0.5) * step)
    xy[..., 1] = short.middle[1] + row * min(0.85, height / max(rows, 1))
    corner, size = (long.left, long.bottom), (long.right - long.left, long.top - long.bottom)
    old = np.nonzero(types == EngramType.LONGTERM)
    xy[old] = np.array(corner) + 0.35 + home[old[1]] * (np.array(size) - 0.7)
    for t in range(1, len(types)):  # the forgotten stay where they were, to fade there
        gone = types[t] == 0
        xy[t, gone] = xy[t - 1, gone]
    born = np.logical_or.accumulate(types > 0, axis=0)
    for t in range(len(types) - 2, -1, -1):  # those not created yet wait where they will be
        xy[t, ~born[t]] = xy[t + 1, ~born[t]]
    return Layout(xy, settled[links], weights)


def _queue(types: npt.NDArray[np.uint8]) -> tuple[FloatArray, FloatArray, int, int]:
    """(the step, from 0, in which each stood in column 0, its row around 0, rows, columns)."""
    count = types.shape[1]
    column, row = np.zeros(count), np.zeros(count)
    there = types > 0
    first = np.where(there.any(axis=0), there.argmax(axis=0), 0)
    new = types[first, np.arange(count)] == EngramType.WORKING
    cohorts = [np.flatnonzero(new & (first == t)) for t in range(len(types))]
    rows = min(_MOST_ROWS, max([len(one) for one in cohorts] + [1]))
    for t, cohort in enumerate(cohorts):
        column[cohort] = t
        row[cohort] = _spread(len(cohort), rows)
    before = np.flatnonzero(~new)[::-1]  # the newest of those that lived before stand first
    queued = before[types[first[before], before] == EngramType.SHORTTERM]
    for start in range(0, len(queued), rows):
        part = queued[start : start + rows]
        column[part] = first[part] - 1 - start // rows
        row[part] = _spread(len(part), rows)
    late = np.flatnonzero(~new & (first > 0))  # born between two shown steps
    column[late] = np.minimum(column[late], first[late] - 1)
    columns = 1
    for t in range(len(types)):
        short = types[t] == EngramType.SHORTTERM
        if short.any():
            columns = max(columns, int((t - column[short]).max()))
    return column, row, rows, columns


def _spread(count: int, rows: int) -> FloatArray:
    """Rows around 0, from above; more than ``rows`` come closer."""
    even: FloatArray = (count - 1) / 2 - np.arange(count, dtype=np.float64)
    return even * (rows / count) if count > rows else even


def _links(cofires: IntArray) -> tuple[IntArray, FloatArray]:
    """The strongest links of each by co-fire counts [L, L], as [E, 2], and their weights."""
    pairs = np.sort(np.column_stack(strongest(cofires, _STRONGEST)), axis=1)
    links = np.unique(pairs[cofires[pairs[:, 0], pairs[:, 1]] > 1], axis=0)
    counts = cofires[links[:, 0], links[:, 1]].astype(np.float64)
    return links, counts / counts.max(initial=1.0)
