"""The table of steps: its own rules, and which rows of the other arrays belong to which step."""

from __future__ import annotations

from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from memoria.store.memory_files import MemoryFiles
from memoria.store.schema import StepColumn, era_prefix
from memoria.store.verify.damaged import LooseFiles
from memoria.store.verify.findings import Findings
from memoria.timeline.log import IntArray

_CELLS: Final = 2**20  # of the table, read at once
_HEAD: Final = int(StepColumn.FIRST_SHORT)

Mask = npt.NDArray[np.bool_]


class Steps:
    """What each of the ``done`` finished steps says it left behind; step t is at t - 1.

    ``good`` [T]: its row can be read and breaks no rule. ``created``, ``ends`` [T]: engrams and
    log entries ever there were after it.
    """

    def __init__(self, files: MemoryFiles, loose: LooseFiles, findings: Findings) -> None:
        self.files = files
        self.loose = loose
        self.name = self.array("log/steps")
        self.lanes = files.config.lanes
        self._findings = findings
        self.done = loose.readable_end(self.name)
        self.created: IntArray = np.full(self.done, -1)
        self.ends: IntArray = np.full(self.done, -1)
        self.good: Mask = np.zeros(self.done, np.bool_)
        self._digests: IntArray = np.zeros((self.done, 4), np.int64)
        self._check()
        self._locate()

    def array(self, name: str) -> str:
        """Where the array of that name in format 1 lies."""
        return era_prefix(self.files.attributes.era) + name

    def engrams(self, rows: IntArray) -> IntArray:
        """The ids of the engrams in these rows of ``vectors``."""
        return self.files.row_engrams(rows)

    def digest(self, step: int) -> bytes | None:
        """The one that stands in the row of ``step``, if that can be read."""
        return self._digests[step - 1].astype(">i8").tobytes() if self.readable[step - 1] else None

    def first_short(self, first: int, last: int) -> IntArray:
        """First short-term engram of each lane after the steps first to last - 1, [n, B].

        Step 0 is the beginning.
        """
        begin = max(first, 1)
        table = self.loose.read(self.name, begin - 1, last - 1)[:, _HEAD:]
        nothing = np.zeros((begin - first, self.lanes), np.int64)
        return np.concatenate((nothing, table)) if first < begin else table

    def created_after(self, step: int) -> int:
        """Engrams there were after ``step`` steps."""
        return int(self.created[step - 1]) if step else 0

    def end_after(self, step: int) -> int:
        """Log entries there were after ``step`` steps."""
        return int(self.ends[step - 1]) if step else 0

    def tell(
        self,
        kind: str,
        array: str,
        row: int,
        message: str,
        *,
        engram: int = -1,
        lane: int | None = None,
        step: int | None = None,
        spoils: bool = True,
    ) -> None:
        """Name a finding in the file that has row ``row`` of ``array``, in the engram's lane."""
        spec = self.loose.spec(array)
        path = f"{array}/{spec.file_name(max(0, row) // spec.file_rows)}"
        lane = engram % self.lanes if engram >= 0 else lane
        self._findings.add(kind, path, message, array=array, lane=lane, step=step, spoils=spoils)

    def of_engram(self, engram: int) -> int:
        """The step (from 1) in which an engram was created, by the rows that are good."""
        return self._after(int(np.searchsorted(self._good_created, engram, side="right")))

    def of_entry(self, row: int) -> int:
        """The step whose log has row ``row`` of ``log/ids``."""
        return self._after(int(np.searchsorted(self._good_stops, row, side="right")))

    @cached_property
    def _good_rows(self) -> IntArray:
        return np.flatnonzero(self.good)

    @cached_property
    def _good_created(self) -> IntArray:
        return self.created[self._good_rows]

    @cached_property
    def _good_stops(self) -> IntArray:
        return self.log_stop[self._good_rows]

    def _after(self, number: int) -> int:
        """The step after that of good row ``number`` - 1: the first that may be meant."""
        return int(self._good_rows[number - 1]) + 2 if number else 1

    def _check(self) -> None:
        """Fill the columns, and name the rows that break a rule."""
        self.readable: Mask = np.zeros(self.done, np.bool_)
        spec = self.loose.spec(self.name)
        most = np.array((self.files.created, self.files.log_end))
        last = np.zeros(2 + self.lanes, np.int64)  # of the last good row
        at_once = max(1, _CELLS // (_HEAD + self.lanes) // spec.file_rows) * spec.file_rows
        at_once = at_once if self.loose.is_sound(self.name, 0, self.done) else spec.file_rows
        for first in range(0, self.done, at_once):
            stop = min(self.done, first + at_once)
            if not self.loose.is_sound(self.name, first, stop):
                continue
            table = self.loose.read(self.name, first, stop)
            self.readable[first:stop] = True
            self.created[first:stop] = table[:, StepColumn.ROWS]
            self.ends[first:stop] = table[:, StepColumn.LOG_END]
            self._digests[first:stop] = table[:, StepColumn.DIGEST : _HEAD]
            columns = table[:, [StepColumn.ROWS, StepColumn.LOG_END, *range(_HEAD, table.shape[1])]]
            before = np.concatenate((last[None], columns[:-1]))
            falls = columns < before
            late = columns[:, :2] > most
            odd = columns[:, 0] % self.lanes != 0
            high = columns[:, 2:] > columns[:, :1] // self.lanes
            wrong = falls.any(axis=1) | late.any(axis=1) | odd | high.any(axis=1)
            self.good[first:stop] = ~wrong
            for row in np.flatnonzero(wrong).tolist():
                lane, message = self._fault(columns[row], before[row], most)
                step = first + row + 1
                self.tell("steps", self.name, step - 1, message, lane=lane, step=step)
            if not wrong.all():
                last = columns[np.flatnonzero(~wrong)[-1]]

    def _fault(self, row: IntArray, before: IntArray, most: IntArray) -> tuple[int | None, str]:
        """(lane, words) for the first rule that ``row`` breaks."""
        names = (f"column {int(StepColumn.ROWS)}", f"column {int(StepColumn.LOG_END)}")
        for column, name in enumerate(names):
            if row[column] < before[column]:
                return None, f"{name} falls from {before[column]} to {row[column]}"
            if row[column] > most[column]:
                return None, f"{name} counts {row[column]}, there are {most[column]}"
        if row[0] % self.lanes:
            return None, f"{names[0]} counts {row[0]} engrams, no multiple of {self.lanes} lanes"
        for lane in range(self.lanes):
            value, least = row[2 + lane], before[2 + lane]
            if value < least:
                return lane, f"column {_HEAD + lane} falls from {least} to {value}"
            if value > row[0] // self.lanes:
                there = row[0] // self.lanes
                return lane, f"column {_HEAD + lane} is {value}, the lane has {there} engrams"
        return None, "breaks a rule"

    def _locate(self) -> None:
        """Which rows of the arrays are each step's, and which steps can be read as a whole.

        ``vector_start``, ``vector_stop``, ``log_start``, ``log_stop`` [T]; ``known`` [T].
        """
        files, era = self.files, self.files.attributes.era
        rows = np.where(self.good, self.created, 0)
        ends = np.where(self.good, self.ends, 0)
        known = self.good & np.append(True, self.good)[:-1]
        self.vector_stop: IntArray = rows - era.rows + era.kept
        self.log_stop: IntArray = files.log_rows(ends)
        if era.generation is not None:
            old = rows < era.rows
            self.vector_stop[old] = np.searchsorted(files.kept, rows[old])
        self.vector_start: IntArray = np.append(0, self.vector_stop)[: self.done]
        self.log_start: IntArray = np.append(0, self.log_stop)[: self.done]
        for name in ("log/ids", "log/expiry"):
            known &= self.loose.sound_mask(self.array(name), self.log_start, self.log_stop)
        self.known: Mask = known
