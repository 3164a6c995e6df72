"""Scenes as plotly figures, and as .html files that open without a network."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.analysis.palette import GROUND, INK
from memoria.errors import InputError, MissingExtraError
from memoria.plots.scene import Band, Bars, Heat, Line, Mark, Points, Rule, Scene, Segments

__all__ = ["plotly_figure", "save_page"]

_GRID: Final = {"light": "#E4E8ED", "dark": "#2A3140"}
_FAINT: Final = {"light": "#5E6876", "dark": "#A9B2C0"}
_BLANK: Final = {"light": "#EEF0F3", "dark": "#1A202B"}
_MANY: Final = 20_000  # points from which WebGL draws them
_SYMBOLS: Final = {"o": "circle", "|": "line-ns", "x": "x"}


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
        _MARKS[type(mark)](mark, figure, go, ground)
    axis = {
        "gridcolor": _GRID[ground],
        "linecolor": _FAINT[ground],
        "zeroline": False,
        "automargin": True,
    }
    heat = scene.matrix
    note = f"<br><span style='font-size:12px;color:{_FAINT[ground]}'>{escape(scene.note)}</span>"
    figure.update_layout(
        template="none",
        title={
            "text": f"<b>{escape(scene.title)}</b>{note if scene.note else ''}",
            "x": 0,
            "xref": "paper",
            "xanchor": "left",
            "yanchor": "top",
            "y": 0.96,
            "font": {"size": 17},
        },
        font={"color": INK[ground], "family": "system-ui, sans-serif", "size": 13},
        paper_bgcolor=GROUND[ground],
        plot_bgcolor=_BLANK[ground] if heat else GROUND[ground],
        margin={"l": 64, "r": 24, "t": 84, "b": 56},
        height=640 if heat else 480,
        hovermode="closest",
        hoverlabel={"namelength": -1},
        showlegend=scene.labelled > 1 and not heat,
        legend={"itemsizing": "constant", "bgcolor": "rgba(0,0,0,0)"},
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
    elif scene.levels:
        figure.update_yaxes(showticklabels=False, showgrid=False)
    elif scene.from_zero:
        figure.update_yaxes(rangemode="tozero")
    if scene.percent:
        figure.update_yaxes(tickformat=".0%", range=[0, 1.02])
    return figure


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
    title, note = escape(scene.title), escape(scene.note)
    path.write_text(
        "<!doctype html>\n"
        f'<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<style>html, body {height: 100%; margin: 0; background: "
        f"{GROUND['light']}}} main {{height: 100%; min-height: 24rem}} "
        "main > div {height: 100%}</style>\n"
        f'</head>\n<body>\n<main role="img" aria-label="{title}. {note}">\n{plot}\n'
        "</main>\n</body>\n</html>\n",
        encoding="utf-8",
    )


def _rgba(colour: str, strength: float) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{strength})"


def _listed(values: npt.NDArray[Any]) -> list[Any]:
    """Plain numbers, None for NaN: plotly would write arrays as base64."""
    return [
        None if isinstance(one, float) and not np.isfinite(one) else one for one in values.tolist()
    ]


def _line(mark: Line, figure: Any, go: Any, _: str) -> None:
    figure.add_trace(
        go.Scatter(
            x=_listed(mark.x),
            y=_listed(mark.y),
            mode="lines+markers" if mark.dots or len(mark.x) == 1 else "lines",
            marker={"size": 5},
            line={"color": mark.colour, "width": 2},
            name=mark.label,
            showlegend=bool(mark.label),
        )
    )


def _band(mark: Band, figure: Any, go: Any, _: str) -> None:
    there = np.isfinite(mark.low) & np.isfinite(mark.high)
    x, low, high = mark.x[there], mark.low[there], mark.high[there]
    figure.add_trace(
        go.Scatter(
            x=_listed(np.concatenate((x, x[::-1]))),
            y=_listed(np.concatenate((high, low[::-1]))),
            fill="toself",
            fillcolor=_rgba(mark.colour, mark.strength),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            name=mark.label,
            showlegend=bool(mark.label),
        )
    )


def _bars(mark: Bars, figure: Any, go: Any, _: str) -> None:
    figure.add_trace(
        go.Bar(
            x=_listed((mark.left + mark.right) / 2),
            width=_listed(mark.right - mark.left),
            base=_listed(mark.base),
            y=_listed(mark.height),
            marker={"color": mark.colour, "line": {"width": 0}},
            name=mark.label,
            showlegend=bool(mark.label),
            hovertemplate="%{x}: %{y:.1%}",
        )
    )


def _points(mark: Points, figure: Any, go: Any, _: str) -> None:
    kind = go.Scattergl if len(mark.x) > _MANY else go.Scatter
    hover = {"text": list(mark.hover), "hoverinfo": "text"} if mark.hover else {}
    figure.add_trace(
        kind(
            x=_listed(mark.x),
            y=_listed(mark.y),
            mode="markers",
            marker={
                "color": mark.colour,
                "size": mark.size * 1.4,
                "symbol": _SYMBOLS[mark.shape],
                "line": {"width": 0},
            },
            name=mark.label,
            showlegend=bool(mark.label) and len(mark.x) > 0,
            **hover,
        )
    )


def _segments(mark: Segments, figure: Any, go: Any, ground: str) -> None:
    breaks: npt.NDArray[Any] = np.full(len(mark.y), np.nan)
    x = np.column_stack((mark.start, mark.end, breaks)).reshape(-1)
    y = np.column_stack((mark.y, mark.y, breaks)).reshape(-1)
    figure.add_trace(
        go.Scatter(
            x=_listed(x),
            y=_listed(y),
            mode="lines",
            line={"color": mark.colour if ground == "light" else _GRID[ground], "width": 1},
            hoverinfo="skip",
            name=mark.label,
            showlegend=bool(mark.label),
        )
    )


def _heat(mark: Heat, figure: Any, go: Any, _: str) -> None:
    figure.add_trace(
        go.Heatmap(
            z=[_listed(row) for row in mark.values],
            x=list(mark.columns),
            y=list(mark.rows),
            colorscale="Cividis",
            zmin=0,
            zmax=mark.top,
            hoverongaps=False,
            colorbar={"title": {"text": mark.label, "side": "right"}, "outlinewidth": 0},
            hovertemplate="from %{y} to %{x}: %{z:.3f}<extra></extra>",
        )
    )


def _rule(mark: Rule, figure: Any, _: Any, ground: str) -> None:
    figure.add_hline(y=mark.y, line={"color": _FAINT[ground], "width": 1}, layer="below")


_MARKS: Final[dict[type[Mark], Any]] = {
    Line: _line,
    Band: _band,
    Bars: _bars,
    Points: _points,
    Segments: _segments,
    Heat: _heat,
    Rule: _rule,
}
