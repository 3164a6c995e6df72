"""Sparse codes of winner-take-all columns, after Sparsey (Rinkus 2010) and HTM's sequence memory.

Q columns of K units. In each column the unit with the greatest input fires, so that a code has Q
units, and codes of vectors that are alike share many:

    code(x)[j] = the k in 0..K-1 with the greatest p_jk . x,    p normal, drawn once

The mean of the living is taken away from items and cues first: else some units win for most of
them, and are expected after everything. Weights are 0 or 1 and learn in one trial, without a
gradient. Sparsey draws its winners, the more at random the less familiar the input; here the
greatest always wins. HTM's columns have cells for contexts; here a unit stands for itself.
"""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from memoria.experiments.policies.life import Cue, Floats, Indices, Life, Needs, unit

COLUMNS: Final = 128
UNITS: Final = 32
_ENOUGH: Final = 0.8  # of the units that fire, for one of the next to be expected
_NEXT: Final = 0.1  # what is expected next, against what is alike

Codes = NDArray[np.int64]


def sparse_codes(
    vectors: NDArray[np.floating], columns: int = COLUMNS, units: int = UNITS
) -> Codes:
    """The winner of each column, [N, Q], of vectors [N, D]."""
    weights = _projection(vectors.shape[1], columns, units)
    drive = np.asarray(vectors, np.float32) @ weights.T
    winners: Codes = drive.reshape(len(vectors), columns, units).argmax(2)
    return winners


@lru_cache(maxsize=8)
def _projection(dimension: int, columns: int, units: int) -> NDArray[np.float32]:
    drawn = np.random.default_rng(0).standard_normal((columns * units, dimension))
    return drawn.astype(np.float32)


class Transitions:
    """Which unit fired right before which: weights [Q K, Q K] of 0 and 1, learned in one trial."""

    def __init__(self, columns: int = COLUMNS, units: int = UNITS) -> None:
        self._offsets = np.arange(columns) * units
        self._weights = np.zeros((columns * units, columns * units), np.bool_)

    def learn(self, before: Codes, after: Codes) -> None:
        """``before`` [Q] was followed by ``after`` [Q]."""
        self._weights[np.ix_(before + self._offsets, after + self._offsets)] = True

    def expected(self, now: Codes, codes: Codes) -> Floats:
        """How much of each of ``codes`` [M, Q] is expected after ``now`` [Q], 0 to 1, [M].

        A unit is expected where 4 of 5 of those that fire lead to it, as HTM's segments have a
        threshold: of many transitions each unit has been led to by some.
        """
        expected = self._led_to(now) >= _ENOUGH
        return np.asarray(expected[codes + self._offsets].mean(1))

    def likely(self, now: Codes, codes: Codes) -> Floats:
        """As `expected` without a threshold, for what is like the past and never the same."""
        return np.asarray(self._led_to(now)[codes + self._offsets].mean(1))

    def _led_to(self, now: Codes) -> Floats:
        """The share of the units that fire now which lead to each unit, [Q K]."""
        return np.asarray(self._weights[now + self._offsets].mean(0))


class SparseCodes:
    """Share of the cue's units that an item's code has: Q columns, so many winners alike.

    With ``following`` a tenth of how much the item is expected after the best is added
    (`Transitions` between items read one after the other, both of which live).
    """

    needs: ClassVar[Needs] = Needs()

    def __init__(self, following: bool = False) -> None:
        self._following = following
        self._state: tuple[bytes, Floats, Codes, Transitions | None] | None = None

    def __call__(self, life: Life, cue: Cue) -> Floats:
        if len(life.living) == 0:
            return np.zeros(0)
        mean, codes, transitions = self._of(life)
        scores = np.zeros(len(codes))
        for asked in sparse_codes(unit(cue.vectors - mean)):
            alike = (codes == asked).mean(1)
            scores += alike
            if transitions is not None:
                scores += _NEXT * transitions.expected(codes[alike.argmax()], codes)
        return scores

    def _of(self, life: Life) -> tuple[Floats, Codes, Transitions | None]:
        """The mean [D] and the codes [M, Q] of the living, and who followed whom."""
        state = life.living.tobytes()
        if self._state is None or self._state[0] != state:
            mean = life.vectors.mean(0)
            codes = sparse_codes(unit(life.vectors - mean))
            learned = transitions_of(life.living, codes) if self._following else None
            self._state = state, mean, codes, learned
        return self._state[1:]


def transitions_of(ids: Indices, codes: Codes) -> Transitions:
    """What codes [M, Q] of items teach, numbered in order of reading, ascending."""
    made = Transitions(codes.shape[1])
    for at in np.flatnonzero(np.diff(ids) == 1).tolist():
        made.learn(codes[at], codes[at + 1])
    return made
