"""Where the engrams of a graph stand: a spring layout by networkx (extra ``viz``)."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from memoria.errors import MissingExtraError
from memoria.report.wiring import Wiring

__all__ = ["spread"]

_ROUNDS: Final = 60
_DENSE: Final = 500  # networkx takes scipy from here on
_SEED: Final = 0


def spread(engrams: int, wiring: Wiring) -> npt.NDArray[np.float64]:
    """Positions [n, 2] within 0 and 1: what is strongly connected stands close together.

    The Fruchterman-Reingold forces of networkx, from seeded places: the same on every run. Raises
    `MissingExtraError`.
    """
    try:
        import networkx

        if engrams >= _DENSE:
            import scipy.sparse  # noqa: F401
    except ImportError:
        raise MissingExtraError("laying out a graph", "viz") from None
    graph = networkx.Graph()
    graph.add_nodes_from(range(engrams))
    columns = (wiring.source.tolist(), wiring.target.tolist(), wiring.weight.tolist())
    for source, target, weight in zip(*columns, strict=True):
        known = graph.get_edge_data(source, target, {"weight": 0.0})["weight"]
        graph.add_edge(source, target, weight=max(known, weight))
    placed = networkx.spring_layout(graph, iterations=_ROUNDS, seed=_SEED)
    found = np.array([placed[place] for place in range(engrams)], np.float64).reshape(-1, 2)
    if len(found) == 0:
        return found
    low, high = found.min(0), found.max(0)
    span = np.where(high > low, high - low, 1.0)
    return np.where(high > low, (found - low) / span, 0.5)
