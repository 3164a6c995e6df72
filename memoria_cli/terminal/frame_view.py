"""One step of a memory as terminal lines: engrams as cells, lifespans as colours, counters.

Pure functions of the frame and the page. No line exceeds the page, whatever its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from memoria.analysis.palette import FIRED, LIFESPANS, MEMORY_COLOURS
from memoria.timeline.engram_type import EngramType
from memoria_cli.terminal.charts import Line, Page, Span, bar, cell_width, fit, sparkline
from memoria_cli.terminal.formatting import format_number

if TYPE_CHECKING:
    from memoria.store.replay.walk import StepState

# Lifespans at which the colour changes, as parts of the one an engram begins with.
BOUNDS: Final = (0.25, 0.5, 1.0, 2.0, 4.0)
_LABEL: Final = 12
_REGIONS: Final = (
    (EngramType.WORKING, "working"),
    (EngramType.SHORTTERM, "short-term"),
    (EngramType.LONGTERM, "long-term"),
)
_SMALL: Final = 30  # columns or
_WIDE: Final = 120  # columns from which texts are beside the engrams
_TALL: Final = 30  # lines from which they are below
_LEAST_ROWS: Final = 4  # of long-term memory on a tall page
_FLAT: Final = 8  # lines below which only counters are shown
_STAGES: Final = (1, 2, 5)  # engrams a cell, times powers of ten


@dataclass(frozen=True)
class FrameView:
    """A frame, and what is shown beside it.

    Attributes:
        last: step at which the run ends, if known.
        initial_lifespan: lifespan of a new engram; colours are multiples of it.
        made, again: text of an engram just made, and of one reminded.
        alive: living engrams after each frame so far.
        keys: which keys do what.
        texts: (what it does, text) of engrams that fire, which a tall or a wide page lists.
    """

    frame: StepState
    title: str
    last: int | None
    initial_lifespan: float
    made: str | None = None
    again: str | None = None
    alive: Sequence[int] = ()
    keys: str = ""
    texts: Sequence[tuple[str, str]] = ()


def draw(view: FrameView, page: Page, lines: int, colour: bool = True) -> list[Line]:
    """At most ``lines`` lines of the page; without ``colour`` shapes tell lifespans apart.

    A wide page has the texts of what fires beside the engrams, a tall one below them.
    """
    if lines < 1 or page.width < 1:
        return []
    if view.texts and page.width >= _WIDE and lines >= _FLAT:
        left = replace(page, width=page.width * 3 // 5)
        beside = replace(page, width=page.width - left.width - 2)
        drawn = draw(replace(view, texts=()), left, lines)
        return _side_by_side(drawn, left.width, _text_lines(view.texts, beside, len(drawn)))
    head, counters = _head(view, page), _counters(view, page)
    if lines < _FLAT or page.width < _SMALL:
        return [head, counters][:lines]
    texts = [
        _text_line("new", view.made, page, MEMORY_COLOURS["working"]),
        _text_line("again", view.again, page, FIRED),
    ]
    curve = sparkline(view.alive, page, page.width - _LABEL - 1)
    foot = [counters]
    if lines >= 12:
        foot += texts
    if lines >= 14:
        foot.append([(f"{'alive':<{_LABEL}}", "dim"), (curve, MEMORY_COLOURS["longterm"])])
    if lines >= 16:
        foot.append(_legend(view, page, colour))
    if lines >= 10:
        foot.append([(fit(view.keys, page), "dim")])
    room = lines - 1 - len(foot)
    shares = [1, 2 if room >= 8 else 1]
    shares.append(room - sum(shares))
    if view.texts and lines >= _TALL:
        longterm = int(np.count_nonzero(view.frame.types == EngramType.LONGTERM))
        needed = max(_LEAST_ROWS, ceil(longterm / (page.width - _LABEL - 1)))
        spare = shares[2] - needed
        if spare > 1:
            shares[2] = needed
            foot = [*foot[:-1], *_text_lines(view.texts, page, spare), foot[-1]]
    cells = [
        line
        for (kind, name), rows in zip(_REGIONS, shares, strict=True)
        for line in _region(view, kind, name, rows, page, colour)
    ]
    return [head, *cells, *foot]


def _side_by_side(left: Sequence[Line], width: int, right: Sequence[Line]) -> list[Line]:
    """Lines of ``width`` cells, and others beside them."""
    lines: list[Line] = []
    for at, line in enumerate(left):
        gap = width - sum(cell_width(text) for text, _ in line) + 2
        lines.append([*line, (" " * gap, ""), *right[at]] if at < len(right) else line)
    return lines


def _text_lines(texts: Sequence[tuple[str, str]], page: Page, lines: int) -> list[Line]:
    """At most ``lines`` lines of texts under a heading, one text a line."""
    found: list[Line] = [[(fit("what fires", page), "dim")]]
    styles = {"new": MEMORY_COLOURS["working"], "again": FIRED}
    for what, text in texts[: max(0, lines - 1)]:
        room = page.width - len(what) - 1
        found.append([(f"{what} ", styles.get(what, "")), (fit(text, page, room), "")])
    return found[:lines]


def has_room_for_texts(page: Page, lines: int) -> bool:
    """Whether `draw` lists the texts of what fires."""
    return page.width >= _WIDE or lines >= _TALL


def levels(lifespan: npt.NDArray[np.float64], initial_lifespan: float) -> npt.NDArray[np.int64]:
    """Number of each engram's colour, [A], 0 to 5: 0 is about to be forgotten."""
    found: npt.NDArray[np.int64] = np.searchsorted(
        np.array(BOUNDS) * initial_lifespan, lifespan, side="right"
    )
    return found


