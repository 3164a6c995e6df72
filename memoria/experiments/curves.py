"""A metric during training: one line a variant, the mean over seeds in the band of their range."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from memoria.experiments.metric import Metric
from memoria.experiments.panels import Panels
from memoria.experiments.records import RunRecord

__all__ = ["draw_curves"]


def draw_curves(records: Sequence[RunRecord], metric: Metric, path: Path) -> bool:
    """Draw rows of kind "validation" to ``path`` (.png, .svg, .pdf); False if there are none.

    Raises `MissingExtraError` without matplotlib.
    """
    curves: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        for row in record.rows():
            value, step = row.get(metric.name), row.get("step")
            if row.get("kind") == "validation" and isinstance(value, int | float):
                curves[record.variant][int(step or 0)].append(float(value))
    if not curves:
        return False
    panels = Panels(1)
    for number, (variant, points) in enumerate(curves.items()):
        steps = sorted(points)
        most = max(map(len, points.values()))
        table = np.full((most, len(steps)), np.nan)  # a column a step, as many values as there are
        for column, step in enumerate(steps):
            table[: len(points[step]), column] = points[step]
        panels.line(0, steps, table, number, variant)
    panels.finish(0, metric.title, "training step")
    panels.write(path)
    return True
