"""What runs say together: mean and spread over seeds, and differences seed by seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memoria.experiments.metric import Metric
from memoria.experiments.records import RunRecord

__all__ = ["Spread", "compare", "spread"]


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
