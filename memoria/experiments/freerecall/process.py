"""Free recall from traces: what was recalled last is the cue for what comes next.

After k of L words, recall ends with probability 1 / (1 + exp(-(a + b k / L))). Else the next word
is j with probability proportional to exp(c link(i, j) + d strength(j)) among those not recalled
yet: i is the word recalled last, at first the last of the list, which may come itself; after an
intrusion no link counts. The four constants a, b, c, d are those of greatest likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memoria.experiments.freerecall.curves import Floats
from memoria.experiments.freerecall.people import INTRUSION, Recalls
from memoria.experiments.freerecall.traces import Traces


@dataclass(frozen=True)
class Constants:
    """The constants of a recall process.

    Attributes:
        stop, stop_late: a and b, of its end.
        link, strength: c and d, of what comes next.
    """

    stop: float = 0.0
    stop_late: float = 0.0
    link: float = 0.0
    strength: float = 0.0


def fit(recalls: Recalls, traces: Traces) -> Constants:
    """The constants of greatest likelihood of ``recalls``, of which list n has trace n modulo B."""
    link, strength = _fit(_choices(recalls, traces))
    stop, stop_late = _fit(_ends(recalls))
    return Constants(stop, stop_late, link, strength)


def loss(recalls: Recalls, traces: Traces, constants: Constants) -> float:
    """Nats for each word recalled: -log of the probability that it comes next, the mean."""
    weights = np.array([constants.link, constants.strength])
    return _loss(weights, _choices(recalls, traces))[0]


def recall_lists(recalls: Recalls, traces: Traces, constants: Constants, seed: int) -> Recalls:
    """A free recall of each of the lists of ``recalls``, as the same subjects."""
    rng = np.random.default_rng((seed, 5))
    lists, length = len(recalls.orders), recalls.length
    row = np.arange(lists)
    life = row % len(traces.links)
    last = np.full(lists, length - 1)
    open_ = np.ones((lists, length), dtype=bool)
    goes_on = np.ones(lists, dtype=bool)
    orders: list[list[int]] = [[] for _ in range(lists)]
    for count in range(length):
        hazard = 1 / (1 + np.exp(-(constants.stop + constants.stop_late * count / length)))
        goes_on &= rng.random(lists) >= hazard
        value = (
            constants.link * traces.links[life, last] + constants.strength * traces.strengths[life]
        )
        value = np.where(open_, value + rng.gumbel(size=value.shape), -np.inf)
        last = value.argmax(axis=1)
        open_[row, last] = False
        for one in np.flatnonzero(goes_on):
            orders[one].append(int(last[one]) + 1)
    return Recalls(length, recalls.subjects, orders)


@dataclass(frozen=True)
class _Choices:
    """E choices among at most K things of F features.

    Attributes:
        features: [E, K, F].
        open_: what could be chosen, bool [E, K].
        chosen: [E].
    """

    features: Floats
    open_: NDArray[np.bool_]
    chosen: NDArray[np.int64]


def _choices(recalls: Recalls, traces: Traces) -> _Choices:
    """Every word recalled, among those of its list that were not recalled before."""
    length = recalls.length
    features, opens, chosen = [], [], []
    nothing = np.zeros(length)
    for number, order in enumerate(recalls.orders):
        life = number % len(traces.links)
        left = np.ones(length, dtype=bool)
        cue = traces.links[life, length - 1]
        for position in order:
            if position == INTRUSION:
                cue = nothing
                continue
            features.append(np.stack((cue, traces.strengths[life]), axis=1))
            opens.append(left.copy())
            chosen.append(position - 1)
            left[position - 1] = False
            cue = traces.links[life, position - 1]
    return _Choices(np.array(features), np.array(opens), np.array(chosen))


def _ends(recalls: Recalls) -> _Choices:
    """After every count of words, whether recall ended: 1, or went on: 0."""
    features, chosen = [], []
    for order in recalls.orders:
        words = sum(position != INTRUSION for position in order)
        for count in range(min(words + 1, recalls.length)):
            features.append([[0.0, 0.0], [1.0, count / recalls.length]])
            chosen.append(int(count == words))
    return _Choices(np.array(features), np.ones((len(chosen), 2), dtype=bool), np.array(chosen))


def _fit(choices: _Choices) -> tuple[float, float]:
    from scipy.optimize import minimize

    found = minimize(_loss, np.zeros(2), (choices,), "L-BFGS-B", jac=True)
    return float(found.x[0]), float(found.x[1])


def _loss(weights: Floats, choices: _Choices) -> tuple[float, Floats]:
    """The mean -log likelihood, and its gradient."""
    value = np.where(choices.open_, choices.features @ weights, -np.inf)
    value = value - value.max(axis=1, keepdims=True)
    odds = np.exp(value)
    chance = odds / odds.sum(axis=1, keepdims=True)
    row = np.arange(len(choices.chosen))
    expected = np.einsum("ek,ekf->ef", chance, choices.features)
    gradient: Floats = (expected - choices.features[row, choices.chosen]).mean(axis=0)
    return float(-np.log(chance[row, choices.chosen]).mean()), gradient
