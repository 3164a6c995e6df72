"""Which engrams and steps an analysis covers, and the note that says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memoria.analysis.chronicle import Chronicle
from memoria.errors import InputError
from memoria.store.reading import check_lane
from memoria.timeline.log import BoolArray, FloatArray, IntArray


def in_lane(chronicle: Chronicle, lane: int | None) -> BoolArray:
    """Whether each engram is of the lane [E]; None: of any. Raises `InputError`."""
    check_lane(lane, chronicle.lanes)
    return np.ones(len(chronicle), np.bool_) if lane is None else chronicle.lane == lane


def in_scope(chronicle: Chronicle, lane: int | None, forgotten: bool) -> BoolArray:
    """Whether each engram is of the lane and alive after the last step, or ``forgotten``, [E]."""
    alive = np.zeros(len(chronicle), np.bool_)
    alive[chronicle.living(chronicle.steps)] = True
    return in_lane(chronicle, lane) & (alive | forgotten)


def named_positions(chronicle: Chronicle, engrams: Sequence[int], lane: int | None) -> IntArray:
    """Positions of engrams by id, each once, ascending.

    Raises:
        InputError: an engram is not there, or not of the lane.
    """
    positions = np.unique(chronicle.positions(np.array(engrams, np.int64)))
    elsewhere = positions[~in_lane(chronicle, lane)[positions]]
    if len(elsewhere):
        first = int(elsewhere[0])
        raise InputError(
            f"engram {chronicle.ids[first]}: is of lane {chronicle.lane[first]}, not of {lane}"
        )
    return positions


def highest(positions: IntArray, worth: IntArray, limit: int) -> IntArray:
    """The ``limit`` positions of highest ``worth`` [E], of equals the older; ascending."""
    return np.sort(positions[np.argsort(-worth[positions], kind="stable")[:limit]])


def rank_in_groups(worth: IntArray, group: IntArray) -> IntArray:
    """The rank of each engram [N] within its group by ``worth``, from 0, of equals the older."""
    order = np.lexsort((-worth, group))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - np.searchsorted(group[order], group[order])
    return rank


def sampled(
    positions: IntArray, cost: FloatArray | IntArray, budget: float, sample: int | None, seed: int
) -> IntArray:
    """At most ``sample`` positions, of a total ``cost`` [E] within ``budget``; ascending.

    All of them where that is possible, else as they are drawn by ``seed``, and at least one.
    """
    if cost[positions].sum() > budget or (sample is not None and sample < len(positions)):
        positions = np.random.default_rng(seed).permutation(positions)
    most = max(1, int(np.searchsorted(np.cumsum(cost[positions]), budget, side="right")))
    return np.sort(positions[: most if sample is None else min(most, sample)])


def note(lane: int | None, *parts: str) -> str:
    """The parts that are not empty, and the lane, as one note."""
    return "; ".join(part for part in (*parts, "" if lane is None else f"lane {lane}") if part)


def after_compaction(chronicle: Chronicle) -> str:
    """What a note says where the steps before the last compaction are left out."""
    if chronicle.first_step == 1:
        return ""
    return f"compaction removed the log of steps 1 to {chronicle.first_step - 1}"


def step_window(chronicle: Chronicle, first: int | None, last: int | None) -> tuple[int, int]:
    """First and last step to look at, all unless given; (1, 0) where there are none.

    Raises:
        InputError: the steps are not there.
    """
    done = chronicle.steps
    begin, end = 1 if first is None else first, done if last is None else last
    if (begin, end) != (1, 0) and not 1 <= begin <= end <= done:
        known = f"the steps are 1 to {done}" if done else "there are no steps yet"
        raise InputError(f"steps {begin} to {end}: not there", known)
    return begin, end


@dataclass(frozen=True)
class Bins:
    """Steps ``first`` to ``last`` in runs of ``width`` steps; the last may be shorter."""

    first: int
    last: int
    width: int

    @classmethod
    def fit(cls, first: int, last: int, most: int) -> Bins:
        """The shortest runs of which there are at most ``most``."""
        return cls(first, last, max(1, -(-(last - first + 1) // most)))

    def __len__(self) -> int:
        """Number of runs."""
        return max(0, -(-(self.last - self.first + 1) // self.width))

    @property
    def starts(self) -> IntArray:
        """The first step of each run."""
        return self.first + self.width * np.arange(len(self))

    @property
    def ends(self) -> IntArray:
        """The last step of each run."""
        return np.minimum(self.starts + self.width - 1, self.last)

    def of_steps(self, steps: IntArray) -> IntArray:
        """The number of the run that each step lies in."""
        return (steps - self.first) // self.width

    def sum(self, values: IntArray) -> IntArray:
        """``values`` of the steps from 1 on, summed over each run."""
        starts = self.starts - self.first
        return np.add.reduceat(values[self.first - 1 :], starts) if len(starts) else values[:0]

    def note(self, mark: str = "point") -> str:
        """What a note says of runs longer than a step."""
        return f"each {mark} stands for {self.width} steps" if self.width > 1 else ""
