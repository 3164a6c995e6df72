"""Frames as pictures, by matplotlib's Agg (extra ``viz``)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from unicodedata import combining, east_asian_width

import numpy as np
import numpy.typing as npt

from memoria.analysis.fonts import fonts_for
from memoria.analysis.palette import FIRED, GROUND, INK, MEMORY_COLOURS, rgb
from memoria.animation.interpolate import Frame
from memoria.animation.layout import BOXES, HEIGHT, WIDTH
from memoria.animation.select import ShownEngrams
from memoria.errors import MissingExtraError

_DPI: Final = 100
_FAINT: Final = "#8A93A3"
_PANEL: Final = "#171D28"
_LINK: Final = "#6F86B8"
_TEXT: Final = 62  # columns of a text below the boxes; a wide character takes two
_CUT: Final = " …"
_POINTS: Final = 72 / _DPI
_SHADES: Final = (1.0, 0.75, 0.5)
_SWATCH: Final = 24  # lines of each


class Painter:
    """Draws frames, each the same pixels whenever it is drawn.

    Attributes:
        size: width and height in pixels.
        missing: characters of the texts that no font of this machine has.
    """

    def __init__(self, shown: ShownEngrams, width: int) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.collections import LineCollection
        from matplotlib.figure import Figure
        from matplotlib.patches import FancyBboxPatch

        self._created, self._reminded = (
            [_short(text) for text in texts] for texts in (shown.created, shown.reminded)
        )
        self._families, self.missing = fonts_for((*self._created, *self._reminded))
        self._shown = shown
        self._unit = width / WIDTH  # pixels of a unit of length
        height = round(self._unit * HEIGHT / 2) * 2
        self.size = width, height
        figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor=GROUND["dark"])
        self._canvas: Any = FigureCanvasAgg(figure)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_axis_off()
        axes.set_xlim(0, WIDTH)
        axes.set_ylim(0, HEIGHT)
        for box in BOXES:
            axes.add_patch(
                FancyBboxPatch(
                    (box.left, box.bottom),
                    box.right - box.left,
                    box.top - box.bottom,
                    boxstyle="round,pad=0,rounding_size=0.22",
                    facecolor=_PANEL,
                    edgecolor=MEMORY_COLOURS[box.name] + "55",
                    linewidth=1.0,
                )
            )
            self._text(axes, box.left + 0.1, 8.35, box.title, MEMORY_COLOURS[box.name], 0.34, True)
        self._numbers = [
            self._text(axes, box.right - 0.1, 8.35, "", _FAINT, 0.30, right=True) for box in BOXES
        ]
        self._numbers[0].set_visible(False)  # there is no room beside its name
        self._text(axes, 0.45, 1.02, "new", MEMORY_COLOURS["working"], 0.29, True)
        self._text(axes, 0.45, 0.50, "reminded", FIRED, 0.29, True)
        self._lines = [
            self._text(axes, 2.35, 1.02, "", INK["dark"], 0.29),
            self._text(axes, 2.35, 0.50, "", INK["dark"], 0.29),
            self._text(axes, 15.55, 1.02, "", INK["dark"], 0.29, True, right=True),
            self._text(axes, 15.55, 0.50, "", _FAINT, 0.27, right=True),
        ]
        self._links = LineCollection([], linewidths=0.055 * self._unit * _POINTS)
        self._rays = LineCollection([], linewidths=0.035 * self._unit * _POINTS)
        axes.add_collection(self._links, autolim=False)
        axes.add_collection(self._rays, autolim=False)
        nothing: npt.NDArray[Any] = np.empty(0)
        self._glow = axes.scatter(nothing, nothing, linewidths=0)
        self._dots = axes.scatter(nothing, nothing, linewidths=0)
        self._axes, self._row = axes, -1
        self._ground: Any = None
        self._moving = (self._links, self._rays, self._glow, self._dots)
        for artist in self._moving:
            artist.set_animated(True)

    def picture(self, frame: Frame) -> npt.NDArray[np.uint8]:
        """The frame's pixels, uint8 [height, width, 3]."""
        self._links.set_segments(list(frame.links))
        self._links.set_color(_with(_LINK, 0.55 * frame.link_strength))
        self._rays.set_segments(list(frame.rays))
        self._rays.set_color(_with(FIRED, 0.5 * frame.ray_strength))
        pixels = (2 * frame.radius * self._unit * _POINTS) ** 2
        self._glow.set_offsets(frame.xy)
        self._glow.set_sizes(pixels * 4.5)
        glow: Any = np.column_stack((frame.colour, 0.26 * frame.glow * frame.strength))
        dots: Any = np.column_stack((frame.colour, frame.strength))
        self._glow.set_facecolor(glow)
        self._dots.set_offsets(frame.xy)
        self._dots.set_sizes(pixels)
        self._dots.set_facecolor(dots)
        if frame.row != self._row:  # texts take far longer than all else: once a step
            self._row = frame.row
            self._write(frame.row)
            self._canvas.draw()
            self._ground = self._canvas.copy_from_bbox(self._canvas.figure.bbox)
        self._canvas.restore_region(self._ground)
        for artist in self._moving:
            self._axes.draw_artist(artist)
        return np.asarray(self._canvas.buffer_rgba())[..., :3].copy()

    def _write(self, row: int) -> None:
        """Set the texts that differ from step to step."""
        shown = self._shown
        created, forgotten = shown.totals[row].tolist()
        words = (
            *(f"{count:,}" for count in shown.counts[row].tolist()),
            self._created[row],
            self._reminded[row],
            f"step {int(shown.steps[row]):,}",
            f"{forgotten:,} of {created:,} forgotten",
        )
        for text, word in zip((*self._numbers, *self._lines), words, strict=True):
            text.set_text(word)

    def _text(
        self,
        axes: Any,
        x: float,
        y: float,
        text: str,
        colour: str,
        size: float,
        bold: bool = False,
        right: bool = False,
    ) -> Any:
        return axes.text(
            x,
            y,
            text,
            color=colour,
            fontsize=size * self._unit * _POINTS,
            fontweight="bold" if bold else "normal",
            family=list(self._families),
            horizontalalignment="right" if right else "left",
            verticalalignment="center",
            parse_math=False,  # a text may hold dollars
        )


