"""Opening a store without tensors, as it is now or as an earlier step left it.

The log is the memory, and it only grows, so that the past is the same arrays cut shorter: after
step s every array ends where row s - 1 of ``log/steps`` says, and no step is begun.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from typing import Final, Literal

import numpy as np

from memoria.chunkstore.files import StoreFiles
from memoria.chunkstore.sources.local import Source
from memoria.config import MemoriaConfig
from memoria.errors import DamageError, InputError, StateError
from memoria.store.attributes import Pending, Snapshot, StateHead
from memoria.store.digest import chain_after
from memoria.store.life import StepTable
from memoria.store.memory_files import Cut, MemoryFiles
from memoria.store.schema import (
    CommandColumn,
    EventColumn,
    ReadingColumn,
    StepColumn,
    TextColumn,
    expected_specs,
)
from memoria.store.texts import StoredTexts
from memoria.timeline.log import EventKind, IntArray

_MOST_DIGITS: Final = 18  # of a step's number; what is longer is no number that a store could have


def open_files(
    path: str | os.PathLike[str] | Source,
    at: int | str | None = None,
    mode: Literal["r", "r+"] = "r",
) -> MemoryFiles:
    """Open the store's files, with the arrays of its format checked to be there.

    Args:
        path: directory, zip archive or s3:// URL of a store, or what it is read from.
        at: snapshot (name) or finished step (number) to see the files as they were then.
        mode: ``"r"`` to read the state committed now, ``"r+"`` to be the store's one writer.

    Raises:
        StoreNotFoundError, StoreLockedError, DamageError: as the store is.
        StateError: ``at`` with ``"r+"``, since the past can only be read.
    """
    if at is not None and mode != "r":
        raise StateError("the past can only be read", "open it with mode='r'")
    files = StoreFiles.open(path, mode, expected_specs)
    try:
        memory = MemoryFiles(files)
        return memory if at is None else past_view(memory, at)
    except BaseException:
        files.close()
        raise


def read_config(path: str | os.PathLike[str], at: int | str | None = None) -> MemoriaConfig:
    """The configuration of a store.

    Args:
        path: the store.
        at: a moment, as of `MemoryStore.open`, that must be there.
    """
    with closing(open_files(path, at)) as files:
        return files.config


def check_lane(lane: int | None, lanes: int) -> None:
    """Raise `InputError` for a lane that is not there; None stands for all of them."""
    if lane is not None and not 0 <= lane < lanes:
        raise InputError(f"lane = {lane}: there is none", f"the lanes are 0 to {lanes - 1}")


def split_moment(text: str) -> tuple[str, int | str | None]:
    """``STORE@NAME`` and ``STORE@STEP`` as (path, moment); a path that exists has none."""
    path, mark, moment = text.rpartition("@")
    if not mark or not path or "/" in moment or not moment or os.path.lexists(text):
        return text, None
    is_step = moment.isascii() and moment.isdigit() and len(moment) <= _MOST_DIGITS
    return path, int(moment) if is_step else moment


def past_view(files: MemoryFiles, at: int | str) -> MemoryFiles:
    """``files`` as snapshot ``at``, or as step number ``at``, left them: read-only.

    Step s is what the s-th finished step left behind, before anything was done by hand. Raises
    `InputError` for a name or a step that is not there, or that compaction has removed.
    """
    if isinstance(at, int):
        return _view(files, at, _events_with(files, at))
    snapshot = named(files.name, files.attributes.snapshots, at)
    view = _view(files, snapshot.step, snapshot.events)
    if view.attributes.digest != snapshot.digest:
        left = f"what step {snapshot.step} left behind"
        raise DamageError(f"{files.name}: snapshot '{at}' does not name {left}")
    return view


def view_of_state(files: MemoryFiles, step: int, events: int) -> MemoryFiles:
    """``files`` as they were after ``step`` finished steps and the first ``events`` events.

    Raises `InputError` for a state that compaction has removed.
    """
    era = files.attributes.era
    named = {(one.step, one.events) for one in files.attributes.snapshots.values()}
    if (step, events) < (era.step, era.events) and (step, events) not in named:
        raise InputError(
            f"the state of step {step}: compaction has removed it",
            "it keeps those that snapshots name",
        )
    return _view(files, step, events)


def finished_view(files: MemoryFiles) -> MemoryFiles:
    """``files`` without the step that has been begun."""
    return _view(files, files.rows("log/steps"), files.events)


def _view(files: MemoryFiles, step: int, events: int) -> MemoryFiles:
    steps = StepTable.read(files)
    _check_there(files, step, len(steps), events)
    created = int(steps.rows()[step - 1]) if step else 0
    rows = _rows(files, steps, step, created, events)
    digest = chain_after(files, steps, step, events).hex()
    now = files.attributes
    state = now.state
    if state.step > step or state.events > events:
        state = StateHead()
    attributes = now.model_copy(
        update={"step": step, "pending": Pending(), "digest": digest, "state": state}
    )
    log_end = int(steps.row(step)[StepColumn.LOG_END]) if step else 0
    return MemoryFiles(files.store, Cut(attributes, rows, created, log_end))


def _events_with(files: MemoryFiles, step: int) -> int:
    """Events that belong to the state after step ``step``: up to those that its end displaced.

    Of an earlier era it is the state that a snapshot names; what the era began with also counts
    the events after that step.
    """
    era = files.attributes.era
    if era.generation is not None and step <= era.step:
        snapshots = files.attributes.snapshots.values()
        named = (one.events for one in snapshots if one.step == step)
        return era.events if step == era.step else min(named, default=0)
    rows = files.event_rows()
    first, last = map(int, np.searchsorted(rows[:, EventColumn.STEP], [step, step + 1]))
    others = rows[first:last, EventColumn.KIND] != EventKind.DISPLACE
    return first + int(others.argmax()) if others.any() else last


def _check_there(files: MemoryFiles, step: int, done: int, events: int) -> None:
    era = files.attributes.era
    if not 0 <= step <= done:
        raise InputError(f"step = {step}: not there", f"the steps of {files.name} are 0 to {done}")
    if events > files.events:
        raise DamageError(f"{files.name}: a snapshot counts events that are not there")
    known = sorted({s.step for s in files.attributes.snapshots.values()} & {*era.steps})
    if step < era.step and step not in known:
        left = ", ".join(map(str, known))
        raise InputError(
            f"step = {step}: compaction has removed it",
            f"there are {left + ' and ' if left else ''}{era.step} to {done}",
        )


def _rows(
    files: MemoryFiles, steps: StepTable, step: int, created: int, events: int
) -> dict[str, int]:
    """Where each array ended after ``step`` finished steps and ``events`` events."""
    log = int(steps.log_ends()[step - 1]) if step else 0
    rows = files.rows_before(created)
    index = min(rows, files.rows("texts/index"))
    texts = _last(files, "texts/index", index, TextColumn.META_END)
    named = StoredTexts(files).sources_before(index)
    readings = rows_done_before(files.read("sources/readings"), ReadingColumn, step, events)
    if readings:
        named = max(named, int(files.read("sources/readings", 0, readings)[:, 0].max()) + 1)
    sources = max(named, len(files.kept_places(step)))
    commands = rows_done_before(files.read("commands/index"), CommandColumn, step, events)
    return {
        "vectors": rows,
        "scales": rows,
        "log/steps": step,
        "log/ids": log,
        "log/expiry": log,
        "texts/index": index,
        "texts/bytes": texts,
        "sources/index": sources,
        "sources/bytes": _last(files, "sources/index", sources, 1),
        "sources/readings": readings,
        "sources/units": _last(files, "sources/readings", readings, ReadingColumn.UNITS_END),
        "events/index": events,
        "events/values": events,
        "events/bytes": _last(files, "events/index", events, EventColumn.END),
        "commands/index": commands,
        "commands/bytes": _last(files, "commands/index", commands, CommandColumn.END),
    }


def _last(files: MemoryFiles, name: str, rows: int, column: int) -> int:
    """Where another array ends: the last value of a column of ``rows`` rows; 0 of none."""
    if rows > files.rows(name):
        raise DamageError(f"{files.name}: {name} has {files.rows(name)} rows, not {rows}")
    end = int(files.read(name, rows - 1, rows)[0, column]) if rows else 0
    if end < 0:
        raise DamageError(f"{files.name}: {name} ends at {end}")
    return end


def rows_done_before(
    table: IntArray,
    column: type[ReadingColumn] | type[CommandColumn],
    step: int,
    events: int,
) -> int:
    """How many rows were written when there had been no more than these steps and events."""
    steps, happened = table[:, column.STEP], table[:, column.EVENTS]
    if column is CommandColumn:  # one that begins here belongs to what comes after
        events -= 1
    return int(((steps < step) | ((steps == step) & (happened <= events))).sum())


def named(store: str, snapshots: Mapping[str, Snapshot], name: str) -> Snapshot:
    """The snapshot of that name; `InputError` if there is none."""
    if name not in snapshots:
        some = ", ".join(sorted(snapshots)[:8])
        raise InputError(
            f"snapshot = {name!r}: {store} has none of this name",
            f"it has: {some}" if some else "make one with `memoria snapshot create`",
        )
    return snapshots[name]
