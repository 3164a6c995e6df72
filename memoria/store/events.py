"""What was done by hand between steps: engrams forgotten, pinned and unpinned.

A pinned engram loses no lifespan: its expiry grows by 1 at the end of every step. So its expiry at
any moment follows from its *anchor*, which is the last of: its entry in the log, the event that
pinned or unpinned it, the state written out. Torch-free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.errors import DamageError, InputError
from memoria.store.memory_files import MemoryFiles
from memoria.store.schema import EventColumn
from memoria.timeline.log import BoolArray, EventKind, Events, FloatArray, IntArray

LONGEST: Final = 2.0**52  # steps that a pinned engram has left at most: their sum stays exact


@dataclass(frozen=True)
class Entries:
    """Entries of the log, oldest first: who fired, in which step (from 1), with what expiry."""

    ids: IntArray
    steps: IntArray
    expiry: FloatArray


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
    rows = files.read("events", first, last)
    made = Events(
        steps=rows[:, EventColumn.STEP],
        kinds=rows[:, EventColumn.KIND],
        ids=rows[:, EventColumn.ENGRAM],
        times=rows[:, EventColumn.TIME],
        values=np.zeros(len(rows)),
    )
    if not (
        max(1, since) <= made.steps[0] <= made.steps[-1] <= done
        and (made.steps[1:] >= made.steps[:-1]).all()
        and EventKind.FORGET <= made.kinds.min() <= made.kinds.max() <= EventKind.UNPIN
        and 0 <= made.ids.min() <= made.ids.max() < files.created
    ):
        raise DamageError(f"{files.name}: events are not a table of events")
    return made.take(files.engram_rows(made.ids) >= 0)


def pinned_gains(fired: IntArray, expiry: FloatArray, created: int, events: Events) -> FloatArray:
    """What one engram, created in step ``created``, gained when it ``fired`` and got ``expiry``.

    All arrays [N]; the first is what it began with. ``events`` are its own. NaN stays NaN.
    """
    value, since, held = created - 1.0, created - 1, False
    gains, later = np.empty(len(fired)), 0
    for place, (step, after) in enumerate(zip(fired.tolist(), expiry.tolist(), strict=True)):
        while later < len(events) and events.steps[later] < step:
            kind, happened = events.kinds[later], int(events.steps[later])
            value += (happened - since) * held
            if kind == EventKind.PIN:
                value = float(pinned_expiry(value, happened))
            since, held, later = happened, kind == EventKind.PIN, later + 1
        gains[place] = after - value - (step - since) * held
        value, since = after, step
    return gains


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


class PinnedLives:
    """Expiries of engrams ``ids`` (ascending) that are pinned at some time; all arrays [Q].

    Each begins as it was after ``step`` steps with ``expiry`` and ``pinned``; of those made later
    the expiry is -1. ``entries`` and the events of `live` are what happened since.
    """

    def __init__(
        self, ids: IntArray, expiry: FloatArray, pinned: BoolArray, step: int, entries: Entries
    ) -> None:
        self.ids = ids
        self.expiry = expiry.copy()
        self.pinned = pinned.copy()
        self.since = np.full(len(ids), step)  # the step of its anchor
        mine = np.isin(entries.ids, ids)
        who = np.searchsorted(ids, entries.ids[mine])
        order = np.argsort(who, kind="stable")
        self._who, self._at = who[order], entries.steps[mine][order]
        self._then = entries.expiry[mine][order]
        self._span = int(self._at.max(initial=0)) + 1
        self._keys = self._who * self._span + self._at

    def live(self, events: Events, done: int) -> None:
        """Let ``events`` happen and go on to step ``done``. Raises `DamageError`."""
        mine = events.take(np.isin(events.ids, self.ids))
        who = np.searchsorted(self.ids, mine.ids)
        order = np.argsort(who, kind="stable")
        who, steps, kinds = who[order], mine.steps[order], mine.kinds[order]
        rank = np.arange(len(who)) - np.searchsorted(who, who)
        for number in range(int(rank.max(initial=-1)) + 1):  # everyone's first, second, ...
            now = rank == number
            self._happen(who[now], steps[now], kinds[now])
        self._advance(np.arange(len(self.ids)), np.full(len(self.ids), done))

    def _happen(self, who: IntArray, steps: IntArray, kinds: IntArray) -> None:
        self._advance(who, steps)
        value = self.expiry[who]
        dead = ~(value > steps)
        if dead.any():
            gone = int(self.ids[who[dead]][0])
            raise DamageError(f"an event names engram {gone}, which was not alive")
        value = np.where(kinds == EventKind.PIN, pinned_expiry(value, steps), value)
        self.expiry[who] = np.where(kinds == EventKind.FORGET, steps, value)
        self.pinned[who] = kinds == EventKind.PIN
        self.since[who] = steps

    def _advance(self, who: IntArray, steps: IntArray) -> None:
        """To the ends of ``steps``, each its own."""
        found = np.searchsorted(
            self._keys, who * self._span + np.minimum(steps, self._span - 1), side="right"
        )
        last = np.maximum(found - 1, 0)
        if len(self._keys):
            newer = (found > 0) & (self._who[last] == who) & (self._at[last] > self.since[who])
            self.expiry[who[newer]] = self._then[last[newer]]
            self.since[who[newer]] = self._at[last[newer]]
        held = self.pinned[who]
        self.expiry[who[held]] += (steps - self.since[who])[held]
        self.since[who[held]] = steps[held]


def pinned_expiry(expiry: npt.ArrayLike, step: npt.ArrayLike) -> FloatArray:
    """What pinning an engram at ``step`` makes its expiry."""
    whole: FloatArray = np.minimum(np.ceil(expiry), np.add(step, LONGEST))
    return whole