def engrams_a_cell(count: int, cells: int) -> int:
    """Engrams that share a cell so that ``count`` fit into ``cells``: 1, 2, 5, 10, 20, 50 ..."""
    power = 1
    while True:
        for stage in _STAGES:
            if ceil(count / (stage * power)) <= max(cells, 1):
                return stage * power
        power *= 10


def _region(
    view: FrameView, kind: EngramType, name: str, rows: int, page: Page, colour: bool
) -> list[Line]:
    """Draw one memory on ``rows`` lines, the oldest engrams first."""
    frame = view.frame
    in_region = np.flatnonzero(frame.types == kind)
    width = page.width - _LABEL - 1
    each = engrams_a_cell(len(in_region), rows * width)
    starts = np.arange(0, len(in_region), each)
    spans: list[Span] = []
    if len(in_region):
        sizes = np.diff(np.append(starts, len(in_region)))
        left = np.add.reduceat(np.maximum(frame.lifespan[in_region], 0.0), starts) / sizes
        fired = np.logical_or.reduceat(frame.fired[in_region], starts)
        gone = np.logical_and.reduceat(frame.forgotten[in_region], starts)
        level = levels(left, view.initial_lifespan)
        spans = [
            _cell(int(n), bool(f), bool(g), page, colour)
            for n, f, g in zip(level, fired, gone, strict=True)
        ]
    labels = [name, f"{len(in_region):,}", f"{each:,} a cell" if each > 1 else ""]
    if rows == 1:
        labels = [f"{name[:_LABEL]}"]
    lines: list[Line] = []
    for row in range(rows):
        label = fit(labels[row], page, _LABEL - 1) if row < len(labels) else ""
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
    """Join neighbours of one style."""
    merged: list[Span] = []
    for text, style in spans:
        if merged and merged[-1][1] == style:
            merged[-1] = (merged[-1][0] + text, style)
        else:
            merged.append((text, style))
    return merged


def _head(view: FrameView, page: Page) -> Line:
    done = f"step {view.frame.step:,}"
    if view.last is not None:
        done += f" of {view.last:,}"
    done = fit(done, page)
    title = fit(view.title, page, max(0, page.width - cell_width(done) - 2))
    gap = " " * (page.width - cell_width(title) - cell_width(done))
    return [(title, "bold"), (gap, ""), (done, "bold")]


def _counters(view: FrameView, page: Page) -> Line:
    frame = view.frame
    alive = len(frame.ids) - int(np.count_nonzero(frame.forgotten))
    fired = int(np.count_nonzero(frame.fired))
    counts = f"engrams {alive:,}  born {frame.created:,}  forgotten {frame.gone:,}  fired {fired:,}"
    if view.last and page.width >= _SMALL:
        share = min(1.0, frame.step / view.last)
        room = page.width - cell_width(counts) - 3
        if room >= 8:
            return [(counts, ""), ("   ", ""), (bar(share, room, page), "dim")]
    return [(counts[: page.width], "")]


def _text_line(name: str, text: str | None, page: Page, style: str) -> Line:
    room = page.width - _LABEL - 1
    return [(f"{name:<{_LABEL}}", style), (fit(text or "", page, room), "")]


def _legend(view: FrameView, page: Page, colour: bool) -> Line:
    """Name the lifespan of each colour."""
    bounds = [f"<{format_number(bound * view.initial_lifespan)}" for bound in BOUNDS]
    bounds.append(f"{format_number(BOUNDS[-1] * view.initial_lifespan)}+")
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
