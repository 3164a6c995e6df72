"""Scenes as plotly figures, and as .html files that open without a network."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.analysis.palette import BLANK, FAINT, GRID, GROUND, INK, rgb
from memoria.analysis.result import plain_list
from memoria.errors import InputError, MissingExtraError
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

_LETTERS: Final = 110  # of a line of the note
_LONG: Final = 30  # letters of a name, that has a legend below the axes
_HOVER: Final = 64  # letters of a line under the pointer
_MANY: Final = 20_000  # points from which WebGL draws them
_SYMBOLS: Final = {"disc": "circle", "square": "square", "diamond": "diamond", "cross": "x"}


def plotly_figure(scene: Scene, ground: str = "light") -> Any:
    """``scene`` as a ``plotly.graph_objects.Figure``, on a ``light`` or a ``dark`` ground.

    The figure takes the width it is given; its own height is 480 pixels.
    """
    if ground not in GROUND:
        raise InputError(f"ground = {ground!r}: unknown", f"known: {', '.join(GROUND)}")
    try:
        import plotly.graph_objects as go
    except ImportError:
        raise MissingExtraError("interactive plots", "viz") from None
    figure = go.Figure()
    for mark in [] if scene.empty else scene.marks:
        if isinstance(mark, Rule):
            figure.add_hline(y=mark.y, line={"color": FAINT[ground], "width": 1}, layer="below")
        else:
            figure.add_trace(_trace(mark, go, ground))
    axis = {
        "gridcolor": GRID[ground],
        "linecolor": FAINT[ground],
        "zeroline": False,
        "automargin": True,
    }
    heat = scene.matrix
    lines = [escape(line) for line in textwrap.wrap(scene.note, _LETTERS)]
    note = "".join(
        f"<br><span style='font-size:12px;color:{FAINT[ground]}'>{line}</span>" for line in lines
    )
    figure.update_layout(
        template="none",
        title={
            "text": f"<b>{escape(scene.title)}</b>{note}",
            "x": 0,
            "xref": "paper",
            "xanchor": "left",
            "yanchor": "top",
            "y": 0.96,
            "font": {"size": 17},
        },
        font={"color": INK[ground], "family": "system-ui, sans-serif", "size": 13},
        paper_bgcolor=GROUND[ground],
        plot_bgcolor=BLANK[ground] if heat else GROUND[ground],
        margin={"l": 64, "r": 24, "t": 68 + 16 * len(lines), "b": 56},
        height=640 if heat or scene.plane else 480,
        hovermode="closest",
        hoverlabel={"namelength": -1},
        showlegend=scene.labelled > 1 and not heat,
        legend={"itemsizing": "constant", "bgcolor": "rgba(0,0,0,0)", **_where(scene)},
        barmode="overlay",
        xaxis={**axis, "title": {"text": scene.x_label}},
        yaxis={**axis, "title": {"text": scene.y_label}},
    )
    if scene.empty:
        figure.update_layout(xaxis={"visible": False}, yaxis={"visible": False})
        where = {"xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5}
        figure.add_annotation(text="nothing to show", showarrow=False, **where)
    elif heat:
        figure.update_yaxes(autorange="reversed", type="category", showgrid=False)
        figure.update_xaxes(type="category", showgrid=False, constrain="domain")
        figure.update_yaxes(scaleanchor="x", constrain="domain")
    elif scene.plane:
        figure.update_xaxes(showticklabels=False, showgrid=False)
        figure.update_yaxes(showticklabels=False, showgrid=False)
    elif scene.levels:
        figure.update_yaxes(showticklabels=False, showgrid=False)
    elif scene.from_zero:
        figure.update_yaxes(rangemode="tozero")
    if scene.percent:
        figure.update_yaxes(tickformat=".0%", range=[0, 1.02])
    return figure


def _where(scene: Scene) -> dict[str, Any]:
    """Below the axes, where names are long or the whole width is for the plane."""
    if scene.plane:
        return {"orientation": "h", "x": 0, "y": -0.12, "yanchor": "top"}
    names = (getattr(mark, "label", "") for mark in scene.marks if isinstance(mark, Line))
    long = any(len(name) > _LONG for name in names)
    return {"orientation": "h", "x": 0, "y": -0.18, "yanchor": "top"} if long else {}


def save_page(scene: Scene, path: Path) -> None:
    """``scene`` as one .html file with all that it needs; the same scene is the same bytes."""
    figure = plotly_figure(scene)
    from plotly.io import to_html

    figure.update_layout(height=None, autosize=True)
    plot = to_html(
        figure,
        full_html=False,
        include_plotlyjs=True,
        div_id="plot",
        default_height="100%",
        config={"displaylogo": False, "responsive": True},
    )
    title = escape(scene.title)
    path.write_text(
        "<!doctype html>\n"
        f'<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<style>html, body {height: 100%; margin: 0; background: "
        f"{GROUND['light']}}} main {{height: 100%; min-height: 24rem}} "
        "main > div {height: 100%}</style>\n"
        f'</head>\n<body>\n<main role="img" aria-label="{escape(scene.alt)}">\n{plot}\n'
        "</main>\n</body>\n</html>\n",
        encoding="utf-8",
    )


def _trace(mark: Mark, go: Any, ground: str) -> Any:
    """``mark`` as a plotly trace; numbers as lists, for plotly writes arrays as base64."""
    label = getattr(mark, "label", "")
    legend: dict[str, Any] = {"name": escape(label, quote=False), "showlegend": bool(label)}
    match mark:
        case Line():
            return go.Scatter(
                x=plain_list(mark.x),
                y=plain_list(mark.y),
                mode="lines+markers" if mark.dots or len(mark.x) == 1 else "lines",
                marker={"size": 5},
                line={"color": mark.colour, "width": 2},
                **legend,
            )
        case Band():
            known = np.isfinite(mark.low) & np.isfinite(mark.high)
            x, low, high = mark.x[known], mark.low[known], mark.high[known]
            red, green, blue = (round(255 * part) for part in rgb(mark.colour))
            return go.Scatter(
                x=plain_list(np.concatenate((x, x[::-1]))),
                y=plain_list(np.concatenate((high, low[::-1]))),
                fill="toself",
                fillcolor=f"rgba({red},{green},{blue},{mark.strength})",
                line={"width": 0},
                mode="lines",
                hoverinfo="skip",
                **legend,
            )
        case Bars():
            return go.Bar(
                x=plain_list((mark.left + mark.right) / 2),
                width=plain_list(mark.right - mark.left),
                base=plain_list(mark.base),
                y=plain_list(mark.height),
                marker={"color": mark.colour, "line": {"width": 0}},
                hovertemplate="%{x}: %{y:.1%}",
                **legend,
            )
        case Points():
            hover = _hover(mark.hover)
            legend["showlegend"] = bool(label) and len(mark.x) > 0
            return (go.Scattergl if len(mark.x) > _MANY else go.Scatter)(
                x=plain_list(mark.x),
                y=plain_list(mark.y),
                mode="markers",
                marker={
                    "color": mark.colour,
                    "size": mark.size * 1.4,
                    "symbol": _SYMBOLS[mark.shape],
                    "line": {"width": 0},
                },
                **legend,
                **hover,
            )
        case Cloud():
            return go.Scatter(
                x=plain_list(mark.x),
                y=plain_list(mark.y),
                mode="markers",
                marker={
                    "color": plain_list(mark.values),
                    "colorscale": "Viridis",
                    "size": mark.size * 1.4,
                    "line": {"width": 0},
                    "colorbar": {"title": {"text": label, "side": "right"}, "outlinewidth": 0},
                },
                name=label,
                showlegend=False,
                **_hover(mark.hover),
            )
        case Words():
            return go.Scatter(
                x=plain_list(mark.x),
                y=plain_list(mark.y),
                mode="text",
                text=[f"<b>{escape(text, quote=False)}</b>" for text in mark.texts],
                textfont={"color": INK[ground], "shadow": f"0 0 4px {GROUND[ground]}"},
                hoverinfo="skip",
                showlegend=False,
            )
        case Segments():
            breaks: npt.NDArray[Any] = np.full(len(mark.y), np.nan)
            return go.Scatter(
                x=plain_list(np.column_stack((mark.start, mark.end, breaks)).reshape(-1)),
                y=plain_list(np.column_stack((mark.y, mark.y, breaks)).reshape(-1)),
                mode="lines",
                line={"color": mark.colour if ground == "light" else GRID[ground], "width": 1},
                hoverinfo="skip",
                **legend,
            )
        case Heat():
            return go.Heatmap(
                z=[plain_list(row) for row in mark.values],
                x=list(mark.columns),
                y=[escape(row, quote=False) for row in mark.rows],
                colorscale="Cividis",
                zmin=0,
                zmax=mark.top,
                hoverongaps=False,
                colorbar={"title": {"text": label, "side": "right"}, "outlinewidth": 0},
                hovertemplate="from %{y} to %{x}: %{z:.3f}<extra></extra>",
            )
    raise TypeError(f"no trace of {type(mark).__name__}")


def _hover(texts: Sequence[str]) -> dict[str, Any]:
    """What a pointer shows of each point, in lines that fit; none of it is markup."""
    if not texts:
        return {}
    wrapped = ("<br>".join(textwrap.wrap(escape(text, quote=False), _HOVER)) for text in texts)
    return {"text": list(wrapped), "hoverinfo": "text"}
