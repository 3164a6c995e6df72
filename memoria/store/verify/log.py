"""The log against its rules, step after step, and the state that follows from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from memoria.store.life import FloatArray
from memoria.store.verify.events import FoldedLog
from memoria.store.verify.steps import Steps
from memoria.timeline import rules
from memoria.timeline.engram_type import EngramType
from memoria.timeline.log import IntArray

_ENTRIES: Final = 2**19  # gone through at once
_CELLS: Final = 2**20  # of first short-term engrams

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Block:
    """Entries of the steps ``first`` to ``last`` - 1; all arrays [n]."""

    first: int
    last: int
    ids: IntArray
    expiry: FloatArray
    step: IntArray
    rank: IntArray  # within its step
    new: Mask  # created in that step
    short: Mask  # short-term when the step began
    rows: IntArray  # in ``vectors``, -1: not there


class LogCheck:
    """Goes through the log once: `run`, with a stop at every step in ``stops``."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._initial = float(steps.files.config.initial_lifespan)
        self._is_constant = steps.files.config.lifespan_by == "constant"
        self._ids = steps.array("log/ids")
        self._expiry = steps.array("log/expiry")

    def run(self, folded: FoldedLog, stops: set[int]) -> Iterator[int]:
        """Fold the steps into ``folded``; yields each step number in ``stops`` (and the last).

        What happened between that step and the next is for the caller to fold in.
        """
        steps = self._steps
        if 0 in stops:
            yield 0
        first = 1
        while first <= steps.done:
            last = self._end(first, stops)
            block = self._read(first, last)
            if block is None:
                folded.known = False
            else:
                self._check(block, folded)
                there = block.rows >= 0
                folded.fire(block.rows[there], block.expiry[there], block.step[there])
            if last - 1 in stops or last > steps.done:
                yield last - 1
            first = last

    def _end(self, first: int, stops: set[int]) -> int:
        """Behind the last step of the block that begins with ``first``: all known, or one."""
        steps = self._steps
        if not steps.known[first - 1]:
            return first + 1
        most = min(steps.done, first - 1 + max(1, _CELLS // steps.lanes))
        reach = int(steps.log_start[first - 1]) + _ENTRIES
        last = first + 1
        while last <= most and steps.known[last - 1] and last - 1 not in stops:
            if steps.log_stop[last - 1] > reach:
                break
            last += 1
        return last

    def _read(self, first: int, last: int) -> _Block | None:
        """The entries of the steps [first, last), or None where they cannot be read."""
        steps, loose = self._steps, self._steps.loose
        if not steps.known[first - 1]:
            return None
        some = slice(first - 1, last - 1)
        start, stop = int(steps.log_start[first - 1]), int(steps.log_stop[last - 2])
        ids: IntArray = loose.read(self._ids, start, stop)
        expiry: FloatArray = loose.read(self._expiry, start, stop)
        sizes = steps.log_stop[some] - steps.log_start[some]
        step = np.repeat(np.arange(first, last), sizes)
        rank = np.arange(start, stop) - np.repeat(steps.log_start[some], sizes)
        created = steps.files.created
        inside = (ids >= 0) & (ids < created)
        safe = np.where(inside, ids, 0)
        lane, local = safe % steps.lanes, safe // steps.lanes
        first_short = steps.first_short(first - 1, last - 1)[step - first, lane]
        short = rules.memory_of(local, first_short) == EngramType.SHORTTERM
        before = np.append(0, steps.created)[step - 1]
        rows = np.full(len(ids), -1)
        rows[inside] = steps.files.engram_rows(ids[inside])
        return _Block(
            first,
            last,
            ids,
            expiry,
            step,
            rank,
            inside & (ids >= before),
            short,
            rows,
        )

    def _check(self, block: _Block, folded: FoldedLog) -> None:
        self._check_new(block)
        self._check_there(block)
        self._check_order(block)
        self._check_expiry(block, folded)

    def _check_new(self, block: _Block) -> None:
        """A step's entries begin with all the engrams that it created, ascending."""
        steps = self._steps
        numbers = np.arange(block.first, block.last)
        sizes = steps.log_stop[numbers - 1] - steps.log_start[numbers - 1]
        added = steps.vector_stop[numbers - 1] - steps.vector_start[numbers - 1]
        for step in numbers[sizes < added].tolist():
            row = int(steps.log_start[step - 1])
            text = "fewer engrams fired than the step created"
            steps.tell("log", self._ids, row, text, step=step)
        leading = block.rank < np.repeat(added, sizes)
        expected = steps.engrams(
            np.repeat(steps.vector_start[numbers - 1], sizes)[leading] + block.rank[leading]
        )
        wrong = np.flatnonzero(leading)[block.ids[leading] != expected]
        wanted = expected[block.ids[leading] != expected]
        for at, want in zip(wrong.tolist(), wanted.tolist(), strict=True):
            text = f"engram {block.ids[at]} fired where the new engram {want} must stand"
            self._name(block, at, text)
        for at in np.flatnonzero(block.new & ~leading).tolist():
            self._name(block, at, f"engram {block.ids[at]} is reminded in the step it is new in")

    def _check_there(self, block: _Block) -> None:
        """Nobody fires who is not there yet, or who was left behind."""
        before = np.append(0, self._steps.created)
        late = (block.ids < 0) | (block.ids >= before[block.step])
        for at in np.flatnonzero(late).tolist():
            there = before[block.step[at]]
            self._name(block, at, f"engram {block.ids[at]} fired, there are {there}")
        for at in np.flatnonzero(~late & (block.rows < 0)).tolist():
            self._name(block, at, f"engram {block.ids[at]} fired and was not kept by compaction")

    def _check_order(self, block: _Block) -> None:
        """The reminded come lane by lane, the long-term before the short-term, newest first.

        Where a lane has no long-term memory its oldest engram may stand first instead.
        """
        lanes = self._steps.lanes
        a, b = slice(None, -1), slice(1, None)
        both = (block.step[a] == block.step[b]) & ~block.new[a] & ~block.new[b]
        lane = block.ids % lanes
        same = lane[a] == lane[b]
        falls = block.ids[a] > block.ids[b]
        moves = ~block.short[a] & block.short[b]
        alike = block.short[a] == block.short[b]
        opens = np.append(True, ~(both & same))[:-1]  # the first of its lane
        oldest = opens & block.short[a] & block.short[b] & (block.ids[a] < block.ids[b])
        wrong = both & ((lane[a] > lane[b]) | (same & ~((alike & falls) | moves | oldest)))
        for at in (np.flatnonzero(wrong) + 1).tolist():
            text = f"engram {block.ids[at]} stands out of order behind {block.ids[at - 1]}"
            self._name(block, at, text)

    def _check_expiry(self, block: _Block, folded: FoldedLog) -> None:
        """No engram twice in a step; a new one has a lifespan; nobody comes back."""
        for at in np.flatnonzero(np.isnan(block.expiry)).tolist():
            self._name(block, at, f"engram {block.ids[at]} has no expiry", self._expiry)
        fresh = block.step - 1 + self._initial
        wrong = block.expiry != fresh if self._is_constant else block.expiry <= block.step - 1
        for at in np.flatnonzero(block.new & wrong & ~np.isnan(block.expiry)).tolist():
            least = fresh[at] if self._is_constant else f"above {block.step[at] - 1}"
            text = f"new engram {block.ids[at]} has expiry {block.expiry[at]}, not {least}"
            self._name(block, at, text, self._expiry)
        there = np.flatnonzero(block.rows >= 0)
        order = there[np.argsort(block.rows[there], kind="stable")]
        rows, step = block.rows[order], block.step[order]
        again = np.append(False, rows[1:] == rows[:-1])  # it fired earlier in this block
        behind = np.append(order[:1], order[:-1])
        last_expiry = np.where(again, block.expiry[behind], folded.expiry[rows])
        last_step = np.where(again, block.step[behind], folded.since[rows])
        twice = again & (last_step == step)
        for at in order[twice].tolist():
            self._name(block, at, f"engram {block.ids[at]} fired twice in the step")
        if not folded.known:
            return
        pinned = folded.pinned[rows]
        old = ~block.new[order] & ~twice
        dead = old & ~pinned & ~rules.is_alive(last_expiry, step - 1)
        for at in order[dead].tolist():
            self._name(block, at, f"engram {block.ids[at]} fired after it was forgotten")
        least = rules.carry(last_expiry, step - last_step)
        expiry = block.expiry[order]
        low = old & pinned & ~((expiry >= least) & (np.floor(expiry) == expiry))
        for at in order[low].tolist():
            text = f"pinned engram {block.ids[at]} has expiry {block.expiry[at]}"
            self._name(block, at, f"{text}: it lost lifespan or is no whole number", self._expiry)

    def _name(self, block: _Block, at: int, message: str, array: str | None = None) -> None:
        step, engram = int(block.step[at]), int(block.ids[at])
        row = int(self._steps.log_start[step - 1] + block.rank[at])
        text = f"entry {row}: {message}"
        self._steps.tell("log", array or self._ids, row, text, engram=engram, step=step)
