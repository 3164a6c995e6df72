"""The curves of `recognition`: told from foils of each kind, and recalled, by further steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from memoria.experiments.panels import Panels
from memoria.experiments.records import RunRecord, finished_runs

_PANELS: Final = {
    "new": "told from new sentences",
    "paraphrase": "told from the same reworded",
    "word": "told from one word changed",
    "recalled": "recalled from a half",
}


def draw_recognition(records: Sequence[RunRecord], path: Path) -> list[Path]:
    """Draw what finished runs knew at each moment after the study.

    Returns:
        ``[path]``, or nothing if there is nothing to draw.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    found = {
        model: [
            [row for row in run.rows() if row.get("kind") == "moment" and row["after"] >= 0]
            for run in runs
        ]
        for model, runs in finished_runs(records).items()
    }
    if not any(found.values()):
        return []
    longest = max((rows for runs in found.values() for rows in runs), key=len)
    labels = [f"{row['after']:,}" for row in longest]
    panels = Panels(len(_PANELS))
    for panel, (name, title) in enumerate(_PANELS.items()):
        for number, (model, runs) in enumerate(found.items()):
            curves = [
                ([float(at) for at in range(len(rows))], [row[name] for row in rows])
                for rows in runs
            ]
            panels.add_curves(panel, curves, number, model)
        panels[panel].set_xticks(range(len(labels)), labels)
        panels[panel].set_ylim(-0.03, 1.03)
        panels.finish(panel, title, "further steps")
    return panels.write(path)
