"""Which engrams and which steps an animation shows, and what they do in them. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from memoria.analysis import Chronicle
from memoria.analysis.over_steps import counts_as_reminded, firings_by_run
from memoria.analysis.scope import in_lane, rank_in_groups
from memoria.errors import InputError
from memoria.timeline.log import BoolArray, IntArray

MOST_ENGRAMS: Final = 400
MOST_STEPS: Final = 120
_TEXT: Final = 200  # characters of a text
_OLD: Final = 4  # of those that lived before, at least, for one of every step's new ones


@dataclass(frozen=True, eq=False)
class ShownEngrams:
    """N engrams in T steps of a life.

    Attributes:
        steps: the steps shown, int64 [T].
        ids: the engrams shown, int64 [N].
        types: `EngramType` as the step finds the engram, 0 where it does not live, uint8 [T, N].
        forgotten: whether the engram is forgotten at the end of the step, bool [T, N].
        lifespan: steps left to the engram after the step, float64 [T, N].
        initial_lifespan: what engrams begin with.
        fired: whether it fired since the step shown before, bool [T, N].
        cofires: in how many of the steps shown both fired, int64 [N, N], 0 on the diagonal.
        counts: all engrams in working, short-term and long-term memory, int64 [T, 3].
        totals: engrams created and forgotten until the end of the step, int64 [T, 2].
        created: a text of what the step creates, [T].
        reminded: a text of what it reminds of, [T].
    """

    steps: IntArray
    ids: IntArray
    types: npt.NDArray[np.uint8]
    forgotten: BoolArray
    lifespan: npt.NDArray[np.float64]
    initial_lifespan: float
    fired: BoolArray
    cofires: IntArray
    counts: IntArray
    totals: IntArray
    created: list[str]
    reminded: list[str]


def shown_steps(first: int, last: int, most: int = MOST_STEPS) -> IntArray:
    """At most ``most`` of the steps, the first and the last among them, evenly spread."""
    if last < first:
        raise InputError("there are no steps to show", "step it; compaction takes the log away")
    count = min(most, last - first + 1)
    return np.unique(np.linspace(first, last, count).round().astype(np.int64))


def select(
    chronicle: Chronicle, steps: IntArray, lane: int | None, most: int, initial_lifespan: float
) -> ShownEngrams:
    """Take what ``most`` engrams of a lane, or of all, do in ``steps``.

    Every step's new engrams have their share: first those that fire most often.

    Raises:
        InputError: ``most`` is not from 1 to `MOST_ENGRAMS`.
    """
    if not 1 <= most <= MOST_ENGRAMS:
        raise InputError(f"most engrams = {most}: must be from 1 to {MOST_ENGRAMS}")
    covered = in_lane(chronicle, lane)
    chosen = _choose(chronicle, covered, steps, most)
    types = chronicle.types(chosen, steps[:, None])
    fired = np.zeros(types.shape, np.bool_)
    fired[firings_by_run(chronicle, chosen, int(steps[0]), steps)] = True
    fired &= types > 0
    frames = fired.astype(np.float32)
    cofires = (frames.T @ frames).astype(np.int64)
    np.fill_diagonal(cofires, 0)
    counts = chronicle.counts(covered)
    found = counts_as_reminded(counts, steps)
    created = np.cumsum(chronicle.added // (1 if lane is None else chronicle.lanes))[steps - 1]
    alive = (counts["shortterm"] + counts["longterm"])[steps - 1]
    texts = [_texts(chronicle, covered, step) for step in steps.tolist()]
    return ShownEngrams(
        steps=steps,
        ids=chronicle.ids[chosen],
        types=types,
        forgotten=chronicle.gone[chosen] == steps[:, None],
        lifespan=np.where(types > 0, chronicle.lifespan(chosen, steps[:, None]), 0.0),
        initial_lifespan=initial_lifespan,
        fired=fired,
        cofires=cofires,
        counts=np.column_stack([found[name] for name in ("working", "shortterm", "longterm")]),
        totals=np.column_stack((created, created - alive)),
        created=[text for text, _ in texts],
        reminded=[text for _, text in texts],
    )


def _choose(chronicle: Chronicle, covered: BoolArray, steps: IntArray, most: int) -> IntArray:
    """Positions, ascending: of those that fire, in turn the most frequent of every step.

    Those that lived before the first step take turns as if half as many steps had made them.
    """
    run, position = firings_by_run(chronicle, np.flatnonzero(covered), int(steps[0]), steps)
    position = np.flatnonzero(covered)[position]
    alive = chronicle.types(position, steps[run]) > 0
    run, position = run[alive], position[alive]
    candidates, first, fires = np.unique(position, return_index=True, return_counts=True)
    cohort = np.where(chronicle.born[candidates] < steps[0], -1, run[first])
    rank = rank_in_groups(fires, cohort)
    rank[cohort < 0] //= max(_OLD, len(steps) // 2)
    return np.sort(candidates[np.lexsort((-fires, rank))[:most]])


def _texts(chronicle: Chronicle, covered: BoolArray, step: int) -> tuple[str, str]:
    """A text of what the step creates, and one of what it reminds of; "" where there is none."""
    fired = chronicle.fired(step)
    fired = fired[covered[fired]]
    new = chronicle.born[fired] == step
    some = (fired[new][:1], fired[~new][-1:])
    texts = [chronicle.texts(chronicle.ids[one]) for one in some]
    created, reminded = (next(((text or "")[:_TEXT] for text in found), "") for found in texts)
    return created, reminded
