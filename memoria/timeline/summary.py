"""What a memory holds at one moment, as plain records. Names as in `memoria-pytorch`.

`summarize` makes the records of a lane from arrays; `encode` and `decode` turn them into plain
arrays for files and back, with every bound checked, since a file may be hostile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.timeline.engram_type import LIVING_TYPES, EngramType
from memoria.timeline.log import IntArray

_ENGRAMS: Final = ("id", "type", "age", "fires", "lifespan")
_EDGES: Final = ("source", "target", "count", "weight")
_FLOATS: Final = ("lifespan", "weight")
SUMMARY_ARRAYS: Final = tuple(
    f"told_{name}" for name in ("times", "ends", "edge_ends", *_ENGRAMS, *_EDGES)
)


@dataclass(frozen=True, slots=True)
class EngramConnection:
    """``weight = cofire_count / fire count of the source``: the chance that target fires too."""

    source_id: int
    target_id: int
    weight: float
    cofire_count: int


@dataclass(frozen=True, slots=True)
class EngramInfo:
    """One engram: ``type`` is WORKING, SHORTTERM or LONGTERM; lifespan and age in steps."""

    id: int
    type: str
    lifespan: float
    age: int | None
    fire_count: int
    outgoings: tuple[EngramConnection, ...]
    incoming: tuple[EngramConnection, ...]

    @property
    def cofire_counts(self) -> dict[int, int]:
        """How often each connected engram fired together with this one, by its id."""
        return {edge.target_id: edge.cofire_count for edge in self.outgoings}


@dataclass(frozen=True, slots=True)
class EngramsInfo:
    """One lane: its engrams by id, its connections by (source, target), ids by memory."""

    engrams: dict[int, EngramInfo]
    edges: dict[tuple[int, int], EngramConnection]
    working: tuple[int, ...]
    shortterm: tuple[int, ...]
    longterm: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Firing:
    """An engram fired at a step and gained ``lifespan_gain`` steps."""

    timestep: int
    engram_id: int
    lifespan_gain: float


@dataclass(frozen=True, slots=True)
class EngramHistory:
    """The life of one engram; ``deletion_timestep`` is None while it lives."""

    id: int
    creation_timestep: int
    deletion_timestep: int | None
    duration: int
    firing_times: list[int]
    firings: list[Firing]
    summaries: Sequence[EngramsInfo]


def summarize(
    ids: IntArray,
    types: npt.NDArray[Any],
    lifespans: npt.NDArray[Any],
    ages: npt.NDArray[Any] | None,
    fires: IntArray,
    edges: tuple[IntArray, IntArray, IntArray],
) -> EngramsInfo:
    """The record of one lane.

    Args:
        ids: ids of the engrams, [M].
        types: `EngramType` of each, [M]; NULL ones are left out.
        lifespans: steps left, [M].
        ages: steps since creation, [M], or None where they are not known.
        fires: how often each fired, [M].
        edges: (source, target, co-fire count) of all connections, [E] each, places in ``ids``.
    """
    source, target, cofires = edges
    weights = cofires / np.maximum(fires, 1)[source]
    columns = (ids[source], ids[target], cofires, weights)
    known = [None] * len(ids) if ages is None else ages.tolist()
    rows = zip(ids.tolist(), types.tolist(), known, fires.tolist(), lifespans.tolist(), strict=True)
    return _record(list(rows), list(zip(*(one.tolist() for one in columns), strict=True)))


def encode(summaries: Mapping[int, EngramsInfo]) -> dict[str, npt.NDArray[Any]]:
    """The summaries by time; those of each one's engrams end at ``told_ends``."""
    engrams = [list(one.engrams.values()) for one in summaries.values()]
    edges = [list(one.edges.values()) for one in summaries.values()]
    rows = [
        (e.id, EngramType[e.type], -1 if e.age is None else e.age, e.fire_count, e.lifespan)
        for one in engrams
        for e in one
    ]
    pairs = [(e.source_id, e.target_id, e.cofire_count, e.weight) for one in edges for e in one]
    columns: dict[str, list[Any]] = {
        "times": list(summaries),
        "ends": np.cumsum([len(one) for one in engrams], dtype=np.int64).tolist(),
        "edge_ends": np.cumsum([len(one) for one in edges], dtype=np.int64).tolist(),
        **{name: [row[at] for row in rows] for at, name in enumerate(_ENGRAMS)},
        **{name: [pair[at] for pair in pairs] for at, name in enumerate(_EDGES)},
    }
    kinds = {True: np.float64, False: np.int64}
    return {f"told_{n}": np.array(v, kinds[n in _FLOATS]) for n, v in columns.items()}


def decode(parts: Mapping[str, npt.NDArray[Any]], steps: int) -> dict[int, EngramsInfo]:
    """The summaries, by time, that `encode` turned into arrays, of ``steps`` steps.

    Raises:
        ValueError: an array has the wrong dtype, or offsets decrease or exceed the data.
    """
    for name in SUMMARY_ARRAYS:
        part = parts[name]
        kind = np.float64 if name.removeprefix("told_") in _FLOATS else np.int64
        if part.ndim != 1 or part.dtype != kind:
            raise ValueError(name)
    times = parts["told_times"].tolist()
    if times != sorted(set(times)) or not all(0 <= time < steps for time in times):
        raise ValueError("told_times")
    rows = _split_by_offsets(parts, _ENGRAMS, parts["told_ends"], len(times))
    pairs = _split_by_offsets(parts, _EDGES, parts["told_edge_ends"], len(times))
    return {time: _record(_known_ages(a), b) for time, a, b in zip(times, rows, pairs, strict=True)}


def _split_by_offsets(
    parts: Mapping[str, npt.NDArray[Any]], names: tuple[str, ...], ends: Any, count: int
) -> list[list[tuple[Any, ...]]]:
    columns = [parts[f"told_{name}"].tolist() for name in names]
    reach = [0, *ends.tolist()]
    if len(ends) != count or reach != sorted(reach) or reach[-1] != len(columns[0]):
        raise ValueError("told_ends")
    table = list(zip(*columns, strict=True))
    return [table[a:b] for a, b in pairwise(reach)]


def _known_ages(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [(id_, kind, None if age < 0 else age, *rest) for id_, kind, age, *rest in rows]


def _record(rows: list[tuple[Any, ...]], pairs: list[tuple[Any, ...]]) -> EngramsInfo:
    """Of engrams (`_ENGRAMS`) and connections (`_EDGES`)."""
    edges = {(i, j): EngramConnection(i, j, weight, count) for i, j, count, weight in pairs}
    outgoing: dict[int, list[EngramConnection]] = {row[0]: [] for row in rows}
    incoming: dict[int, list[EngramConnection]] = {row[0]: [] for row in rows}
    for edge in edges.values():
        outgoing[edge.source_id].append(edge)
        incoming[edge.target_id].append(edge)
    engrams, memories = {}, {kind: list[int]() for kind in EngramType}
    for id_, kind, age, fires, lifespan in rows:
        if kind == EngramType.NULL:
            continue
        out, into = tuple(outgoing[id_]), tuple(incoming[id_])
        engrams[id_] = EngramInfo(id_, EngramType(kind).name, lifespan, age, fires, out, into)
        memories[EngramType(kind)].append(id_)
    return EngramsInfo(engrams, edges, *(tuple(memories[kind]) for kind in LIVING_TYPES))
