"""Connections among engrams: co-fire counts, weights as a matrix and by distance in time.

``weight[i, j] = cofire[i, j] / fire_count[i]``: the share of i's firings in which j fired too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from memoria.analysis.chronicle import MEMORY_NAMES, Chronicle
from memoria.analysis.excerpts import excerpts
from memoria.analysis.people import LAG_CRP
from memoria.analysis.result import Analysis
from memoria.analysis.scope import (
    highest,
    in_scope,
    named_positions,
    note,
    sampled,
)
from memoria.errors import InputError
from memoria.timeline.cofiring import FiringLog, count_distinct
from memoria.timeline.log import FloatArray, IntArray

_ALL_PAIRS: Final = 2e7  # pairs that fired together, repeats too: so many are counted exactly
_PAIRS_AT_ONCE: Final = 2**19  # bounds the memory


def cofire_counts(chronicle: Chronicle, positions: IntArray) -> IntArray:
    """How often each two of the engrams at ``positions`` [N] fired together, int64 [N, N].

    The diagonal is how often each fired.
    """
    return chronicle.log(positions).matrix(len(positions))


@dataclass(frozen=True, eq=False)
class Edges:
    """Directed connections among N engrams, K of them, by source, the strongest first.

    Attributes:
        source, target: ranks among the engrams, int64 [K].
        cofires: how often both fired, int64 [K].
        weight: ``cofires`` over the firings of the source, float64 [K].
    """

    source: IntArray
    target: IntArray
    cofires: IntArray
    weight: FloatArray

    def __len__(self) -> int:
        return len(self.source)


def strongest(counts: IntArray, each: int) -> tuple[IntArray, IntArray]:
    """The ``each`` highest co-fire counts of every row of [N, N], off the diagonal and above 0.

    Returns source and target, by source, the strongest first, of equals the older.
    """
    others = counts * ~np.eye(len(counts), dtype=np.bool_)
    order = np.argsort(-others, axis=1, kind="stable")[:, :each]
    source, target = np.repeat(np.arange(len(counts)), order.shape[1]), order.reshape(-1)
    real = others[source, target] > 0
    return source[real], target[real]


def strongest_edges(chronicle: Chronicle, positions: IntArray, each: int) -> Edges:
    """The ``each`` strongest connections of every engram of ``positions`` [N] within them."""
    counts = cofire_counts(chronicle, positions)
    source, target = strongest(counts, each)
    cofires = counts[source, target]
    return Edges(source, target, cofires, cofires / chronicle.fires[positions][source])


def connections(
    chronicle: Chronicle,
    lane: int | None,
    engrams: tuple[int, ...],
    limit: int,
    by: str,
    forgotten: bool,
) -> Analysis:
    """The weights of connections, a row for each of N * N pairs of ``source`` and ``target``.

    Among the ``limit`` most often fired or newest of the living, or with ``forgotten`` of all, or
    those named; of one lane, the first unless asked. In order of creation; an engram's weight to
    itself is 1.
    """
    if engrams:
        chosen = named_positions(chronicle, engrams, lane)
        lanes = np.unique(chronicle.lane[chosen])
        if len(lanes) > 1:
            raise InputError(
                f"engrams of lanes {lanes[0]} and {lanes[1]}: lanes are not connected",
                "name engrams of one lane",
            )
        lane = int(lanes[0])
    else:
        lane = lane or 0
        chosen = np.flatnonzero(in_scope(chronicle, lane, forgotten))
        chosen = highest(chosen, chronicle.fires, limit) if by == "fired" else chosen[-limit:]
    counts = cofire_counts(chronicle, chosen)
    fires, ids = chronicle.fires[chosen], chronicle.ids[chosen]
    how = {"fired": "the most often fired", "newest": "the newest"}[by]
    return Analysis(
        kind="connections",
        title=f"Connections of {len(chosen)} engrams",
        x_label="to",
        y_label="from",
        note=note(lane if chronicle.lanes > 1 else None, "" if engrams else how),
        frames={
            "connections": {
                "source": np.repeat(ids, len(ids)),
                "target": np.tile(ids, len(ids)),
                "weight": (counts / np.maximum(fires, 1)[:, None]).reshape(-1),
                "cofire_count": counts.reshape(-1),
            },
            "engrams": {
                "id": ids,
                "born": chronicle.born[chosen],
                "fires": fires,
                "memory": MEMORY_NAMES[chronicle.types_after(chosen, chronicle.steps)],
                "text": np.array([*excerpts(chronicle, chosen), None], object)[:-1],
            },
        },
    )


def contiguity(
    chronicle: Chronicle,
    lane: int | None,
    max_lag: int,
    forgotten: bool,
    people: bool,
    sample: int | None,
    seed: int,
) -> Analysis:
    """Mean and standard deviation of ``weight[i, j]`` by ``born[j] - born[i]``.

    Over all ordered pairs i -> j of one lane, also of those that never fired together: of the
    living, or with ``forgotten`` of all. ``connected`` of the ``pairs`` did fire together. In big
    memories i are a sample, drawn by ``seed``, and j all of them. With ``people`` a second table
    has what people recall next, by lag.
    """
    positions = np.flatnonzero(in_scope(chronicle, lane, forgotten) & (chronicle.fires > 0))
    log, ranks = chronicle.log(positions), np.arange(len(positions))
    budget = _ALL_PAIRS if sample is None else np.inf
    sources = sampled(ranks, _costs(log, len(ranks)), budget, sample, seed)
    sums = _LagSums(min(max_lag, max(0, chronicle.steps - 1)))
    sums.add_pairs(chronicle.lane[positions], chronicle.born[positions], sources)
    _add_weights(sums, chronicle, positions, log, sources)
    mean, spread = sums.of_all()
    none = sums.pairs == 0
    frame = {
        "lag": np.arange(-sums.most, sums.most + 1),
        "mean": np.where(none, np.nan, mean),
        "std": np.where(none, np.nan, spread),
        "pairs": sums.pairs,
        "connected": sums.connected,
    }
    if len(ranks) == 0:
        frame = {name: column[:0] for name, column in frame.items()}
    frames = {"contiguity": frame}
    if people:
        frames["people"] = {
            "lag": np.array(list(LAG_CRP)),
            "recalled_next": np.array(list(LAG_CRP.values())),
        }
    left_out = len(sources) < len(ranks)
    return Analysis(
        kind="contiguity",
        title="Connection weight by distance in creation time",
        x_label="created so many steps after the engram that fires",
        y_label="P(it fires too)",
        note=note(
            lane,
            f"pairs of {len(ranks)} engrams, "
            + ("forgotten ones too" if forgotten else "the living"),
            f"a sample of {len(sources)} of them as the one that fires" if left_out else "",
            "beside it the word that people recall next, by lag (PEERS)" if people else "",
        ),
        frames=frames,
    )


class _LagSums:
    """Sums over weights of ordered pairs i -> j, by lag; all [2L + 1], the lags from -L to L.

    ``mean`` and ``squares`` (the sum of squared distances from it) are of the ``connected`` pairs,
    updated part by part: sums of squares alone would lose their digits.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.pairs = np.zeros(2 * most + 1, np.int64)
        self.connected = np.zeros(2 * most + 1, np.int64)
        self.mean = np.zeros(2 * most + 1)
        self.squares = np.zeros(2 * most + 1)

    def add_pairs(self, lanes: IntArray, born: IntArray, sources: IntArray) -> None:
        """Count all pairs of engrams of these lanes and steps with the sources among them."""
        span = int(born.max(initial=0)) + 2 * self.most + 2  # so that no lag reaches another lane
        times, at = np.unique(lanes * span + born, return_inverse=True)
        made = np.bincount(at, minlength=len(times))
        chosen = np.bincount(at[sources], minlength=len(times))
        ends = np.append(times, -1)
        for lag in range(-self.most, self.most + 1):
            later = np.searchsorted(times, times + lag)
            met = ends[later] == times + lag
            self.pairs[lag + self.most] += chosen[met] @ made[later[met]]
        self.pairs[self.most] -= len(sources)  # no engram is connected to itself

    def add_weights(self, lags: IntArray, weights: FloatArray) -> None:
        """Add pairs that fired together, by Chan's formula for merging variances."""
        near = np.abs(lags) <= self.most
        at, weights, size = lags[near] + self.most, weights[near], 2 * self.most + 1
        count = np.bincount(at, minlength=size)
        mean = np.bincount(at, weights, minlength=size) / np.maximum(count, 1)
        squares = np.bincount(at, (weights - mean[at]) ** 2, minlength=size)
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


def _costs(log: FiringLog, engrams: int) -> FloatArray:
    """How many pairs counting each engram's connections goes through."""
    sizes = np.diff(log.starts)
    weights = np.repeat(sizes.astype(np.float64), sizes)
    return np.bincount(log.entries, weights=weights, minlength=engrams).astype(np.float64)


def _add_weights(
    sums: _LagSums, chronicle: Chronicle, positions: IntArray, log: FiringLog, sources: IntArray
) -> None:
    """Add the weights from ``sources`` to all engrams at ``positions``."""
    born, fires = chronicle.born[positions], chronicle.fires[positions]
    reach = np.cumsum(_costs(log, len(positions))[sources])
    first = 0
    while first < len(sources):
        before = reach[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(reach, before + _PAIRS_AT_ONCE, "right")))
        batch = sources[first:last]
        which, partner = log.pairs(batch)
        other = partner != batch[which]
        cell = which[other] * len(positions) + partner[other]
        cell, count = count_distinct(cell, len(batch) * len(positions))
        source, target = batch[cell // len(positions)], cell % len(positions)
        sums.add_weights(born[target] - born[source], count / fires[source])
        first = last
