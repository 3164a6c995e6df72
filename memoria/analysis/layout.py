"""Where the engrams of a graph stand, by networkx (extra ``viz``); the same on every run.

The forces of Fruchterman and Reingold act: what is strongly connected stands close together.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from memoria.analysis.connections import Edges
from memoria.errors import MissingExtraError
from memoria.timeline.log import FloatArray, IntArray

_SEED: Final = 0
_CELL_ROUNDS: Final = 60
_DENSE: Final = 500  # engrams from which networkx takes scipy for the forces
_GAP: Final = 0.09  # of a lane's cell, on each side
_DISC_ROUNDS: Final = 150
_EVEN: Final = 0.6  # how much of a direction is by rank, which fills the disc
_APART: Final = 2.5  # how far engrams on a disc are kept from each other


def layout_in_cells(lanes: IntArray, edges: Edges) -> FloatArray:
    """Lay out a graph in which every lane has a cell of its own, row by row.

    Args:
        lanes: of each engram, [N].
        edges: connections among the engrams, none between lanes.

    Returns:
        x and y of each engram, 0 to 1, float64 [N, 2].

    Raises:
        MissingExtraError: the extra ``viz`` is not installed.
    """
    found = np.zeros((len(lanes), 2))
    there = np.unique(lanes)
    across = int(np.ceil(np.sqrt(len(there))))
    down = -(-len(there) // max(1, across))
    gap = _GAP if len(there) > 1 else 0.0
    for cell, lane in enumerate(there.tolist()):
        members = np.flatnonzero(lanes == lane)
        inner = lanes[edges.source] == lane
        ends = np.searchsorted(members, np.column_stack((edges.source, edges.target))[inner])
        corner = np.array([cell % across, cell // across])
        inside = gap + (1 - 2 * gap) * fill(_cell(len(members), ends, edges.weight[inner]))
        found[members] = (corner + inside) / (across, down)
    return found


def layout_on_disc(count: int, links: IntArray) -> FloatArray:
    """Lay out a graph on a disc, evenly filled.

    Directions and the order of distances from the middle are those of the spring layout.

    Args:
        count: number of engrams N.
        links: the engrams that each link joins, int64 [E, 2].

    Returns:
        x and y of each engram, 0 to 1, float64 [N, 2].

    Raises:
        MissingExtraError: the extra ``viz`` is not installed.
    """
    apart = _APART / max(count, 1) ** 0.5
    away = _spring(count, links, np.ones(len(links)), k=apart, iterations=_DISC_ROUNDS)
    if count == 0:
        return away
    away -= away.mean(axis=0)
    rank = np.hypot(*away.T).argsort(kind="stable").argsort(kind="stable")
    radius = np.sqrt((rank + 0.5) / count) / 2  # as many on every part of the disc
    angle = np.arctan2(away[:, 1], away[:, 0])
    turn = angle.argsort(kind="stable").argsort(kind="stable") / count * 2 * np.pi - np.pi
    angle = _EVEN * turn + (1 - _EVEN) * angle
    return np.column_stack((0.5 + radius * np.cos(angle), 0.5 + radius * np.sin(angle)))


def _cell(count: int, ends: IntArray, weights: FloatArray) -> FloatArray:
    """The spring layout of one lane; of a pair's two directions the stronger counts."""
    pairs, at = np.unique(np.sort(ends, axis=1), axis=0, return_inverse=True)
    strongest = np.zeros(len(pairs))
    np.maximum.at(strongest, at.reshape(-1), weights)
    # Forces alone push pieces without end; this method has gravity.
    gravity = count > 1 and (count >= _DENSE or _in_pieces(count, pairs))
    method = "energy" if gravity else "force"
    return _spring(count, pairs, strongest, method=method, iterations=_CELL_ROUNDS)


def _in_pieces(count: int, pairs: IntArray) -> bool:
    networkx = _networkx()
    graph = networkx.empty_graph(count)
    graph.add_edges_from(pairs.tolist())
    return bool(networkx.number_connected_components(graph) > 1)


def _spring(count: int, pairs: IntArray, weights: FloatArray, **options: Any) -> FloatArray:
    """networkx's spring layout, [count, 2]."""
    networkx = _networkx()
    graph = networkx.empty_graph(count)
    graph.add_weighted_edges_from(
        (a, b, weight) for (a, b), weight in zip(pairs.tolist(), weights.tolist(), strict=True)
    )
    try:
        found = networkx.spring_layout(graph, seed=_SEED, **options)
    except ImportError:  # networkx calls for scipy only now
        raise MissingExtraError("laying out a graph", "viz") from None
    return np.array([found[node] for node in range(count)], np.float64).reshape(-1, 2)


def _networkx() -> Any:
    try:
        import networkx
    except ImportError:
        raise MissingExtraError("laying out a graph", "viz") from None
    return networkx


def fill(points: FloatArray) -> FloatArray:
    """Points moved and stretched to span 0 to 1 both ways; 0.5 where they are all alike."""
    low, high = points.min(0), points.max(0)
    span = np.where(high > low, high - low, 1.0)
    return np.where(high > low, (points - low) / span, 0.5)
