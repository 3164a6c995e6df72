"""Where the engrams of a graph stand: spring layouts by networkx (extra ``viz``)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.errors import MissingExtraError
from memoria.report.wiring import Wiring
from memoria.timeline.log import IntArray

__all__ = ["spread"]

_ROUNDS: Final = 60
_SEED: Final = 0
_DENSE: Final = 500  # engrams from which networkx takes scipy for the forces
_GAP: Final = 0.09  # of a lane's cell, on each side

Places = npt.NDArray[np.float64]


def spread(lanes: IntArray, wiring: Wiring) -> Places:
    """Positions [n, 2] within 0 and 1: what is strongly connected stands close together.

    ``lanes`` [n]: each has a cell of its own, row by row. Within it the Fruchterman-Reingold forces
    of networkx act, from seeded places: the same on every run. Raises `MissingExtraError`.
    """
    try:
        import networkx
    except ImportError:
        raise MissingExtraError("laying out a graph", "viz") from None
    graph = networkx.Graph()
    graph.add_nodes_from(range(len(lanes)))
    columns = (wiring.source.tolist(), wiring.target.tolist(), wiring.weight.tolist())
    for source, target, weight in zip(*columns, strict=True):
        known = graph.get_edge_data(source, target, {"weight": 0.0})["weight"]
        graph.add_edge(source, target, weight=max(known, weight))
    found = np.zeros((len(lanes), 2))
    there = np.unique(lanes)
    across = int(np.ceil(np.sqrt(len(there))))
    down = -(-len(there) // max(1, across))
    gap = _GAP if len(there) > 1 else 0.0
    for cell, lane in enumerate(there.tolist()):
        mine = np.flatnonzero(lanes == lane)
        corner = np.array([cell % across, cell // across])
        inside = gap + (1 - 2 * gap) * _filling(_placed(graph, mine))
        found[mine] = (corner + inside) / (across, down)
    return found


def _placed(graph: Any, nodes: IntArray) -> Places:
    """Positions [len(nodes), 2] of some nodes that have edges among themselves only."""
    import networkx

    part = networkx.Graph()  # a subgraph's nodes come in no certain order
    part.add_nodes_from(nodes.tolist())
    part.add_edges_from(graph.edges(nodes.tolist(), data=True))
    pieces = networkx.number_connected_components(part)
    # Forces alone push pieces without end; this method has gravity.
    method = "energy" if pieces > 1 or len(nodes) >= _DENSE else "force"
    try:
        placed = networkx.spring_layout(
            part, iterations=_ROUNDS, seed=_SEED, method=method if len(nodes) > 1 else "force"
        )
    except ImportError:  # networkx calls for scipy only now
        raise MissingExtraError("laying out a graph", "viz") from None
    return np.array([placed[node] for node in nodes.tolist()], np.float64).reshape(-1, 2)


def _filling(places: Places) -> Places:
    """Moved and stretched so that they span 0 to 1 both ways; 0.5 where they are all alike."""
    low, high = places.min(0), places.max(0)
    span = np.where(high > low, high - low, 1.0)
    return np.where(high > low, (places - low) / span, 0.5)
