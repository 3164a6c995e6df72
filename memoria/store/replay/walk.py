"""A life walked through step by step: who was in which memory, who fired, who was forgotten.

Reads the log alone, forwards, in memory that follows what is alive. Works on a store's files while
a writer stages steps in them, too. Torch-free.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from memoria.errors import DamageError, InputError
from memoria.store.events import read_events
from memoria.store.life import FloatArray, StepTable, fold
from memoria.store.memory_files import MemoryFiles
from memoria.store.reading import check_lane, open_files, past_view
from memoria.store.replay.steps import steps_there
from memoria.store.schema import StepColumn
from memoria.store.texts import StoredTexts
from memoria.timeline.engram_type import EngramType
from memoria.timeline.log import ENDINGS, TURNS, Events, IntArray
from memoria.timeline.rules import is_alive
from memoria.timeline.walk import LivingWalk

_STEPS_AT_ONCE: Final = 1024  # read together,
_ENTRIES_AT_ONCE: Final = 2**20  # unless they are longer than this

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class StepState:
    """The memory during one step; all arrays [A], ascending by id.

    ``types`` are those in which the step found the engrams: those it made are WORKING.
    ``lifespan`` is what it left them with; the ``forgotten`` go at its end. ``fired``: in any of
    the steps since the state before. ``reminded`` [R] fired in this step and were there before
    it. ``created`` and ``gone`` count engrams ever made, and ever forgotten, by its end.
    """

    step: int
    ids: IntArray
    types: npt.NDArray[np.uint8]
    lifespan: FloatArray
    fired: BoolArray
    forgotten: BoolArray
    reminded: IntArray
    created: int
    gone: int

    def count(self, kind: EngramType) -> int:
        """Engrams in one memory."""
        return int(np.count_nonzero(self.types == kind))


class Walk:
    """The steps ``first`` to ``last`` of ``files``, which are there; `go` is a state.

    With ``last`` None it goes on for as long as a writer adds steps; ``first`` need not be there
    yet. With ``lane`` the engrams of that lane only; `InputError` where there is none.
    """

    def __init__(
        self, files: MemoryFiles, first: int, last: int | None, lane: int | None = None
    ) -> None:
        lanes = files.config.lanes
        check_lane(lane, lanes)
        self.first, self._last = first, last
        before = past_view(files, self.first - 1)
        life = fold(before, before.config, StepTable.read(before))
        self.step = self.first - 1
        self.config = files.config
        self._files, self._lane, self._lanes = files, lane, lanes
        self._stored_texts = StoredTexts(files)
        in_lane = np.ones(len(life.ids), np.bool_) if lane is None else life.of_lane(lane)
        self._living = LivingWalk(
            self.step,
            life.ids[in_lane],
            life.expiry[in_lane],
            life.pinned[in_lane],
            life.first_short,
            life.next_id * lanes,
        )
        self._log = before.log_end
        self._reminded: IntArray = np.empty(0, np.int64)
        self._seen = before.events
        self._events = Events.empty()  # read and still to happen
        self._block = _Block.empty(self.step)

    @property
    def last(self) -> int:
        """The last step there is to go to; it moves while a writer goes on."""
        return self._files.rows("log/steps") if self._last is None else self._last

    def go(self, step: int, enough: Callable[[], bool] | None = None) -> StepState:
        """The state of ``step``, which must not lie before the present one.

        Stops earlier, after one step at least, once ``enough`` says so.
        """
        if not self.step <= step <= self.last:
            raise InputError(f"step = {step}: not from {max(self.step, self.first)} to {self.last}")
        self._living.forget_firings()
        while self.step < step:
            self._advance()
            if enough is not None and enough():
                break
        return self._state()

    def texts(self, ids: IntArray) -> list[str | None]:
        """The texts of engrams."""
        return self._stored_texts.texts(ids)

    def _advance(self) -> None:
        try:
            self._happen()
            if self.step == self._block.last:
                self._block = _Block.read(self._files, self.step, self.last, self._log)
            rows, log_end, short, ids, expiry = self._block.of(self.step + 1)
            new: IntArray = np.arange(self._living.created, rows)
            if self._lane is not None:
                new = new[new % self._lanes == self._lane]
                in_lane = ids % self._lanes == self._lane
                ids, expiry = ids[in_lane], expiry[in_lane]
            self._living.advance(new, rows, short, ids, expiry)
        except DamageError as error:
            raise DamageError(f"{self._files.name}: {error.message}") from None
        self._log = log_end
        self.step += 1
        self._reminded = ids[ids < self._living.new]

    def _happen(self) -> None:
        """What was done by hand between the last step and the next."""
        if self._seen < self._files.events:
            fresh = read_events(self._files, self.last, self._seen, since=self.step)
            self._seen = self._files.events
            self._events = fresh.of_kind(*TURNS, *ENDINGS)
        if len(self._events) == 0 or self._events.steps[0] > self.step:
            return
        count = int(np.searchsorted(self._events.steps, self.step, side="right"))
        due = self._events.take(slice(0, count))
        self._events = self._events.take(slice(count, None))
        if self._lane is not None:
            due = due.take(due.ids % self._lanes == self._lane)
        if len(np.unique(due.ids)) == len(due):
            self._living.happen(due)
            return
        for number in range(len(due)):
            self._living.happen(due.take(slice(number, number + 1)))

    def _state(self) -> StepState:
        living = self._living
        forgotten = np.asarray(~is_alive(living.expiry, self.step))
        created = living.created if self._lane is None else living.created // self._lanes
        return StepState(
            step=self.step,
            ids=living.ids.copy(),
            types=living.types(self._lanes),
            lifespan=living.expiry - self.step,
            fired=living.fired.copy(),
            forgotten=forgotten,
            reminded=self._reminded,
            created=created,
            gone=created - len(forgotten) + int(np.count_nonzero(forgotten)),
        )


@contextmanager
def walk(
    path: str | os.PathLike[str],
    first: int | None = None,
    last: int | None = None,
    lane: int | None = None,
    at: int | str | None = None,
) -> Iterator[Walk]:
    """A `Walk` through the store at ``path``, or through what it was ``at`` a moment.

    Without ``first`` and ``last`` as far as the log goes. Raises `InputError` for steps that are
    not there.
    """
    with closing(open_files(path, at)) as files:
        yield Walk(files, *steps_there(files, first, last), lane)


@dataclass(frozen=True)
class _Block:
    """Steps ``first`` + 1 to ``last`` as they were logged."""

    first: int
    last: int
    table: IntArray
    ends: IntArray  # of the steps in ids and expiry, a 0 before them
    ids: IntArray
    expiry: FloatArray

    @classmethod
    def empty(cls, step: int) -> _Block:
        nothing: IntArray = np.empty(0, np.int64)
        return cls(step, step, nothing, nothing, nothing, np.empty(0))

    @classmethod
    def read(cls, files: MemoryFiles, step: int, last: int, log_end: int) -> _Block:
        """The steps from ``step`` + 1 on, of which ``log_end`` entries came before."""
        table = files.read("log/steps", step, min(last, step + _STEPS_AT_ONCE))
        ends = np.concatenate(([0], table[:, StepColumn.LOG_END] - log_end))
        if (np.diff(ends) < 0).any():
            raise DamageError(f"{files.name}: log/steps is not a table of steps")
        taken = max(1, int(np.searchsorted(ends, _ENTRIES_AT_ONCE, side="right")) - 1)
        table, ends = table[:taken], ends[: taken + 1]
        start = files.log_row(log_end)
        ids = files.read("log/ids", start, start + int(ends[-1]))
        expiry = files.read("log/expiry", start, start + int(ends[-1]))
        return cls(step, step + len(table), table, ends, ids, expiry)

    def of(self, step: int) -> tuple[int, int, IntArray, IntArray, FloatArray]:
        """(engrams there were after it, log entries, first short-term ones, ids, expiry)."""
        at = step - self.first - 1
        row, span = self.table[at], slice(int(self.ends[at]), int(self.ends[at + 1]))
        rows, log_end = int(row[StepColumn.ROWS]), int(row[StepColumn.LOG_END])
        return rows, log_end, row[StepColumn.FIRST_SHORT :], self.ids[span], self.expiry[span]
