"""Pairs of segments of a book, as in Book-SORT (Pink et al. 2024).

Of an excerpt of L words, which begins with a sentence, two segments of S words that begin with
sentences: between their first words lies a distance of one of four bins, above S, L/4, L/3, L/2
and up to L/4, L/3, L/2, L/0.8 (long excerpts: above 1,000, L/4, L/2 and up to L/4, L/2, L/0.8).
The first excerpts of a book are for choosing, the others are counted.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from memoria.experiments.books import Book

_LONG: Final = 10_000  # words of an excerpt from which the bins are the long ones
_LONG_FIRST: Final = 1000
_TRIES: Final = 100


@dataclass(frozen=True)
class Pair:
    """Two segments of a book, in words from its beginning.

    Attributes:
        excerpt: number of its excerpt.
        begin: first word of the excerpt.
        length: words of the excerpt.
        first, second: first words of the segments, in the order of the book.
        bin: which range of distances, from 0.
        chooses: whether it is one for choosing.
    """

    excerpt: int
    begin: int
    length: int
    first: int
    second: int
    bin: int
    chooses: bool


def distance_bins(length: int, segment: int) -> list[tuple[float, float]]:
    """The ranges of distances: above the first, up to the second number of words."""
    if length >= _LONG:
        edges = [_LONG_FIRST, length / 4, length / 2, length / 0.8]
    else:
        edges = [segment, length / 4, length / 3, length / 2, length / 0.8]
    return [(low, high) for low, high in itertools.pairwise(edges) if low < high]


def draw_pairs(
    book: Book, length: int, segment: int, excerpts: int, choosing: int, seed: int
) -> list[Pair]:
    """A pair of each bin from each of ``choosing`` + ``excerpts`` excerpts.

    An excerpt in which no sentences are that far apart gives none of that bin. A book shorter
    than the excerpt gives none.

    Args:
        book: read as a whole.
        length: words of an excerpt (L).
        segment: words of a segment (S).
        excerpts: those that are counted.
        choosing: those before them.
        seed: of the draws; book and lengths make others of it.
    """
    rng = np.random.default_rng((seed, length, segment, len(book.words)))
    begins = book.starts[book.starts + length <= len(book.words)]
    pairs: list[Pair] = []
    if not len(begins):
        return pairs
    for number in range(choosing + excerpts):
        begin = int(rng.choice(begins))
        inside = (book.starts >= begin) & (book.starts + segment <= begin + length)
        starts = book.starts[inside]
        for bin_, (low, high) in enumerate(distance_bins(length, segment)):
            for first, second in _drawn(starts, low, high, rng):
                pairs.append(Pair(number, begin, length, first, second, bin_, number < choosing))
    return pairs


def _drawn(
    starts: np.ndarray, low: float, high: float, rng: np.random.Generator
) -> Iterator[tuple[int, int]]:
    """One pair whose distance is above ``low`` and at most ``high``, if a try finds it."""
    for _ in range(_TRIES):
        first = int(rng.choice(starts))
        later = starts[(starts - first > low) & (starts - first <= high)]
        if len(later):
            yield first, int(rng.choice(later))
            return
