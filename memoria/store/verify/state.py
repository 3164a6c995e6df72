"""The written state against the one that follows from the log."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from memoria.chunkstore.root import ROOT_NAME
from memoria.errors import DamageError
from memoria.store.life import FloatArray
from memoria.store.schema import STATE_GROUP
from memoria.store.verify.events import EventList, FoldedLog
from memoria.store.verify.findings import MOST_ALIKE, Findings
from memoria.store.verify.steps import Steps
from memoria.timeline import rules
from memoria.timeline.log import IntArray


def check_head(steps: Steps, events: EventList, findings: Findings) -> bool:
    """Whether the attribute ``state`` names a step that there is, and counts what it left."""
    state = steps.files.attributes.state
    if state.generation is None:
        return False
    step, rows, log_end = state.step, state.rows, state.log_end
    wrong = ""
    if step > steps.done:
        wrong = f"is after step {step}, there are {steps.done}"
    elif step < steps.files.attributes.era.step:
        wrong = f"is after step {step}, before the era"
    elif (
        step == steps.files.attributes.era.step and state.events < steps.files.attributes.era.events
    ):
        wrong = f"accounts for {state.events} events, the era began with more"
    elif step and not steps.good[step - 1]:
        return False  # its row of log/steps cannot be trusted
    elif rows != steps.created_after(step):
        wrong = f"accounts for {rows} engrams, after step {step} there were "
        wrong += str(steps.created_after(step))
    elif log_end != steps.end_after(step):
        wrong = f"accounts for {log_end} entries of the log, after step {step} there were "
        wrong += str(steps.end_after(step))
    elif events.known and not events.may_count(step, state.events):
        wrong = f"accounts for {state.events} events, "
        wrong += f"there were {events.before(step)} before step {step}"
    if wrong:
        findings.add("state", ROOT_NAME, f"the written state {wrong}", step=step)
    return not wrong


def check_state(steps: Steps, folded: FoldedLog, findings: Findings) -> tuple[IntArray, IntArray]:
    """Compare every array with the fold; (ids, fires) of the living, as the log says."""
    state = steps.files.attributes.state
    step, lanes = state.step, steps.lanes
    last = int(steps.vector_stop[step - 1]) if step else 0
    expiry = folded.after(step)[:last]
    rows = np.flatnonzero(rules.is_alive(expiry, step))
    ids, expiry, fires = steps.engrams(rows), expiry[rows], folded.fires[rows]
    short = steps.first_short(step, step + 1)[0]
    expected: dict[str, npt.NDArray[Any]] = {
        "types": rules.memory_of(ids // lanes, short[ids % lanes]),
        "lifespan": _rounded(expiry - step),
        "expiry": expiry,
        "born": np.searchsorted(steps.created[:step], ids, side="right"),
        "fires": fires,
    }
    comparison = _Comparison(steps, step, findings)
    stored = comparison.read("ids")
    if stored is None:
        return ids, fires
    here, there = np.arange(len(ids)), np.arange(len(stored))
    if not np.array_equal(stored, ids):
        comparison.compare_ids(stored, ids)
        _, there, here = np.intersect1d(stored, ids, return_indices=True)
    for name, values in expected.items():
        found = comparison.read(name)
        if found is not None:
            comparison.compare(name, ids[here], found[there], values[here], there)
    return ids, fires


def _rounded(values: FloatArray) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


class _Comparison:
    """Names the rows of a state's arrays that are not what they must be."""

    def __init__(self, steps: Steps, step: int, findings: Findings) -> None:
        self._steps, self._step, self._findings = steps, step, findings
        self._group = f"{STATE_GROUP}/{steps.files.attributes.state.generation}"

    def read(self, name: str) -> npt.NDArray[Any] | None:
        """The array; None where it cannot be read or is not of the living, which is named."""
        array = f"{self._group}/{name}"
        try:
            found = self._steps.loose.sound_rows(array)
        except DamageError:
            return None
        living = self._steps.files.attributes.state.living
        if len(found) == living:
            return found
        text = f"{len(found)} rows, the state counts {living} living engrams"
        self._findings.add("state", array, text, array=array, step=self._step)
        return None

    def compare_ids(self, stored: IntArray, ids: IntArray) -> None:
        """The living must be the living, ascending."""
        falls = np.flatnonzero(stored[1:] <= stored[:-1]) + 1
        for row in falls[:MOST_ALIKE].tolist():
            self._say("ids", row, int(stored[row]), f"engram {stored[row]} is out of order")
        extra = np.flatnonzero(~np.isin(stored, ids))
        for row in extra[:MOST_ALIKE].tolist():
            text = f"engram {stored[row]} does not live by the log"
            self._say("ids", row, int(stored[row]), text)
        lost = ids[~np.isin(ids, stored)]
        for engram in lost[:MOST_ALIKE].tolist():
            row = min(int(np.searchsorted(stored, engram)), max(0, len(stored) - 1))
            self._say("ids", row, engram, f"engram {engram} lives by the log, and is missing")
        self._findings.also(sum(max(0, len(some) - MOST_ALIKE) for some in (falls, extra, lost)))

    def compare(
        self,
        name: str,
        ids: IntArray,
        found: npt.NDArray[Any],
        expected: npt.NDArray[Any],
        rows: IntArray,
    ) -> None:
        """Each value of ``found`` must be that of ``expected``; they stand in ``rows``."""
        wrong = np.flatnonzero(found != expected)  # NaN is always wrong
        for at in wrong[:MOST_ALIKE].tolist():
            engram = int(ids[at])
            text = f"engram {engram} has {name} {found[at]}, by the log {expected[at]}"
            self._say(name, int(rows[at]), engram, text)
        self._findings.also(max(0, len(wrong) - MOST_ALIKE))

    def _say(self, name: str, row: int, engram: int, message: str) -> None:
        array = f"{self._group}/{name}"
        self._steps.tell("state", array, row, message, engram=engram, step=self._step, spoils=False)
