"""Small curves side by side: a line a variant, the mean over seeds in the band of their range."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from memoria.errors import MissingExtraError
from memoria.experiments.records import RunRecord

# Okabe and Ito's, which people with any colour vision tell apart
_COLOURS: Final = ("#D55E00", "#E69F00", "#7F7F7F", "#0072B2", "#009E73", "#CC79A7", "#56B4E9")
_STYLES: Final = ("-", "--", ":")
_COLUMNS: Final = 3
_PANEL: Final = (3.6, 2.8)  # inches
_ALONE: Final = (6.4, 3.6)


def colour(number: int) -> str:
    """The colour of the variant that came as ``number``."""
    return _COLOURS[number % len(_COLOURS)]


def plain(text: str) -> str:
    """Text that matplotlib shows as it is: no formula, no control characters."""
    return "".join(one if one.isprintable() else "?" for one in text).replace("$", r"\$")


class Panels:
    """``count`` panels, three in a row, with one legend. Raises `MissingExtraError`."""

    def __init__(self, count: int, rows: int = 0) -> None:
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise MissingExtraError("drawing the results", "viz") from None
        width = 2 if count == 4 else min(count, _COLUMNS)
        height = -(-count // width)
        wide, tall = _ALONE if count == 1 else _PANEL
        tall = max(tall, 0.3 * rows + 1.0)  # with names in ``rows`` rows
        size = (wide * width, tall * height + 0.5)
        self._width = width
        self._figure: Any = Figure(figsize=size, layout="constrained")
        self._panels: list[Any] = list(self._figure.subplots(height, width, squeeze=False).flat)
        for spare in self._panels[count:]:
            spare.remove()
        self._labels: dict[str, Any] = {}

    def __getitem__(self, number: int) -> Any:
        """The matplotlib axes of one panel."""
        return self._panels[number]

    def line(
        self, panel: int, places: Sequence[Any], values: ArrayLike, number: int, label: str
    ) -> None:
        """Mean and range of ``values`` [runs, places]; NaN is no value."""
        table = np.asarray(values, dtype=np.float64)
        known = np.atleast_1d(np.isfinite(table).any(axis=0))
        shown = [place for place, there in zip(places, known, strict=True) if there]
        table = table[:, known]
        (line,) = self._panels[panel].plot(
            shown,
            np.nanmean(table, axis=0),
            color=colour(number),
            ls=_STYLES[number // len(_COLOURS) % len(_STYLES)],
            marker="." if len(shown) < 40 else None,
            label=plain(label),
        )
        low, high = np.nanmin(table, axis=0), np.nanmax(table, axis=0)
        self._panels[panel].fill_between(shown, low, high, color=colour(number), alpha=0.15, lw=0)
        self._labels.setdefault(plain(label), line)

    def starts_a_row(self, panel: int) -> bool:
        """Whether it is the leftmost."""
        return panel % self._width == 0

    def finish(self, panel: int, title: str, below: str) -> None:
        """What stands above and below a panel."""
        axes = self._panels[panel]
        axes.set_title(title, fontsize=9)
        axes.set_xlabel(below, fontsize=8)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.3)

    def write(self, path: Path) -> None:
        """Write .png, .svg or .pdf."""
        if self._labels:
            self._figure.legend(
                list(self._labels.values()),
                list(self._labels),
                loc="outside lower center",
                ncols=min(len(self._labels), 6),
                fontsize=8,
            )
        with warnings.catch_warnings():  # of signs that the font lacks
            warnings.simplefilter("ignore", UserWarning)
            self._figure.savefig(path, dpi=150)


def draw_curves(records: Sequence[RunRecord], metric: str, title: str, path: Path) -> bool:
    """Draw rows of kind "validation" to ``path`` (.png, .svg, .pdf); False if there are none.

    Raises `MissingExtraError` without matplotlib.
    """
    curves: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        for row in record.rows():
            value, step = row.get(metric), row.get("step")
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
    panels.finish(0, title, "training step")
    panels.write(path)
    return True
