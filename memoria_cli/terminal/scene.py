"""A frame of a life as lines of a terminal: engrams as cells, lifespans as colour, counters.

Pure functions of the frame and the page. Lines never exceed the page, whatever its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from memoria.analysis.palette import FIRED, LIFESPANS, MEMORY_COLOURS
from memoria.timeline.engram_type import EngramType
from memoria_cli.terminal.drawing import Line, Page, Span, bar, fitted, sparkline, width_of
from memoria_cli.terminal.wording import number

if TYPE_CHECKING:
    from memoria.store.replay.walk import Frame

__all__ = ["BOUNDS", "Scene", "draw", "engrams_a_cell", "levels"]

# Lifespans at which the colour changes, as parts of the one an engram begins with.
BOUNDS: Final = (0.25, 0.5, 1.0, 2.0, 4.0)
_LABEL: Final = 12
_REGIONS: Final = (
    (EngramType.WORKING, "working"),
    (EngramType.SHORTTERM, "short-term"),
    (EngramType.LONGTERM, "long-term"),
)
_SMALL: Final = 30  # columns or
_FLAT: Final = 8  # lines below which only counters are shown
_STAGES: Final = (1, 2, 5)  # engrams a cell, times powers of ten


@dataclass(frozen=True)
class Scene:
    """What is shown: a frame, and what goes with it. ``made`` and ``again`` are texts that fire."""

    frame: Frame
    title: str
    last: int | None
    begins_with: float
    made: str | None = None
    again: str | None = None
    alive: Sequence[int] = ()
    keys: str = ""


def draw(scene: Scene, page: Page, lines: int, colour: bool = True) -> list[Line]:
    """At most ``lines`` lines of the page; without ``colour`` shapes tell lifespans apart."""
    if lines < 1 or page.width < 1:
        return []
    head, counters = _head(scene, page), _counters(scene, page)
    if lines < _FLAT or page.width < _SMALL:
        return [head, *counters][:lines]
    texts = [
        _told("new", scene.made, page, MEMORY_COLOURS["working"]),
        _told("again", scene.again, page, FIRED),
    ]
    curve = sparkline(scene.alive, page, page.width - _LABEL - 1)
    foot: list[Line] = [*counters]
    if lines >= 12:
        foot += texts
    if lines >= 14:
        foot.append([(f"{'alive':<{_LABEL}}", "dim"), (curve, MEMORY_COLOURS["longterm"])])
    if lines >= 16:
        foot.append(_legend(scene, page, colour))
    if lines >= 10:
        foot.append([(fitted(scene.keys, page), "dim")])
    room = lines - 1 - len(foot)
    shares = [1, 2 if room >= 8 else 1]
    shares.append(room - sum(shares))
    cells = [
        line
        for (kind, name), rows in zip(_REGIONS, shares, strict=True)
        for line in _region(scene, kind, name, rows, page, colour)
    ]
    return [head, *cells, *foot]


def levels(lifespan: npt.NDArray[np.float64], begins_with: float) -> npt.NDArray[np.int64]:
    """Which of the six colours each has, [A]: 0 is about to be forgotten."""
    found: npt.NDArray[np.int64] = np.searchsorted(
        np.array(BOUNDS) * begins_with, lifespan, side="right"
    )
    return found


def engrams_a_cell(count: int, cells: int) -> int:
    """How many share a cell so that ``count`` fit: 1, 2, 5, 10, 20, 50 ..."""
    power = 1
    while True:
        for stage in _STAGES:
            if ceil(count / (stage * power)) <= max(cells, 1):
                return stage * power
        power *= 10


def _region(
    scene: Scene, kind: EngramType, name: str, rows: int, page: Page, colour: bool
) -> list[Line]:
    """One memory on ``rows`` lines, the oldest engrams first."""
    frame = scene.frame
    mine = np.flatnonzero(frame.types == kind)
    width = page.width - _LABEL - 1
    each = engrams_a_cell(len(mine), rows * width)
    starts = np.arange(0, len(mine), each)
    spans: list[Span] = []
    if len(mine):
        sizes = np.diff(np.append(starts, len(mine)))
        left = np.add.reduceat(np.maximum(frame.lifespan[mine], 0.0), starts) / sizes
        fired = np.logical_or.reduceat(frame.fired[mine], starts)
        gone = np.logical_and.reduceat(frame.forgotten[mine], starts)
        level = levels(left, scene.begins_with)
        spans = [
            _cell(int(n), bool(f), bool(g), page, colour)
            for n, f, g in zip(level, fired, gone, strict=True)
        ]
    labels = [name, f"{len(mine):,}", f"{each:,} a cell" if each > 1 else ""]
    if rows == 1:
        labels = [f"{name[:_LABEL]}"]
    lines: list[Line] = []
    for row in range(rows):
        label = fitted(labels[row], page, _LABEL - 1) if row < len(labels) else ""
        style = MEMORY_COLOURS[kind.name.lower()] if row == 0 else "dim"
        lines.append(
            [(f"{label:<{_LABEL}}", style), *_merged(spans[row * width : (row + 1) * width])]
        )
    return lines


def _cell(level: int, fired: bool, gone: bool, page: Page, colour: bool) -> Span:
    if fired:
        return ("◆" if page.unicode else "@"), f"bold {FIRED}"
    if gone:
        return ("×" if page.unicode else "x"), MEMORY_COLOURS["forgotten"]
    if colour:
        return ("■" if page.unicode else "o"), LIFESPANS[level]
    return ("▁▂▃▄▅▆" if page.unicode else "_.-=+*")[level], ""


def _merged(spans: Sequence[Span]) -> list[Span]:
    """Neighbours of one style as one."""
    merged: list[Span] = []
    for text, style in spans:
        if merged and merged[-1][1] == style:
            merged[-1] = (merged[-1][0] + text, style)
        else:
            merged.append((text, style))
    return merged


def _head(scene: Scene, page: Page) -> Line:
    done = f"step {scene.frame.step:,}"
    if scene.last is not None:
        done += f" of {scene.last:,}"
    done = fitted(done, page)
    title = fitted(scene.title, page, max(0, page.width - width_of(done) - 2))
    gap = " " * (page.width - width_of(title) - width_of(done))
    return [(title, "bold"), (gap, ""), (done, "bold")]


def _counters(scene: Scene, page: Page) -> list[Line]:
    frame = scene.frame
    alive = len(frame.ids) - int(np.count_nonzero(frame.forgotten))
    fired = int(np.count_nonzero(frame.fired))
    told = f"engrams {alive:,}  born {frame.created:,}  forgotten {frame.gone:,}  fired {fired:,}"
    lines: list[Line] = []
    if scene.last and page.width >= _SMALL:
        share = min(1.0, frame.step / scene.last)
        room = page.width - width_of(told) - 3
        if room >= 8:
            return [[(told, ""), ("   ", ""), (bar(share, room, page), "dim")]]
    lines.append([(told[: page.width], "")])
    return lines


def _told(name: str, text: str | None, page: Page, style: str) -> Line:
    room = page.width - _LABEL - 1
    return [(f"{name:<{_LABEL}}", style), (fitted(text or "", page, room), "")]


def _legend(scene: Scene, page: Page, colour: bool) -> Line:
    """Which colour stands for which lifespan."""
    bounds = [f"<{number(bound * scene.begins_with)}" for bound in BOUNDS]
    bounds.append(f"{number(BOUNDS[-1] * scene.begins_with)}+")
    spans: list[Span] = [(f"{'lifespan':<{_LABEL}}", "dim")]
    used = _LABEL
    marks = [(_cell(k, False, False, page, colour), bounds[k]) for k in range(len(bounds))]
    marks += [
        (_cell(0, True, False, page, colour), "fires"),
        (_cell(0, False, True, page, colour), "forgotten"),
    ]
    for (glyph, style), meaning in marks:
        width = len(glyph) + len(meaning) + 3
        if used + width > page.width:
            break
        spans += [(glyph, style), (f" {meaning}  ", "dim")]
        used += width
    return spans
