"""How candidates are scored, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final, Protocol

from memoria.experiments.policies.activation import Activation
from memoria.experiments.policies.cofire_graph import CofireGraph
from memoria.experiments.policies.generative_agents import GenerativeAgents
from memoria.experiments.policies.hopfield import ClassicalHopfield, ModernHopfield
from memoria.experiments.policies.life import Cue, Floats, Life, Needs
from memoria.experiments.policies.relevance import (
    Hybrid,
    LuceneWords,
    Neighbours,
    Words,
)
from memoria.experiments.policies.scenes import Scenes
from memoria.experiments.policies.sparse_codes import SparseCodes
from memoria.experiments.policies.word_graph import WordGraph


class Scorer(Protocol):
    """A way to score the living for a cue; it may keep what it has worked out of one life."""

    @property
    def needs(self) -> Needs:
        """What the life must know."""
        ...

    def __call__(self, life: Life, cue: Cue) -> Floats:
        """Scores [M] of the living, oldest first: the greatest is the best."""
        ...


SCORERS: Final[Mapping[str, Callable[[], Scorer]]] = MappingProxyType(
    {
        "neighbours": Neighbours,
        "bm25": Words,
        "hybrid": partial(Hybrid, Words),
        "bm25-lucene": LuceneWords,
        "hybrid-lucene": partial(Hybrid, LuceneWords),
        "generative-agents": GenerativeAgents,
        "actr": Activation,
        "ppr-words": WordGraph,
        "ppr-cofire": partial(CofireGraph, "all"),
        "ppr-together": partial(CofireGraph, "together"),
        "ppr-reminded": partial(CofireGraph, "reminded"),
        "ppr-random": partial(CofireGraph, "random"),
        "bi-mem": Scenes,
        "hopfield": ModernHopfield,
        "hopfield-classical": ClassicalHopfield,
        "sdr": SparseCodes,
        "sdr-next": partial(SparseCodes, following=True),
    }
)
ASK_WITH_WORDS: Final = frozenset(
    {"bm25", "hybrid", "bm25-lucene", "hybrid-lucene", "actr", "ppr-words"}
)
