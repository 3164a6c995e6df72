"""Two states of memories compared: how they are related, and what became of their engrams.

"A" is what one comes from, "B" what one goes to. Torch-free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from memoria.io.progress import Progress, progress_bar
from memoria.query.connection_changes import Tails, cofire_counts
from memoria.query.engram_record import plain_numbers
from memoria.query.engram_table import TYPE_NAMES, EngramTable
from memoria.query.inspection import Inspection

__all__ = ["COMPARED_PAIRS", "Relation", "RelationKind", "compare", "relate"]

RelationKind = Literal["same", "continues", "precedes", "diverged", "unrelated"]

COMPARED_PAIRS: Final = 1e8  # above so many pairs since the common step, counting takes too long
_BLOCK: Final = 4096  # vectors compared at a time


@dataclass(frozen=True)
class Relation:
    """How B is related to A.

    ``same``, B ``continues`` A, B ``precedes`` A (which continues B), they ``diverged`` after
    ``common_step`` steps, or they are ``unrelated``: other settings, or not one step in common.
    Engrams with ids below ``shared`` are the same in both. A step begun and not ended counts only
    where it is all that differs.
    """

    kind: RelationKind
    common_step: int
    shared: int


def relate(a: Inspection, b: Inspection) -> Relation:
    """The `Relation` of ``b`` to ``a``, from the digests chained in their logs."""
    common = _common_steps(a, b)
    if a.config != b.config or (common == 0 and a.step and b.step):
        return Relation("unrelated", 0, _same_vectors(a, b))
    shared = int(a.steps.rows()[common - 1]) if common else 0
    mine, others = (view.events()[view.events()[:, 0] == common] for view in (a, b))
    both = min(len(mine), len(others))
    agree = np.array_equal(mine[:both], others[:both])
    a_ends = a.step == common and len(mine) == both and agree
    b_ends = b.step == common and len(others) == both and agree
    if a_ends and b_ends:
        return _by_what_is_begun(a, b, common, shared)
    kind: RelationKind = "continues" if a_ends else "precedes" if b_ends else "diverged"
    return Relation(kind, common, shared)


def compare(
    a: Inspection,
    b: Inspection,
    limit: int = 20,
    most_pairs: float = COMPARED_PAIRS,
    progress: Progress | bool = False,
) -> dict[str, Any]:
    """What `memoria diff --json` prints, with at most ``limit`` rows in each list.

    ``born``: living in B, unknown to A. ``forgotten``: living in A, known to B and not living
    there. ``returned``: the other way round. ``only_in_a``: living in A, unknown to B. Of those
    living in both ``moved``: in another memory; ``pinned``: in one and not in the other;
    ``lifespan``: those whose lifespan changed most beyond ageing. ``connections``: the pairs of
    B's engrams whose co-fire count changed most, each in the direction whose weight changed more;
    None, as is its count, where nothing is common, or where the log since the common step has more
    than ``most_pairs`` pairs. ``progress`` counts the engrams whose connections
    are counted; True shows a bar.
    """
    relation = relate(a, b)
    old, new = a.table(), b.table()
    known_old, known_new = old.ids < relation.shared, new.ids < relation.shared
    in_new, in_old = np.isin(old.ids, new.ids), np.isin(new.ids, old.ids)
    lost, back = old.take(known_old & ~in_new), new.take(known_new & ~in_old)
    born, unborn = new.take(~known_new), old.take(~known_old)
    before, after = old.take(known_old & in_new), new.take(known_new & in_old)
    moved = np.flatnonzero(before.types != after.types)
    pinned = np.flatnonzero(before.pinned != after.pinned)
    change = after.lifespan - before.lifespan + (b.step - a.step)
    ranked = np.lexsort((before.ids, -np.abs(change)))
    ranked = ranked[change[ranked] != 0]
    tails = Tails(
        a.firings, b.firings, relation.common_step, relation.shared, new.ids, b.config.lanes
    )
    connections, count = None, None
    alike = relation.kind != "unrelated" or relation.shared > 0
    if alike and tails.pairs() <= most_pairs:
        with progress_bar(progress, "comparing", "engrams") as show:
            connections, count = _connections(tails, b, limit, show)
    return {
        "a": _side(a),
        "b": _side(b),
        "relation": relation.kind,
        "common_step": relation.common_step,
        "config": _settings(a, b),
        "counts": {
            "in_both": len(before),
            "born": len(born),
            "forgotten": len(lost),
            "returned": len(back),
            "only_in_a": len(unborn),
            "moved": len(moved),
            "pinned": len(pinned),
            "lifespan": len(ranked),
            "connections": count,
        },
        "born": b.documents(born.take(slice(limit))),
        "forgotten": a.documents(lost.take(slice(limit))),
        "returned": b.documents(back.take(slice(limit))),
        "only_in_a": a.documents(unborn.take(slice(limit))),
        "moved": _moved(before.take(moved[:limit]), after.take(moved[:limit]), b),
        "pinned": _pinned(before.take(pinned[:limit]), after.take(pinned[:limit]), b),
        "lifespan": _lifespans(before.take(ranked[:limit]), after.take(ranked[:limit]), a, b),
        "connections": connections,
    }


def _common_steps(a: Inspection, b: Inspection) -> int:
    """How many steps both began with: the digest of each is chained to those before."""
    if a.config.lanes != b.config.lanes:
        return 0
    both = min(a.step, b.step)
    differ = (a.steps.digests()[:both] != b.steps.digests()[:both]).any(1)
    return int(differ.argmax()) if differ.any() else both


def _by_what_is_begun(a: Inspection, b: Inspection, common: int, shared: int) -> Relation:
    """Where all finished steps and events are the same."""
    if a.digest == b.digest:
        return Relation("same", common, a.created)
    if a.phase == "idle":
        return Relation("continues", common, shared)
    return Relation("precedes" if b.phase == "idle" else "diverged", common, shared)


def _same_vectors(a: Inspection, b: Inspection) -> int:
    """Of memories without a common log: up to which id the living of both have equal vectors.

    So a replay under other settings compares with its original. 0 if nobody lives in both.
    """
    if (a.config.lanes, a.config.hidden_dim) != (b.config.lanes, b.config.hidden_dim):
        return 0
    ids = np.intersect1d(a.table().ids, b.table().ids)
    for first in range(0, len(ids), _BLOCK):
        block = ids[first : first + _BLOCK]
        differ = (a.vectors(block) != b.vectors(block)).any(1)
        if differ.any():
            return int(block[differ.argmax()])
    return min(a.created, b.created) if len(ids) else 0


def _side(view: Inspection) -> dict[str, Any]:
    return {
        "path": view.name,
        "at": view.at,
        "step": view.step,
        "phase": view.phase,
        "digest": view.digest,
        "engrams": len(view.table()),
        "created": view.created,
    }


def _settings(a: Inspection, b: Inspection) -> dict[str, dict[str, Any]]:
    mine, others = (view.config.model_dump(mode="json") for view in (a, b))
    return {
        name: {"a": mine[name], "b": others[name]} for name in mine if mine[name] != others[name]
    }


def _moved(before: EngramTable, after: EngramTable, b: Inspection) -> list[dict[str, Any]]:
    columns = zip(
        after.ids.tolist(),
        after.lanes.tolist(),
        before.types.tolist(),
        after.types.tolist(),
        b.texts(after.ids.tolist()),
        strict=True,
    )
    return [
        {"id": id_, "lane": lane, "from": TYPE_NAMES[x], "to": TYPE_NAMES[y], "text": text}
        for id_, lane, x, y, text in columns
    ]


def _pinned(before: EngramTable, after: EngramTable, b: Inspection) -> list[dict[str, Any]]:
    columns = zip(
        after.ids.tolist(),
        after.lanes.tolist(),
        before.pinned.tolist(),
        after.pinned.tolist(),
        b.texts(after.ids.tolist()),
        strict=True,
    )
    return [
        {"id": id_, "lane": lane, "a": x, "b": y, "text": text} for id_, lane, x, y, text in columns
    ]


def _lifespans(
    before: EngramTable, after: EngramTable, a: Inspection, b: Inspection
) -> list[dict[str, Any]]:
    columns = zip(
        after.ids.tolist(),
        after.lanes.tolist(),
        plain_numbers(before.lifespan),
        plain_numbers(after.lifespan),
        plain_numbers(after.lifespan - before.lifespan + (b.step - a.step)),
        b.texts(after.ids.tolist()),
        strict=True,
    )
    return [
        {"id": id_, "lane": lane, "a": x, "b": y, "change": change, "text": text}
        for id_, lane, x, y, change, text in columns
    ]


def _connections(
    tails: Tails, b: Inspection, limit: int, progress: Progress
) -> tuple[list[dict[str, Any]], int]:
    pairs = tails.changed(limit, progress)
    a_count, *a_fires = cofire_counts(tails.a, pairs.low, pairs.high, tails.shared)
    b_count, *b_fires = cofire_counts(tails.b, pairs.low, pairs.high)
    a_weights, b_weights = (
        [count / np.maximum(own, 1) for own in fires]
        for count, fires in ((a_count, a_fires), (b_count, b_fires))
    )
    changes = [np.abs(y - x) for x, y in zip(a_weights, b_weights, strict=True)]
    ends = (pairs.low, pairs.high)
    forward = changes[0] >= changes[1]
    source, target = (np.where(forward, *both) for both in (ends, ends[::-1]))
    columns = zip(
        source.tolist(),
        target.tolist(),
        a_count.tolist(),
        b_count.tolist(),
        np.where(forward, *a_weights).tolist(),
        np.where(forward, *b_weights).tolist(),
        b.texts(source.tolist()),
        b.texts(target.tolist()),
        strict=True,
    )
    rows = [
        {
            "source": i,
            "target": j,
            "lane": i % tails.lanes,
            "cofire_count": {"a": n, "b": m},
            "weight": {"a": v, "b": w},
            "texts": [said, other],
        }
        for i, j, n, m, v, w, said, other in columns
    ]
    return rows, pairs.count
