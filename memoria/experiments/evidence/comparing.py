"""What the questions say of each policy, by category, and of two policies asked the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from memoria.experiments.records import RunRecord, finished_runs
from memoria.experiments.statistics import bootstrap_intervals

ALL: Final = "all"
AGAIN, NEVER = "asked again", "never asked"

_Values = NDArray[np.float64]
_Key = tuple[str, str, str]  # measure, category, variant


def comparison(records: Sequence[RunRecord], measures: Sequence[str]) -> list[dict[str, Any]]:
    """Means over questions with intervals, and differences question by question.

    Of several seeds a question's mean counts; of those asked on the way, over the seeds in which
    they were.

    Args:
        records: finished runs.
        measures: names of arrays of theirs.

    Returns:
        A row for each measure, category ("all", those of the data, "asked again", "never asked")
        and variant: "measure", "category", "variant", "questions", "mean", "interval" (95 %
        bootstrap over questions), and "behind", "behind_interval": the first variant minus this
        one; None of the first, and where other questions were asked.
    """
    by_variant = {
        name: [(run.arrays(), _categories(run)) for run in runs]
        for name, runs in finished_runs(records).items()
        if runs
    }
    values = {
        (measure, category, name): found
        for measure in measures
        for name, runs in by_variant.items()
        for category, found in _by_category(runs, measure)
    }
    behind = dict(_behind(values))
    intervals, apart = _intervals(values), _intervals(behind)
    order = list(dict.fromkeys(category for _, category, _ in values))
    keys = sorted(values, key=lambda key: (list(measures).index(key[0]), order.index(key[1])))
    return [
        {
            "measure": key[0],
            "category": key[1],
            "variant": key[2],
            "questions": int(np.isfinite(values[key]).sum()),
            "mean": float(np.nanmean(values[key])),
            "interval": intervals[key],
            "behind": float(np.nanmean(behind[key])) if key in behind else None,
            "behind_interval": apart.get(key),
        }
        for key in keys
    ]


def _behind(values: Mapping[_Key, _Values]) -> Iterator[tuple[_Key, _Values]]:
    """What the first variant has more than each other, of each measure and category."""
    first: dict[tuple[str, str], _Values] = {}
    for key, one in values.items():
        reference = first.setdefault(key[:2], one)
        if reference is not one and len(reference) == len(one):
            yield key, reference - one


def _intervals(values: Mapping[_Key, _Values]) -> dict[_Key, list[float] | None]:
    """Of the means of each; those with equally many questions are resampled alike, at once."""
    found: dict[_Key, list[float] | None] = dict.fromkeys(values)
    by_count: dict[int, dict[_Key, _Values]] = {}
    for key, one in values.items():
        known = one[np.isfinite(one)]
        by_count.setdefault(len(known), {})[key] = known
    for count, group in by_count.items():
        if count > 1:
            ends = bootstrap_intervals(np.stack(list(group.values())))
            found |= dict(zip(group, ends.tolist(), strict=True))
    return found


def sentences(rows: Sequence[Mapping[str, Any]], titles: Mapping[str, str]) -> list[str]:
    """What `comparison` says of all questions, and of those asked again or never, in words."""
    told = []
    for row in rows:
        if row["category"] not in (ALL, AGAIN, NEVER):
            continue
        asked = "" if row["category"] == ALL else f", {row['category']}"
        line = f"{titles[row['measure']]}{asked}: {row['variant']} {row['mean']:.3f}"
        line += _brackets(row["interval"])
        if row["behind"] is not None:
            line += f", the first {row['behind']:+.3f}{_brackets(row['behind_interval'], '+')}"
        told.append(line)
    return told


def _brackets(interval: Sequence[float] | None, sign: str = "") -> str:
    return "" if interval is None else f" [{interval[0]:{sign}.3f}, {interval[1]:{sign}.3f}]"


def _categories(run: RunRecord) -> list[str]:
    return [str(row["category"]) for row in run.rows() if row.get("kind") == "question"]


def _by_category(
    runs: Sequence[tuple[Mapping[str, Any], Sequence[str]]], measure: str
) -> Iterator[tuple[str, _Values]]:
    """Values of questions, NaN where one does not count, by category."""
    values = np.stack([arrays[measure] for arrays, _ in runs])
    categories = np.array(runs[0][1])
    yield ALL, values.mean(0)
    for category in sorted(set(runs[0][1])):
        yield category, values.mean(0)[categories == category]
    again = np.stack([arrays["asked_before"] for arrays, _ in runs]).astype(np.bool_)
    for name, counts in ((AGAIN, again), (NEVER, ~again)):
        if again.any():
            often = counts.sum(0)
            total = np.where(counts, values, 0).sum(0)
            yield name, np.where(often > 0, total / np.maximum(often, 1), np.nan)
