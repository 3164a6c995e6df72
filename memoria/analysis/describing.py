"""An analysis in words, for those who do not see its picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from memoria.timeline.lifespan import PLAINLY_ENDLESS

Column: TypeAlias = npt.NDArray[Any]
Table: TypeAlias = Mapping[str, Column]


class Told(Protocol):
    """What of a `memoria.analysis.Analysis` is described here."""

    @property
    def kind(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def note(self) -> str: ...
    @property
    def x_label(self) -> str: ...
    @property
    def y_label(self) -> str: ...
    @property
    def frames(self) -> Mapping[str, Table]: ...

    def frame(self) -> Table: ...
    def __len__(self) -> int: ...


_MOST_PAIRS: Final = 3
_CURVES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {  # columns along and up
        "survival": ("from_step", "share"),
        "contiguity": ("lag", "mean"),
        "autocorrelation": ("lag", "autocorrelation"),
    }
)


def describe(analysis: Told) -> str:
    """The title, the note and the main facts of an analysis in a few sentences."""
    facts = _FACTS.get(analysis.kind, _curve)(analysis) if len(analysis) else "Nothing to show."
    note = f"{analysis.note}." if analysis.note else ""
    return " ".join(part for part in (f"{analysis.title}.", note, facts) if part)


def _curve(analysis: Told) -> str:
    along, up = _CURVES[analysis.kind]
    frame = analysis.frame()
    told = f"{analysis.y_label}: {_course(frame[along], frame[up], analysis.x_label)}."
    if "people" in analysis.frames:
        human = analysis.frames["people"]
        course = _course(human["lag"], human["recalled_next"], "studied so many words later")
        told += f" People recall next: {course}."
    return told


def _course(x: Column, y: Column, what: str) -> str:
    """Where a curve begins, its lowest and highest point, and where it ends."""
    known = np.isfinite(y.astype(np.float64))
    x, y = x[known], y[known]
    if len(y) == 0:
        return "no values"
    low, high = int(y.argmin()), int(y.argmax())
    return (
        f"{_short(y[0])} at {x[0]:,} ({what}), lowest {_short(y[low])} at {x[low]:,}, "
        f"highest {_short(y[high])} at {x[high]:,}, {_short(y[-1])} at {x[-1]:,}"
    )


def _short(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:.3g}"


def _by_memory(analysis: Told) -> str:
    frame = analysis.frame()
    parts = []
    for memory in ("longterm", "shortterm"):
        there = frame["memory"] == memory
        if there.any():
            course = _course(frame["to_step"][there], frame["mean"][there], "step")
            parts.append(f"{memory}: mean {course}")
    return f"{'; '.join(parts)}."


def _sizes(analysis: Told) -> str:
    frame = analysis.frame()
    memories = ("longterm", "shortterm", "working")
    parts = [f"{name}: {_course(frame['to_step'], frame[name], 'step')}" for name in memories]
    return f"{'; '.join(parts)}."


def _raster(analysis: Told) -> str:
    frame, engrams = analysis.frame(), analysis.frames["engrams"]
    counts = [
        f"{int((frame['memory'] == memory).sum()):,} in {memory} memory"
        for memory in ("working", "shortterm", "longterm")
    ]
    most = int(engrams["fires"].argmax())
    return (
        f"{len(frame['id']):,} firings of {len(engrams['id']):,} engrams: {', '.join(counts)}; "
        f"most often, {int(engrams['fires'][most]):,} times, engram {engrams['id'][most]}."
    )


def _lifespans(analysis: Told) -> str:
    frame, engrams = analysis.frame(), analysis.frames["engrams"]
    parts = []
    for id_, gone in zip(engrams["id"].tolist(), engrams["gone"].tolist(), strict=True):
        left = frame["lifespan"][frame["id"] == id_]
        end = f"forgotten after step {gone:,}" if gone else f"{_number(left[-1])} left"
        parts.append(f"engram {id_}: {end}")
    return f"{'; '.join(parts[:16])}."


def _number(value: float) -> str:
    return f"{value:,.4g} steps" if value < PLAINLY_ENDLESS else "an endless lifespan"


def _connections(analysis: Told) -> str:
    frame = analysis.frame()
    other = np.flatnonzero(frame["source"] != frame["target"])
    best = other[np.argsort(-frame["weight"][other], kind="stable")[:_MOST_PAIRS]]
    pairs = [
        f"{frame['source'][n]} to {frame['target'][n]} ({frame['weight'][n]:.2f})" for n in best
    ]
    return f"Strongest: {', '.join(pairs)}." if pairs else "No two engrams."


def _map(analysis: Told) -> str:
    frame, topics = analysis.frame(), analysis.frames["topics"]
    names, counts = np.unique(frame["memory"], return_counts=True)
    memories = ", ".join(f"{n:,} {name}" for name, n in zip(names, counts.tolist(), strict=True))
    return f"{memories}. {_parts(topics)}".strip()


def _parts(topics: Table) -> str:
    listed = [
        f"{words} ({count:,})"
        for words, count in zip(topics["words"], topics["engrams"].tolist(), strict=True)
    ]
    return f"Parts of the map: {'; '.join(listed)}." if listed else ""


_FACTS: Final[Mapping[str, Callable[[Told], str]]] = MappingProxyType(
    {
        "reminded-age": _by_memory,
        "sizes": _sizes,
        "raster": _raster,
        "lifespans": _lifespans,
        "connections": _connections,
        "map": _map,
    }
)
