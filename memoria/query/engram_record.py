"""What every step did, and the life of one engram, as documents read from the log.

Steps are numbered from 1. numpy only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np

from memoria.query.documents import finite_or_none, iso_time, iso_times, records
from memoria.query.engram_table import EngramTable
from memoria.store.firings import Endings
from memoria.store.life import Life, StepTable
from memoria.store.texts import StoredTexts
from memoria.timeline.cofiring import cofired
from memoria.timeline.engram_type import EngramType
from memoria.timeline.fold import Expiries
from memoria.timeline.log import ENDINGS, EventKind, Events, Firings, IntArray

MOST_CONNECTIONS: Final = 10  # of one engram's story, each way
_EVENT_NAMES: Final = {
    EventKind.FORGET: "forgotten",
    EventKind.PIN: "pinned",
    EventKind.UNPIN: "unpinned",
    EventKind.DISPLACE: "displaced",
    EventKind.RECALL: "recalled",
    EventKind.EDIT: "edited",
    EventKind.CONFIRM: "confirmed",
}


def step_records(
    firings: Firings,
    endings: Endings,
    table: StepTable,
    life: Life,
    lane: int | None,
    compacted_steps: int = 0,
) -> list[dict[str, Any]]:
    """One record a finished step, oldest first.

    Args:
        firings: the log.
        endings: what became of every engram.
        table: what each step left behind.
        life: the state now.
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
    ended = endings.forgotten()
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
    row: EngramTable,
    firings: Firings,
    endings: Endings,
    table: StepTable,
    life: Life,
    stored_texts: StoredTexts,
) -> dict[str, Any]:
    """The life of one engram, the only one of ``row``."""
    [document] = row.documents(stored_texts)
    engram, created = document["id"], document.pop("created_step")
    gone: int | None = document.pop("forgotten_step")
    events = firings.events.take(firings.events.ids == engram)
    by_hand = bool(np.isin(events.kinds, ENDINGS).any())  # so it lived through that step's end
    return document | {
        "created": {"step": created, "time": document.pop("created_time")},
        **_promotions(table, life, engram, created, None if gone is None else gone + by_hand),
        "forgotten": (
            None if gone is None else {"step": gone, "time": iso_time(int(table.times()[gone - 1]))}
        ),
        "events": records(
            {
                "step": events.steps,
                "what": [_EVENT_NAMES[EventKind(kind)] for kind in events.kinds.tolist()],
                "time": iso_times(events.times),
            }
        ),
        "firings": _firing_records(
            firings.take(firings.ids == engram), created, events, len(table)
        ),
        **_connections(engram, firings, life, stored_texts, endings, gone is None),
    }


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
    engram: int,
    firings: Firings,
    life: Life,
    stored_texts: StoredTexts,
    endings: Endings,
    lives: bool,
) -> dict[str, Any]:
    """The strongest connections each way: of a living engram with living ones, else with any."""
    partners, counts = cofired(firings, engram, life.lanes)
    if lives:
        kept = np.isin(partners, life.ids)
        partners, counts = partners[kept], counts[kept]
    out = {}
    for name, sources in (("outgoing", np.full(len(partners), engram)), ("incoming", partners)):
        weights = counts / np.maximum(endings.fires_of(sources), 1)
        best = np.lexsort((partners, -counts, -weights))[:MOST_CONNECTIONS]
        out[name] = records(
            {
                "id": partners[best],
                "weight": weights[best],
                "cofire_count": counts[best],
                "text": stored_texts.texts(partners[best]),
            }
        )
    return out
