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
    lost, back = np.flatnonzero(known_old & ~in_new), np.flatnonzero(known_new & ~in_old)
    born, unborn = np.flatnonzero(~known_new), np.flatnonzero(~known_old)
    before, after = np.flatnonzero(known_old & in_new), np.flatnonzero(known_new & in_old)
    moved = np.flatnonzero(old.types[before] != new.types[after])
    pinned = np.flatnonzero(old.pinned[before] != new.pinned[after])
    change = new.lifespan[after] - old.lifespan[before] + (b.step - a.step)
    changed = np.flatnonzero(change)
    ranked = changed[np.lexsort((old.ids[before[changed]], -np.abs(change[changed])))]
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
    was, now = old.take(before[moved]), new.take(after[moved])
    was_pinned, now_pinned = old.take(before[pinned]), new.take(after[pinned])
    was_ranked, now_ranked = old.take(before[ranked]), new.take(after[ranked])
    return {
        "a": _side(a),
        "b": _side(b),
        "relation": relation.kind,
        "common_step": relation.common_step,
        "config": _settings(a, b),
        "counts": counts,
        "born": b.documents(new.take(born[:limit])),
        "forgotten": a.documents(old.take(lost[:limit])),
        "returned": b.documents(new.take(back[:limit])),
        "only_in_a": a.documents(old.take(unborn[:limit])),
        "moved": _changes(
            now,
            b,
            {
                "from": [TYPE_NAMES[kind] for kind in was.types.tolist()],
                "to": [TYPE_NAMES[kind] for kind in now.types.tolist()],
            },
        ),
        "pinned": _changes(now_pinned, b, {"a": was_pinned.pinned, "b": now_pinned.pinned}),
        "lifespan": _changes(
            now_ranked,
            b,
            {
                "a": finite_or_none(was_ranked.lifespan),
                "b": finite_or_none(now_ranked.lifespan),
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
    ids = np.intersect1d(a.life.ids, b.life.ids)
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
        "engrams": len(view.life.ids),
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
