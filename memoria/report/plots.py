"""The plots of a report: each an interactive figure, and its numbers as a table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from memoria.analysis import KINDS, Analysis, Chronicle, analyse
from memoria.errors import MissingExtraError
from memoria.plots import figure
from memoria.report.page import data_block, table, words

PLOTTED: Final = tuple(kind for kind in KINDS if kind != "map")
_MOST: Final = 400_000  # characters of a figure
_ROWS: Final = 100  # of a table
_TALL: Final = 600  # pixels
# Engrams of a figure: so many, or fewer where it becomes too large.
_FEWER: Final = {"raster": (200, 80, 30, 10, 3), "lifespans": (8, 4, 2, 1)}


@dataclass(frozen=True)
class Plot:
    """A plot on the page.

    Attributes:
        kind: of the analysis.
        html: its heading, where the page draws it, and a table of its numbers.
        data: its figure for the page's scripts; "" if there is too much of it.
    """

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


def plots(chronicle: Chronicle, lane: int | None) -> Iterator[Plot]:
    """One of every kind of analysis but the map, which the graph is; of ``lane`` or of all."""
    for kind in PLOTTED:
        yield _plot(*_bounded(chronicle, kind, lane))


def _bounded(chronicle: Chronicle, kind: str, lane: int | None) -> tuple[Analysis, Any]:
    """The analysis, of fewer engrams where its figure would take too much; the figure or None."""
    for limit in _FEWER.get(kind, (None,)):
        options = {} if limit is None else {"limit": limit}
        analysis = analyse(chronicle, kind, lane=lane, **options)
        made = json.loads(figure(analysis).to_json())
        for trace in made["data"]:  # WebGL would need more rights on the page
            trace["type"] = {"scattergl": "scatter"}.get(trace["type"], trace["type"])
        if len(json.dumps(made)) <= _MOST:
            return analysis, made
    return analysis, None


def _plot(analysis: Analysis, drawn: Any) -> Plot:
    kind = analysis.kind
    caption = words("; ".join(filter(None, (KINDS[kind].summary, analysis.note))))
    data = ""
    if drawn is None:
        box = "<p>Too many points for this page: <code>memoria plot</code> draws them.</p>"
    else:
        data = data_block(f"figure-{kind}", drawn)
        tall = " tall" if (drawn["layout"].get("height") or 0) > _TALL else ""
        box = (
            f'<div class="plot{tall}" role="group" aria-label="Plot: {words(analysis.alt)}" '
            f'data-figure="figure-{kind}"></div>'
        )
    html = (
        f'<figure id="plot-{kind}"><figcaption><h3>{words(analysis.title)}</h3>'
        f"<p>{caption[:1].upper()}{caption[1:]}.</p></figcaption>{box}"
        f"<details><summary>Numbers of “{words(analysis.title)}”</summary>"
        f"{_numbers(analysis)}</details></figure>"
    )
    return Plot(kind, html, data)


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
    columns = [[_cell(value) for value in column[chosen].tolist()] for column in frame.values()]
    return table(
        f"{analysis.title}{caption}",
        [name.replace("_", " ") for name in frame],
        zip(*columns, strict=True),
    )


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if np.isfinite(value) else "–"
    return str(value)
