"""All numbers of an experiment: a panel a metric, a row a variant, a dot a seed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from memoria.experiments.panels import Panels, colour, plain
from memoria.experiments.reporting.report import ExperimentReport

__all__ = ["draw_dots"]

_MOST_METRICS: Final = 9
_MOST_VARIANTS: Final = 30


def draw_dots(report: ExperimentReport, path: Path) -> bool:
    """Draw the numbers of finished runs; False if there are none.

    The bar is the mean. More than 30 variants or 9 metrics are left to the table. Raises
    `MissingExtraError` without matplotlib.
    """
    metrics = [
        one
        for one in report.metrics
        if any(row["metrics"][one.name]["mean"] is not None for row in report.variants)
    ][:_MOST_METRICS]
    rows = [row for row in report.variants if row["runs"]][:_MOST_VARIANTS]
    if not metrics or not rows:
        return False
    panels = Panels(len(metrics), rows=len(rows))
    for panel, metric in enumerate(metrics):
        axes = panels[panel]
        for number, row in enumerate(rows):
            told = row["metrics"][metric.name]
            values = list(told["values"].values())
            axes.plot(values, [number] * len(values), "o", color=colour(number), alpha=0.6, ms=4)
            if told["mean"] is not None:
                axes.plot([told["mean"]], [number], "|", color=colour(number), ms=16, mew=2)
        names = [plain(row["variant"]) for row in rows] if panels.starts_a_row(panel) else []
        axes.set_yticks(range(len(rows)), names or [""] * len(rows))
        axes.set_ylim(len(rows) - 0.5, -0.5)
        panels.finish(panel, metric.title, "")
    panels.write(path)
    return True
