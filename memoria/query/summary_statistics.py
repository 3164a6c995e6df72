"""What pictures of a memory show: ages by memory, how long engrams live, who is most connected.

Plain documents, as those of `Inspection`; what `memoria inspect --json` prints. Torch-free.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.query.engram_table import TYPE_NAMES
from memoria.query.inspection import Inspection
from memoria.store.firings import endings
from memoria.timeline.cofiring import FiringLog
from memoria.timeline.engram_type import EngramType
from memoria.timeline.log import EventKind, IntArray

__all__ = ["hubs", "pyramid", "survival"]

_BANDS: Final = 10
_POINTS: Final = 60
_CANDIDATES: Final = 64  # of each lane
_MOST_PAIRS: Final = 6e5  # that are counted for the candidates of a lane; about 0.1 s


def pyramid(view: Inspection, lane: int | None = None) -> list[dict[str, int]]:
    """How many living engrams of each memory have which age, youngest first.

    Bands of equal width hold ``from`` <= age <= ``to``, in steps.
    """
    table = view.table()
    mine = _of_lane(table.lanes, lane)
    age, types = table.age[mine], table.types[mine]
    if len(age) == 0:
        return []
    width = int(age.max()) // _BANDS + 1
    bands = int(age.max()) // width + 1
    cells = np.bincount(age // width * len(EngramType) + types, minlength=bands * len(EngramType))
    counts = cells.reshape(bands, len(EngramType)).tolist()
    kinds = (EngramType.WORKING, EngramType.SHORTTERM, EngramType.LONGTERM)
    return [
        {
            "from": band * width,
            "to": band * width + width - 1,
            **{kind.name.lower(): row[kind] for kind in kinds},
        }
        for band, row in enumerate(counts)
    ]


def survival(view: Inspection, lane: int | None = None) -> dict[str, Any]:
    """The share of engrams that live on beyond each age, by Kaplan and Meier's estimate.

    S(a) = product over ages b <= a of 1 - forgotten(b) / at risk(b). Engrams that live, and those
    forgotten by hand, count as long as they lived. Where compaction took forgotten ones, only the
    ``engrams`` made after step ``since`` count. ``median``: the age that half of them do not
    outlive, None where more than half do. ``points``: at most 61 of {``age``, ``share``}.
    """
    ended = endings(view.firings, view.created, view.step)
    ids, gone = ended.ids, ended.gone
    if lane is not None or view.untold:
        first = int(view.steps.rows()[view.untold - 1]) if view.untold else 0
        mine = (ids >= first) & _of_lane(ids % view.life.lanes, lane)
        ids, gone = ids[mine], gone[mine]
    told: dict[str, Any] = {"engrams": len(ids), "since": view.untold, "median": None, "points": []}
    if len(ids) == 0:
        return told
    age = np.where(gone > 0, gone, view.step) - view.steps.born(ids)
    by_hand = view.firings.events.of_kind(EventKind.FORGET).ids
    forgotten = (gone > 0) & ~np.isin(ids, by_hand) if len(by_hand) else gone > 0
    last = int(age.max())
    died = np.bincount(age[forgotten], minlength=last + 1)
    at_risk = np.bincount(age, minlength=last + 1)[::-1].cumsum()[::-1]
    share = np.cumprod(1.0 - died / at_risk)
    half = np.flatnonzero(share <= 0.5)
    shown = np.unique(np.linspace(0, last, _POINTS + 1).round().astype(np.int64))
    told["median"] = int(half[0]) if len(half) else None
    told["points"] = [
        {"age": a, "share": s}
        for a, s in zip(shown.tolist(), share[shown].round(6).tolist(), strict=True)
    ]
    return told


def hubs(
    view: Inspection, lane: int | None = None, most: int = 5, each: int = 5
) -> list[dict[str, Any]]:
    """The most connected living engrams, at most ``most``, with their strongest connections.

    Of each lane's 64 that fired most often, those with the most living ``partners`` that ever
    fired with them; their ``connections`` by weight, ``each`` at most.
    """
    life = view.life
    found: list[tuple[int, int, IntArray, IntArray]] = []  # partners, id, partners' ids, counts
    for number in range(life.lanes) if lane is None else [lane]:
        mine = life.of_lane(number)
        living, log = life.ids[mine], view.logs[number]
        places = _candidates(life.fires[mine], log)
        if len(places) == 0:
            continue
        which, partner = log.pairs(places)
        order = np.argsort(which.astype(np.int8), kind="stable")  # sorts small numbers fast
        ends = np.cumsum(np.bincount(which, minlength=len(places)))[:-1]
        for place, others in zip(places, np.split(partner[order], ends), strict=True):
            partners, counts = _counted(others[others != place])
            if len(partners):
                found.append((len(partners), int(living[place]), living[partners], counts))
    found.sort(key=lambda hub: (-hub[0], hub[1]))
    return [_hub(view, *hub, each) for hub in found[:most]]


def _candidates(fires: IntArray, log: FiringLog) -> IntArray:
    """Positions of those that fired most often, the oldest first of equals."""
    few = min(_CANDIDATES, len(fires))
    if few == 0:
        return np.empty(0, np.int64)
    size = len(log) / max(len(log.starts) - 1, 1)  # of a firing
    least = np.partition(fires, len(fires) - few)[len(fires) - few]
    best = np.flatnonzero(fires >= least)
    best = best[np.argsort(-fires[best], kind="stable")][:few]
    affordable = np.cumsum(fires[best]) * size <= _MOST_PAIRS
    affordable[:1] = True
    return best[affordable]


def _counted(values: IntArray) -> tuple[IntArray, IntArray]:
    """The distinct ones, ascending, and how often each is there."""
    ordered = np.sort(values)
    first = np.flatnonzero(np.diff(ordered, prepend=-1))
    return ordered[first], np.diff(first, append=len(ordered))


def _hub(
    view: Inspection, partners: int, id_: int, others: IntArray, counts: IntArray, each: int
) -> dict[str, Any]:
    life = view.life
    at = int(np.searchsorted(life.ids, id_))
    best = np.lexsort((others, -counts))[:each]
    ids = [id_, *others[best].tolist()]
    texts = view.texts(ids)
    return {
        "id": id_,
        "lane": id_ % life.lanes,
        "type": TYPE_NAMES[int(life.types[at])],
        "fire_count": int(life.fires[at]),
        "text": texts[0],
        "partners": partners,
        "connections": [
            {
                "id": other,
                "weight": count / int(life.fires[at]),
                "cofire_count": count,
                "text": text,
            }
            for other, count, text in zip(ids[1:], counts[best].tolist(), texts[1:], strict=True)
        ],
    }


def _of_lane(lanes: IntArray, lane: int | None) -> npt.NDArray[np.bool_]:
    if lane is None:
        return np.ones(len(lanes), np.bool_)
    mine: npt.NDArray[np.bool_] = lanes == lane
    return mine
