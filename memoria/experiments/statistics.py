"""Statistics over a handful of runs: intervals, paired differences, correlation, recognition.

Everything is exact, or drawn from a generator of its own, so the same numbers give the same answer.
Intervals and ranks are scipy's (extra ``train``).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memoria.errors import MissingExtraError
from memoria.experiments.experiment import Metric
from memoria.experiments.records import RunRecord, finished_runs

_RESAMPLES: Final = 10_000
_EXACT_PAIRS: Final = 14  # up to which all 2^n signs are tried
_CONFIDENCE: Final = 0.95
_DRAWN_AT_ONCE: Final = 2**20  # bounds memory


def bootstrap_interval(
    values: ArrayLike, confidence: float = _CONFIDENCE, seed: int = 0
) -> tuple[float, float] | None:
    """The percentile bootstrap interval of the mean.

    With few values it is too narrow: read it beside their number.

    Args:
        values: one finite number a run [N].
        confidence: share of resampled means inside the interval.
        seed: of the 10,000 resamples.

    Returns:
        Its ends; None for fewer than two values.

    Raises:
        ValueError: ``values`` are no finite numbers [N].
    """
    taken = _checked(values)
    if len(taken) < 2:
        return None
    found = (
        _scipy_stats()
        .bootstrap(
            (taken,),
            np.mean,
            n_resamples=_RESAMPLES,
            confidence_level=confidence,
            method="percentile",
            random_state=np.random.default_rng(seed),
        )
        .confidence_interval
    )
    low = float(found.low)
    return low, max(low, float(found.high))  # of equal means interpolation rounds either way


def t_interval(values: ArrayLike, confidence: float = _CONFIDENCE) -> tuple[float, float] | None:
    """Student's interval of the mean: mean -+ t sd / sqrt(N), t of N - 1 degrees of freedom.

    Fit for few values, where they are about normal.

    Args:
        values: one finite number a run [N].
        confidence: share of such intervals that hold the true mean.

    Returns:
        Its ends; None for fewer than two values.

    Raises:
        ValueError: ``values`` are no finite numbers [N].
    """
    taken = _checked(values)
    if len(taken) < 2:
        return None
    reach = _scipy_stats().t.ppf((1 + confidence) / 2, len(taken) - 1) * taken.std(ddof=1)
    half, mean = float(reach) / math.sqrt(len(taken)), float(taken.mean())
    return mean - half, mean + half


def paired_t_p(differences: ArrayLike) -> float | None:
    """P of a paired t-test, two-sided: that |t| is as large where the mean difference is 0.

    Args:
        differences: paired differences [N], about normal.

    Returns:
        The p; None for fewer than two differences and where all are the same.

    Raises:
        ValueError: ``differences`` are no finite numbers [N].
    """
    taken = _checked(differences)
    if len(taken) < 2 or np.ptp(taken) == 0.0:
        return None
    return float(_scipy_stats().ttest_1samp(taken, 0.0).pvalue)


def welch_p(better: ArrayLike, others: ArrayLike) -> float | None:
    """P of Welch's t-test, one-sided: that ``better`` is no higher than ``others`` on average.

    The paper's own is one-tailed over five unpaired runs of each model.

    Args:
        better, others: a finite number a run, [N] and [M].

    Returns:
        The p; None for fewer than two on a side and where nothing varies.

    Raises:
        ValueError: they are no finite numbers.
    """
    first, second = _checked(better), _checked(others)
    if min(len(first), len(second)) < 2 or np.ptp(first) + np.ptp(second) == 0.0:
        return None
    found = _scipy_stats().ttest_ind(first, second, equal_var=False, alternative="greater")
    return float(found.pvalue)


def bootstrap_intervals(values: ArrayLike, confidence: float = _CONFIDENCE) -> NDArray[np.float64]:
    """The intervals that `bootstrap_interval` gives, of many means at once, by the same resamples.

    Args:
        values: of K things, each measured N times, finite [K, N], N at least 2.
        confidence: share of resampled means inside the interval.

    Returns:
        Low and high ends, [K, 2].
    """
    taken = np.asarray(values, dtype=np.float64)
    if taken.ndim != 2 or taken.shape[1] < 2 or not np.isfinite(taken).all():
        raise ValueError(f"expected finite numbers [K, N > 1], received {list(taken.shape)}")
    count = taken.shape[1]
    rng, means = np.random.default_rng(0), np.empty((_RESAMPLES, len(taken)))
    at_once = max(1, _DRAWN_AT_ONCE // count)
    for first in range(0, _RESAMPLES, at_once):
        rows = min(at_once, _RESAMPLES - first)
        drawn = rng.integers(0, count, (rows, count)) + np.arange(rows)[:, None] * count
        often = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)
        means[first : first + rows] = often @ taken.T / count
    tail = 50 * (1 - confidence)
    ends: NDArray[np.float64] = np.percentile(means, (tail, 100 - tail), axis=0).T
    return ends


def sign_flip_p(differences: ArrayLike, seed: int = 0) -> float | None:
    """P(|mean of s * d| >= |mean of d|) over random signs s: the sign-flip test.

    Exact over all 2^N signs up to N = 14, so at least 2^(1 - N); above, over 10,000 draws with the
    observed signs among them. Sums that differ by rounding only count as equal, which
    `scipy.stats.permutation_test` does not do where the observed mean is near zero.

    Args:
        differences: paired differences d [N], each of which could as well have been -d.
        seed: of the draws.

    Returns:
        The two-sided p; None for fewer than two differences.

    Raises:
        ValueError: ``differences`` are no finite numbers [N].
    """
    taken = _checked(differences)
    count = len(taken)
    if count < 2:
        return None
    if count <= _EXACT_PAIRS:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=count)))
    else:
        drawn = np.random.default_rng(seed).integers(2, size=(_RESAMPLES - 1, count))
        signs = np.concatenate((np.ones((1, count)), 2.0 * drawn - 1.0))
    rounding = 1e-12 * float(np.abs(taken).sum())  # what the order of additions may do
    return float((np.abs(signs @ taken) >= abs(float(taken.sum())) - rounding).mean())


def area_under_curve(positive: ArrayLike, negative: ArrayLike) -> float | None:
    """P(a > b) + P(a = b) / 2 for a of ``positive`` [N], b of ``negative`` [M]; None without both.

    The area under the ROC curve (Mann-Whitney U / (N M)): 1/2 is guessing.
    """
    a, b = np.asarray(positive, dtype=np.float64), np.asarray(negative, dtype=np.float64)
    if not len(a) or not len(b):
        return None
    u = _scipy_stats().mannwhitneyu(a, b, method="asymptotic").statistic
    return float(u / (len(a) * len(b)))


def rank_correlation(first: ArrayLike, second: ArrayLike) -> float | None:
    """Spearman's rho; None for fewer than three pairs or where one side is all the same."""
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if len(a) < 3 or np.ptp(a) == 0.0 or np.ptp(b) == 0.0:
        return None
    return float(_scipy_stats().spearmanr(a, b).statistic)


