"""Whether long-term engrams that fired fire again soon: autocorrelation of firing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from memoria.analysis.chronicle import Chronicle
from memoria.analysis.result import Analysis, Table
from memoria.analysis.scope import after_compaction, in_lane, note, sampled
from memoria.timeline.log import IntArray

_ALL_FIRINGS: Final = 2_000_000  # up to so many every engram is taken
_CELLS: Final = 20_000_000  # engrams times lags; bounds the memory
_LAGS: Final = 50


@dataclass(frozen=True)
class _Trains:
    """Firings of K engrams while they are watched; F firings, by engram and then by time.

    Attributes:
        engram: which of the K fired, int32 [F].
        time: step of the firing, counted from 1 where watching began, int32 [F].
        length: number of steps for which each engram is watched, int64 [K].
    """

    engram: npt.NDArray[np.int32]
    time: npt.NDArray[np.int32]
    length: IntArray


def autocorrelation(
    chronicle: Chronicle, lane: int | None, max_lag: int | None, sample: int | None, seed: int
) -> Analysis:
    """Mean over engrams of the autocorrelation of firing, by lag k.

    ``f[t]`` is 1 where a long-term engram fired, in the n steps in which it was long-term, and m
    its mean: ``r[k] = sum_t (f[t] - m) (f[t + k] - m) / sum_t (f[t] - m)^2``. Of engrams watched
    for more than ``max_lag`` steps, which fired in some of them and not in all. ``probability``:
    the share of all firings after which the same engram fired k steps later, of those watched so
    long; ``base``: the share of all steps in which one of them fired.
    """
    trains = _watched(chronicle, lane)
    longest = int(trains.length.max(initial=0))
    most = min(_LAGS, max(1, longest // 2)) if max_lag is None else max_lag
    counts = np.bincount(trains.engram, minlength=len(trains.length))
    fit = np.flatnonzero((trains.length > most) & (counts > 0) & (counts < trains.length))
    within = min(sample or len(fit), _CELLS // most)
    chosen = sampled(fit, counts, _ALL_FIRINGS, within, seed)
    return Analysis(
        kind="autocorrelation",
        title="Autocorrelation of long-term memory's firing",
        x_label="lag, in steps",
        y_label="autocorrelation",
        note=note(
            lane,
            f"{len(chosen)} engrams that were long-term for more than {most} steps, and fired",
            f"drawn from {len(fit)}" if len(chosen) < len(fit) else "",
            after_compaction(chronicle),
        ),
        frames={"autocorrelation": _by_lag(_only(trains, chosen), most)},
    )


def _watched(chronicle: Chronicle, lane: int | None) -> _Trains:
    """The firings of engrams while they were long-term, of the steps of which all is known."""
    old = np.flatnonzero((chronicle.longterm > 0) & in_lane(chronicle, lane))
    start = np.maximum(chronicle.longterm[old], chronicle.first_step - 1)
    gone = chronicle.gone[old]
    length = np.maximum(np.where(gone > 0, gone, chronicle.steps) - start, 0)
    engram = chronicle.ranks(old).astype(np.int32)[chronicle.fired_positions]
    begun = np.append(start, chronicle.steps).astype(np.int32)  # -1, the others: never watched
    time = chronicle.fired_steps.astype(np.int32) - begun[engram]
    here = np.flatnonzero(time > 0)
    here = here[np.argsort(engram[here], kind="stable")]
    return _Trains(engram[here], time[here], length)


def _only(trains: _Trains, chosen: IntArray) -> _Trains:
    """The firings of some engrams."""
    rank = np.full(len(trains.length), -1, np.int32)
    rank[chosen] = np.arange(len(chosen))
    kept = rank[trains.engram] >= 0
    return _Trains(rank[trains.engram[kept]], trains.time[kept], trains.length[chosen])


def _by_lag(trains: _Trains, most: int) -> Table:
    """The table: a row for each lag from 1 to ``most``; none without engrams."""
    engrams = len(trains.length)
    lags = np.arange(1, (most if engrams else 0) + 1)
    count = np.bincount(trains.engram, minlength=engrams).astype(np.float64)
    mean = count / trains.length
    energy = count * (1 - mean)
    both = _repeats(trains, most)
    mean_r, std_r, probability = (np.empty(len(lags)) for _ in range(3))
    for lag in lags.tolist():
        early = trains.time <= trains.length[trains.engram] - lag  # such that lag later is watched
        first = np.bincount(trains.engram[early], minlength=engrams)
        second = np.bincount(trains.engram[trains.time > lag], minlength=engrams)
        same = both[lag - 1]
        product = same - mean * (first + second) + (trains.length - lag) * mean**2
        r = product / energy  # of every engram
        mean_r[lag - 1], std_r[lag - 1] = r.mean(), r.std()
        probability[lag - 1] = same.sum() / first.sum() if first.any() else np.nan
    base = float(count.sum() / trains.length.sum()) if engrams else np.nan
    return {
        "lag": lags,
        "autocorrelation": mean_r,
        "std": std_r,
        "probability": probability,
        "base": np.full(len(lags), base),
        "engrams": np.full(len(lags), engrams),
    }


def _repeats(trains: _Trains, most: int) -> npt.NDArray[np.int32]:
    """How often each engram fired both in a step and k steps later, [lags, K]."""
    engrams = len(trains.length)
    found = np.zeros((most, engrams), np.int32)
    for ahead in range(1, most + 1):  # two firings k steps apart have fewer than k between them
        apart = trains.time[ahead:] - trains.time[:-ahead]
        near = (trains.engram[ahead:] == trains.engram[:-ahead]) & (apart <= most)
        if not near.any():
            break
        np.add.at(found, (apart[near] - 1, trains.engram[ahead:][near]), 1)
    return found
