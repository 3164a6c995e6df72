"""The curves of `engrams`, one panel each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from memoria.experiments.panels import Panels
from memoria.experiments.records import RunRecord

__all__ = ["draw_engrams"]

_PANELS: Final = {
    "survival": ("share still alive", "made at this part of the life"),
    "contiguity": ("P(it fires too)", "made so many steps after the one that fires"),
    "autocorrelation": ("autocorrelation of firing", "lag, in steps"),
    "ageing": ("age of what long-term memory reminds of", "step"),
}

_Curve = tuple[list[float], list[float | None]]


def draw_engrams(records: Sequence[RunRecord], path: Path) -> bool:
    """Draw what finished runs found to ``path``; False if there are none.

    Raises `MissingExtraError` without matplotlib.
    """
    found: dict[str, dict[str, list[_Curve]]] = {}
    for record in records:
        for row in record.rows() if record.status == "done" else ():
            if row.get("kind") == "curve" and row.get("x"):
                curve = (row["x"], row["y"])
                found.setdefault(record.variant, {}).setdefault(row["name"], []).append(curve)
    if not found:
        return False
    panels = Panels(len(_PANELS))
    for panel, (name, (title, below)) in enumerate(_PANELS.items()):
        for number, (variant, of_variant) in enumerate(found.items()):
            places, values = _together(of_variant.get(name, []))
            if places:
                panels.line(panel, places, values, number, variant)
        panels.finish(panel, title, below)
    panels.write(path)
    return True


def _together(curves: list[_Curve]) -> tuple[list[float], Any]:
    """All curves over the places of any, NaN where a curve has none: [places], [curves, places]."""
    places = sorted({place for xs, _ in curves for place in xs})
    at = {place: number for number, place in enumerate(places)}
    table = np.full((len(curves), len(places)), np.nan)
    for row, (xs, ys) in zip(table, curves, strict=True):
        for place, value in zip(xs, ys, strict=True):
            row[at[place]] = np.nan if value is None else value
    return places, table
