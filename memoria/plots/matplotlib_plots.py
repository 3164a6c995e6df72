"""Scenes as .png and .svg, by matplotlib. The same scene is the same bytes.

No global state: figures are made without pyplot, settings hold only while one is drawn.
"""

from __future__ import annotations

import textwrap
from html import escape
from pathlib import Path
from typing import Any, Final

import numpy as np

from memoria.analysis.fonts import fonts_for
from memoria.analysis.palette import BLANK, FAINT, GRID, GROUND, INK
from memoria.errors import MissingExtraError
from memoria.plots.marks import (
    Band,
    Bars,
    Cloud,
    Heat,
    Line,
    Mark,
    Points,
    Rule,
    Scene,
    Segments,
    Words,
)

_SIZE: Final = (8.8, 5.0)  # inches
_SQUARE: Final = (8.8, 7.2)
_DPI: Final = 160
_EDGE: Final = 0.1  # inches left of the words on top
_LONG: Final = 30  # letters of a name, that has a legend below the axes
_LETTERS: Final = 14.5  # of a note, in an inch
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
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "legend.fontsize": 9,
    "figure.facecolor": GROUND["light"],
    "axes.facecolor": GROUND["light"],
    "text.parse_math": False,  # a $ in a text is a $
    "svg.fonttype": "none",  # text stays text: smaller files, which can be searched
    "svg.hashsalt": "memoria",
}
_MARKERS: Final = {"disc": "o", "square": "s", "diamond": "D", "cross": "X"}


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
        figure = Figure(figsize=_SQUARE if scene.matrix else _SIZE, dpi=_DPI)
        FigureCanvasAgg(figure)
        _draw(scene, figure)
        if form == "svg":
            figure.savefig(path, format=form, metadata={"Date": None, "Title": scene.title})
            _describe_svg(path, scene.alt)
        else:
            words = {"Title": scene.title, "Description": scene.alt}
            figure.savefig(path, format=form, metadata={"Software": None, **words})


def _describe_svg(path: Path, alt: str) -> None:
    """Say in the file what it shows, where a screen reader looks for it."""
    text = path.read_text("utf-8").replace("<svg ", '<svg role="img" ', 1)
    text = text.replace("</title>", f"</title>\n <desc>{escape(alt)}</desc>", 1)
    path.write_text(text, "utf-8")


def _texts(scene: Scene) -> list[str]:
    """The words of a scene."""
    labels = [getattr(mark, "label", "") for mark in scene.marks]
    for mark in scene.marks:
        if isinstance(mark, Heat):
            labels += [*mark.rows, *mark.columns]
        elif isinstance(mark, Words):
            labels += mark.texts
    return [scene.title, scene.note, scene.x_label, scene.y_label, *labels]


def _draw(scene: Scene, figure: Any) -> None:
    _write_heading(scene, figure)
    axes = figure.add_subplot()
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
    if scene.plane:
        _open_plane(scene, axes, figure)
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
    _add_legend(scene, axes, beside=scene.labelled > 4 or scene.levels)


def _add_legend(scene: Scene, axes: Any, beside: bool) -> None:
    if scene.labelled < 2:
        return
    outside = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
    if any(len(getattr(mark, "label", "")) > _LONG for mark in scene.marks):
        axes.figure.legend(loc="outside lower left", ncols=2)
        return
    legend = axes.legend(**(outside if beside else {"loc": "best"}))
    for handle in legend.legend_handles:
        if hasattr(handle, "set_sizes"):
            handle.set_sizes([30])


def _open_plane(scene: Scene, axes: Any, figure: Any) -> None:
    """Axes without numbers, alike both ways; then the words, which need to know what is where."""
    axes.set(xticks=[], yticks=[])
    axes.margins(0.04)
    _add_legend(scene, axes, beside=True)
    figure.draw_without_rendering()  # so that the layout is known
    for mark in scene.marks:
        if isinstance(mark, Words):
            _add_words(mark, axes)


def _add_words(mark: Words, axes: Any) -> None:
    """Each above or below its point where there is room, the important ones first."""
    from matplotlib.patheffects import withStroke
    from matplotlib.transforms import Bbox

    taken: list[Any] = []
    for x, y, text in zip(mark.x.tolist(), mark.y.tolist(), mark.texts, strict=True):
        for up in (0, 12, -12, 24, -24):
            placed = axes.annotate(
                text,
                (x, y),
                (0, up),
                textcoords="offset points",
                ha="center",
                va="center",
                fontsize=9,
                fontweight="bold",
                path_effects=[withStroke(linewidth=3, foreground=GROUND["light"])],
            )
            placed.set_in_layout(False)
            box = placed.get_window_extent()
            inside = axes.get_window_extent()
            over = max(0.0, inside.x0 - box.x0) - max(0.0, box.x1 - inside.x1)
            if over:  # move it in from the edge
                placed.set_x(over * 72 / axes.figure.dpi)
                box = placed.get_window_extent()
            if not any(Bbox.intersection(box, other) for other in taken):
                taken.append(box)
                break
            placed.remove()


def _write_heading(scene: Scene, figure: Any) -> None:
    """The title, and the note over the whole width; below them is room for the axes."""
    width, height = figure.get_size_inches()
    lines = textwrap.wrap(scene.note, int(width * _LETTERS))
    left = {"transform": figure.transFigure, "va": "top"}
    figure.text(_EDGE / width, 1 - 0.1 / height, scene.title, size=13, weight="bold", **left)
    figure.text(
        *(_EDGE / width, 1 - 0.4 / height, "\n".join(lines)),
        size=9,
        color=FAINT["light"],
        linespacing=1.25,
        **left,
    )
    used = 0.45 + 0.16 * len(lines)
    figure.set_layout_engine("constrained", rect=(0, 0, 1, 1 - used / height))


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
        case Cloud():
            _add_cloud(mark, axes, figure)
        case Words():
            pass  # drawn when all else has its place
        case Segments():
            axes.hlines(mark.y, mark.start, mark.end, color=mark.colour, lw=1.0, label=label)
        case Heat():
            _add_heat(mark, axes, figure)
        case Rule():
            axes.axhline(mark.y, color="#9AA3AF", lw=1, zorder=1.5)


def _add_cloud(mark: Cloud, axes: Any, figure: Any) -> None:
    known = np.isfinite(mark.values)
    axes.scatter(mark.x[~known], mark.y[~known], s=mark.size**2, color=FAINT["light"], lw=0)
    if known.any():
        dots = axes.scatter(
            *(mark.x[known], mark.y[known]),
            s=mark.size**2,
            c=mark.values[known],
            cmap="viridis",
            linewidths=0,
            rasterized=len(mark.x) > 5000,
        )
        bar = figure.colorbar(dots, ax=axes, label=mark.label, pad=0.02)
        bar.outline.set_visible(False)


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
    for axis, names, most in ((axes.xaxis, mark.columns, 24), (axes.yaxis, mark.rows, 50)):
        every = max(1, -(-len(names) // most))
        axis.set_ticks(range(0, len(names), every), names[::every])
        axis.set_tick_params(labelsize=8 if len(names) <= 32 else 6.5)
    axes.tick_params(axis="x", rotation=90 if max(map(len, mark.columns)) > 2 else 0)
    above = float(np.nanmax(mark.values)) > mark.top
    bar = figure.colorbar(
        image, ax=axes, label=mark.label, pad=0.02, extend="max" if above else "neither"
    )
    bar.outline.set_visible(False)
