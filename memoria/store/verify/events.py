"""What was done to engrams by hand, and what becomes of every engram by firings and events."""

from __future__ import annotations

from typing import Final

import numpy as np

from memoria.errors import DamageError
from memoria.store.events import events_of
from memoria.store.payloads import decode_cue, decode_revision
from memoria.store.schema import EventColumn
from memoria.store.verify.steps import Steps
from memoria.timeline import rules
from memoria.timeline.log import EventKind, Events, FloatArray, IntArray
from memoria.timeline.walk import LifespanTracker

_PAYLOADS: Final = {EventKind.EDIT: decode_revision, EventKind.CONFIRM: decode_cue}


class FoldedLog(LifespanTracker):
    """Every engram by its row in ``vectors``, as far as the log was folded in.

    ``known`` is False once something could not be read: then expiries may be wrong.
    """

    known = True


class EventList:
    """The events of a store, checked as they are folded in."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self.name = steps.array("events/index")
        names = (self.name, steps.array("events/values"))
        end = min(steps.loose.sound_end(name) for name in names)
        self.known = end == steps.loose.committed_rows(self.name)
        self.table: IntArray = steps.loose.read(self.name, 0, end)
        self._values: FloatArray = steps.loose.read(names[1], 0, end)
        self.done = steps.loose.committed_rows(steps.name)
        self._check_steps()
        self._check_payloads()
        self._at = 0  # of those to be folded in

    def steps(self) -> set[int]:
        """The steps after which something happened."""
        return set(self.table[:, EventColumn.STEP].tolist())

    def span(self, step: int, count: int | None = None) -> tuple[int, int]:
        """Those of the first ``count`` events that happened after ``step``, as [first, last)."""
        happened = self.table[:count, EventColumn.STEP]
        first, last = np.searchsorted(happened, [step, step + 1]).tolist()
        return first, last

    def may_have_lost_payloads(self, first: int, last: int) -> bool:
        """Whether any of the events [first, last) had a payload when it happened."""
        kinds = self.table[first:last, EventColumn.KIND]
        return bool(np.isin(kinds, (EventKind.EDIT, EventKind.CONFIRM)).any())

    def before(self, step: int) -> int:
        """How many events happened before ``step`` ended."""
        return int((self.table[:, EventColumn.STEP] < step).sum())

    def may_count(self, step: int, count: int) -> bool:
        """Whether ``step`` finished steps may have so many events."""
        return self.before(step) <= count <= self.before(step + 1)

    def fold(self, folded: FoldedLog, step: int, last: int | None = None) -> None:
        """Check and fold in what happened after ``step``, of the first ``last`` events."""
        end = len(self.table) if last is None else min(last, len(self.table))
        begin = self._at
        while self._at < end and self.table[self._at, EventColumn.STEP] <= step:
            self._at += 1
        numbers = begin + np.flatnonzero(self.table[begin : self._at, EventColumn.STEP] == step)
        rows = self._rows(numbers)
        happened = self._events(numbers)
        if self._all_sound(folded, happened, rows):
            folded.happen(rows, happened)
            return
        for number, row in zip(numbers.tolist(), rows.tolist(), strict=True):
            self._one(folded, number, row)

    def _one(self, folded: FoldedLog, number: int, row: int) -> None:
        step, kind, engram, *_ = self.table[number].tolist()
        steps = self._steps
        if not 0 <= engram < steps.created_after(step):
            self._say(number, f"engram {engram}: there are {steps.created_after(step)}")
            return
        if row < 0:  # compaction left it behind, so it was forgotten before
            if number >= steps.files.attributes.era.events:
                self._say(number, f"engram {engram} was not kept by compaction")
            return
        pinned = bool(folded.pinned[row])
        if folded.known and not folded.is_alive(row, step):
            self._say(number, f"engram {engram} was forgotten already")
        elif not EventKind.FORGET <= kind <= max(EventKind):
            self._say(number, f"kind {kind} is none of {EventKind.FORGET:d} to {max(EventKind):d}")
        elif not 0 <= self._values[number] < np.inf:
            self._say(number, f"its value is {self._values[number]}")
        elif kind == EventKind.PIN and pinned:
            self._say(number, f"engram {engram} is pinned already")
        else:
            if kind == EventKind.UNPIN and not pinned:
                self._say(number, f"engram {engram} is not pinned")
            folded.happen(np.array([row]), self._events(np.array([number])))

    def _all_sound(self, folded: FoldedLog, events: Events, rows: IntArray) -> bool:
        """Whether none of ``events``, each of another engram, breaks a rule."""
        if len(np.unique(rows)) < len(rows) or (rows < 0).any():
            return False
        kinds, pinned = events.kinds, folded.pinned[rows]
        alive = pinned | rules.is_alive(folded.expiry[rows], events.steps)
        is_known = (kinds >= EventKind.FORGET) & (kinds <= max(EventKind))
        is_known &= (events.values >= 0) & (events.values < np.inf)
        twice = ((kinds == EventKind.PIN) & pinned) | ((kinds == EventKind.UNPIN) & ~pinned)
        return folded.known and bool((alive & is_known & ~twice).all())

    def _rows(self, numbers: IntArray) -> IntArray:
        """The row in ``vectors`` of the engram of each event; -1 where there is none."""
        table = self.table[numbers]
        engrams = table[:, EventColumn.ENGRAM]
        there = np.append(0, self._steps.created)[table[:, EventColumn.STEP].clip(0)]
        inside = (engrams >= 0) & (engrams < there)
        rows = np.full(len(numbers), -1)
        rows[inside] = self._steps.files.engram_rows(engrams[inside])
        return rows

    def _events(self, numbers: IntArray) -> Events:
        return events_of(self.table[numbers], self._values[numbers])

    def _check_steps(self) -> None:
        """Events are in the order of steps."""
        happened = self.table[:, EventColumn.STEP]
        falls = np.append(False, happened[1:] < happened[:-1])
        for number in np.flatnonzero(falls | (happened < 1) | (happened > self.done)).tolist():
            self._say(number, f"stands after step {happened[number]}, out of order")

    def _check_payloads(self) -> None:
        """Payloads follow one another, and are what their kinds have."""
        name, loose = self._steps.array("events/bytes"), self._steps.loose
        ends, total = self.table[:, EventColumn.END], loose.rows(name)
        starts = np.append(0, ends)[: len(ends)]
        wrong = (ends < starts) | (ends > total)
        for number in np.flatnonzero(wrong).tolist():
            text = f"its payload ends at {ends[number]}, not within {starts[number]} and {total}"
            self._say(number, text)
        if self.known and not wrong.any() and (ends[-1] if len(ends) else 0) < total:
            self._steps.tell("events", name, total - 1, f"no event has the last of {total} bytes")
        for number in np.flatnonzero(~wrong & (ends > starts)).tolist():
            start, stop = int(starts[number]), int(ends[number])
            decode = _PAYLOADS.get(self.table[number, EventColumn.KIND])
            if decode is None:
                self._say(number, "has a payload, which its kind has not")
            elif loose.is_sound(name, start, stop):
                try:
                    decode(loose.read(name, start, stop).tobytes(), self._steps.files.config)
                except DamageError as error:
                    self._say(number, error.message)

    def _say(self, number: int, message: str) -> None:
        step, _, engram, *_ = self.table[number].tolist()
        text = f"event {number}: {message}"
        self._steps.tell("events", self.name, number, text, engram=engram, step=max(0, step) + 1)
