"""The plots of a report: each an interactive figure, and its numbers as a table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from memoria.analysis import KINDS, Analysis, Chronicle, analyse
from memoria.analysis.result import Table
from memoria.errors import MissingExtraError
from memoria.plots import figure
from memoria.report.page import data_block, table, words

__all__ = ["Picture", "library", "pictures"]

_MOST: Final = 400_000  # characters of a figure
_ROWS: Final = 100  # of a table
_TALL: Final = 600  # pixels
# What to leave out of a picture that becomes too large, little by little.
_FEWER: Final = {"raster": (200, 80, 30, 10, 3), "lifespans": (8, 4, 2, 1)}


@dataclass(frozen=True)
class Picture:
    """A plot as HTML, and its figure for the page's scripts; "" if there is too much of it."""

    kind: str
    html: str
    data: str


def library() -> str:
    """plotly's own script. Raises `MissingExtraError`."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise MissingExtraError("a report", "viz") from None
    return str(get_plotlyjs())


def pictures(chronicle: Chronicle, lane: int | None) -> Iterator[Picture]:
    """One of every kind of analysis, of ``lane`` or of all."""
    for kind in KINDS:
        analysis, drawn = _bounded(chronicle, kind, lane)
        yield _picture(analysis, drawn)


def _bounded(chronicle: Chronicle, kind: str, lane: int | None) -> tuple[Analysis, str | None]:
    """The analysis, of fewer engrams where its figure would take too much, and the figure."""
    for limit in _FEWER.get(kind, (None,)):
        options = {} if limit is None else {"limit": limit}
        analysis = analyse(chronicle, kind, lane=lane, **options)
        made = figure(analysis).to_plotly_json()
        drawn = json.dumps(_plain(made))
        if len(drawn) <= _MOST:
            return analysis, drawn
    return analysis, None


def _plain(value: Any) -> Any:
    """A figure in lists and numbers that JSON has; WebGL, which would need more rights, is off."""
    if isinstance(value, dict):
        return {
            key: "scatter" if (key, one) == ("type", "scattergl") else _plain(one)
            for key, one in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _picture(analysis: Analysis, drawn: str | None) -> Picture:
    kind = analysis.kind
    told = [KINDS[kind].summary, analysis.note]
    caption = words("; ".join(one for one in told if one))
    data = ""
    if drawn is None:
        place = "<p>Too many points for this page: <code>memoria plot</code> draws them.</p>"
    else:
        made = json.loads(drawn)
        data = data_block(f"figure-{kind}", made)
        tall = " tall" if (made["layout"].get("height") or 0) > _TALL else ""
        place = (
            f'<div class="plot{tall}" role="group" aria-label="Plot: {words(analysis.title)}" '
            f'data-figure="figure-{kind}"></div>'
        )
    html = (
        f'<figure id="plot-{kind}"><figcaption><h3>{words(analysis.title)}</h3>'
        f"<p>{caption[:1].upper()}{caption[1:]}.</p></figcaption>{place}"
        f"<details><summary>Numbers of “{words(analysis.title)}”</summary>"
        f"{_numbers(analysis)}</details></figure>"
    )
    return Picture(kind, html, data)


def _numbers(analysis: Analysis) -> str:
    """A table of the analysis; of engrams, where the main one is one row a firing or a step."""
    frame = analysis.frame()
    if len(analysis) > 5 * _ROWS and "engrams" in analysis.frames:
        frame = analysis.frames["engrams"]
    size = len(next(iter(frame.values())))
    if size == 0:
        return "<p>There are none yet.</p>"
    chosen = np.unique(np.linspace(0, size - 1, min(size, _ROWS)).astype(np.int64))
    caption = "" if len(chosen) == size else f", {len(chosen)} of {size:,} rows"
    return table(
        f"{analysis.title}{caption}",
        [name.replace("_", " ") for name in frame],
        zip(*(_cells(frame, name, chosen) for name in frame), strict=True),
    )


def _cells(frame: Table, name: str, chosen: Any) -> list[str]:
    cells = frame[name][chosen].tolist()
    return [_said(one) for one in cells]


def _said(cell: Any) -> str:
    if isinstance(cell, float):
        return f"{cell:.4g}" if np.isfinite(cell) else "–"
    return str(cell)