def swatches(width: int) -> npt.NDArray[np.uint8]:
    """The colours of dots, strong and faint, as a picture: what a palette must not leave out."""
    fired, panel, *plain = map(np.array, map(rgb, (FIRED, _PANEL, *MEMORY_COLOURS.values())))
    colours = [*plain, fired, *(0.2 * one + 0.8 * fired for one in plain[1:3])]
    shades = [part * one + (1 - part) * panel for one in colours for part in _SHADES]
    rows = np.repeat(np.round(255 * np.array(shades)).astype(np.uint8), _SWATCH, axis=0)
    return np.tile(rows[:, None], (1, width, 1))


@contextmanager
def painting(shown: ShownEngrams, width: int) -> Iterator[Painter]:
    """A `Painter`, whatever the user's own settings of matplotlib. Raises `MissingExtraError`."""
    try:
        import matplotlib.style
    except ImportError:
        raise MissingExtraError("drawing animations", "viz") from None
    with matplotlib.style.context("default"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # shown as a box
        yield Painter(shown, width)


def _with(colour: str, strengths: npt.NDArray[np.float64]) -> Any:
    """The colour in each of the strengths, as [K, 4]."""
    strengths = np.clip(strengths, 0.0, 1.0)
    return np.column_stack((np.tile(rgb(colour), (len(strengths), 1)), strengths))


def _short(text: str) -> str:
    """The text on one line of at most `_TEXT` columns, cut between words where they are short."""
    flat = "".join(one if one.isprintable() else " " for one in " ".join(text.split()))
    if _columns(flat) <= _TEXT:
        return flat
    room, end = _TEXT - len(_CUT), 0
    while (room := room - _columns(flat[end])) >= 0:
        end += 1
    space = flat.rfind(" ", 0, end + 1)
    return flat[: space if space > end // 2 else end].rstrip() + _CUT


def _columns(text: str) -> int:
    return sum(0 if combining(one) else 1 + (east_asian_width(one) in "WF") for one in text)
