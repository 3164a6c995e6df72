"""ACT-R (Anderson & Lebiere 1998): base level and spreading activation."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np

from memoria.experiments.policies.life import STEP, Cue, Floats, Life, Needs

_DECAY: Final = 0.5


def base_level(life: Life) -> Floats:
    """B_i = ln(sum over uses j of t_j^-d), d = .5, of the living [M].

    t_j are the steps since use j, reading among them, and one more, so that a use of this step
    counts 1. Histories are short enough to keep every use.
    """
    now = float(life.now[STEP])
    uses = [np.array(life.uses[one]) for one in life.living.tolist()]
    return np.array([np.log(((now - one + 1) ** -_DECAY).sum()) for one in uses])


class Activation:
    """A_i = B_i + sum over the cue's words j of W_j S_ji: base level and spreading.

    S_ji = S - ln fan_j where item i has the word j, else 0; fan_j is how many items have it, and
    W_j = 1 / n for the n words of the cue. S = 1 + ln M, so that no association is inhibiting.
    """

    needs: ClassVar[Needs] = Needs(vectors=False, words=True)

    def __call__(self, life: Life, cue: Cue) -> Floats:
        words, count = life.words, len(life.living)
        stems = life.stems_of(cue.text or "")
        spread = np.zeros(count)
        for number in (words.numbers[stem] for stem in stems if stem in words.numbers):
            association = 1 + np.log(count) - np.log(words.held[number])
            spread[words.items[words.words == number]] += association / len(stems)
        return base_level(life) + spread
