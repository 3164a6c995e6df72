"""The plain scores: nearest neighbours, BM25, and half of each."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from memoria.core.similarity import log_correlation
from memoria.experiments.policies.life import Cue, Floats, Life, Needs, scaled
from memoria.experiments.policies.lucene import LuceneIndex
from memoria.search.lexical import bm25


def nearness(life: Life, cue: Cue) -> Floats:
    """log of the mean over the cue's vectors of exp(-||cue - v||^2), as Memoria correlates, [M].

    Of one vector it is -||cue - v||^2: the order of cosines where lengths are 1.
    """
    found: Floats
    if len(cue.vectors) == 1:  # as below, faster
        asked = cue.vectors[0].astype(np.float64)
        found = life.vectors @ (2 * asked) - life.squares - np.square(asked).sum()
        return np.minimum(found, 0)
    found = log_correlation(cue.vectors[None], life.vectors[None])[0]
    return found


class Neighbours:
    """`nearness`."""

    needs: ClassVar[Needs] = Needs()

    def __call__(self, life: Life, cue: Cue) -> Floats:
        return nearness(life, cue)


class Words:
    """BM25 as ``ask`` has it (`memoria.search.lexical`): k1 .9, b .4, question words left out."""

    needs: ClassVar[Needs] = Needs(vectors=False, words=True)

    def __call__(self, life: Life, cue: Cue) -> Floats:
        assert life.index is not None
        return bm25(life.index, cue.text or "")[0].astype(np.float64)[life.living]


class LuceneWords:
    """BM25 as Lucene and the package bm25s have it (`lucene`), over texts with their dates."""

    needs: ClassVar[Needs] = Needs(vectors=False)

    def __init__(self) -> None:
        self._index = LuceneIndex()

    def __call__(self, life: Life, cue: Cue) -> Floats:
        new = slice(len(self._index), None)
        for text, date in zip(life.texts[new], life.dates[new], strict=True):
            self._index.append(f"({date}) {text}" if date else text)
        return self._index.scores(cue.text or "")[life.living]


class Hybrid:
    """Half `Neighbours`, half ``words``, each scaled to 0..1."""

    needs: ClassVar[Needs] = Needs(words=True)

    def __init__(self, words: type[Words] | type[LuceneWords]) -> None:
        self._by_words = words()

    def __call__(self, life: Life, cue: Cue) -> Floats:
        return (scaled(nearness(life, cue)) + scaled(self._by_words(life, cue))) / 2