def spread(values: Mapping[int, float]) -> dict[str, Any]:
    """Mean and sample standard deviation of ``values`` by seed, as plain values.

    Returns:
        "mean" (None of nothing), "sd" (None of fewer than two), "runs" (how many), and "values" by
        seed as text.
    """
    numbers = list(values.values())
    mean = math.fsum(numbers) / len(numbers) if numbers else None
    sd = None
    if mean is not None and len(numbers) > 1:
        sd = math.sqrt(math.fsum((one - mean) ** 2 for one in numbers) / (len(numbers) - 1))
    by_seed = {str(seed): value for seed, value in values.items()}
    return {"mean": mean, "sd": sd, "runs": len(numbers), "values": by_seed}


def compare(
    records: Sequence[RunRecord], metrics: Sequence[Metric], first: str | None = None
) -> list[dict[str, Any]]:
    """The metrics of each variant, and their differences to the first, paired by seed.

    Args:
        records: runs; those that are not done are left out.
        metrics: which numbers.
        first: the variant that the others are compared with; the first there is unless given.

    Returns:
        A row for each variant: "variant", "runs", "seconds" and "peak_bytes" (means), "network" (of
        a trained one, "parameters" and perhaps "inner"), "metrics" (by name, as `spread` gives
        them), and "behind": ``first``'s value minus the row's, likewise, empty in the row of
        ``first``.
    """
    by_variant = finished_runs(records)
    if first is None:
        first = next(iter(by_variant), "")
    rows = []
    for variant, runs in by_variant.items():
        own = {metric.name: _values(runs, metric.name) for metric in metrics}
        behind = {}
        for name, values in own.items() if variant != first else ():
            others = _values(by_variant.get(first, []), name)
            behind[name] = spread(
                {seed: others[seed] - values[seed] for seed in values if seed in others}
            )
        rows.append(
            {
                "variant": variant,
                "runs": len(runs),
                "seconds": _mean([run.seconds for run in runs]),
                "peak_bytes": _mean([one for run in runs if (one := run.peak_bytes) is not None]),
                "network": next(
                    (one for run in runs if (one := run.document.get("network"))), None
                ),
                "metrics": {name: spread(values) for name, values in own.items()},
                "behind": behind,
            }
        )
    return rows


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _values(runs: Sequence[RunRecord], name: str) -> dict[int, float]:
    return {
        run.seed: float(run.metrics[name])
        for run in runs
        if isinstance(run.metrics.get(name), int | float)
    }


def _checked(values: ArrayLike) -> NDArray[np.float64]:
    taken = np.asarray(values, dtype=np.float64)
    if taken.ndim != 1 or not len(taken) or not np.isfinite(taken).all():
        raise ValueError(f"expected finite numbers [N], received shape {list(taken.shape)}")
    return taken


def _scipy_stats() -> Any:
    try:
        from scipy import stats
    except ImportError:
        raise MissingExtraError("statistics over runs", "train") from None
    return stats
