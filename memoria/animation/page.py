"""The steps of a staged life as one .html file by plotly, with a slider (extra ``viz``)."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.analysis.palette import FIRED, GROUND, INK, MEMORY_COLOURS
from memoria.animation.interpolate import Moment, moment
from memoria.animation.layout import BOXES, HEIGHT, WIDTH, Staging
from memoria.animation.select import Cast
from memoria.errors import MissingExtraError
from memoria.io.progress import Progress, no_progress

__all__ = ["save_page"]

_FIRING: Final = 0.69  # of a step: everyone is where the step has them, and fires
_PANEL: Final = "#171D28"
_FAINT: Final = "#9AA3B2"
_TEXT: Final = 84
_KINDS: Final = ("", "working", "short-term", "long-term")
_PIXELS: Final = 62.0  # a unit of the stage on the page, for the dots


def save_page(
    path: Path,
    cast: Cast,
    staging: Staging,
    title: str,
    speed: float,
    progress: Progress = no_progress,
) -> None:
    """Write the page: opens without a network. The same cast is the same bytes."""
    try:
        from plotly.io import to_html
    except ImportError:
        raise MissingExtraError("writing .html", "viz") from None
    frames = []
    for row in range(len(cast.steps)):
        shown = moment(cast, staging, row, _FIRING)
        frames.append(
            {
                "name": str(row),
                "data": _traces(cast, shown),
                "traces": [0, 1, 2],
                "layout": {"annotations": _words(cast, row)},
            }
        )
        progress(row + 1, len(cast.steps))
    figure = {"data": frames[0]["data"], "layout": _layout(cast, speed), "frames": frames}
    plot = to_html(
        figure,
        full_html=False,
        include_plotlyjs=True,
        div_id="memory",
        default_height="100%",
        auto_play=False,
        validate=False,
        config={"displayModeBar": False, "responsive": True},
    )
    named = escape(title)
    about = f"{len(cast.ids)} engrams in {len(cast.steps)} steps"
    path.write_text(
        "<!doctype html>\n"
        f'<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{named}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>html, body {{height: 100%; margin: 0; background: {GROUND['dark']}}} "
        "main {height: min(100vh, 46rem); min-height: 26rem; max-width: 75rem; margin: auto} "
        "main > div {height: 100%}</style>\n"
        f'</head>\n<body>\n<main aria-label="{named}: {about} moving from working to '
        f'short-term to long-term memory">\n{plot}\n</main>\n</body>\n</html>\n',
        encoding="utf-8",
    )


def _traces(cast: Cast, shown: Moment) -> list[dict[str, Any]]:
    """Connections, rays and dots; everyone has a dot at every step, so that plotly can move it."""
    count = len(cast.ids)
    size, opacity = np.zeros(count), np.zeros(count)
    xy = np.zeros((count, 2))
    xy[:] = [BOXES[0].left, BOXES[0].bottom]
    colour = np.zeros((count, 3))
    xy[shown.who], colour[shown.who] = shown.xy, shown.colour
    size[shown.who], opacity[shown.who] = 2 * shown.radius * _PIXELS, shown.strength
    here = opacity > 0
    kinds, left = cast.kinds[shown.row], cast.lifespan[shown.row]
    text = [""] * count
    for n in np.flatnonzero(here).tolist():
        head = f"<b>{cast.ids[n]}</b> {_KINDS[kinds[n]]}, lifespan {left[n]:.3g}"
        text[n] = f"{head}<br>{_plain(cast.texts[n], _TEXT)}"
    return [
        _lines(shown.links, "rgba(111,134,184,0.30)"),
        _lines(shown.rays, "rgba(240,87,45,0.35)"),
        {
            "type": "scatter",
            "mode": "markers",
            "x": _listed(xy[:, 0]),
            "y": _listed(xy[:, 1]),
            "ids": [str(id_) for id_ in cast.ids.tolist()],
            "text": text,
            "hoverinfo": "text",
            "marker": {
                "size": _listed(size),
                "color": [_css(one) for one in colour],
                "opacity": _listed(opacity),
                "line": {"width": 0},
            },
        },
    ]


def _lines(ends: npt.NDArray[np.float64], colour: str) -> dict[str, Any]:
    """Segments [E, 2, 2] as one trace, broken between them."""
    breaks = np.full((len(ends), 1), np.nan)
    x, y = (np.hstack((ends[..., k], breaks)).reshape(-1) for k in (0, 1))
    return {
        "type": "scatter",
        "mode": "lines",
        "x": _listed(x),
        "y": _listed(y),
        "line": {"color": colour, "width": 1},
        "hoverinfo": "skip",
    }


def _layout(cast: Cast, speed: float) -> dict[str, Any]:
    pace = round(1000.0 / speed)
    move = {"mode": "immediate", "fromcurrent": True}
    play = {**move, "frame": {"duration": pace}, "transition": {"duration": round(0.6 * pace)}}
    jump = {"mode": "immediate", "frame": {"duration": 0}, "transition": {"duration": 0}}
    hidden = {"visible": False, "fixedrange": True}
    button = {"method": "animate", "execute": True}
    return {
        "paper_bgcolor": GROUND["dark"],
        "plot_bgcolor": GROUND["dark"],
        "font": {"color": INK["dark"], "family": "system-ui, sans-serif", "size": 13},
        "margin": {"l": 12, "r": 12, "t": 12, "b": 12},
        "showlegend": False,
        "hovermode": "closest",
        "hoverlabel": {"bgcolor": _PANEL, "font": {"color": INK["dark"]}, "align": "left"},
        "xaxis": {**hidden, "range": [0, WIDTH]},
        "yaxis": {**hidden, "range": [0, HEIGHT]},
        "shapes": [
            {
                "type": "rect",
                "layer": "below",
                "x0": box.left,
                "x1": box.right,
                "y0": box.bottom,
                "y1": box.top,
                "fillcolor": _PANEL,
                "line": {"color": MEMORY_COLOURS[box.name], "width": 0.5},
            }
            for box in BOXES
        ],
        "annotations": _words(cast, 0),
        "updatemenus": [
            {
                "type": "buttons",
                "direction": "left",
                "showactive": False,
                "x": 0,
                "y": 0,
                "xanchor": "left",
                "yanchor": "top",
                "pad": {"t": 14, "r": 8},
                "bgcolor": _PANEL,
                "font": {"color": INK["dark"]},
                "buttons": [
                    {**button, "label": "▶ play", "args": [None, play]},
                    {**button, "label": "❚❚ pause", "args": [[None], jump]},
                ],
            }
        ],
        "sliders": [
            {
                "active": 0,
                "x": 0.19,
                "len": 0.81,
                "y": 0,
                "xanchor": "left",
                "yanchor": "top",
                "pad": {"t": 8},
                "currentvalue": {"prefix": "step ", "font": {"color": _FAINT}},
                "font": {"color": "rgba(0,0,0,0)"},
                "ticklen": 0,
                "steps": [
                    {"label": f"{step:,}", "method": "animate", "args": [[str(row)], jump]}
                    for row, step in enumerate(cast.steps.tolist())
                ],
            }
        ],
    }


def _words(cast: Cast, row: int) -> list[dict[str, Any]]:
    """What is written on the stage in one step."""
    made, gone = cast.totals[row].tolist()
    words = [
        (box.left + 0.1, 8.35, f"<b>{box.title}</b>", MEMORY_COLOURS[box.name], "left")
        for box in BOXES
    ]
    words += [
        (box.right - 0.1, 8.35, f"{count:,}", _FAINT, "right")
        for box, count in zip(BOXES[1:], cast.counts[row, 1:].tolist(), strict=True)
    ]
    words += [
        (0.45, 1.05, "<b>new</b>", MEMORY_COLOURS["working"], "left"),
        (0.45, 0.5, "<b>reminded</b>", FIRED, "left"),
        (2.35, 1.05, _plain(cast.made[row], _TEXT), INK["dark"], "left"),
        (2.35, 0.5, _plain(cast.again[row], _TEXT), INK["dark"], "left"),
        (15.55, 0.5, f"{gone:,} of {made:,} forgotten", _FAINT, "right"),
    ]
    return [
        {
            "x": x,
            "y": y,
            "text": text,
            "font": {"color": colour},
            "xanchor": anchor,
            "yanchor": "middle",
            "showarrow": False,
        }
        for x, y, text, colour, anchor in words
    ]


def _plain(text: str, most: int) -> str:
    """As data that no browser takes for markup."""
    flat = "".join(one if one.isprintable() else " " for one in " ".join(text.split()))
    return escape(flat if len(flat) <= most else flat[: most - 1].rstrip() + "…")


def _css(colour: npt.NDArray[np.float64]) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in colour.tolist())


def _listed(values: npt.NDArray[np.float64]) -> list[float | None]:
    return [None if value != value else value for value in values.round(3).tolist()]
