"""Every firing of a store's log, and what follows: who was forgotten when, who is connected.

Steps are numbered from 1 here, as people count: step N is the Nth, and the store "at step N" is
what it left behind. Torch-free.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memoria.connections.firing_log import IntArray
from memoria.engram_type import EngramType
from memoria.errors import DamageError
from memoria.store.events import Entries, EventKind, Events, PinnedLives
from memoria.store.life import FloatArray, Life, StepTable
from memoria.store.memory_files import MemoryFiles

__all__ = ["Firings", "connected_pairs", "endings", "fired_pairs", "forgotten_at"]


@dataclass(frozen=True)
class Firings:
    """Every firing of every engram ever, oldest first; all arrays [N].

    ``steps`` counts from 1; the running step is the last. ``expiry`` is what the step made it,
    NaN in the running step. ``events`` are what was done between steps.
    """

    ids: IntArray
    steps: IntArray
    expiry: FloatArray
    events: Events

    @classmethod
    def read(cls, files: MemoryFiles, table: StepTable, life: Life) -> Firings:
        """The log of ``files``. Raises `DamageError` where it names what never was."""
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
        return cls(ids, steps, expiry, Events.read(files, len(table)))


def forgotten_at(firings: Firings, rows: int, done: int) -> IntArray:
    """Step at whose end each engram ever created was forgotten, [rows]; 0 while it lives.

    What was forgotten by hand after step s, or at its end, was forgotten at step s.
    """
    return endings(firings, rows, done)[0]


def endings(firings: Firings, rows: int, done: int) -> tuple[IntArray, FloatArray]:
    """`forgotten_at`, and the expiry of each after ``done`` steps, both [rows].

    An engram is forgotten at the first step not before its last firing that its expiry, as that
    firing left it, has come to: ``max(last, ceil(expiry))``; by hand at once.
    """
    finished = firings.steps <= done
    entries = Entries(firings.ids[finished], firings.steps[finished], firings.expiry[finished])
    last = np.full(rows, -1, np.int64)
    last[entries.ids] = np.arange(len(entries.ids))  # of repeats the last one stays
    logged = last >= 0
    since, expiry = np.zeros(rows, np.int64), np.zeros(rows)
    since[logged], expiry[logged] = entries.steps[last[logged]], entries.expiry[last[logged]]
    who = firings.events.of_pins()
    lives = PinnedLives(who, np.full(len(who), -1.0), np.zeros(len(who), np.bool_), -1, entries)
    lives.live(firings.events, done)
    since[who], expiry[who] = lives.since, lives.expiry
    by_hand = firings.events.of_kind(EventKind.FORGET)
    since[by_hand.ids] = expiry[by_hand.ids] = by_hand.steps
    due = np.ceil(np.nan_to_num(expiry, nan=0.0)).clip(0, done + 1)
    gone = np.where(logged, np.maximum(since, due.astype(np.int64)), 0)
    gone[gone > done] = 0
    return gone, expiry


def fired_pairs(firings: Firings, life: Life) -> float:
    """How many pairs of living engrams are in the log: the sum of the firings' squared sizes."""
    _, group = _living(firings, life)
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
    place = np.searchsorted(life.ids, firings.ids)
    inside = place < len(life.ids)
    alive = np.zeros(len(place), np.bool_)
    alive[inside] = life.ids[place[inside]] == firings.ids[inside]
    lane = firings.ids[alive] % life.lanes
    _, group = np.unique(firings.steps[alive] * life.lanes + lane, return_inverse=True)
    return place[alive], group


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
