"""`draw`: an analysis as a picture in a file; `figure`: as one to go on with."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.analysis.excerpts import label
from memoria.analysis.palette import LINES, MEMORY_COLOURS
from memoria.analysis.result import Analysis, Table, file_format
from memoria.io.atomic_write import atomic_write
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
from memoria.plots.matplotlib_plots import save_still
from memoria.plots.plotly_plots import plotly_figure, save_page
from memoria.timeline.lifespan import PLAINLY_ENDLESS

PICTURES: Final = ("png", "svg", "html")

_NAMES: Final = {"working": "working", "shortterm": "short-term", "longterm": "long-term"}
_SHAPES: Final = {
    "forgotten": "cross",
    "longterm": "disc",
    "shortterm": "square",
    "working": "diamond",
}
_LIFE: Final = "#D9DDE3"
_SHOWN_APART: Final = 0.99  # of weights, whose colours differ
_MOST_NAMED: Final = 16  # engrams in a legend


def draw(shown: Analysis | Scene, path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Write a picture, which is there as a whole or not at all; the same numbers, the same bytes.

    Args:
        shown: an analysis, or a scene of your own.
        path: the file; its extension, one of `PICTURES`, is the format.
        force: replace what is there.

    Raises:
        InputError: the extension is unknown.
        StoreExistsError, StorageError: the file is there, or cannot be written.
        MissingExtraError: the extra ``viz`` is not installed.
    """
    form = file_format(path, PICTURES, "picture")
    scene = shown if isinstance(shown, Scene) else scene_of(shown)
    with atomic_write(os.path.abspath(path), force) as temporary:
        if form == "html":
            save_page(scene, temporary)
        else:
            save_still(scene, temporary, form)


def figure(shown: Analysis | Scene, ground: str = "light") -> Any:
    """A ``plotly.graph_objects.Figure``.

    Args:
        shown: an analysis, or a scene of an animation.
        ground: ``"light"`` or ``"dark"``.
    """
    return plotly_figure(shown if isinstance(shown, Scene) else scene_of(shown), ground)


def scene_of(analysis: Analysis) -> Scene:
    """What a plot of ``analysis`` shows."""
    return Scene(
        title=analysis.title,
        note=analysis.note,
        x_label=analysis.x_label,
        y_label=analysis.y_label,
        alt=analysis.alt,
        marks=SCENES[analysis.kind](analysis.frame(), analysis),
        percent=analysis.kind == "survival",
        from_zero=analysis.kind not in ("autocorrelation", "raster", "map"),
        levels=analysis.kind == "raster",
        plane=analysis.kind == "map",
    )


def _survival(frame: Table, _: Analysis) -> list[Mark]:
    left, right = frame["from_step"] - 0.5, frame["to_step"] + 0.5
    made = np.maximum(frame["created"], 1)
    old, new = frame["longterm"] / made, frame["shortterm"] / made
    return [
        Bars(left, right, np.zeros(len(old)), old, MEMORY_COLOURS["longterm"], "long-term"),
        Bars(left, right, old, new, MEMORY_COLOURS["shortterm"], "short-term"),
    ]


def _contiguity(frame: Table, analysis: Analysis) -> list[Mark]:
    mean, std = frame["mean"], frame["std"]
    low, high = np.clip(mean - std, 0, 1), np.clip(mean + std, 0, 1)
    marks: list[Mark] = [
        Band(frame["lag"], low, high, LINES[0], "standard deviation", 0.15),
        Line(frame["lag"], mean, LINES[0], "mean", dots=True),
    ]
    if "people" in analysis.frames:
        people = analysis.frames["people"]
        lag, recalled = people["lag"], people["recalled_next"]
        for side in (lag < 0, lag > 0):  # nothing is recalled twice: a gap at 0
            name = "people: recalled next" if side[0] else ""
            marks.append(Line(lag[side], recalled[side], LINES[1], name, dots=True))
    return marks


def _reminded_age(frame: Table, _: Analysis) -> list[Mark]:
    marks: list[Mark] = []
    lines: list[Mark] = []
    for memory in ("longterm", "shortterm"):
        of_memory = frame["memory"] == memory
        x = (frame["from_step"][of_memory] + frame["to_step"][of_memory]) / 2
        colour, name = MEMORY_COLOURS[memory], _NAMES[memory]
        marks.append(Band(x, frame["p10"][of_memory], frame["p90"][of_memory], colour, "", 0.14))
        marks.append(Band(x, frame["p25"][of_memory], frame["p75"][of_memory], colour, "", 0.25))
        lines.append(Line(x, frame["mean"][of_memory], colour, f"{name}: mean, 25-75 %, 10-90 %"))
    return marks + lines


def _raster(frame: Table, analysis: Analysis) -> list[Mark]:
    engrams = analysis.frames["engrams"]
    first, last = (int(frame["step"][[0, -1]][at]) if len(frame["step"]) else 1 for at in (0, 1))
    gone = np.where(engrams["gone"] > 0, engrams["gone"], last)
    marks: list[Mark] = [
        Segments(
            engrams["row"],
            np.maximum(engrams["born"], first),
            np.clip(gone, first, last),
            _LIFE,
            "alive",
        )
    ]
    for memory, name in _NAMES.items():
        of_memory = frame["memory"] == memory
        ids, steps = frame["id"][of_memory], frame["step"][of_memory]
        hover = [
            f"engram {id_}, step {step}"
            for id_, step in zip(ids.tolist(), steps.tolist(), strict=True)
        ]
        marks.append(
            Points(
                *(steps, frame["row"][of_memory], MEMORY_COLOURS[memory], f"{name}, fires"),
                size=_dot(len(engrams["row"]), len(frame["step"])),
                hover=hover,
            )
        )
    return marks


