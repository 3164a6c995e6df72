"""The graph of a report as columns: who is shown, where, what became of them, what they fired."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from memoria.analysis import Chronicle
from memoria.report.frames import Film
from memoria.report.layout import spread
from memoria.report.packing import excerpt, for_script, packed
from memoria.report.selection import choose
from memoria.report.wiring import Wiring
from memoria.timeline.log import IntArray

__all__ = ["FEW_ENGRAMS", "MOST_ENGRAMS", "graph_of"]

FEW_ENGRAMS: Final = 480  # networkx lays out up to 499 in a second or two
MOST_ENGRAMS: Final = 2_000
_EACH: Final = 4  # connections of an engram
_ACROSS: Final = 65_535  # where things stand, in whole numbers
_CHARACTERS: Final = (400, 200, 100)  # of a text: so many that all texts fit into
_TEXTS: Final = 1_500_000  # bytes of the page
_TEXTS_AT_ONCE: Final = 16  # each may be long


def graph_of(chronicle: Chronicle, mine: IntArray, most: int) -> dict[str, Any]:
    """All that the page knows of the engrams at the places ``mine``.

    ``total`` of them, of which at most ``most`` are ``shown`` with their ``connections``: columns
    by engram, texts cut short, edges, and the `Film` of the life.
    """
    shown = choose(chronicle, mine, most)
    wiring = Wiring.of(chronicle, shown, _EACH)
    where = np.rint(_ACROSS * spread(chronicle.lane[shown], wiring)).astype(np.int64)
    gone = chronicle.gone[shown]
    columns = {
        "id": chronicle.ids[shown],
        "lane": chronicle.lane[shown],
        "born": chronicle.born[shown],
        "longterm": chronicle.longterm[shown],
        "gone": gone,
        "fires": chronicle.fires[shown],
        "lifespan": chronicle.lifespan(shown, np.where(gone > 0, gone, chronicle.steps)),
        "x": where[:, 0],
        "y": where[:, 1],
    }
    texts = _texts(chronicle, chronicle.ids[shown])
    edges = {
        "source": wiring.source,
        "target": wiring.target,
        "together": wiring.together,
        "weight": wiring.weight,
    }
    return {
        "total": len(mine),
        "shown": len(shown),
        "connections": len(wiring),
        "lanes": chronicle.lanes,
        "engrams": {name: packed(values) for name, values in columns.items()},
        "texts": [text for text, _ in texts],
        "lengths": packed(np.array([length for _, length in texts], np.int64)),
        "edges": {name: packed(values) for name, values in edges.items()},
        **Film.of(chronicle, mine, shown).document(),
    }


def _texts(chronicle: Chronicle, ids: IntArray) -> list[tuple[str, int]]:
    """The beginning of each text, and its length."""
    texts = [
        excerpt(text, max(_CHARACTERS))
        for first in range(0, len(ids), _TEXTS_AT_ONCE)
        for text in chronicle.texts(ids[first : first + _TEXTS_AT_ONCE])
    ]
    for most in _CHARACTERS:
        cut = [(text[:most], length) for text, length in texts]
        if len(for_script([text for text, _ in cut]).encode()) <= _TEXTS:
            break
    return cut
