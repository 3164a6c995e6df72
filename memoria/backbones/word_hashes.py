"""Hashes of words, of their letter groups and of pairs: the features of the backbone ``hash``.

Everything is integer arithmetic modulo 2^64, so it is the same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

ONE: Final = 1 << 10  # the weight 1 in fixed point
_GRAMS: Final = (3, 4, 5)
_GRAM_WEIGHT: Final = 1_434  # 1.4, of all letter groups of a word together (as a length)
_COMMON_SHARE: Final = ONE // 2
_START, _END = "\x02", "\x03"
_PRIME: Final = np.uint64(0x100000001B3)
_PAIR: Final = np.uint64(0xD6E8FEB86659FD93)

_Hashes = NDArray[np.uint64]
_Ints = NDArray[np.int64]

_COMMON: Final = frozenset(
    "a an and are as at be been but by can could did do does for from had has have he her his how"
    " i if in into is it its may me might my no nor not of on or our shall she should so some such"
    " than that the their them then there these they this those to too us was we were what when"
    " where which who will with would you your".split()
)


def mix(values: _Hashes) -> _Hashes:
    """splitmix64's finaliser: each bit of the result depends on every bit of the value."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: _Hashes = values ^ (values >> np.uint64(31))
    return mixed


def pair_hashes(first: _Hashes, second: _Hashes) -> _Hashes:
    """Hashes of ordered pairs of words from the words' hashes."""
    return mix(mix(first + _PAIR) + second)


class WordHashes:
    """Words seen, numbered from 0, with their hashes, weights and letter groups.

    ``hashes`` [V], ``shares`` [V] (ONE, less for common words), ``gram_weights`` [V] (each letter
    group's weight, such that a word's groups together have the same length whatever its own).
    """

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self.hashes: _Hashes = np.zeros(0, dtype=np.uint64)
        self.shares: _Ints = np.zeros(0, dtype=np.int64)
        self.gram_weights: _Ints = np.zeros(0, dtype=np.int64)
        self._gram_counts: _Ints = np.zeros(0, dtype=np.int64)
        self._gram_starts: _Ints = np.zeros(0, dtype=np.int64)
        self._grams: _Hashes = np.zeros(0, dtype=np.uint64)

    def __len__(self) -> int:
        return len(self._ids)

    def lookup(self, words: Sequence[str]) -> _Ints:
        """The numbers of the words [N]; new words are entered."""
        new = [word for word in dict.fromkeys(words) if word not in self._ids]
        if new:
            self._enter(new)
        return np.fromiter(map(self._ids.__getitem__, words), dtype=np.int64, count=len(words))

    def grams_of(self, words: _Ints) -> tuple[_Ints, _Hashes]:
        """Letter groups of the words [N]: for each the position of its word, and its hash."""
        counts = self._gram_counts[words]
        owner = np.repeat(np.arange(len(words)), counts)
        first = np.repeat(self._gram_starts[words] - (np.cumsum(counts) - counts), counts)
        return owner, self._grams[first + np.arange(len(owner))]

    def _enter(self, words: Sequence[str]) -> None:
        for word in words:
            self._ids[word] = len(self._ids)
        joined = "".join(f"{_START}{word}{_END}" for word in words)
        letters = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        letters = letters.astype(np.uint64)
        sizes = np.array([len(word) + 2 for word in words], dtype=np.int64)
        ends = np.cumsum(sizes)
        owner = np.repeat(np.arange(len(words)), sizes)
        position = np.arange(len(letters)) - np.repeat(ends - sizes, sizes)
        whole = mix(letters + mix(position.astype(np.uint64) + np.uint64(1)))
        hashes = mix(np.add.reduceat(whole, ends - sizes))

        owners, grams = [], []
        for length in _GRAMS:
            starts = np.flatnonzero(np.arange(len(letters)) + length <= ends[owner])
            value = np.full(len(starts), length, dtype=np.uint64)
            for step in range(length):
                value = mix(value * _PRIME + letters[starts + step])
            owners.append(owner[starts])
            grams.append(value)
        order = np.argsort(np.concatenate(owners), kind="stable")
        counts = np.bincount(np.concatenate(owners), minlength=len(words))
        weights = [math.isqrt(_GRAM_WEIGHT**2 // max(1, count)) for count in counts.tolist()]
        shares = [_COMMON_SHARE if word in _COMMON else ONE for word in words]

        starts = len(self._grams) + np.cumsum(counts) - counts
        self._gram_starts = np.concatenate([self._gram_starts, starts])
        self._gram_counts = np.concatenate([self._gram_counts, counts])
        self._grams = np.concatenate([self._grams, np.concatenate(grams)[order]])
        self.hashes = np.concatenate([self.hashes, hashes])
        self.shares = np.concatenate([self.shares, np.array(shares, dtype=np.int64)])
        self.gram_weights = np.concatenate([self.gram_weights, np.array(weights, dtype=np.int64)])
