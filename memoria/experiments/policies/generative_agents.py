"""The memory of generative agents (Park et al. 2023)."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np

from memoria.experiments.policies.life import HOUR, Cue, Floats, Life, Needs, scaled
from memoria.experiments.policies.relevance import nearness

_DECAY: Final = 0.995  # an hour


class GenerativeAgents:
    """recency + importance + relevance, each scaled to 0..1 over the candidates.

    recency = .995^t, t hours since the item was read or found last; relevance = nearness of the
    vectors. There a language model gives importance, 1 to 10; here it is ``surprise``, 1 - the
    greatest cosine to what had been read before. In the published code recency is .995^rank with
    the oldest first, so that the oldest is the most recent; this follows the paper.
    """

    needs: ClassVar[Needs] = Needs()

    def __call__(self, life: Life, cue: Cue) -> Floats:
        hours = life.now[HOUR] - life.of_living("last")[:, HOUR]
        recency, importance = np.power(_DECAY, hours), life.of_living("surprise")
        total: Floats = scaled(recency) + scaled(importance) + scaled(nearness(life, cue))
        return total
