"""Every firing of a store's log, and what follows: who was forgotten when, who is connected.

Steps are numbered from 1 here, as people count: step N is the Nth, and the store "at step N" is
what it left behind. Torch-free.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from memoria.errors import DamageError
from memoria.store.events import read_events
from memoria.store.life import FloatArray, Life, StepTable, ranks
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
    """What became of the engrams ``ids`` [K], ascending: everyone that anything is told of.

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
        """How often each of ``ids`` fired, all of which are told of."""
        return self.fires[_places(self.ids, ids)]


def endings(firings: Firings, rows: int, done: int) -> Endings:
    """What became of the ``rows`` engrams ever created, by ``done`` steps.

    An engram is forgotten at the first step not before its last firing that its expiry, as that
    firing left it, has come to. What was forgotten by hand after step s was forgotten at step s.
    """
    ids, events = _told_of(firings, rows), firings.events.of_kind(*TURNS, *ENDINGS)
    at = _places(ids, firings.ids)
    log = Firings(
        at,
        firings.steps,
        firings.expiry,
        replace(events, ids=_places(ids, events.ids)),
    )
    state = fold(Lifespans.nothing(len(ids)), log.take(firings.steps <= done), done, names=ids)
    fires = np.bincount(at, minlength=len(ids))
    return Endings(ids, state.gone(), state.expiry, fires)


def _told_of(firings: Firings, rows: int) -> IntArray:
    """Every engram, or those of the log and of events where few are left of very many."""
    told = len(firings.ids) + len(firings.events)
    if rows <= 4 * told + 2**20:
        return np.arange(rows)
    return np.unique(np.concatenate((firings.ids, firings.events.ids)))


def _places(ids: IntArray, wanted: IntArray) -> IntArray:
    """Where ``wanted``, all of them there, stand in ``ids``, ascending from 0 or with gaps."""
    if len(ids) == 0 or int(ids[-1]) == len(ids) - 1:
        return wanted
    return np.searchsorted(ids, wanted)


def fired_pairs(firings: Firings, life: Life) -> float:
    """How many pairs of living engrams are in the log: the sum of the firings' squared sizes."""
    _, group = _firing_of_living(firings, life)
    return float((np.bincount(group).astype(np.float64) ** 2).sum())


def connected_pairs(firings: Firings, life: Life) -> int:
    """How many directed pairs i -> j of living engrams ever fired together."""
    who, group = _living(firings, life)
    # Pairs with someone who fired only once cannot repeat; only the others need comparing.
    once = np.bincount(who, minlength=len(life.ids))[who] == 1
    singles = np.bincount(group[once], minlength=int(group.max(initial=-1)) + 1)
    others = np.bincount(group[~once], minlength=len(singles))
    total = int((singles * (singles - 1 + 2 * others)).sum())
    return total + 2 * _distinct_pairs(who[~once], group[~once], others)


def _living(firings: Firings, life: Life) -> tuple[IntArray, IntArray]:
    """(place among the living, number of the firing of one lane) of every firing by a living."""
    place, firing = _firing_of_living(firings, life)
    there = np.bincount(firing) > 0
    return place, (np.cumsum(there) - 1)[firing]


def _firing_of_living(firings: Firings, life: Life) -> tuple[IntArray, IntArray]:
    """As `_living`, but the numbers, step by step and lane by lane, leave gaps."""
    place = ranks(life.ids, firings.ids)
    alive = place >= 0
    steps, lanes = firings.steps[alive], firings.ids[alive] % life.lanes
    return place[alive].astype(np.int64), steps * life.lanes + lanes


def _distinct_pairs(who: IntArray, group: IntArray, sizes: IntArray) -> int:
    """Unordered pairs that share at least one group; ``sizes`` [groups] of them."""
    names, compact = np.unique(who, return_inverse=True)
    order = np.lexsort((compact, group))
    compact = compact[order]
    ends = np.cumsum(sizes)
    keys = []
    for size in np.unique(sizes[sizes > 1]).tolist():
        first = (ends - sizes)[sizes == size]
        members = compact[first[:, None] + np.arange(size)]
        low, high = np.triu_indices(size, 1)
        keys.append((members[:, low] * len(names) + members[:, high]).reshape(-1))
    if not keys:
        return 0
    together = np.sort(np.concatenate(keys))  # far faster here than np.unique, which hashes
    return 1 + int(np.count_nonzero(np.diff(together)))
