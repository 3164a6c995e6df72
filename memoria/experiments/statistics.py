"""What is said of a handful of runs: intervals, paired differences, ranks, recognition.

Everything is exact or drawn from a generator of its own, so the same numbers give the same answer.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memoria.experiments.experiment import Metric
from memoria.experiments.records import RunRecord

_RESAMPLES: Final = 10_000
_EXACT_PAIRS: Final = 14  # up to which all 2^n signs are tried
_CONFIDENCE: Final = 0.95

Floats = NDArray[np.float64]


def bootstrap_interval(
    values: ArrayLike, confidence: float = _CONFIDENCE, seed: int = 0
) -> tuple[float, float] | None:
    """The percentile interval of the mean of ``values`` [N], resampled with repeats; None for N=1.

    With few values it is narrow: read it beside their number.
    """
    taken = _numbers(values)
    if len(taken) < 2:
        return None
    chosen = np.random.default_rng(seed).integers(len(taken), size=(_RESAMPLES, len(taken)))
    means = taken[chosen].mean(axis=1)
    outside = (1.0 - confidence) / 2.0
    low, high = np.quantile(means, (outside, 1.0 - outside))
    return float(low), float(high)


def sign_flip_p(differences: ArrayLike, seed: int = 0) -> float | None:
    """P(|mean of s * d| >= |mean of d|) over random signs s, where every d could have been -d.

    Exact over all 2^N signs up to N = 14, so at least 2^(1 - N); above, of 10,000 draws with what
    was seen among them. None for fewer than two differences.
    """
    taken = _numbers(differences)
    count = len(taken)
    if count < 2:
        return None
    if count <= _EXACT_PAIRS:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=count)))
    else:
        drawn = np.random.default_rng(seed).integers(2, size=(_RESAMPLES - 1, count))
        signs = np.concatenate((np.ones((1, count)), 2.0 * drawn - 1.0))
    sums = np.abs(signs @ taken)
    seen = abs(float(taken.sum()))
    slack = 1e-12 * float(np.abs(taken).sum())  # what the order of additions may do
    return float((sums >= seen - slack).mean())


def area_under_curve(positive: ArrayLike, negative: ArrayLike) -> float | None:
    """P(a > b) + P(a = b) / 2 for a of ``positive`` [N], b of ``negative`` [M]; None without both.

    The area under the ROC curve (Mann-Whitney U / (N M)): 1/2 is guessing.
    """
    a, b = np.asarray(positive, dtype=np.float64), np.asarray(negative, dtype=np.float64)
    if not len(a) or not len(b):
        return None
    order = ranks(np.concatenate((a, b)))
    u = order[: len(a)].sum() - len(a) * (len(a) + 1) / 2
    return float(u / (len(a) * len(b)))


def rank_correlation(first: ArrayLike, second: ArrayLike) -> float | None:
    """Spearman's rho; None for fewer than three pairs or where one side is all the same."""
    a, b = ranks(first), ranks(second)
    if len(a) < 3 or a.std() == 0.0 or b.std() == 0.0:
        return None
    return float(np.clip(np.corrcoef(a, b)[0, 1], -1.0, 1.0))


def ranks(values: ArrayLike) -> Floats:
    """1 for the smallest of ``values`` [N]; equal ones share their mean rank."""
    taken = np.asarray(values, dtype=np.float64)
    _, inverse, counts = np.unique(taken, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2.0)[inverse], dtype=np.float64)


def _numbers(values: ArrayLike | Sequence[float]) -> Floats:
    taken = np.asarray(values, dtype=np.float64)
    if taken.ndim != 1 or not len(taken) or not np.isfinite(taken).all():
        raise ValueError(f"expected finite numbers [N], received shape {list(taken.shape)}")
    return taken


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (None for less than two) of ``values`` by seed."""

    mean: float | None
    sd: float | None
    values: Mapping[int, float]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        values = {str(seed): value for seed, value in self.values.items()}
        return {"mean": self.mean, "sd": self.sd, "runs": len(values), "values": values}


def spread(values: Mapping[int, float]) -> Spread:
    """Mean and spread of ``values`` by seed."""
    numbers = list(values.values())
    if not numbers:
        return Spread(None, None, {})
    mean = math.fsum(numbers) / len(numbers)
    if len(numbers) < 2:
        return Spread(mean, None, dict(values))
    sd = math.sqrt(math.fsum((one - mean) ** 2 for one in numbers) / (len(numbers) - 1))
    return Spread(mean, sd, dict(values))


def compare(
    records: Sequence[RunRecord], metrics: Sequence[Metric], first: str | None = None
) -> list[dict[str, Any]]:
    """One row a variant: its metrics, and ``first``'s minus its own, paired by seed.

    ``first`` is by default the first variant there is; its row has no differences. Rows:
    ``{"variant", "runs", "seconds", "metrics": {name: Spread}, "behind": {name: Spread}}``, spreads
    as `Spread.document` gives them. Runs that are not done are left out.
    """
    by_variant: dict[str, list[RunRecord]] = {}
    for record in records:
        of_variant = by_variant.setdefault(record.variant, [])
        if record.status == "done":
            of_variant.append(record)
    if first is None:
        first = next(iter(by_variant), "")
    rows = []
    for variant, runs in by_variant.items():
        own = {metric.name: _values(runs, metric.name) for metric in metrics}
        row: dict[str, Any] = {
            "variant": variant,
            "runs": len(runs),
            "seconds": spread({run.seed: run.seconds for run in runs}).mean,
            "metrics": {name: spread(values).document() for name, values in own.items()},
            "behind": {},
        }
        if variant != first:
            for name, values in own.items():
                others = _values(by_variant.get(first, []), name)
                paired = {seed: others[seed] - values[seed] for seed in values if seed in others}
                row["behind"][name] = spread(paired).document()
        rows.append(row)
    return rows


def _values(runs: Sequence[RunRecord], name: str) -> dict[int, float]:
    return {
        run.seed: float(run.metrics[name])
        for run in runs
        if isinstance(run.metrics.get(name), int | float)
    }
