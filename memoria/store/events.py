"""Events in a store's files, and the ids that users name for them. Torch-free."""

from __future__ import annotations

from typing import Any

import numpy as np

from memoria.errors import DamageError, InputError
from memoria.store.memory_files import MemoryFiles
from memoria.store.schema import EventColumn
from memoria.timeline.log import EventKind, Events, FloatArray, IntArray


def read_events(
    files: MemoryFiles, done: int, first: int = 0, last: int | None = None, since: int = 1
) -> Events:
    """Events [first, last) of engrams that compaction has left in ``files``.

    Raises:
        DamageError: they are no events of the time after steps ``since`` to ``done``.
    """
    last = files.events if last is None else last
    if last <= first:
        return Events.empty()
    made = events_of(files.event_rows(first, last), files.event_values(first, last))
    if not (
        max(1, since) <= made.steps[0] <= made.steps[-1] <= done
        and (made.steps[1:] >= made.steps[:-1]).all()
        and EventKind.FORGET <= made.kinds.min() <= made.kinds.max() <= max(EventKind)
        and (np.isfinite(made.values) & (made.values >= 0)).all()
        and 0 <= made.ids.min() <= made.ids.max() < files.created
    ):
        raise DamageError(f"{files.name}: events are not a table of events")
    return made.take(files.engram_rows(made.ids) >= 0)


def events_of(table: IntArray, values: FloatArray) -> Events:
    """The events in rows of ``events/index`` and ``events/values``."""
    return Events(
        steps=table[:, EventColumn.STEP],
        kinds=table[:, EventColumn.KIND],
        ids=table[:, EventColumn.ENGRAM],
        times=table[:, EventColumn.TIME],
        values=values,
    )


def checked_ids(ids: Any, created: int) -> IntArray:
    """Ids [N] of engrams that were created, each once, ascending."""
    try:
        given = np.asarray(ids)
    except (TypeError, ValueError, RuntimeError):
        given = np.empty(1, np.object_)
    if given.size == 0 and given.ndim == 1:
        given = given.astype(np.int64)
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise InputError("ids are not a list of integers", "give the ids of engrams")
    wrong = given[(given < 0) | (given >= created)]
    if len(wrong):
        known = f"the ids are 0 to {created - 1}" if created else "the store has no engrams yet"
        raise InputError(f"engram = {wrong[0]}: there is none", known)
    wanted = np.sort(given.astype(np.int64))
    twice = wanted[1:][wanted[1:] == wanted[:-1]]
    if len(twice):
        raise InputError(f"engram {twice[0]}: is named twice", "name every engram once")
    return wanted
