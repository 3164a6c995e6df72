"""The curves of `order`: accuracy by the distance of the two segments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from memoria.experiments.panels import Panels
from memoria.experiments.records import RunRecord, finished_runs


def draw_order(records: Sequence[RunRecord], path: Path) -> list[Path]:
    """Draw the accuracy of finished runs by distance, a panel for each length of an excerpt.

    Returns:
        ``[path]``, or nothing if there is nothing to draw.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    found = {
        model: [[row for row in run.rows() if row.get("kind") == "cell"] for run in runs]
        for model, runs in finished_runs(records).items()
    }
    lengths = sorted({row["length"] for runs in found.values() for rows in runs for row in rows})
    if not lengths:
        return []
    panels = Panels(len(lengths))
    for panel, length in enumerate(lengths):
        for number, (model, runs) in enumerate(found.items()):
            of_length = [[row for row in rows if row["length"] == length] for rows in runs]
            # bins at one place in every run, so that means are over seeds
            curves = [
                ([float(at) for at in range(len(rows))], [row["accuracy"] for row in rows])
                for rows in of_length
            ]
            panels.add_curves(panel, curves, number, model)
        rows = next(
            rows
            for runs in found.values()
            for one in runs
            if (rows := [row for row in one if row["length"] == length])
        )
        labels = [f"{row['low']:.0f}-{min(row['high'], length):.0f}" for row in rows]
        panels[panel].set_xticks(range(len(labels)), labels)
        panels[panel].set_ylim(0.2, 1.03)
        panels.finish(panel, f"order told rightly, of {length:,} words", "words between them")
    return panels.write(path)
