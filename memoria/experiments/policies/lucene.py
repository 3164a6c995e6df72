"""BM25 with the settings of Lucene, which published figures use: they are those of bm25s.

    score(cue, i) = sum over the cue's tokens w of idf(w) f / (f + k1 (1 - b + b L_i / mean L))
    idf = log(1 + (n - df + .5) / (df + .5)), k1 = 1.5, b = .75

f of w in text i of L_i tokens. Tokens are runs of two letters and digits or more, in lower case,
without Lucene's 33 stop words ("what", "when" and "did" are none of them), as Snowball's English
stemmer leaves them. A token that the cue has twice counts twice.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from memoria.errors import MissingExtraError

_TOKEN: Final = re.compile(r"\b\w\w+\b")
_STOP: Final = frozenset(
    "a an and are as at be but by for if in into is it no not of on or such that the their then"
    " there these they this to was will with".split()
)
_K1: Final = 1.5
_B: Final = 0.75


class LuceneIndex:
    """The tokens of texts, one after the other. Raises `MissingExtraError` without the stemmer."""

    def __init__(self) -> None:
        self._stem = _stemmer()
        self._postings: dict[str, list[tuple[int, int]]] = {}
        self._lengths: list[int] = []

    def __len__(self) -> int:
        return len(self._lengths)

    def append(self, text: str) -> None:
        """Take in one more text."""
        tokens = self._tokens(text)
        for token, count in Counter(tokens).items():
            self._postings.setdefault(token, []).append((len(self), count))
        self._lengths.append(len(tokens))

    def scores(self, cue: str) -> NDArray[np.float64]:
        """Of all texts, [N]."""
        lengths = np.array(self._lengths, np.float64)
        found = np.zeros(len(self))
        norms = _K1 * (1 - _B + _B * lengths / max(lengths.mean() if len(self) else 1.0, 1e-9))
        for token in self._tokens(cue):
            if token in self._postings:
                texts, counts = np.array(self._postings[token]).T
                idf = math.log(1 + (len(self) - len(texts) + 0.5) / (len(texts) + 0.5))
                found[texts] += idf * counts / (counts + norms[texts])
        return found

    def _tokens(self, text: str) -> list[str]:
        return [self._stem(one) for one in _TOKEN.findall(text.lower()) if one not in _STOP]


def _stemmer() -> Callable[[str], str]:
    try:
        from snowballstemmer import stemmer
    except ImportError:
        raise MissingExtraError("BM25 with Lucene's settings", "train") from None
    found: Callable[[str], str] = stemmer("english").stemWord
    return found
