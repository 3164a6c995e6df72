"""Which engrams and which steps an animation shows, and what they did: the log, cut to a bound.

Torch-free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from memoria.errors import InputError
from memoria.io.progress import Progress, no_progress
from memoria.store.replay.walk import Frame, Walk
from memoria.timeline.engram_type import EngramType
from memoria.timeline.firing_log import IntArray

__all__ = ["GONE", "MOST_ENGRAMS", "MOST_STEPS", "Cast", "cast", "shown_steps"]

MOST_ENGRAMS: Final = 400
MOST_STEPS: Final = 120
GONE: Final = 4  # the kind, beside the numbers of `EngramType`, of what goes at the step's end
_TEXT: Final = 200  # characters of a text
_OLD: Final = 4  # of those that lived before, at least, for one of every step's new ones


@dataclass(frozen=True)
class Cast:
    """N engrams in T steps of a life.

    ``kinds`` [T, N]: 0 where it does not live, its `EngramType` as the step found it; ``gone``
    [T, N]: forgotten at the end of the step. ``lifespan`` [T, N]: what the step left it with.
    ``fired`` [T, N]. ``together`` [N, N]: in how many of the
    shown steps both fired. ``counts`` [T, 3]: all in working, short-term and long-term memory.
    ``totals`` [T, 2]: made and forgotten so far. ``made`` and ``again``: a text of what was made
    and of what was reminded in each step.
    """

    steps: IntArray
    ids: IntArray
    kinds: npt.NDArray[np.uint8]
    gone: npt.NDArray[np.bool_]
    lifespan: npt.NDArray[np.float64]
    fired: npt.NDArray[np.bool_]
    together: npt.NDArray[np.int32]
    counts: IntArray
    totals: IntArray
    texts: list[str]
    made: list[str]
    again: list[str]
    begins_with: float


def shown_steps(first: int, last: int, most: int = MOST_STEPS) -> IntArray:
    """At most ``most`` of the steps, the first and the last among them, evenly spread."""
    if last < first:
        raise InputError("there are no steps to show", "step it; compaction takes the log away")
    count = min(most, last - first + 1)
    return np.unique(np.linspace(first, last, count).round().astype(np.int64))


def cast(
    before: Walk, walk: Walk, steps: IntArray, most: int, progress: Progress = no_progress
) -> Cast:
    """What ``most`` engrams do in ``steps`` of ``walk``; ``before`` is another walk of the same.

    Every step's new ones have their share: first those of each that fired most often.
    """
    if not 1 <= most <= MOST_ENGRAMS:
        raise InputError(f"most engrams = {most}: must be from 1 to {MOST_ENGRAMS}")
    total = 2 * len(steps)
    ids = _chosen(before, steps, most, progress)
    shape = len(steps), len(ids)
    kinds, gone = np.zeros(shape, np.uint8), np.zeros(shape, np.bool_)
    lifespan, fired = np.zeros(shape), np.zeros(shape, np.bool_)
    counts, totals = np.zeros((len(steps), 3), np.int64), np.zeros((len(steps), 2), np.int64)
    made, again = [], []
    for row, step in enumerate(steps.tolist()):
        frame = walk.go(step)
        here, at = _places(frame, ids)
        kinds[row, here], gone[row, here] = frame.types[at], frame.forgotten[at]
        lifespan[row, here], fired[row, here] = frame.lifespan[at], frame.fired[at]
        counts[row] = [frame.count(kind) for kind in list(EngramType)[1:]]
        totals[row] = frame.created, frame.gone
        made.append(_text(walk, frame.ids[frame.types == EngramType.WORKING][:1]))
        again.append(_text(walk, frame.reminded[-1:]))
        progress(len(steps) + row + 1, total)
    firings = fired.astype(np.int32)
    together = firings.T @ firings
    np.fill_diagonal(together, 0)
    texts = [(text or "")[:_TEXT] for text in walk.texts(ids)]
    return Cast(
        steps=steps,
        ids=ids,
        kinds=kinds,
        gone=gone,
        lifespan=lifespan,
        fired=fired,
        together=together,
        counts=counts,
        totals=totals,
        texts=texts,
        made=made,
        again=again,
        begins_with=walk.config.initial_lifespan,
    )


def _chosen(walk: Walk, steps: IntArray, most: int, progress: Progress) -> IntArray:
    """The ids shown, ascending: of those that fire, in turn the most frequent of every step.

    Those that lived before the first step take turns as if half as many steps had made them.
    """
    fired, rows, before = [], [], 0
    for row, step in enumerate(steps.tolist()):
        frame = walk.go(step)
        if row == 0:
            before = frame.created - frame.count(EngramType.WORKING)
        fired.append(frame.ids[frame.fired])
        rows.append(np.full(len(fired[-1]), row))
        progress(row + 1, 2 * len(steps))
    ids, first, fires = np.unique(np.concatenate(fired), return_index=True, return_counts=True)
    old = ids < before * walk.ids_apart
    cohort = np.where(old, -1, np.concatenate(rows)[first])  # the step in which each fired first
    order = np.lexsort((ids, -fires, cohort))
    ids, cohort, fires = ids[order], cohort[order], fires[order]
    rank = np.arange(len(ids)) - np.searchsorted(cohort, cohort)
    rank[cohort < 0] //= max(_OLD, len(steps) // 2)
    best = np.lexsort((ids, -fires, rank))[:most]
    return np.sort(ids[best])


def _places(frame: Frame, ids: IntArray) -> tuple[npt.NDArray[np.bool_], IntArray]:
    """(which of ``ids`` the frame has, where)."""
    at = np.searchsorted(frame.ids, ids)
    here = np.append(frame.ids, -1)[at] == ids
    return here, at[here]


def _text(walk: Walk, ids: IntArray) -> str:
    return next(((text or "")[:_TEXT] for text in walk.texts(ids)), "")
