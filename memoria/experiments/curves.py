"""A metric during training: one line a variant, the mean over seeds in the band of their range."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from memoria.errors import MissingExtraError
from memoria.experiments.metric import Metric
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
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("drawing the results", "viz") from None
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot()
    for variant, points in curves.items():
        steps = sorted(points)
        means = [sum(points[step]) / len(points[step]) for step in steps]
        (line,) = axes.plot(steps, means, marker=".", label=variant)
        axes.fill_between(
            steps,
            [min(points[step]) for step in steps],
            [max(points[step]) for step in steps],
            color=line.get_color(),
            alpha=0.2,
            linewidth=0,
        )
    axes.set_xlabel("training step")
    axes.set_ylabel(metric.title)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)
    return True
