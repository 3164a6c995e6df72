"""The graph of a report as columns: which engrams it shows, where, and what they do over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from memoria.analysis import Chronicle
from memoria.analysis.connections import strongest_edges
from memoria.analysis.layout import fill, layout_in_cells
from memoria.analysis.meaning import find_topics, place
from memoria.analysis.over_steps import counts_as_reminded, firings_by_run
from memoria.analysis.result import Table
from memoria.analysis.scope import Bins, highest, rank_in_groups
from memoria.report.page import excerpt, json_for_script, packed
from memoria.timeline.log import BoolArray, IntArray

FEW_ENGRAMS: Final = 480  # networkx lays out up to 499 in a second or two
MOST_ENGRAMS: Final = 2_000
_EACH: Final = 4  # connections of an engram
_ACROSS: Final = 65_535  # coordinates are whole numbers up to this
_CHARACTERS: Final = (400, 200, 100)  # of a text: so many that all texts fit into
_TEXTS: Final = 1_500_000  # bytes of the page
_OTHER_TEXTS: Final = 800_000  # bytes, of engrams outside of the graph
_MOST_OTHERS: Final = 20_000
_TEXTS_AT_ONCE: Final = 16  # each may be long
_MOST_POSITIONS: Final = 20_000
_MOST_FIRINGS: Final = 500_000  # in the file 2 bytes each and a third


def graph_of(chronicle: Chronicle, covered: BoolArray, most: int) -> dict[str, Any]:
    """Everything that the page knows of the engrams in ``mine`` [E].

    ``total`` of them, of which at most ``most`` are ``shown`` with their ``connections``: columns
    by engram, texts cut short, edges, the `map` of their meaning (None without vectors), the texts
    of ``others`` for the search, and the columns of the `Slider`.
    """
    shown = choose(chronicle, np.flatnonzero(covered), most)
    edges = strongest_edges(chronicle, shown, _EACH)
    xy = np.rint(_ACROSS * layout_in_cells(chronicle.lane[shown], edges)).astype(np.int64)
    gone = chronicle.gone[shown]
    engrams = {
        **chronicle.engrams(shown),
        "lifespan": chronicle.lifespan(shown, np.where(gone > 0, gone, chronicle.steps)),
        "x": xy[:, 0],
        "y": xy[:, 1],
    }
    texts = _texts(chronicle, chronicle.ids[shown], _TEXTS)
    slider = Slider.fit(chronicle, covered, shown)
    unshown = np.setdiff1d(np.flatnonzero(covered), shown, assume_unique=True)
    return {
        "total": int(np.count_nonzero(covered)),
        "shown": len(shown),
        "connections": len(edges),
        "lanes": chronicle.lanes,
        "engrams": _packed(engrams),
        "texts": [text for text, _ in texts],
        "lengths": packed(np.array([length for _, length in texts], np.int64)),
        "edges": _packed({n: getattr(edges, n) for n in ("source", "target", "weight")}),
        "map": _map(chronicle, shown, [text for text, _ in texts]),
        "others": _others(chronicle, unshown),
        "steps": slider.bins.last,
        "width": slider.bins.width,
        "positions": len(slider.bins),
        "counts": _packed(slider.counts),
        "fired": _packed({"ranks": slider.fired, "ends": slider.ends}),
    }


def choose(chronicle: Chronicle, positions: IntArray, most: int) -> IntArray:
    """At most ``most`` of the engrams at ``positions`` (ascending), ascending.

    A quarter are those made last, which the short-term memory of now is of; a quarter those of the
    others that fired most often. The rest is spread over the life: what is left, in order of
    creation, is cut into runs of equal length, and of each the one that fired most often is taken.
    Of equals the older one.
    """
    if len(positions) <= most:
        return positions
    quarter = most // 4
    older, last = np.split(positions, [len(positions) - quarter])
    often = highest(older, chronicle.fires, quarter)
    rest = np.setdiff1d(older, often, assume_unique=True)
    run = np.arange(len(rest)) * (most - 2 * quarter) // len(rest)
    best = rest[rank_in_groups(chronicle.fires[rest], run) == 0]
    return np.sort(np.concatenate((last, often, best)))


@dataclass(frozen=True, eq=False)
class Slider:
    """A life as the positions of a slider: the end of each of P runs of ``bins``, and after it all.

    Attributes:
        bins: runs of steps, mostly of one step each.
        counts: engrams of all in each memory in that step as it reminds, ``forgotten`` before it
            and ``fired`` in the run, int64 [P + 1] each; the last is what the last step left.
        fired: ranks of the engrams shown that fired, run after run, int64 [F].
        ends: where the firings of each run end in ``fired``, int64 [P].
    """

    bins: Bins
    counts: Table
    fired: IntArray
    ends: IntArray

    @classmethod
    def fit(cls, chronicle: Chronicle, covered: BoolArray, shown: IntArray) -> Slider:
        """Take the life of the engrams in ``mine`` [E], of which those at ``shown`` are seen.

        Where they fire too often for a file, runs are as long as brings them below that.
        """
        positions = _MOST_POSITIONS
        while True:
            bins = Bins.fit(1, chronicle.steps, positions)
            run, fired = firings_by_run(chronicle, shown, 1, bins.ends)
            if len(fired) <= _MOST_FIRINGS or len(bins) <= 1:
                break
            positions = max(1, min(len(bins) - 1, len(bins) * _MOST_FIRINGS // len(fired)))
        by_step = chronicle.counts(covered)
        after = np.append(bins.ends, chronicle.steps + 1)[: len(bins) and len(bins) + 1]
        by_step["born"] = np.append(by_step["born"], 0)  # the step that is not there makes nothing
        fires = bins.sum(by_step["fired"])
        counts = counts_as_reminded(by_step, after) | {"fired": np.append(fires, fires[-1:])}
        return cls(bins, counts, fired, np.searchsorted(run, np.arange(len(bins)), side="right"))


def _packed(columns: Table) -> dict[str, dict[str, str]]:
    return {name: packed(values) for name, values in columns.items()}


def _map(chronicle: Chronicle, shown: IntArray, texts: list[str]) -> dict[str, Any] | None:
    """Where the engrams shown stand by meaning, and the words on parts of the map."""
    if chronicle.read_vectors is None:
        return None
    placed = place(chronicle.vectors(chronicle.ids[shown]))
    xy = np.rint(_ACROSS * fill(placed.xy)).astype(np.int64) if len(shown) else placed.xy
    topics = find_topics(xy.astype(np.float64), texts)
    return {
        "method": placed.method.upper(),
        **_packed({"x": xy[:, 0], "y": _ACROSS - xy[:, 1] if len(xy) else xy[:, 1]}),
        "topics": [
            {"x": x, "y": _ACROSS - y, "words": words}
            for x, y, words in zip(topics.x.tolist(), topics.y.tolist(), topics.words, strict=True)
        ],
    }


def _others(chronicle: Chronicle, unshown: IntArray) -> dict[str, Any]:
    """Texts of engrams outside of the graph, for the search: of all, or of as many as fit in.

    Of more than can be kept those that `choose` takes; ``total`` of them there are.
    """
    chosen = choose(chronicle, unshown, _MOST_OTHERS)
    texts = _texts(chronicle, chronicle.ids[chosen], _OTHER_TEXTS)
    sizes = np.cumsum([len(json_for_script(text).encode()) + 1 for text, _ in texts])
    kept = len(chosen)
    if kept and int(sizes[-1]) > _OTHER_TEXTS:  # even the shortest beginnings are too much
        kept = int(np.searchsorted(sizes, _OTHER_TEXTS))
    return {
        "total": len(unshown),
        **_packed({n: getattr(chronicle, n)[chosen[:kept]] for n in ("ids", "born", "gone")}),
        "texts": [text for text, _ in texts[:kept]],
    }


def _texts(chronicle: Chronicle, ids: IntArray, room: int) -> list[tuple[str, int]]:
    """The beginning of each text, and its length; together of ``room`` bytes if they may be."""
    texts = [
        excerpt(text, max(_CHARACTERS))
        for first in range(0, len(ids), _TEXTS_AT_ONCE)
        for text in chronicle.texts(ids[first : first + _TEXTS_AT_ONCE])
    ]
    for most in _CHARACTERS:
        cut = [(text[:most], length) for text, length in texts]
        if len(json_for_script([text for text, _ in cut]).encode()) <= room:
            break
    return cut
