"""Compare two states of memories: how they are related, and what became of their engrams.

"A" is the earlier state, "B" the later one. numpy only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from memoria.io.progress import Progress, progress_bar
from memoria.query.connection_changes import Tails
from memoria.query.documents import finite_or_none, records
from memoria.query.engram_table import TYPE_NAMES, EngramTable
from memoria.query.inspection import Inspection
from memoria.timeline.cofiring import cofire_counts

RelationKind = Literal["same", "continues", "precedes", "diverged", "unrelated"]

COMPARED_PAIRS: Final = 1e8  # above so many pairs since the common step, counting takes too long
_BLOCK: Final = 4096  # vectors compared at a time


@dataclass(frozen=True)
class Relation:
    """How B is related to A. A step begun and not ended counts only where nothing else differs.

    Attributes:
        kind: ``same``; B ``continues`` A; B ``precedes`` A, which continues B; they ``diverged``
            after ``common_step`` steps; or ``unrelated``: other settings, or no step in common.
        common_step: steps that both began with.
        shared: engrams with smaller ids are the same in both.
    """

    kind: RelationKind
    common_step: int
    shared: int


def relate(a: Inspection, b: Inspection) -> Relation:
    """The `Relation` of ``b`` to ``a``, from the digests chained in their logs."""
    common = a.common_steps(b)
    if a.config != b.config or (common == 0 and a.step and b.step):
        return Relation("unrelated", 0, _same_vectors(a, b))
    shared = int(a.steps.rows()[common - 1]) if common else 0
    a_events, b_events = (view.events()[view.events()[:, 0] == common] for view in (a, b))
    both = min(len(a_events), len(b_events))
    agree = np.array_equal(a_events[:both], b_events[:both])
    a_ends = a.step == common and len(a_events) == both and agree
    b_ends = b.step == common and len(b_events) == both and agree
    if a_ends and b_ends:
        return _relate_begun_steps(a, b, common, shared)
    kind: RelationKind = "continues" if a_ends else "precedes" if b_ends else "diverged"
    return Relation(kind, common, shared)


def compare(
    a: Inspection,
    b: Inspection,
    limit: int = 20,
    most_pairs: float = COMPARED_PAIRS,
    progress: Progress | bool = False,
) -> dict[str, Any]:
    """What `memoria diff --json` prints.

    Args:
        a: the earlier state.
        b: the later state.
        limit: most rows in each list.
        most_pairs: pairs in the logs since the common step above which connections are not
            counted; they and their count are None then, as where nothing is common.
        progress: called with the engrams whose connections are counted, and their number.

    Returns:
        ``counts`` of all and ``limit`` rows of each list. ``born``: living in B, unknown to A.
        ``forgotten``: living in A, known to B and not living there. ``returned``: the other way
        round. ``only_in_a``: living in A, unknown to B. Of those living in both, ``moved``: in
        another memory; ``pinned``: in one and not in the other; ``lifespan``: those whose lifespan
        changed most beyond ageing; ``connections``: the pairs of B's engrams whose co-fire count
        changed most, each in the direction whose weight changed more.
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
    counts = {
        "in_both": len(before),
        "born": len(born),
        "forgotten": len(lost),
        "returned": len(back),
        "only_in_a": len(unborn),
        "moved": len(moved),
        "pinned": len(pinned),
        "lifespan": len(ranked),
        "connections": count,
    }
    moved, pinned, ranked = moved[:limit], pinned[:limit], ranked[:limit]
    return {
        "a": _side(a),
        "b": _side(b),
        "relation": relation.kind,
        "common_step": relation.common_step,
        "config": _settings(a, b),
        "counts": counts,
        "born": b.documents(born.take(slice(limit))),
        "forgotten": a.documents(lost.take(slice(limit))),
        "returned": b.documents(back.take(slice(limit))),
        "only_in_a": a.documents(unborn.take(slice(limit))),
        "moved": _changes(
            after.take(moved),
            b,
            {
                "from": [TYPE_NAMES[kind] for kind in before.types[moved].tolist()],
                "to": [TYPE_NAMES[kind] for kind in after.types[moved].tolist()],
            },
        ),
        "pinned": _changes(
            after.take(pinned), b, {"a": before.pinned[pinned], "b": after.pinned[pinned]}
        ),
        "lifespan": _changes(
            after.take(ranked),
            b,
            {
                "a": finite_or_none(before.lifespan[ranked]),
                "b": finite_or_none(after.lifespan[ranked]),
                "change": finite_or_none(change[ranked]),
            },
        ),
        "connections": connections,
    }


def _relate_begun_steps(a: Inspection, b: Inspection, common: int, shared: int) -> Relation:
    """Relation of states whose finished steps and events are all the same."""
    if a.digest == b.digest:
        return Relation("same", common, a.created)
    if a.phase == "idle":
        return Relation("continues", common, shared)
    return Relation("precedes" if b.phase == "idle" else "diverged", common, shared)


def _same_vectors(a: Inspection, b: Inspection) -> int:
    """The id up to which engrams living in both have equal vectors; 0 if none lives in both.

    For memories without a common log: so a replay under other settings compares with its original.
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
    old, new = (view.config.model_dump(mode="json") for view in (a, b))
    return {name: {"a": old[name], "b": new[name]} for name in old if old[name] != new[name]}


def _changes(
    after: EngramTable, b: Inspection, changed: Mapping[str, Iterable[Any]]
) -> list[dict[str, Any]]:
    """One record an engram of ``after``, with the columns ``changed`` between its lane and text."""
    texts = b.texts(after.ids.tolist())
    return records({"id": after.ids, "lane": after.lanes, **changed, "text": texts})


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
    texts = (b.texts(ids.tolist()) for ids in (source, target))
    rows = records(
        {
            "source": source,
            "target": target,
            "lane": source % tails.lanes,
            "cofire_count": records({"a": a_count, "b": b_count}),
            "weight": records(
                {"a": np.where(forward, *a_weights), "b": np.where(forward, *b_weights)}
            ),
            "texts": [[*ends] for ends in zip(*texts, strict=True)],
        }
    )
    return rows, pairs.count
