"""What was done to engrams by hand, and what becomes of every engram by firings and events."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from memoria.store.life import FloatArray
from memoria.store.schema import EventColumn
from memoria.store.verify.findings import Findings
from memoria.store.verify.steps import Steps
from memoria.timeline.firing_log import IntArray
from memoria.timeline.log import EventKind

__all__ = ["EventList", "Fates"]

_LONGEST: Final = 2.0**52  # steps that a pinned engram has left at most


class Fates:
    """Expiry and fire count of every engram, by its row in ``vectors``, as far as was folded.

    ``known`` is False once something could not be read: then expiries may be wrong.
    """

    def __init__(self, rows: int) -> None:
        self.expiry: FloatArray = np.full(rows, -np.inf)
        self.fires: IntArray = np.zeros(rows, np.int64)
        self.known = True
        self._pinned: npt.NDArray[np.bool_] = np.zeros(rows, np.bool_)
        self._anchors: dict[int, int] = {}  # of the pinned: the step of which expiry is

    def fire(self, rows: IntArray, expiry: FloatArray, step: IntArray) -> None:
        """Fold firings in, oldest first; rows below 0 are nobody's."""
        there = rows >= 0
        rows, expiry, step = rows[there], expiry[there], step[there]
        self.expiry[rows] = expiry  # of repeats the last one stays
        if 16 * len(rows) < len(self.fires):
            np.add.at(self.fires, rows, 1)
        else:
            self.fires += np.bincount(rows, minlength=len(self.fires))
        if self._anchors:
            for row, at in zip(rows.tolist(), step.tolist(), strict=True):
                if row in self._anchors:
                    self._anchors[row] = at

    def is_pinned(self, rows: IntArray) -> npt.NDArray[np.bool_]:
        """Which of the rows are pinned now."""
        return self._pinned[rows]

    def anchored(self, rows: IntArray) -> IntArray:
        """After which step each expiry was what it is; 0 for all that are not pinned."""
        if not self._anchors:
            return np.zeros(len(rows), np.int64)
        return np.array([self._anchors.get(row, 0) for row in rows.tolist()], np.int64)

    def after(self, step: int) -> FloatArray:
        """Every expiry after ``step``, to which all has been folded in."""
        if not self._anchors:
            return self.expiry
        rows = np.array(list(self._anchors), np.int64)
        out = self.expiry.copy()
        out[rows] += step - np.array(list(self._anchors.values()), np.int64)
        return out

    def is_alive(self, row: int, step: int) -> bool:
        """Whether the engram lives after ``step``."""
        return bool(self._pinned[row]) or bool(self.expiry[row] > step)

    def forget(self, row: int, step: int) -> None:
        """Its expiry becomes ``step``."""
        self.unpin(row, step)
        self.expiry[row] = step

    def pin(self, row: int, step: int) -> None:
        """From now on it loses no lifespan."""
        self.expiry[row] = min(np.ceil(self.expiry[row]), step + _LONGEST)
        self._pinned[row] = True
        self._anchors[row] = step

    def unpin(self, row: int, step: int) -> None:
        """From now on it ages again."""
        if self._pinned[row]:
            self.expiry[row] += step - self._anchors.pop(row)
            self._pinned[row] = False


class EventList:
    """The events of a store, checked as they are folded in."""

    def __init__(self, steps: Steps, findings: Findings) -> None:
        self._steps = steps
        self._findings = findings
        self.name = steps.array("events")
        end = steps.loose.sound_end(self.name)
        self.known = end == steps.loose.committed_rows(self.name)
        self.table: IntArray = steps.loose.read(self.name, 0, end)
        self._check_steps()
        self._at = 0  # of those to be folded in

    def steps(self) -> set[int]:
        """The steps after which something happened."""
        return set(self.table[:, EventColumn.STEP].tolist())

    def after(self, step: int, first: int = 0, last: int | None = None) -> IntArray:
        """The events [first, last) that happened after ``step``."""
        some = self.table[first:last]
        chosen: IntArray = some[some[:, EventColumn.STEP] == step]
        return chosen

    def fold(self, fates: Fates, step: int, last: int | None = None) -> None:
        """Check and fold in what happened after ``step``, of the first ``last`` events."""
        end = len(self.table) if last is None else min(last, len(self.table))
        while self._at < end and self.table[self._at, EventColumn.STEP] <= step:
            if self.table[self._at, EventColumn.STEP] == step:
                self._one(fates, self._at)
            self._at += 1

    def _one(self, fates: Fates, number: int) -> None:
        step, kind, engram, _ = self.table[number].tolist()
        steps = self._steps
        era = steps.files.attributes.era
        if not 0 <= engram < steps.created_after(step):
            self._say(number, f"engram {engram}: there are {steps.created_after(step)}")
            return
        row = int(steps.files.engram_rows(np.array([engram]))[0])
        if row < 0:  # compaction left it behind, so it was forgotten before
            if number >= era.events:
                self._say(number, f"engram {engram} was not kept by compaction")
            return
        pinned = bool(fates.is_pinned(np.array([row]))[0])
        if fates.known and not fates.is_alive(row, step):
            self._say(number, f"engram {engram} was forgotten already")
        elif kind == EventKind.FORGET:
            fates.forget(row, step)
        elif kind == EventKind.PIN:
            if pinned:
                self._say(number, f"engram {engram} is pinned already")
            else:
                fates.pin(row, step)
        elif kind == EventKind.UNPIN:
            if not pinned:
                self._say(number, f"engram {engram} is not pinned")
            fates.unpin(row, step)
        else:
            self._say(number, f"kind {kind} is none of {EventKind.FORGET:d} to {EventKind.UNPIN:d}")

    def _check_steps(self) -> None:
        """Events are in the order of steps."""
        happened = self.table[:, EventColumn.STEP]
        done = self._steps.loose.committed_rows(self._steps.name)
        falls = np.append(False, happened[1:] < happened[:-1])
        for number in np.flatnonzero(falls | (happened < 1) | (happened > done)).tolist():
            self._say(number, f"stands after step {happened[number]}, out of order")

    def _say(self, number: int, message: str) -> None:
        step, _, engram, _ = self.table[number].tolist()
        spec = self._steps.loose.spec(self.name)
        lane = engram % self._steps.lanes if engram >= 0 else None
        self._findings.add(
            "events",
            f"{self.name}/{spec.file_name(number // spec.file_rows)}",
            f"event {number}: {message}",
            array=self.name,
            lane=lane,
            step=max(0, step) + 1,
            spoils=True,
        )
