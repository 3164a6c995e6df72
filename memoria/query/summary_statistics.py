"""Summary statistics of a memory: ages by memory, survival, the most connected engrams.

Plain documents, as `memoria inspect --json` prints them. numpy only.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from memoria.chunkstore.codec import DAMAGE_HINT
from memoria.errors import DamageError
from memoria.query.documents import records
from memoria.query.engram_table import TYPE_NAMES
from memoria.query.inspection import Inspection
from memoria.timeline.cofiring import FiringLog, count_distinct
from memoria.timeline.engram_type import LIVING_TYPES, EngramType
from memoria.timeline.log import EventKind, IntArray

_BANDS: Final = 10
_POINTS: Final = 60
_CANDIDATES: Final = 64  # of each lane
_MOST_PAIRS: Final = 6e5  # that are counted for the candidates of a lane; about 0.1 s


def pyramid(view: Inspection, lane: int | None = None) -> list[dict[str, int]]:
    """Living engrams of each memory by age, in bands of equal width, youngest first.

    A band holds ``from`` <= age <= ``to``, in steps.
    """
    life = view.life
    in_lane = slice(None) if lane is None else life.of_lane(lane)
    age, types = (life.step - life.born)[in_lane], life.types[in_lane]
    if len(age) == 0:
        return []
    width = int(age.max()) // _BANDS + 1
    bands = int(age.max()) // width + 1
    cells = np.bincount(age // width * len(EngramType) + types, minlength=bands * len(EngramType))
    counts = cells.reshape(bands, len(EngramType)).tolist()
    return [
        {
            "from": band * width,
            "to": band * width + width - 1,
            **{TYPE_NAMES[kind]: row[kind] for kind in LIVING_TYPES},
        }
        for band, row in enumerate(counts)
    ]


def survival(view: Inspection, lane: int | None = None) -> dict[str, Any]:
    """Kaplan-Meier estimate of the share of engrams that live beyond each age.

    ``S(a) = product over ages b <= a of 1 - forgotten(b) / at_risk(b)``. Living engrams, and those
    forgotten by hand, are censored at their age. After a compaction only engrams created after step
    ``since`` count.

    Returns:
        ``engrams`` counted, ``since``, ``median`` (age that half of them outlive; None if more than
        half live on) and ``points``, at most 61 of {``age``, ``share``}.
    """
    ids, gone = view.endings.ids, view.endings.gone
    if view.compacted_steps:
        later = ids >= view.steps.rows()[view.compacted_steps - 1]
        ids, gone = ids[later], gone[later]
    if lane is not None:
        in_lane = ids % view.life.lanes == lane
        ids, gone = ids[in_lane], gone[in_lane]
    summary: dict[str, Any] = {
        "engrams": len(ids),
        "since": view.compacted_steps,
        "median": None,
        "points": [],
    }
    if len(ids) == 0:
        return summary
    age = np.where(gone > 0, gone, view.step) - view.steps.born(ids)
    if int(age.min()) < 0:
        raise DamageError("an engram is forgotten before it was made", DAMAGE_HINT)
    by_hand = view.firings.events.of_kind(EventKind.FORGET).ids
    forgotten = (gone > 0) & ~np.isin(ids, by_hand) if len(by_hand) else gone > 0
    last = int(age.max())
    died = np.bincount(age[forgotten], minlength=last + 1)
    at_risk = np.bincount(age, minlength=last + 1)[::-1].cumsum()[::-1]
    share = np.cumprod(1.0 - died / at_risk)
    half = np.flatnonzero(share <= 0.5)
    ages = np.linspace(0, last, _POINTS + 1).round().astype(np.int64)  # ascending, some twice
    shown = ages[np.diff(ages, prepend=-1) > 0]
    summary["median"] = int(half[0]) if len(half) else None
    summary["points"] = records({"age": shown, "share": share[shown].round(6)})
    return summary


def hubs(
    view: Inspection, lane: int | None = None, most: int = 5, each: int = 5
) -> list[dict[str, Any]]:
    """The living engrams with the most living partners that ever fired with them.

    Looked for among the 64 of each lane that fired most often.

    Args:
        view: the memory.
        lane: only this lane.
        most: engrams at most.
        each: connections of each at most, the strongest.
    """
    life = view.life
    found: list[tuple[int, int, IntArray, IntArray]] = []  # partners, id, partners' ids, counts
    for number in range(life.lanes) if lane is None else [lane]:
        in_lane = life.of_lane(number)
        living, log = life.ids[in_lane], view.logs[number]
        candidates = _candidates(life.fires[in_lane], log)
        if len(candidates) == 0:
            continue
        which, partner = log.pairs(candidates)
        order = np.argsort(which.astype(np.int8), kind="stable")  # sorts small numbers fast
        ends = np.cumsum(np.bincount(which, minlength=len(candidates)))[:-1]
        for position, others in zip(candidates, np.split(partner[order], ends), strict=True):
            partners, counts = count_distinct(others[others != position], len(living))
            if len(partners):
                found.append((len(partners), int(living[position]), living[partners], counts))
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


def _hub(
    view: Inspection, partners: int, id_: int, others: IntArray, counts: IntArray, each: int
) -> dict[str, Any]:
    life = view.life
    row = int(np.searchsorted(life.ids, id_))
    best = np.lexsort((others, -counts))[:each]
    texts = view.texts([id_, *others[best].tolist()])
    return {
        "id": id_,
        "lane": id_ % life.lanes,
        "type": TYPE_NAMES[int(life.types[row])],
        "fire_count": int(life.fires[row]),
        "text": texts[0],
        "partners": partners,
        "connections": records(
            {
                "id": others[best],
                "weight": counts[best] / life.fires[row],
                "cofire_count": counts[best],
                "text": texts[1:],
            }
        ),
    }
