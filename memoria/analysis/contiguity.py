"""Connection weight by distance in creation time: temporal contiguity."""

from __future__ import annotations

from typing import Final

import numpy as np

from memoria.analysis.choices import Kind, Option, in_lane, sentences
from memoria.analysis.chronicle import Chronicle
from memoria.analysis.result import Analysis
from memoria.store.life import FloatArray
from memoria.timeline.firing_log import FiringLog, IntArray

__all__ = ["CONTIGUITY"]

_ALL_PAIRS: Final = 2e7  # pairs that fired together, repeats too: so many are counted exactly
_PAIRS_AT_ONCE: Final = 2**21  # bounds the memory


class _Sums:
    """Of the weights of ordered pairs i -> j, by lag; all [2L + 1], the lags from -L to L.

    ``mean`` and ``squares`` (the sum of squared distances from it) are of the ``connected`` pairs,
    brought up to date part by part: sums of squares alone would lose their digits.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.pairs = np.zeros(2 * most + 1, np.int64)
        self.connected = np.zeros(2 * most + 1, np.int64)
        self.mean = np.zeros(2 * most + 1)
        self.squares = np.zeros(2 * most + 1)

    def add_pairs(self, lanes: IntArray, born: IntArray, sources: IntArray) -> None:
        """All pairs of engrams of these lanes and steps with those of them that are sources."""
        span = int(born.max(initial=0)) + 2 * self.most + 2  # so that no lag reaches another lane
        moments, at = np.unique(lanes * span + born, return_inverse=True)
        made = np.bincount(at, minlength=len(moments))
        chosen = np.bincount(at[sources], minlength=len(moments))
        ends = np.append(moments, -1)
        for lag in range(-self.most, self.most + 1):
            there = np.searchsorted(moments, moments + lag)
            met = ends[there] == moments + lag
            self.pairs[lag + self.most] += chosen[met] @ made[there[met]]
        self.pairs[self.most] -= len(sources)  # nobody is connected to itself

    def add_weights(self, lags: IntArray, weights: FloatArray) -> None:
        """Pairs that fired together."""
        near = np.abs(lags) <= self.most
        at, weights, size = lags[near] + self.most, weights[near], 2 * self.most + 1
        count = np.bincount(at, minlength=size)
        mean = np.bincount(at, weights, minlength=size) / np.maximum(count, 1)
        squares = np.bincount(at, (weights - mean[at]) ** 2, minlength=size)
        self._join(count, mean, squares.astype(np.float64))

    def _join(self, count: IntArray, mean: FloatArray, squares: FloatArray) -> None:
        """Take in other weights: how many of each lag, their mean and squared distances."""
        total = np.maximum(self.connected + count, 1)
        apart = mean - self.mean
        self.squares += squares + apart**2 * self.connected * count / total
        self.mean += apart * count / total
        self.connected += count

    def of_all(self) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation, with 0 for the pairs that never fired together."""
        others = self.pairs - self.connected
        of = np.maximum(self.pairs, 1)
        squares = self.squares + self.mean**2 * self.connected * others / of
        return self.mean * self.connected / of, np.sqrt(squares / of)


def _contiguity(
    chronicle: Chronicle,
    lane: int | None,
    max_lag: int,
    forgotten: bool,
    sample: int | None,
    seed: int,
) -> Analysis:
    """Mean and standard deviation of ``cofire[i, j] / fire_count[i]`` by ``born[j] - born[i]``.

    Over all ordered pairs i -> j of one lane, also of those that never fired together: of the
    living, or with ``forgotten`` of all. ``connected`` of the ``pairs`` did fire together. In big
    memories i are a sample, drawn by ``seed``, and j everyone.
    """
    alive = np.zeros(len(chronicle), np.bool_)
    alive[chronicle.living(chronicle.steps)] = True
    mine = in_lane(chronicle, lane) & (alive | forgotten) & (chronicle.fires > 0)
    places = np.flatnonzero(mine)
    log = chronicle.log(places)
    sources = _chosen(log, len(places), sample, seed)
    sums = _Sums(min(max_lag, max(0, chronicle.steps - 1)))
    sums.add_pairs(chronicle.lane[places], chronicle.born[places], sources)
    _add_weights(sums, chronicle, places, log, sources)
    taken, everyone = len(sources), len(places)
    mean, spread = sums.of_all()
    none = sums.pairs == 0
    frame = {
        "lag": np.arange(-sums.most, sums.most + 1),
        "mean": np.where(none, np.nan, mean),
        "std": np.where(none, np.nan, spread),
        "pairs": sums.pairs,
        "connected": sums.connected,
    }
    if everyone == 0:
        frame = {name: column[:0] for name, column in frame.items()}
    return Analysis(
        kind="contiguity",
        title="Connection weight by distance in creation time",
        x_label="created so many steps after the engram that fires",
        y_label="P(it fires too)",
        note=sentences(
            f"pairs of {everyone} engrams, {'forgotten ones too' if forgotten else 'the living'}",
            f"a sample of {taken} of them as the one that fires" if taken < everyone else "",
            "" if lane is None else f"lane {lane}",
        ),
        frames={"contiguity": frame},
    )


def _chosen(log: FiringLog, engrams: int, sample: int | None, seed: int) -> IntArray:
    """The positions whose connections are counted: all, or a sample, ascending."""
    cost = _costs(log, engrams)
    order = np.arange(engrams)
    if cost.sum() > _ALL_PAIRS or (sample is not None and sample < engrams):
        order = np.random.default_rng(seed).permutation(engrams)
    most = max(1, int(np.searchsorted(np.cumsum(cost[order]), _ALL_PAIRS, side="right")))
    return np.sort(order[: most if sample is None else sample])


def _costs(log: FiringLog, engrams: int) -> FloatArray:
    """How many pairs counting each engram's connections goes through."""
    sizes = np.diff(log.starts)
    weights = np.repeat(sizes, sizes).astype(np.float64)
    return np.bincount(log.entries, weights=weights, minlength=engrams).astype(np.float64)


def _add_weights(
    sums: _Sums, chronicle: Chronicle, places: IntArray, log: FiringLog, sources: IntArray
) -> None:
    """The weights from ``sources`` to everyone at ``places``."""
    born, fires = chronicle.born[places], chronicle.fires[places]
    reach = np.cumsum(_costs(log, len(places))[sources])
    first = 0
    while first < len(sources):
        before = reach[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(reach, before + _PAIRS_AT_ONCE, "right")))
        batch = sources[first:last]
        which, partner = log.pairs(batch)
        other = partner != batch[which]
        cell = which[other] * len(places) + partner[other]
        cell, count = np.unique(cell, return_counts=True)
        source, target = batch[cell // len(places)], cell % len(places)
        sums.add_weights(born[target] - born[source], count / fires[source])
        first = last


CONTIGUITY: Final = Kind(
    "contiguity",
    _contiguity,
    {
        "lane": Option(None, 0),
        "max_lag": Option(50, 1, most=2000),
        "forgotten": Option(False),
        "sample": Option(None, 1),
        "seed": Option(0, 0),
    },
)
