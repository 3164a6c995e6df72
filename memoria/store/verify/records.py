"""Readings of sources, their units, and commands against their rules. No part of the digest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from memoria.errors import DamageError
from memoria.store.memory_files import may_be_ends
from memoria.store.schema import CommandColumn, ReadingColumn
from memoria.store.sources import GONE, GONE_RUN, RUN
from memoria.store.verify.events import EventList
from memoria.store.verify.steps import Steps
from memoria.timeline.log import IntArray


def check_records(steps: Steps, events: EventList) -> frozenset[str]:
    """Name what breaks a rule; returns the arrays that cannot be used."""
    checks = {"sources/readings": _readings, "commands/index": _commands}
    bad = set()
    for name, check in checks.items():
        try:
            for array, row, message in check(steps, events):
                bad.add(name)
                kind = name.partition("/")[0]
                steps.tell(kind, steps.array(array), row, message, spoils=False)
        except DamageError:  # which has been named
            bad.add(name)
    return frozenset(bad)


def _readings(steps: Steps, events: EventList) -> Iterator[tuple[str, int, str]]:
    table: IntArray = steps.loose.sound_rows(steps.array("sources/readings"))
    units: IntArray = steps.loose.sound_rows(steps.array("sources/units"))
    for row, message in _faults(table, ReadingColumn, ReadingColumn.UNITS_END, len(units), events):
        yield "sources/readings", row, f"reading {row} {message}"
    source, known = table[:, ReadingColumn.SOURCE], steps.files.rows("sources/index")
    for row in np.flatnonzero((source < 0) | (source >= known)).tolist():
        yield (
            "sources/readings",
            row,
            f"reading {row} is of source {source[row]}, there are {known}",
        )
    engram, offset = units[:, 0], units[:, 1]
    runs = engram == RUN
    unsound = runs & ~_may_be_runs(units, table[:, ReadingColumn.UNITS_END])
    for row in np.flatnonzero(unsound).tolist():
        yield "sources/units", row, f"unit {row} is a run of rows that it cannot stand for"
    odd = ~runs & ((engram < -1) | (engram >= steps.files.created))
    for row in np.flatnonzero(odd).tolist():
        message = f"unit {row} is of engram {engram[row]}, there are {steps.files.created}"
        yield "sources/units", row, message
    for row in np.flatnonzero(~runs & (offset < GONE)).tolist():
        yield "sources/units", row, f"unit {row} has the offset {offset[row]}"


def _may_be_runs(units: IntArray, ends: IntArray) -> NDArray[np.bool_]:
    """Which rows may be runs: of plain rows of earlier readings, with offsets of 0 or more."""
    _, shift, start, count = units.T
    reading = np.searchsorted(ends, np.arange(len(units)), side="right")
    first = np.concatenate(([0], ends))[reading]  # of the row's own reading
    sound: NDArray[np.bool_] = (
        (start >= 0) & (count > 0) & (start <= first) & (count <= first - start)
    )
    is_run = units[:, 0] == RUN
    runs_before = np.concatenate(([0], np.cumsum(is_run)))
    found = np.flatnonzero(is_run & sound)
    begin, end = start[found], start[found] + count[found]
    sound[found] &= runs_before[begin] == runs_before[end]
    for at in found[sound[found] & (shift[found] != GONE_RUN)].tolist():
        least = int(units[start[at] : start[at] + count[at], 1].min())
        sound[at] = least >= 0 and least + int(shift[at]) >= 0
    return sound


def _commands(steps: Steps, events: EventList) -> Iterator[tuple[str, int, str]]:
    table: IntArray = steps.loose.sound_rows(steps.array("commands/index"))
    raw = steps.loose.sound_rows(steps.array("commands/bytes"))
    for row, message in _faults(table, CommandColumn, CommandColumn.END, len(raw), events):
        yield "commands/index", row, f"command {row} {message}"
    ends = table[:, CommandColumn.END]
    if may_be_ends(ends, len(raw)):
        for row, (start, end) in enumerate(zip([0, *ends.tolist()], ends.tolist(), strict=False)):
            try:
                raw[start:end].tobytes().decode("utf-8")
            except UnicodeDecodeError:
                yield "commands/bytes", start, f"command {row} has words that are not UTF-8"


def _faults(
    table: IntArray,
    column: type[ReadingColumn] | type[CommandColumn],
    end: int,
    total: int,
    events: EventList,
) -> Iterator[tuple[int, str]]:
    """Rows that are out of order, or whose ends are wrong, with words for what is wrong."""
    ends, moments = table[:, end], table[:, [column.STEP, column.EVENTS]].tolist()
    starts = np.append(0, ends)[: len(ends)]
    before = [0, 0]
    for row, moment in enumerate(moments):
        step, count = moment
        if moment < before:
            yield row, f"stands after {step} steps and {count} events, out of order"
        elif step > events.done or (events.known and not events.may_count(step, count)):
            yield row, f"counts {count} events after step {step}"
        before = moment
    for row in np.flatnonzero((ends < starts) | (ends > total)).tolist():
        yield row, f"ends at {ends[row]}, not within {starts[row]} and {total}"
    last = int(ends[-1]) if len(ends) else 0
    if last < total:
        yield max(0, len(ends) - 1), f"ends at {last}, there are {total} rows"
