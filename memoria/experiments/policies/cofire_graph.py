"""PageRank over co-fire edges, on top of a plain ranking."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np

from memoria.experiments.policies.cofiring import Edges
from memoria.experiments.policies.life import Cue, Floats, Life, Needs, standardised
from memoria.experiments.policies.pagerank import pagerank
from memoria.experiments.policies.relevance import Words, nearness

_DAMPING: Final = 0.5
_SEEDS: Final = 10
_WEIGHT: Final = 4.0
_LEXICAL: Final = 0.5


class CofireGraph:
    """s + 4 y / max y, s = z(nearness) + .5 z(BM25) where the cue has words, else z(nearness).

    y is the PageRank, d = .5, over the edges of `Cofiring` between the living, from the ten best of
    s in proportion to exp(s), less what the walk's beginnings alone give.

    Args:
        edges: which of the pairs are connected.
    """

    needs: ClassVar[Needs] = Needs(words=True, cofiring=True)

    def __init__(self, edges: Edges) -> None:
        self._edges = edges
        self._matrix: tuple[bytes, Floats] | None = None
        self._words = Words()

    def __call__(self, life: Life, cue: Cue) -> Floats:
        s = standardised(nearness(life, cue))
        if cue.text is not None:
            s = s + _LEXICAL * standardised(self._words(life, cue))
        weights = self._weights(life)
        best = np.argsort(-s, kind="stable")[:_SEEDS]
        reset = np.zeros(len(s))
        reset[best] = np.exp(s[best] - s[best[0]])
        x = pagerank(lambda x: x @ weights, weights.sum(1), reset, _DAMPING)
        y = np.maximum(x - (1 - _DAMPING) * reset / reset.sum(), 0)
        total: Floats = s + _WEIGHT * y / max(y.max(), 1e-12)
        return total

    def _weights(self, life: Life) -> Floats:
        assert life.cofiring is not None
        state = life.living.tobytes()
        if self._matrix is None or self._matrix[0] != state:
            self._matrix = state, life.cofiring.matrix(self._edges, life.living)
        return self._matrix[1]
