"""Small curves side by side: a line a variant, the mean over seeds in the band of their range."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from memoria.analysis.fonts import fonts_for
from memoria.errors import MissingExtraError
from memoria.experiments.records import RunRecord

# Okabe and Ito's and a grey, which people with any colour vision tell apart
PANEL_COLOURS: Final = ("#D55E00", "#E69F00", "#5B6573", "#0072B2", "#009E73", "#CC79A7", "#56B4E9")
_STYLES: Final = ("-", "--", ":")
_COLUMNS: Final = 3
_PANEL: Final = (3.6, 2.8)  # inches
_ALONE: Final = (6.4, 3.6)

Curve = tuple[Sequence[float], Sequence[float | None]]  # places and values


def colour(number: int) -> str:
    """The colour of the variant that came as ``number``."""
    return PANEL_COLOURS[number % len(PANEL_COLOURS)]


def plain(text: str) -> str:
    """Text that matplotlib shows as it is: no formula, no control characters."""
    return "".join(one if one.isprintable() else "?" for one in text).replace("$", r"\$")


FIGURES: Final = ("png", "svg", "pdf")
_ending: ContextVar[str] = ContextVar("ending", default="png")
# Nothing of the time or the machine, so that the same runs make the same file.
_METADATA: Final = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}


@contextmanager
def figures_as(ending: str) -> Iterator[None]:
    """Let `Panels` write "png", "svg" or "pdf", whatever the name of a file ends with."""
    token = _ending.set(ending)
    try:
        yield
    finally:
        _ending.reset(token)


class Panels:
    """A figure of ``count`` panels, three in a row, with one legend.

    Args:
        count: of panels.
        rows: of names on the left, for which they must be tall enough.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """

    def __init__(self, count: int, rows: int = 0) -> None:
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise MissingExtraError("drawing the results", "viz") from None
        width = 2 if count == 4 else min(count, _COLUMNS)
        height = -(-count // width)
        wide, tall = _ALONE if count == 1 else _PANEL
        tall = max(tall, 0.3 * rows + 1.0)
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

    def add_curves(
        self, panel: int, curves: Sequence[Curve], number: int, label: str, dashed: bool = False
    ) -> None:
        """Draw the mean of ``curves``, and their range as a band.

        Args:
            panel: which one.
            curves: one for each run.
            number: of the variant, which has a colour and a style.
            label: of the variant, for the legend.
            dashed: draw a thin dashed mean alone, as a second curve of the variant.
        """
        xs, values = _aligned(curves)
        if not xs:
            return
        axes, mean, hue = self._panels[panel], np.nanmean(values, axis=0), colour(number)
        if dashed:
            axes.plot(xs, mean, color=hue, ls="--", lw=0.8, alpha=0.7)
            return
        style = _STYLES[number // len(PANEL_COLOURS) % len(_STYLES)]
        marker = "." if len(xs) < 40 else None
        (line,) = axes.plot(xs, mean, color=hue, ls=style, marker=marker, label=plain(label))
        low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
        axes.fill_between(xs, low, high, color=hue, alpha=0.15, lw=0)
        self._labels.setdefault(plain(label), line)

    def starts_a_row(self, panel: int) -> bool:
        """Whether it is the leftmost."""
        return panel % self._width == 0

    def finish(self, panel: int, title: str, below: str) -> None:
        """Write what stands above and below a panel."""
        axes = self._panels[panel]
        axes.set_title(title, fontsize=9)
        axes.set_xlabel(below, fontsize=8)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.3)

    def write(self, path: Path) -> list[Path]:
        """Write the figure, as `figures_as` says; the files written."""
        if self._labels:
            self._figure.legend(
                list(self._labels.values()),
                list(self._labels),
                loc="outside lower center",
                ncols=min(len(self._labels), 6),
                prop={"size": 8, "family": list(fonts_for(self._labels).families)},
            )
        with warnings.catch_warnings():  # of signs that the font lacks
            warnings.simplefilter("ignore", UserWarning)
            from matplotlib import rc_context

            ending = _ending.get()
            written = path.with_suffix(f".{ending}")
            with rc_context({"svg.hashsalt": "memoria"}):
                self._figure.savefig(written, dpi=150, metadata=_METADATA[ending])
        return [written]


def draw_curves(records: Sequence[RunRecord], metric: str, title: str, path: Path) -> list[Path]:
    """Draw a metric as it was validated during training, one line a variant.

    Args:
        records: runs, of which rows of kind "validation" are drawn.
        metric: its key in the rows.
        title: its name for people.
        path: of the file, whose ending `figures_as` sets.

    Returns:
        The file written, or nothing if there is nothing to draw.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    found: dict[str, list[Curve]] = {}
    for record in records:
        rows = [row for row in record.rows() if row.get("kind") == "validation"]
        curve = [
            (int(row.get("step") or 0), float(row[metric]))
            for row in rows
            if isinstance(row.get(metric), int | float)
        ]
        if curve:
            steps, values = zip(*curve, strict=True)
            found.setdefault(record.variant, []).append((steps, values))
    if not found:
        return []
    panels = Panels(1)
    for number, (variant, curves) in enumerate(found.items()):
        panels.add_curves(0, curves, number, variant)
    panels.finish(0, title, "training step")
    return panels.write(path)


def _aligned(curves: Sequence[Curve]) -> tuple[list[float], NDArray[np.float64]]:
    """The places where any curve has a value [P], and the values [curves, P]; NaN is none."""
    by_place = [
        {
            place: value
            for place, value in zip(*curve, strict=True)
            if value is not None and np.isfinite(value)
        }
        for curve in curves
    ]
    xs = sorted({place for one in by_place for place in one})
    values = [[one.get(place, np.nan) for place in xs] for one in by_place]
    return xs, np.array(values, dtype=np.float64)
