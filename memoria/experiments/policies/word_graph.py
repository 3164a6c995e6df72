"""HippoRAG 2 (Gutierrez et al. 2025) without a language model: PageRank over words and items."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np

from memoria.experiments.policies.life import Cue, Floats, Life, Needs, scaled
from memoria.experiments.policies.pagerank import pagerank
from memoria.experiments.policies.relevance import nearness

_DAMPING: Final = 0.5
_PASSAGES: Final = 0.05
_LEAST, _MOST = 2, 0.05  # items that hold a word of the graph: at least, and as a share


class WordGraph:
    """PageRank, d = .5, over a graph of items and words; items are ranked by it.

    There a language model names phrases and their relations; here each word that stands in 2 items
    at least and 5 % of them at most is a node, joined with its items by idf = ln(M / items that
    hold it). The walk begins at the cue's words, idf each over the sum of all, and at every item,
    .05 of its nearness scaled to 0..1.
    """

    needs: ClassVar[Needs] = Needs(words=True)

    def __call__(self, life: Life, cue: Cue) -> Floats:
        words, count = life.words, len(life.living)
        chosen = (words.held >= _LEAST) & (words.held <= max(_LEAST, _MOST * count))
        idf = np.where(chosen, np.log(count / np.maximum(words.held, 1)), 0)
        kept = chosen[words.words]
        items, nodes = words.items[kept], count + words.words[kept]
        weights = idf[words.words[kept]]
        nodes_in_all = count + len(words.held)

        def spread(x: Floats) -> Floats:
            to_words = np.bincount(nodes, x[items] * weights, nodes_in_all)
            return np.asarray(to_words + np.bincount(items, x[nodes] * weights, nodes_in_all))

        reset = np.zeros(nodes_in_all)
        asked = [
            words.numbers[one] for one in life.stems_of(cue.text or "") if one in words.numbers
        ]
        reset[[count + one for one in asked]] = idf[asked]
        if reset.any():
            reset /= reset.sum()
        reset[:count] = _PASSAGES * scaled(nearness(life, cue))
        if not reset.any():
            return nearness(life, cue)
        strength = spread(np.ones(nodes_in_all))
        return pagerank(spread, strength, reset, _DAMPING)[:count]
