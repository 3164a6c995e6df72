"""The curves of `freerecall`: serial position, first recall, lag-CRP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from memoria.experiments.panels import Panels
from memoria.experiments.records import RunRecord, finished_runs

_PANELS: Final = {
    "serial": ("recalled", "position in the list"),
    "first": ("recalled first", "position in the list"),
    "crp": ("recalled next (conditional)", "lag"),
}
_FAR: Final = 6  # lags drawn on each side


def draw_freerecall(records: Sequence[RunRecord], path: Path) -> list[Path]:
    """Draw the mean curves of finished runs; bands are the range over seeds.

    Returns:
        ``[path]``, or nothing if there is nothing to draw.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    by_model = finished_runs(records)
    if not any(by_model.values()):
        return []
    panels = Panels(len(_PANELS))
    for panel, (name, (title, below)) in enumerate(_PANELS.items()):
        for number, (model, runs) in enumerate(by_model.items()):
            curves = [
                _curve(name, row["y"]) for run in runs for row in run.rows() if _is(row, name)
            ]
            panels.add_curves(panel, curves, number, model)
        panels.finish(panel, title, below)
    return panels.write(path)


def _is(row: dict[str, object], name: str) -> bool:
    return row.get("kind") == "curve" and row.get("name") == name


def _curve(name: str, values: list[float | None]) -> tuple[list[float], list[float | None]]:
    """Places and values; of the lag-CRP the lags near 0, which itself has no value."""
    if name != "crp":
        return [float(place) for place in range(1, len(values) + 1)], values
    middle = len(values) // 2
    lags = range(max(-_FAR, -middle), min(_FAR, middle) + 1)
    return [float(lag) for lag in lags], [values[middle + lag] for lag in lags]