def _dot(rows: int, points: int) -> float:
    """The diameter of a point, that rows and points of these numbers leave apart."""
    return float(np.clip(300 / max(rows, 1), 1.6, 6) * np.clip(3000 / max(points, 1), 0.6, 1))


def _lifespans(frame: Table, analysis: Analysis) -> list[Mark]:
    engrams = analysis.frames["engrams"]
    marks: list[Mark] = [Rule(0.0)]
    turns: list[tuple[int, float]] = []
    ends: list[tuple[int, float]] = []
    few = len(engrams["id"]) <= _MOST_NAMED
    texts = engrams["text"].tolist()
    for number, id_ in enumerate(engrams["id"].tolist()):
        of_engram = frame["id"] == id_
        steps, left = frame["step"][of_engram], frame["lifespan"][of_engram]
        left = np.where(np.abs(left) < PLAINLY_ENDLESS, left, np.nan)
        colour = LINES[number % len(LINES)]
        marks.append(Line(steps, left, colour, label(id_, texts[number], 48) if few else ""))
        for wanted, found in ((engrams["longterm"], turns), (engrams["gone"], ends)):
            at = np.flatnonzero(steps == wanted[number])
            if len(at):
                found.append((int(steps[at[0]]), float(left[at[0]])))
    marks.append(_spots(turns, MEMORY_COLOURS["longterm"], "becomes long-term", "disc"))
    marks.append(_spots(ends, MEMORY_COLOURS["forgotten"], "forgotten", "cross"))
    return marks


def _spots(points: list[tuple[int, float]], colour: str, label: str, shape: str) -> Points:
    table: npt.NDArray[Any] = np.array(points, np.float64).reshape(-1, 2)
    return Points(table[:, 0], table[:, 1], colour, label, size=6.5, shape=shape)


def _connections(frame: Table, analysis: Analysis) -> list[Mark]:
    engrams = analysis.frames["engrams"]
    ids = engrams["id"]
    weights = frame["weight"].reshape(len(ids), len(ids)).copy()
    np.fill_diagonal(weights, np.nan)
    if len(ids) < 2:
        return []
    names = [label(id_, text, 26) for id_, text in zip(ids.tolist(), engrams["text"], strict=True)]
    return [
        Heat(
            weights,
            rows=names,
            columns=[str(id_) for id_ in ids.tolist()],
            top=_top(weights),
            label="P(column fires | row fires)",
        )
    ]


def _top(weights: npt.NDArray[Any]) -> float:
    """Where the colours end: at the greatest weight, or where few lie above it."""
    known = weights[np.isfinite(weights)]
    greatest, most = float(known.max()), float(np.quantile(known, _SHOWN_APART))
    return (most if greatest > 1.3 * most > 0 else greatest) or 1.0


def _sizes(frame: Table, _: Analysis) -> list[Mark]:
    return [
        Line(frame["to_step"], frame[memory], MEMORY_COLOURS[memory], _NAMES[memory])
        for memory in ("longterm", "shortterm", "working")
    ]


def _autocorrelation(frame: Table, _: Analysis) -> list[Mark]:
    lag, mean = frame["lag"], frame["autocorrelation"]
    error = 2 * frame["std"] / np.sqrt(np.maximum(frame["engrams"], 1))
    colour = MEMORY_COLOURS["longterm"]
    return [
        Rule(0.0),
        Band(lag, mean - error, mean + error, colour, "two standard errors", 0.25),
        Line(lag, mean, colour, "mean over engrams", dots=True),
    ]


def _map(frame: Table, analysis: Analysis) -> list[Mark]:
    topics, colour = analysis.frames["topics"], analysis.options.get("colour", "memory")
    size = float(np.clip(160 / max(len(frame["id"]), 1) ** 0.5, 2.5, 9))
    hover = [
        f"engram {id_}, {_NAMES.get(memory, memory)}, {age:,} steps old{_after(text)}"
        for id_, memory, age, text in zip(
            *(frame[name].tolist() for name in ("id", "memory", "age", "text")), strict=True
        )
    ]
    marks: list[Mark] = []
    if colour == "memory":
        for memory, shape in _SHAPES.items():
            there = np.flatnonzero(frame["memory"] == memory)
            marks.append(
                Points(
                    *(frame["x"][there], frame["y"][there]),
                    colour=MEMORY_COLOURS[memory],
                    label=_NAMES.get(memory, memory),
                    size=size,
                    shape=shape,
                    hover=[hover[n] for n in there.tolist()],
                )
            )
    else:
        values = np.where(np.abs(frame[colour]) < PLAINLY_ENDLESS, frame[colour], np.nan)
        marks.append(Cloud(frame["x"], frame["y"], values, f"{colour}, in steps", size, hover))
    return [*marks, Words(topics["x"], topics["y"], topics["words"].tolist())]


def _after(text: str) -> str:
    return f": {text}" if text else ""


SCENES: Final[Mapping[str, Callable[[Table, Analysis], list[Mark]]]] = MappingProxyType(
    {
        "survival": _survival,
        "contiguity": _contiguity,
        "reminded-age": _reminded_age,
        "raster": _raster,
        "lifespans": _lifespans,
        "connections": _connections,
        "sizes": _sizes,
        "autocorrelation": _autocorrelation,
        "map": _map,
    }
)
