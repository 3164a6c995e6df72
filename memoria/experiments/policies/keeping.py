"""Who is kept: a value for each of the living, [M]; where there are too many the least go.

Of equals the older goes first. t are clocks of `Life` since an item was last read or found, or,
where it says so, since it was read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np

from memoria.experiments.policies.activation import base_level
from memoria.experiments.policies.life import HOUR, STEP, TURN, Floats, Indices, Life
from memoria.timeline.lifespan import ENDLESS

_LIFESPAN: Final = 50.0  # steps
_HEMA_GAMMA: Final = 0.002  # a turn
_HEMA_BETA: Final = 0.5
_HEMA_RECENT: Final = 100.0  # turns


def last_read(life: Life) -> Floats:
    """The last N read: the plainest of all."""
    return life.of_living("born")[:, TURN] + np.arange(len(life.living))


def at_random(life: Life) -> Floats:
    """Any N: whoever goes is drawn anew each time."""
    values = np.empty(len(life.living))
    values[life.rng.permutation(len(values))] = np.arange(len(values))
    return values


def least_recently_used(life: Life) -> Floats:
    """LRU: the step at which it was read or found last."""
    return life.of_living("last")[:, STEP]


def least_frequently_used(life: Life) -> Floats:
    """LFU: how often it has been found."""
    return life.of_living("found")


def activation(life: Life) -> Floats:
    """ACT-R: the base level (`activation.base_level`)."""
    return base_level(life)


def lifespan(life: Life) -> Floats:
    """Memoria's own: 50 steps from birth, and what being found has given."""
    return life.of_living("born")[:, STEP] + _LIFESPAN + life.of_living("gained")


def information(life: Life) -> Floats:
    """What ``memoria init --capacity`` does (`memoria.store.information`).

    step of birth + 2^40 + 50 information / mean information by then + what being found has given.
    """
    born, gained = life.of_living("born")[:, STEP], life.of_living("gained")
    informed = ENDLESS + _LIFESPAN * life.of_living("information")
    values: Floats = born + informed + gained
    return values


def retention(life: Life) -> Floats:
    """MemoryBank (Zhong et al. 2023), after Ebbinghaus: R = exp(-t / S).

    t in days, S = 1 at first and 1 more each time it is found. There an item is kept with
    probability R; here those with the greatest R are kept, so that sizes are equal. Ordered by
    -t / S, since R itself is 0 in float64 after two years. The published code computes
    exp(-t / 5 * S), by which what is stronger is forgotten faster; this follows the paper.
    """
    days = (life.now[HOUR] - life.of_living("last")[:, HOUR]) / 24
    values: Floats = -days / life.of_living("strength")
    return values


def hema(life: Life) -> Floats:
    """HEMA (2025): w = exp(-gamma t) + beta [found in the last 100 turns], t turns since reading.

    gamma = .002, beta = .5. As printed the bonus goes to what was *not* found lately, against the
    paper's own words; this follows the words. There 0.5 % go every 100 turns, which bounds
    nothing; here the least go, as many as must.
    """
    age = life.now[TURN] - life.of_living("born")[:, TURN]
    since = life.now[TURN] - life.of_living("last")[:, TURN]
    recent = (life.of_living("found") > 0) & (since <= _HEMA_RECENT)
    values: Floats = np.exp(-_HEMA_GAMMA * age) + _HEMA_BETA * recent
    return values


class Keeper(NamedTuple):
    """Values by which it is chosen who stays, and what being found changes unless one says."""

    values: Callable[[Life], Floats]
    found: str


KEEPERS: Final[Mapping[str, Keeper]] = MappingProxyType(
    {
        "last": Keeper(last_read, "nothing"),
        "random": Keeper(at_random, "nothing"),
        "lru": Keeper(least_recently_used, "used"),
        "lfu": Keeper(least_frequently_used, "used"),
        "actr": Keeper(activation, "used"),
        "lifespan": Keeper(lifespan, "gain20"),
        "information": Keeper(information, "gain20"),
        "memorybank": Keeper(retention, "strength"),
        "hema": Keeper(hema, "used"),
    }
)


def surplus(life: Life, name: str, size: int) -> Indices:
    """Who goes so that ``size`` stay, ascending."""
    excess = len(life.living) - size
    if excess <= 0:
        return np.empty(0, np.int64)
    order = np.argsort(KEEPERS[name].values(life), kind="stable")
    return np.sort(life.living[order[:excess]])
