"""Scenes as .png and .svg, by matplotlib. The same scene is the same bytes.

No global state: figures are made without pyplot, settings hold only while one is drawn.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any, Final

import numpy as np

from memoria.analysis.fonts import fonts_for
from memoria.analysis.palette import BLANK, FAINT, GRID, GROUND, INK
from memoria.errors import MissingExtraError
from memoria.plots.marks import Band, Bars, Heat, Line, Mark, Points, Rule, Scene, Segments

_SIZE: Final = (8.8, 5.0)  # inches
_SQUARE: Final = (7.4, 6.4)
_DPI: Final = 160
_STYLE: Final = {
    "font.size": 10,
    "text.color": INK["light"],
    "axes.labelcolor": INK["light"],
    "axes.edgecolor": "#B9C0CA",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID["light"],
    "grid.linewidth": 0.8,
    "xtick.color": FAINT["light"],
    "ytick.color": FAINT["light"],
    "xtick.labelcolor": INK["light"],
    "ytick.labelcolor": INK["light"],
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": GROUND["light"],
    "axes.facecolor": GROUND["light"],
    "svg.fonttype": "none",  # text stays text: smaller files, which can be searched
    "svg.hashsalt": "memoria",
}
_MARKERS: Final = {"o": "o", "x": "X"}


def save_still(scene: Scene, path: Path, form: str) -> None:
    """Draw ``scene`` into the file ``path``, as ``form``: png or svg. Needs the extra ``viz``."""
    try:
        import matplotlib.style
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("drawing .png and .svg", "viz") from None
    families = [*fonts_for(_texts(scene)).families, "sans-serif"]
    style = {**_STYLE, "font.family": families}
    with matplotlib.style.context(["default", style]):  # whatever the user's own settings
        figure = Figure(figsize=_SQUARE if scene.matrix else _SIZE, dpi=_DPI, layout="constrained")
        FigureCanvasAgg(figure)
        _draw(scene, figure)
        nothing = {"Date": None} if form == "svg" else {"Software": None}
        figure.savefig(path, format=form, metadata=nothing)


def _texts(scene: Scene) -> list[str]:
    """The words of a scene."""
    labels = [getattr(mark, "label", "") for mark in scene.marks]
    return [scene.title, scene.note, scene.x_label, scene.y_label, *labels]


def _draw(scene: Scene, figure: Any) -> None:
    axes = figure.add_subplot()
    title = scene.title
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", pad=26 if scene.note else 10)
    if scene.note:
        note = textwrap.shorten(scene.note, 96 if scene.matrix else 118, placeholder=" ...")
        axes.annotate(
            note,
            (0, 1),
            (0, 8),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=9,
            color=FAINT["light"],
        )
    axes.set_xlabel(scene.x_label)
    axes.set_ylabel(scene.y_label)
    if scene.empty:
        axes.set(xticks=[], yticks=[])
        axes.text(
            *(0.5, 0.5, "nothing to show"),
            transform=axes.transAxes,
            ha="center",
            va="center",
            color=FAINT["light"],
        )
        return
    for mark in scene.marks:
        _add(mark, axes, figure)
    if scene.matrix:
        return
    axes.margins(x=0.01, y=0.02 if scene.levels else None)
    if scene.from_zero:
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]) if _below_zero(scene) else 0.0)
    if scene.percent:
        from matplotlib.ticker import PercentFormatter

        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    if scene.levels:
        axes.set_yticks([])
        axes.grid(axis="y", visible=False)
    _whole_steps(axes)
    if scene.labelled > 1:
        beside = scene.labelled > 4 or scene.levels
        outside = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
        legend = axes.legend(**(outside if beside else {"loc": "best"}))
        for handle in legend.legend_handles:
            if hasattr(handle, "set_sizes"):
                handle.set_sizes([30])


def _below_zero(scene: Scene) -> bool:
    return any(isinstance(mark, Line) and bool((mark.y < 0).any()) for mark in scene.marks)


def _whole_steps(axes: Any) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(9, integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    if axes.get_ylim()[1] >= 1000:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _add(mark: Mark, axes: Any, figure: Any) -> None:
    """Draw ``mark`` on the axes."""
    label = getattr(mark, "label", "") or None
    match mark:
        case Line():
            dots = {"marker": "o", "markersize": 3} if mark.dots else {}
            if len(mark.x) == 1:
                dots = {"marker": "o", "markersize": 4}
            axes.plot(mark.x, mark.y, color=mark.colour, label=label, lw=1.7, **dots)
        case Band():
            axes.fill_between(
                *(mark.x, mark.low, mark.high),
                color=mark.colour,
                alpha=mark.strength,
                linewidth=0,
                label=label,
            )
        case Bars():
            width = mark.right - mark.left
            thin = len(width) > 60
            axes.bar(
                *(mark.left, mark.height, width, mark.base),
                align="edge",
                color=mark.colour,
                edgecolor=mark.colour if thin else GROUND["light"],
                linewidth=0.2 if thin else 0.6,
                label=label,
            )
        case Points():
            axes.scatter(
                *(mark.x, mark.y),
                s=mark.size**2,
                marker=_MARKERS[mark.shape],
                color=mark.colour,
                edgecolors=GROUND["light"] if mark.size > 6 else "none",
                linewidths=0.6 if mark.size > 6 else 0,
                label=label if len(mark.x) else None,
                zorder=3,
                rasterized=len(mark.x) > 5000,  # an .svg holds so many as an image
            )
        case Segments():
            axes.hlines(mark.y, mark.start, mark.end, color=mark.colour, lw=1.0, label=label)
        case Heat():
            _add_heat(mark, axes, figure)
        case Rule():
            axes.axhline(mark.y, color="#9AA3AF", lw=1, zorder=1.5)


def _add_heat(mark: Heat, axes: Any, figure: Any) -> None:
    axes.grid(visible=False)
    axes.set_facecolor(BLANK["light"])
    image = axes.imshow(
        np.ma.masked_invalid(mark.values),
        cmap="cividis",
        vmin=0,
        vmax=mark.top,
        interpolation="nearest",
        aspect="auto",
    )
    for axis, names in ((axes.xaxis, mark.columns), (axes.yaxis, mark.rows)):
        every = max(1, -(-len(names) // 16))
        axis.set_ticks(range(0, len(names), every), names[::every])
        axis.set_tick_params(labelsize=8)
    axes.tick_params(axis="x", rotation=90 if max(map(len, mark.columns)) > 3 else 0)
    bar = figure.colorbar(image, ax=axes, label=mark.label, pad=0.02)
    bar.outline.set_visible(False)
