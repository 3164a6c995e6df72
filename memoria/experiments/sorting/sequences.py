"""Sequences whose symbols are to be sorted by how often they came, generated when needed.

The recipe is that of infinity-former (Martins et al. 2022), which the paper took over: two
distributions p0 and p1 over V symbols, each of random weights 1..9; token j of L is drawn from
(1 - r) p0 + r p1 with r = (j + 1) / L, so what is frequent changes on the way. The target lists all
V symbols by descending count, ties by first appearance, symbols that never came by their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

SPLITS: Final = {"training": 0, "validation": 1, "test": 2}
_LEAST, _MOST = 1, 9  # of the weights, both included
_AT_ONCE: Final = 2**24  # comparisons; bounds memory

Ints = NDArray[np.int64]


def sequences(
    length: int, symbols: int, seed: int, split: str, numbers: Sequence[int]
) -> tuple[Ints, Ints]:
    """The sequences ``numbers`` of a split: tokens [N, length] and targets [N, symbols].

    Each is a function of (seed, split, its number) alone.
    """
    ratio = (np.arange(length) + 1) / length
    tokens = np.empty((len(numbers), length), dtype=np.int64)
    for row, number in enumerate(numbers):
        source = np.random.default_rng([seed, SPLITS[split], number])
        weights = source.integers(_LEAST, _MOST, (2, symbols), endpoint=True)
        ends = (weights / weights.sum(1, keepdims=True)).cumsum(1)
        height = source.random(length)
        for at in range(0, length, max(1, _AT_ONCE // symbols)):
            part = slice(at, at + max(1, _AT_ONCE // symbols))
            mixed = (1 - ratio[part, None]) * ends[0] + ratio[part, None] * ends[1]
            tokens[row, part] = (height[part, None] >= mixed[:, :-1]).sum(1)
    return tokens, sorted_symbols(tokens, symbols)


def sorted_symbols(tokens: Ints, symbols: int) -> Ints:
    """All symbols by descending count in each row of ``tokens`` [N, L]: [N, symbols]."""
    count, first = _counted(tokens, symbols)
    return np.lexsort((np.broadcast_to(np.arange(symbols), count.shape), first, -count), axis=1)


def oracle(tokens: Ints, targets: Ints, last: int) -> float:
    """The accuracy of one who knows the exact counts in the ``last`` tokens, and nothing else.

    At each place it sees the right answers before it, as a network in training and here does, and
    names the most frequent symbol (ties: the first to appear) that is not among them.
    """
    count, symbols = targets.shape
    guess = sorted_symbols(tokens[:, -last:], symbols)
    rank = np.argsort(guess, axis=1)  # of each symbol
    right = 0
    for place in range(symbols):
        left = targets[:, place:]  # what has not been said
        best = np.take_along_axis(rank, left, axis=1).argmin(1)
        right += int((best == 0).sum())
    return right / float(count * symbols)


def _counted(tokens: Ints, symbols: int) -> tuple[Ints, Ints]:
    """How often each symbol comes in each row, and where first (the length where never)."""
    rows, length = tokens.shape
    count = np.zeros((rows, symbols), dtype=np.int64)
    np.add.at(count, (np.arange(rows)[:, None], tokens), 1)
    first = np.full((rows, symbols), length, dtype=np.int64)
    np.minimum.at(first, (np.arange(rows)[:, None], tokens), np.arange(length)[None, :])
    return count, first
