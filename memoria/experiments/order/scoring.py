"""From clues of pairs to accuracies: by length of the excerpt, by distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memoria.experiments.order.pairs import Pair, distance_bins


@dataclass(frozen=True)
class Scored:
    """A pair with its clues.

    Attributes:
        book: its name.
        pair: the segments.
        first, second: the clue of each; NaN where there is none.
    """

    book: str
    pair: Pair
    first: float
    second: float

    def right(self, sign: float) -> float:
        """1 if the order is told rightly by ``sign`` times the clue, .5 where it is a guess."""
        apart = sign * (self.second - self.first)
        return 0.5 if not np.isfinite(apart) or apart == 0 else float(apart > 0)


def chosen_sign(scored: Sequence[Scored]) -> float:
    """1 if more of the clue is later on the pairs for choosing, else -1."""
    rights = [one.right(1.0) for one in scored if one.pair.chooses]
    return -1.0 if rights and sum(rights) < len(rights) / 2 else 1.0


@dataclass(frozen=True)
class Cell:
    """Pairs of one length of excerpt and one range of distances.

    Attributes:
        length: words of the excerpt.
        low, high: words between the segments, above and up to.
        distance: their mean.
        pairs: how many.
        accuracy: share whose order was told rightly, a guess as a half.
    """

    length: int
    low: float
    high: float
    distance: float
    pairs: int
    accuracy: float


def cells_of(scored: Sequence[Scored], segment: int) -> list[Cell]:
    """The accuracy of pairs that count, the sign chosen on those that do not."""
    sign = chosen_sign(scored)
    counted = [one for one in scored if not one.pair.chooses]
    cells = []
    for length, bin_ in sorted({(one.pair.length, one.pair.bin) for one in counted}):
        inside = [one for one in counted if (one.pair.length, one.pair.bin) == (length, bin_)]
        low, high = distance_bins(length, segment)[bin_]
        distance = float(np.mean([one.pair.second - one.pair.first for one in inside]))
        accuracy = float(np.mean([one.right(sign) for one in inside]))
        cells.append(Cell(length, low, high, distance, len(inside), accuracy))
    return cells
