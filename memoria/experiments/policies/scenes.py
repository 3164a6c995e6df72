"""Bi-Mem (2025) without a language model: activation spreads between items and their scenes."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from memoria.errors import MissingExtraError
from memoria.experiments.policies.life import Cue, Floats, Life, Needs, unit

_FACTOR: Final = 0.5


class Scenes:
    """Items give to their scene, and scenes to their items, one round each way.

        scene   = max(0, cos(cue, centroid)) + .5 max over its items of max(0, cos(cue, item))
        score   = max(0, cos(cue, item)) + .5 scene

    A scene is a community (Louvain, seed 0) of the co-fire graph, its centroid the mean of its
    items' vectors. There a language model writes both levels and a third above them.
    """

    needs: ClassVar[Needs] = Needs(cofiring=True)

    def __init__(self) -> None:
        self._scenes: tuple[bytes, NDArray[np.int64]] | None = None

    def __call__(self, life: Life, cue: Cue) -> Floats:
        if len(life.living) == 0:
            return np.zeros(0)
        asked, vectors = unit(cue.vectors), unit(life.vectors)
        items = np.maximum((vectors @ asked.T).mean(1), 0)
        scene = self._numbers(life)
        return spread_two_ways(items, scene, vectors, asked)

    def _numbers(self, life: Life) -> NDArray[np.int64]:
        """The scene of each of the living."""
        assert life.cofiring is not None
        state = life.living.tobytes()
        if self._scenes is None or self._scenes[0] != state:
            self._scenes = state, communities(life.cofiring.matrix("all", life.living))
        return self._scenes[1]


def spread_two_ways(
    items: Floats, scene: NDArray[np.int64], vectors: Floats, asked: Floats
) -> Floats:
    """Activation [M] after a round upwards and one downwards.

    Args:
        items: activation of each by the cue, [M].
        scene: number of each item's scene, [M].
        vectors: of the items, of length 1, [M, D].
        asked: vectors of the cue, of length 1, [V, D].
    """
    count = int(scene.max()) + 1
    centroids = np.zeros((count, vectors.shape[1]))
    np.add.at(centroids, scene, vectors)
    greatest = np.zeros(count)
    np.maximum.at(greatest, scene, items)
    scenes = np.maximum((unit(centroids) @ asked.T).mean(1), 0) + _FACTOR * greatest
    total: Floats = items + _FACTOR * scenes[scene]
    return total


def communities(weights: Floats) -> NDArray[np.int64]:
    """The community of each of M nodes by Louvain's method, the seed 0."""
    try:
        import networkx
    except ImportError:
        raise MissingExtraError("scenes of the co-fire graph", "viz") from None
    graph = networkx.from_numpy_array(weights)
    found = networkx.community.louvain_communities(graph, seed=0)
    numbers = np.zeros(len(weights), np.int64)
    for number, members in enumerate(found):
        numbers[list(members)] = number
    return numbers
