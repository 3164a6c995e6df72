"""Personalised PageRank: where a walk is that goes on with probability d, else begins anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]
_MOST: Final = 200  # rounds
_ENOUGH: Final = 1e-12  # that the sum of changes is below


def pagerank(
    spread: Callable[[_Floats], _Floats], strength: _Floats, reset: _Floats, damping: float
) -> _Floats:
    """x = (1 - d) reset + d (x / strength) W, reset of sum 1; what is at an end begins anew.

    Args:
        spread: x to x W, W [N, N] the symmetric weights of edges.
        strength: sum of the weights at each node, [N].
        reset: how likely the walk begins at each, in proportion, [N], some above 0.
        damping: d.

    Returns:
        Probabilities, [N].
    """
    start: _Floats = reset / reset.sum()
    x = start
    has_edges = strength > 0
    outward = np.where(has_edges, 1 / np.where(has_edges, strength, 1), 0)
    for _ in range(_MOST):
        ended = x[~has_edges].sum()
        new: _Floats = (1 - damping + damping * ended) * start + damping * spread(x * outward)
        if np.abs(new - x).sum() < _ENOUGH:
            return new
        x = new
    return x
