"""What the log tells: every firing, when each engram was forgotten, the story of one of them.

Steps are numbered from 1 here, as people count: step N is the Nth, and the store "at step N" is
what it left behind. Torch-free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from memoria.connections.firing_log import IntArray
from memoria.engram_type import EngramType
from memoria.errors import DamageError, InputError
from memoria.store.files import StoreFiles
from memoria.store.life import FloatArray, Life, StepTable
from memoria.store.shelf import TextShelf

__all__ = ["Firings", "connected_pairs", "forgotten_at", "iso_time", "story", "told_history"]

MOST_CONNECTIONS: Final = 10  # of one engram's story, each way


@dataclass(frozen=True)
class Firings:
    """Every firing of every engram ever, oldest first; all arrays [N].

    ``steps`` counts from 1; the running step is the last. ``expiry`` is what the step made it,
    NaN in the running step.
    """

    ids: IntArray
    steps: IntArray
    expiry: FloatArray

    @classmethod
    def read(cls, files: StoreFiles, table: StepTable, life: Life) -> Firings:
        """The log of ``files``. Raises `DamageError` where it names what never was."""
        ids, expiry = files.read("log/ids"), files.read("log/expiry")
        sizes = np.diff(table.log_ends(), prepend=0)
        rows = files.rows("vectors")
        if (
            (sizes < 0).any()
            or not sizes.sum() == len(ids) == len(expiry)
            or (len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < rows)
        ):
            raise DamageError(f"{files.path}: the firing log disagrees with the step table")
        steps = np.repeat(np.arange(1, len(table) + 1), sizes)
        if life.pending.phase == "reminded":
            reminded = [i for lane in life.pending.reminded for i in lane]
            working = life.ids[life.types == EngramType.WORKING]
            now = np.concatenate((working, np.array(reminded, np.int64)))
            ids = np.concatenate((ids, now))
            steps = np.concatenate((steps, np.full(len(now), len(table) + 1)))
            expiry = np.concatenate((expiry, np.full(len(now), np.nan)))
        return cls(ids, steps, expiry)


def forgotten_at(firings: Firings, rows: int, done: int) -> IntArray:
    """Step at whose end each engram ever created was forgotten, [rows]; 0 while it lives.

    An engram is forgotten at the first step not before its last firing that its expiry, as that
    firing left it, has come to: ``max(last, ceil(expiry))``.
    """
    finished = firings.steps <= done
    ids, steps, expiry = (
        part[finished] for part in (firings.ids, firings.steps, firings.expiry)
    )
    last = np.full(rows, -1, np.int64)
    last[ids] = np.arange(len(ids))  # of repeats the last one stays
    logged = last >= 0
    due = np.ceil(np.nan_to_num(expiry[last[logged]], nan=0.0)).clip(0, done + 1)
    gone = np.zeros(rows, np.int64)
    gone[logged] = np.maximum(steps[last[logged]], due.astype(np.int64))
    gone[gone > done] = 0
    return gone


def connected_pairs(firings: Firings, life: Life, most: float) -> int | None:
    """How many directed pairs i -> j of living engrams ever fired together; None if too many.

    Too many: the squares of the firings' living sizes add up to more than ``most``.
    """
    place = np.searchsorted(life.ids, firings.ids).clip(0, max(0, len(life.ids) - 1))
    alive = life.ids[place] == firings.ids if len(life.ids) else np.zeros(len(place), np.bool_)
    who = place[alive]
    lane = firings.ids[alive] % life.lanes
    _, group = np.unique(firings.steps[alive] * life.lanes + lane, return_inverse=True)
    if float((np.bincount(group).astype(np.float64) ** 2).sum()) > most:
        return None
    # Pairs with someone who fired only once cannot repeat; only the others need comparing.
    once = np.bincount(who, minlength=len(life.ids))[who] == 1
    singles = np.bincount(group[once], minlength=int(group.max(initial=-1)) + 1)
    others = np.bincount(group[~once], minlength=len(singles))
    total = int((singles * (singles - 1 + 2 * others)).sum())
    return total + 2 * _distinct_pairs(who[~once], group[~once], others)


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
        keys.append((members[:, low] * len(names) + members[:, high]).ravel())
    return len(np.unique(np.concatenate(keys))) if keys else 0


def told_history(
    firings: Firings, table: StepTable, life: Life, rows: int, lane: int | None
) -> list[dict[str, Any]]:
    """One record a finished step, oldest first; of one lane, or of all together."""
    done = len(table)
    mine = np.ones(len(firings.ids), np.bool_)
    if lane is not None:
        mine = firings.ids % life.lanes == lane
    share = 1 if lane is None else life.lanes
    added = np.diff(table.rows(), prepend=0) // share
    fired = np.bincount(firings.steps[mine], minlength=done + 2)[1 : done + 1]
    gone = forgotten_at(firings, rows, done)
    if lane is not None:
        gone = gone[lane :: life.lanes]
    forgotten = np.bincount(gone, minlength=done + 1)[1:]
    living = np.cumsum(added - forgotten)
    columns = zip(
        table.times().tolist(),
        added.tolist(),
        fired.tolist(),
        forgotten.tolist(),
        living.tolist(),
        strict=True,
    )
    return [
        {
            "step": step,
            "time": iso_time(time),
            "added": new,
            "fired": all_fired,
            "reminded": all_fired - new,
            "forgotten": lost,
            "living": left,
        }
        for step, (time, new, all_fired, lost, left) in enumerate(columns, 1)
    ]


def story(
    engram: int, firings: Firings, table: StepTable, life: Life, shelf: TextShelf, rows: int
) -> dict[str, Any]:
    """The life of one engram. Raises `InputError` for an id that was never given."""
    if not 0 <= engram < rows:
        known = f"the ids are 0 to {rows - 1}" if rows else "the store has no engrams yet"
        raise InputError(f"engram = {engram}: there is none", known)
    done, lane = len(table), engram % life.lanes
    created = int(table.born(np.array([engram]))[0]) + 1
    gone = int(forgotten_at(firings, rows, done)[engram]) or None
    mine = firings.ids == engram
    fired, expiry = firings.steps[mine], firings.expiry[mine]
    end = done if gone is None else gone
    known = expiry[np.isfinite(expiry)]
    if gone is None:
        place = int(np.searchsorted(life.ids, engram))
        kind = EngramType(int(life.types[place])).name.lower()
        index = int(np.count_nonzero(life.of_lane(lane)[:place]))
        lifespan = float(life.lifespan()[place])
    else:
        kind, index, lifespan = "forgotten", None, float(known[-1]) - gone
    source = shelf.places(np.array([engram]))[0]
    return {
        "id": engram,
        "lane": lane,
        "index": index,
        "type": kind,
        "lifespan": lifespan,
        "age": end - created + 1,
        "fire_count": len(fired),
        "text": shelf.texts(np.array([engram]))[0],
        "source": None if source is None else source[0],
        "offset": None if source is None else source[1],
        "created": _moment(table, created),
        **_moves(table, life, engram, created, gone),
        "forgotten": None if gone is None else _moment(table, gone),
        "firings": _told_firings(fired, expiry, created),
        **_neighbours(engram, firings, life, shelf, rows, gone is None),
    }


def iso_time(milliseconds: int) -> str:
    """UTC, as ``2025-01-31T12:00:00.000Z``."""
    return f"{np.datetime64(milliseconds, 'ms')}Z"


def _moment(table: StepTable, step: int) -> dict[str, Any]:
    """A step with the time it ended; None for the running one."""
    time = iso_time(int(table.times()[step - 1])) if step <= len(table) else None
    return {"step": step, "time": time}


def _moves(
    table: StepTable, life: Life, engram: int, created: int, gone: int | None
) -> dict[str, Any]:
    """The steps at whose ends it became short-term and long-term, if it lived through them."""
    became = table.became_longterm(engram // life.lanes, engram % life.lanes)
    long = None if became is None else became + 1
    if long is not None and gone is not None and long >= gone:
        long = None
    lived = created <= len(table) and (gone is None or gone > created)
    short = created if lived and long != created else None
    return {"shortterm": short, "longterm": long}


def _told_firings(fired: IntArray, expiry: FloatArray, created: int) -> list[dict[str, Any]]:
    """Each firing with the steps it gained, the first one those it was created with."""
    gains = np.diff(expiry, prepend=created - 1.0)
    left = expiry - fired
    return [
        {
            "step": step,
            "gain": gain if np.isfinite(gain) else None,
            "lifespan": rest if np.isfinite(rest) else None,
        }
        for step, gain, rest in zip(fired.tolist(), gains.tolist(), left.tolist(), strict=True)
    ]


def _neighbours(
    engram: int, firings: Firings, life: Life, shelf: TextShelf, rows: int, lives: bool
) -> dict[str, Any]:
    """The strongest connections each way: of a living engram with living ones, else with any."""
    steps = firings.steps[firings.ids == engram]
    together = np.isin(firings.steps, steps) & (firings.ids % life.lanes == engram % life.lanes)
    partners, counts = np.unique(firings.ids[together], return_counts=True)
    kept = partners != engram
    if lives:
        kept &= np.isin(partners, life.ids)
    partners, counts = partners[kept], counts[kept]
    fires = np.bincount(firings.ids, minlength=rows)
    out = {}
    for name, sources in (("outgoing", np.full(len(partners), engram)), ("incoming", partners)):
        weights = counts / np.maximum(fires[sources], 1)
        best = np.lexsort((partners, -counts, -weights))[:MOST_CONNECTIONS]
        texts = shelf.texts(partners[best])
        columns = zip(
            partners[best].tolist(),
            weights[best].tolist(),
            counts[best].tolist(),
            texts,
            strict=True,
        )
        out[name] = [
            {"id": id_, "weight": weight, "cofire_count": count, "text": text}
            for id_, weight, count, text in columns
        ]
    return out
