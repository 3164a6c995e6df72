"""Hopfield networks: a spoilt cue is completed from what is kept, then its nearest are found."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np

from memoria.experiments.policies.life import Cue, Floats, Life, Needs, unit

BETA: Final = 64.0
_MOST_ROUNDS: Final = 20


class ModernHopfield:
    """Cosines with the cue xi after one round of the modern network (Ramsauer et al. 2021):

        xi <- sum over the living of softmax(beta x . xi) x,    x and xi of length 1, beta = 64

    It holds more items than D, and one round comes near to rest. Of a cue of several vectors each
    is completed, and the mean of the cosines counts.
    """

    needs: ClassVar[Needs] = Needs()

    def __call__(self, life: Life, cue: Cue) -> Floats:
        if len(life.living) == 0:
            return np.zeros(0)
        vectors = unit(life.vectors)
        drive = BETA * (unit(cue.vectors) @ vectors.T)
        weights = np.exp(drive - drive.max(1, keepdims=True))
        completed = unit(weights @ vectors)
        return np.asarray((completed @ vectors.T).mean(0))


class ClassicalHopfield:
    """Share of equal signs with the state at which the network of Hopfield (1982) comes to rest:

        s <- sign(sum over the living of x (x . s) - M s),    x the signs of an item's vector

    from the signs of the cue, the mean of the living taken away from both; all units at once, at
    most 20 rounds; a unit without input stays. This is the autoassociation that the field CA3 of
    the hippocampus is thought to do; in theory it holds .138 D items.
    """

    needs: ClassVar[Needs] = Needs()

    def __call__(self, life: Life, cue: Cue) -> Floats:
        count = len(life.living)
        if count == 0:
            return np.zeros(0)
        mean = life.vectors.mean(0)
        items = _signs(life.vectors - mean)
        state = _signs(cue.vectors - mean)
        for _ in range(_MOST_ROUNDS):
            drive = (state @ items.T) @ items - count * state
            moved = np.where(drive == 0, state, np.sign(drive))
            if (moved == state).all():
                break
            state = moved
        return np.asarray((state @ items.T).mean(0) / items.shape[1])


def _signs(values: Floats) -> Floats:
    return np.where(values > 0, 1.0, -1.0)
