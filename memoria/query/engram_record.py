"""What every step did, and the life of one engram, as documents read from the log.

Steps are numbered from 1. numpy only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np

from memoria.errors import InputError
from memoria.query.documents import finite_or_none, iso_time, iso_times, records
from memoria.store.firings import Endings, endings
from memoria.store.life import Life, StepTable
from memoria.store.texts import TextShelf
from memoria.timeline.engram_type import EngramType
from memoria.timeline.fold import Expiries
from memoria.timeline.log import EventKind, Events, Firings, IntArray

MOST_CONNECTIONS: Final = 10  # of one engram's story, each way
_EVENT_NAMES: Final = {
    EventKind.FORGET: "forgotten",
    EventKind.PIN: "pinned",
    EventKind.UNPIN: "unpinned",
}


def step_records(
    firings: Firings,
    table: StepTable,
    life: Life,
    rows: int,
    lane: int | None,
    compacted_steps: int = 0,
) -> list[dict[str, Any]]:
    """One record a finished step, oldest first.

    Args:
        firings: the log.
        table: what each step left behind.
        life: the state now.
        rows: engrams ever created.
        lane: counts of this lane only; None counts all lanes together.
        compacted_steps: steps before the last compaction; counts that need engrams it removed are
            None.
    """
    done = len(table)
    counted, alive = np.ones(len(firings.ids), np.bool_), life.types != EngramType.WORKING
    if lane is not None:
        counted, alive = firings.ids % life.lanes == lane, alive & life.of_lane(lane)
    share = 1 if lane is None else life.lanes
    added = np.diff(table.rows(), prepend=0) // share
    fired = np.bincount(firings.steps[counted], minlength=done + 2)[1 : done + 1]
    ended = endings(firings, rows, done).forgotten()
    gone = ended.gone if lane is None else ended.gone[ended.ids % life.lanes == lane]
    forgotten = np.bincount(gone, minlength=done + 1)[1:]
    later = (added - forgotten)[::-1].cumsum()[::-1]  # from each step on
    living = int(alive.sum()) - np.append(later, 0)[1:]
    taken = int(added.sum() - forgotten.sum() - alive.sum()) > 0
    unknown = min(compacted_steps, done) if taken else 0  # steps with incomplete counts
    return records(
        {
            "step": range(1, done + 1),
            "time": iso_times(table.times()),
            "added": added,
            "fired": _known(fired, unknown),
            "reminded": _known(fired - added, unknown),
            "forgotten": _known(forgotten, unknown),
            "living": _known(living, unknown - 1),
        }
    )


def _known(values: IntArray, unknown: int) -> list[int | None]:
    """The values, None for the first ``unknown``."""
    return [None if i < unknown else value for i, value in enumerate(values.tolist())]


def engram_record(
    engram: int, firings: Firings, table: StepTable, life: Life, shelf: TextShelf, rows: int
) -> dict[str, Any]:
    """The life of one engram. Raises `InputError` for an unknown or compacted id."""
    if not 0 <= engram < rows:
        known = f"the ids are 0 to {rows - 1}" if rows else "the store has no engrams yet"
        raise InputError(f"engram = {engram}: there is none", known)
    done, lane = len(table), engram % life.lanes
    created = int(table.born(np.array([engram]))[0]) + 1
    ended = endings(firings, rows, done)
    forgotten = ended.forgotten()
    at = np.flatnonzero(forgotten.ids == engram)
    gone = int(forgotten.gone[at[0]]) if len(at) else None
    events = firings.events.take(firings.events.ids == engram)
    own = firings.take(firings.ids == engram)
    end = done if gone is None else gone
    by_hand = EventKind.FORGET in events.kinds  # so it lived through the end of that step
    kind, index, left, pinned = "forgotten", None, forgotten.expiry[at] - end, False
    if gone is None:
        row = int(np.searchsorted(life.ids, engram))
        if row == len(life.ids) or life.ids[row] != engram:
            raise InputError(f"engram {engram}: compaction has removed it")
        kind = EngramType(int(life.types[row])).name.lower()
        index = int(np.count_nonzero(life.of_lane(lane)[:row]))
        left, pinned = life.lifespan()[row : row + 1], bool(life.pinned[row])
    source = shelf.places(np.array([engram]))[0]
    return {
        "id": engram,
        "lane": lane,
        "index": index,
        "type": kind,
        "lifespan": finite_or_none(left)[0],
        "age": end - created + 1,
        "fire_count": len(own.ids),
        "pinned": pinned,
        "text": shelf.texts(np.array([engram]))[0],
        "source": None if source is None else source[0],
        "offset": None if source is None else source[1],
        "created": _step_and_time(table, created),
        **_promotions(table, life, engram, created, None if gone is None else gone + by_hand),
        "forgotten": None if gone is None else _step_and_time(table, gone),
        "events": records(
            {
                "step": events.steps,
                "what": [_EVENT_NAMES[EventKind(kind)] for kind in events.kinds.tolist()],
                "time": iso_times(events.times),
            }
        ),
        "firings": _firing_records(own, created, events, done),
        **_connections(engram, firings, life, shelf, ended, gone is None),
    }


def _step_and_time(table: StepTable, step: int) -> dict[str, Any]:
    """A step with the time it ended; None for the running one."""
    time = iso_time(int(table.times()[step - 1])) if step <= len(table) else None
    return {"step": step, "time": time}


def _promotions(
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


def _firing_records(
    firings: Firings, created: int, events: Events, done: int
) -> list[dict[str, Any]]:
    """Each firing with the steps it gained; the first is the creation, with the first lifespan."""
    at, fired = np.zeros_like(firings.ids), firings.steps
    log = replace(firings, ids=at, events=replace(events, ids=np.zeros_like(events.ids)))
    gains = Expiries.of(log, done + 1).gains(at, fired, at + created)
    left = firings.expiry - fired
    return records({"step": fired, "gain": finite_or_none(gains), "lifespan": finite_or_none(left)})


def _connections(
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
        out[name] = records(
            {
                "id": partners[best],
                "weight": weights[best],
                "cofire_count": counts[best],
                "text": shelf.texts(partners[best]),
            }
        )
    return out
