"""`Words`: which of the living items hold which words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memoria.search.languages import Language
from memoria.search.words import words_of


def stems_of(text: str, language: Language) -> tuple[str, ...]:
    """The distinct stems of a text's words, without stop words, in their order."""
    return tuple(
        dict.fromkeys(language.stem(one) for one in words_of(text) if one not in language.stop)
    )


@dataclass(frozen=True)
class Words:
    """P pairs of an item and a word that it holds, of M items and V words.

    Attributes:
        numbers: of words, in order of appearance.
        items: of each pair, int64 [P].
        words: of each pair, int64 [P].
        held: how many items hold each word, int64 [V].
    """

    numbers: dict[str, int]
    items: NDArray[np.int64]
    words: NDArray[np.int64]
    held: NDArray[np.int64]

    @classmethod
    def of(cls, stems: Sequence[Sequence[str]]) -> Words:
        """Those of M items with these distinct stems."""
        numbers: dict[str, int] = {}
        pairs = [
            (item, numbers.setdefault(stem, len(numbers)))
            for item, of_item in enumerate(stems)
            for stem in of_item
        ]
        items, words = np.array(pairs, np.int64).reshape(-1, 2).T
        return cls(numbers, items, words, np.bincount(words, minlength=len(numbers)))
