"""Every firing of a store's log, and what follows: who was forgotten when.

Steps are numbered from 1 here, as people count: step N is the Nth, and the store "at step N" is
what it left behind. Torch-free.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from memoria.errors import DamageError
from memoria.store.events import read_events
from memoria.store.life import FloatArray, Life, StepTable
from memoria.store.memory_files import MemoryFiles
from memoria.timeline.engram_type import EngramType
from memoria.timeline.fold import Lifespans, fold
from memoria.timeline.log import ENDINGS, TURNS, Firings, IntArray


def read_firings(files: MemoryFiles, table: StepTable, life: Life) -> Firings:
    """The log of ``files``, the running step too.

    Raises:
        DamageError: it names engrams that never were.
    """
    ids, expiry = files.read("log/ids"), files.read("log/expiry")
    sizes = np.diff(table.log_ends(), prepend=0)
    rows = files.created
    if (
        (sizes < 0).any()
        or not sizes.sum() == len(ids) == len(expiry)
        or (len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < rows)
    ):
        raise DamageError(f"{files.name}: the firing log disagrees with the step table")
    steps = np.repeat(np.arange(1, len(table) + 1), sizes)
    if life.pending.phase == "reminded":
        reminded = [i for lane in life.pending.reminded for i in lane]
        working = life.ids[life.types == EngramType.WORKING]
        now = np.concatenate((working, np.array(reminded, np.int64)))
        ids = np.concatenate((ids, now))
        steps = np.concatenate((steps, np.full(len(now), len(table) + 1)))
        expiry = np.concatenate((expiry, np.full(len(now), np.nan)))
    return Firings(ids, steps, expiry, read_events(files, len(table)))


@dataclass(frozen=True)
class Endings:
    """What became of the engrams ``ids`` [K], ascending: those that the log or an event names.

    ``gone``: the step at whose end each was forgotten, 0 while it lives. ``expiry``: what it was
    in the end. ``fires``: how often each fired.
    """

    ids: IntArray
    gone: IntArray
    expiry: FloatArray
    fires: IntArray

    def forgotten(self) -> Endings:
        """Only those that were forgotten."""
        gone = self.gone > 0
        return Endings(self.ids[gone], self.gone[gone], self.expiry[gone], self.fires[gone])

    def fires_of(self, ids: IntArray) -> IntArray:
        """How often each of ``ids`` fired, all of which it names."""
        return self.fires[_positions(self.ids, ids)]


def endings(firings: Firings, rows: int, done: int) -> Endings:
    """What became of the ``rows`` engrams ever created, by ``done`` steps.

    An engram is forgotten at the first step not before its last firing that its expiry, as that
    firing left it, has come to. What was forgotten by hand after step s was forgotten at step s.
    """
    ids, events = _named(firings, rows), firings.events.of_kind(*TURNS, *ENDINGS)
    at = _positions(ids, firings.ids)
    log = Firings(
        at,
        firings.steps,
        firings.expiry,
        replace(events, ids=_positions(ids, events.ids)),
    )
    finished = log.take(slice(int(np.searchsorted(firings.steps, done, side="right"))))
    state = fold(Lifespans.nothing(len(ids)), finished, done, names=ids)
    fires = np.bincount(at, minlength=len(ids))
    return Endings(ids, state.gone(), state.expiry, fires)


def _named(firings: Firings, rows: int) -> IntArray:
    """Every engram, or those of the log and of events where few are left of very many."""
    named = len(firings.ids) + len(firings.events)
    if rows <= 4 * named + 2**20:
        return np.arange(rows)
    return np.unique(np.concatenate((firings.ids, firings.events.ids)))


def _positions(ids: IntArray, wanted: IntArray) -> IntArray:
    """The positions of ``wanted``, all of them there, in ``ids``, ascending from 0 or with gaps."""
    if len(ids) == 0 or int(ids[-1]) == len(ids) - 1:
        return wanted
    return np.searchsorted(ids, wanted)
