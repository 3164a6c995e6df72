"""What the log tells: what every step did, and the life of one engram.

Steps are numbered from 1, as in `memoria.store.firings`. Torch-free.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np

from memoria.errors import InputError
from memoria.store.firings import Endings, endings
from memoria.store.life import FloatArray, Life, StepTable
from memoria.store.texts import TextShelf
from memoria.timeline.engram_type import EngramType
from memoria.timeline.fold import Expiries
from memoria.timeline.log import EventKind, Events, Firings, IntArray

__all__ = ["MOST_CONNECTIONS", "engram_record", "iso_time", "plain_numbers", "step_records"]

MOST_CONNECTIONS: Final = 10  # of one engram's story, each way
_DONE: Final = {
    EventKind.FORGET: "forgotten",
    EventKind.PIN: "pinned",
    EventKind.UNPIN: "unpinned",
}


def step_records(
    firings: Firings, table: StepTable, life: Life, rows: int, lane: int | None, era_step: int = 0
) -> list[dict[str, Any]]:
    """One record a finished step, oldest first; of one lane, or of all together.

    Where compaction after ``era_step`` steps took engrams away, what only these could tell is None.
    """
    done = len(table)
    mine, alive = np.ones(len(firings.ids), np.bool_), life.types != EngramType.WORKING
    if lane is not None:
        mine, alive = firings.ids % life.lanes == lane, alive & life.of_lane(lane)
    share = 1 if lane is None else life.lanes
    added = np.diff(table.rows(), prepend=0) // share
    fired = np.bincount(firings.steps[mine], minlength=done + 2)[1 : done + 1]
    ended = endings(firings, rows, done).forgotten()
    gone = ended.gone if lane is None else ended.gone[ended.ids % life.lanes == lane]
    forgotten = np.bincount(gone, minlength=done + 1)[1:]
    later = (added - forgotten)[::-1].cumsum()[::-1]  # from each step on
    living = int(alive.sum()) - np.append(later, 0)[1:]
    taken = int(added.sum() - forgotten.sum() - alive.sum()) > 0
    untold = min(era_step, done) if taken else 0  # steps of which not everything is known
    columns = zip(
        table.times().tolist(),
        added.tolist(),
        _known(fired, untold),
        _known(fired - added, untold),
        _known(forgotten, untold),
        _known(living, untold - 1),
        strict=True,
    )
    return [
        {
            "step": step,
            "time": iso_time(time),
            "added": new,
            "fired": all_fired,
            "reminded": reminded,
            "forgotten": lost,
            "living": left,
        }
        for step, (time, new, all_fired, reminded, lost, left) in enumerate(columns, 1)
    ]


def _known(values: IntArray, untold: int) -> list[int | None]:
    """The values, None for the first ``untold``."""
    return [None if place < untold else value for place, value in enumerate(values.tolist())]


def engram_record(
    engram: int, firings: Firings, table: StepTable, life: Life, shelf: TextShelf, rows: int
) -> dict[str, Any]:
    """The life of one engram. Raises `InputError` for an id that was never given."""
    if not 0 <= engram < rows:
        known = f"the ids are 0 to {rows - 1}" if rows else "the store has no engrams yet"
        raise InputError(f"engram = {engram}: there is none", known)
    done, lane = len(table), engram % life.lanes
    created = int(table.born(np.array([engram]))[0]) + 1
    ended = endings(firings, rows, done)
    its = ended.forgotten()
    was = np.flatnonzero(its.ids == engram)
    gone = int(its.gone[was[0]]) if len(was) else None
    mine = firings.ids == engram
    events = firings.events.take(firings.events.ids == engram)
    its_firings = firings.take(mine)
    fired = its_firings.steps
    end = done if gone is None else gone
    by_hand = EventKind.FORGET in events.kinds  # so it lived through the end of that step
    kind, index, left, pinned = "forgotten", None, its.expiry[was] - end, False
    if gone is None:
        place = int(np.searchsorted(life.ids, engram))
        if place == len(life.ids) or life.ids[place] != engram:
            raise InputError(f"engram {engram}: compaction has removed it")
        kind = EngramType(int(life.types[place])).name.lower()
        index = int(np.count_nonzero(life.of_lane(lane)[:place]))
        left, pinned = life.lifespan()[place : place + 1], bool(life.pinned[place])
    source = shelf.places(np.array([engram]))[0]
    return {
        "id": engram,
        "lane": lane,
        "index": index,
        "type": kind,
        "lifespan": plain_numbers(left)[0],
        "age": end - created + 1,
        "fire_count": len(fired),
        "pinned": pinned,
        "text": shelf.texts(np.array([engram]))[0],
        "source": None if source is None else source[0],
        "offset": None if source is None else source[1],
        "created": _moment(table, created),
        **_moves(table, life, engram, created, None if gone is None else gone + by_hand),
        "forgotten": None if gone is None else _moment(table, gone),
        "events": _told_events(events),
        "firings": _told_firings(its_firings, created, events, done),
        **_neighbours(engram, firings, life, shelf, ended, gone is None),
    }


def plain_numbers(values: FloatArray) -> list[float | None]:
    """As JSON can hold them: None for NaN and Inf."""
    return [value if np.isfinite(value) else None for value in values.tolist()]


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


def _told_events(events: Events) -> list[dict[str, Any]]:
    """What was done by hand, with the number of steps that were finished by then."""
    columns = zip(events.steps.tolist(), events.kinds.tolist(), events.times.tolist(), strict=True)
    return [
        {"step": step, "what": _DONE[EventKind(kind)], "time": iso_time(time)}
        for step, kind, time in columns
    ]


def _told_firings(
    firings: Firings, created: int, events: Events, done: int
) -> list[dict[str, Any]]:
    """Each firing with the steps it gained, the first one those it was created with."""
    at, fired = np.zeros_like(firings.ids), firings.steps
    log = replace(firings, ids=at, events=replace(events, ids=np.zeros_like(events.ids)))
    gains = plain_numbers(Expiries.of(log, done + 1).gains(at, fired, at + created))
    left = plain_numbers(firings.expiry - fired)
    return [
        {"step": step, "gain": gain, "lifespan": rest}
        for step, gain, rest in zip(fired.tolist(), gains, left, strict=True)
    ]


def _neighbours(
    engram: int, firings: Firings, life: Life, shelf: TextShelf, ended: Endings, lives: bool
) -> dict[str, Any]:
    """The strongest connections each way: of a living engram with living ones, else with any."""
    steps = firings.steps[firings.ids == engram]
    together = np.isin(firings.steps, steps) & (firings.ids % life.lanes == engram % life.lanes)
    partners, counts = np.unique(firings.ids[together], return_counts=True)
    kept = partners != engram
    if lives:
        kept &= np.isin(partners, life.ids)
    partners, counts = partners[kept], counts[kept]
    out = {}
    for name, sources in (("outgoing", np.full(len(partners), engram)), ("incoming", partners)):
        weights = counts / np.maximum(ended.fires_of(sources), 1)
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
