"""The written connections against the co-fire counts that the log gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from memoria.errors import DamageError
from memoria.store.schema import EDGES_PER_ENGRAM, STATE_GROUP
from memoria.store.verify.findings import Findings
from memoria.store.verify.steps import Steps
from memoria.timeline.cofiring import FiringLog
from memoria.timeline.log import IntArray

_NAMES = ("source", "target", "count", "weight")


def check_edges(steps: Steps, ids: IntArray, fires: IntArray, findings: Findings) -> None:
    """Compare all edges with those of the living ``ids`` [A], who fired ``fires`` [A] times."""
    state = steps.files.attributes.state
    if state.edges is None:
        return
    group = f"{STATE_GROUP}/{state.generation}/edges"
    try:
        stored = [steps.loose.sound_rows(f"{group}/{name}") for name in _NAMES]
    except DamageError:  # which has been named
        return
    for name, column in zip(_NAMES, stored, strict=True):
        if len(column) != state.edges:
            text = f"{len(column)} of the {state.edges} edges"
            findings.add("edges", f"{group}/{name}", text, array=f"{group}/{name}", step=state.step)
    if any(len(column) != state.edges for column in stored):
        return
    comparison = _Comparison(steps, group, stored)
    source = stored[0]
    order = np.argsort(source, kind="stable")
    falls = np.flatnonzero(source[1:] < source[:-1]) + 1
    for row in falls.tolist():
        comparison.say("source", row, f"source {source[row]} stands behind {source[row - 1]}")
    ordered = source[order]
    compared = 0  # of the ordered
    log = _firing_log(steps, ids, state.step)
    for positions, target, count in log.edges(len(ids), EDGES_PER_ENGRAM):
        if len(positions) == 0:
            continue
        high = int(np.searchsorted(ordered, ids[positions[-1]], side="right"))
        expected = (ids[positions], ids[target], count, fires[positions])
        comparison.compare(order[compared:high], expected)
        compared = high
    comparison.compare(order[compared:], (ids[:0], ids[:0], ids[:0], ids[:0]))


def _firing_log(steps: Steps, ids: IntArray, step: int) -> FiringLog:
    """What fired together up to ``step``, by position in ``ids``; one firing a step and lane."""
    end = int(steps.log_stop[step - 1]) if step else 0
    logged: IntArray = steps.loose.sound_rows(steps.array("log/ids"))[:end]
    position = np.searchsorted(ids, logged)
    lives = np.append(ids, -1)[position] == logged
    sizes = steps.log_stop[:step] - steps.log_start[:step]
    firing = np.repeat(np.arange(step), sizes) * steps.lanes + logged % steps.lanes
    return FiringLog.of(np.where(lives, position, -1), firing)


class _Comparison:
    """Names the edges that are not what they must be."""

    def __init__(self, steps: Steps, group: str, stored: list[npt.NDArray[Any]]) -> None:
        self._steps, self._group, self._stored = steps, group, stored

    def compare(self, rows: IntArray, expected: tuple[IntArray, ...]) -> None:
        """The edges in ``rows`` must be ``expected``: (source, target, count, fires of source)."""
        source, target, count, weight = (column[rows] for column in self._stored)
        if len(source) == len(expected[0]) and all(
            np.array_equal(a, b) for a, b in zip((source, target, count), expected, strict=False)
        ):
            self._compare_weights(rows, weight, expected[2], expected[3])
            return
        there = {(a, b): (n, f) for a, b, n, f in zip(*[c.tolist() for c in expected], strict=True)}
        wrong = False
        seen = set()
        for row, a, b, n, w in zip(
            rows.tolist(), source.tolist(), target.tolist(), count.tolist(), weight, strict=True
        ):
            if (a, b) in seen:
                wrong = True
                self.say("target", row, f"connection {a} -> {b} stands there twice")
                continue
            seen.add((a, b))
            if (a, b) not in there:
                wrong = True
                text = f"connection {a} -> {b} is none of the {EDGES_PER_ENGRAM} strongest"
                self.say("target", row, f"{text} by the log")
                continue
            expected_count, fires = there.pop((a, b))
            if n != expected_count:
                wrong = True
                text = f"connection {a} -> {b} counts {n}, by the log {expected_count}"
                self.say("count", row, text)
            elif w != np.float32(n / fires):
                text = f"connection {a} -> {b} weighs {w}, by the log {np.float32(n / fires)}"
                self.say("weight", row, text)
        for a, b in there:
            wrong = True
            at = int(rows[min(int(np.searchsorted(source, a)), len(rows) - 1)]) if len(rows) else 0
            self.say("target", at, f"connection {a} -> {b} is missing", a)
        if not wrong:
            at = int(rows[np.flatnonzero((source != expected[0]) | (target != expected[1]))[0]])
            self.say("target", at, "connections stand in a wrong order from here on")

    def _compare_weights(
        self, rows: IntArray, weight: npt.NDArray[Any], count: IntArray, fires: IntArray
    ) -> None:
        expected = (count / np.maximum(fires, 1)).astype(np.float32)
        for at in np.flatnonzero(weight != expected).tolist():
            text = f"the connection weighs {weight[at]}, by the log {expected[at]}"
            self.say("weight", int(rows[at]), text)

    def say(self, name: str, row: int, message: str, source: int | None = None) -> None:
        """Name a row of ``edges/<name>``."""
        array = f"{self._group}/{name}"
        engram = source if source is not None else int(self._stored[0][row])
        step, text = self._steps.files.attributes.state.step, f"edge {row}: {message}"
        self._steps.tell("edges", array, row, text, engram=engram, step=step, spoils=False)
