"""Summaries as arrays and back, for files: nothing in them is run or trusted when read."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.timeline.engram_type import EngramType
from memoria.timeline.summary import EngramConnection, EngramInfo, EngramsInfo

__all__ = ["TOLD", "decoded", "encoded"]

_ROWS: Final = ("id", "type", "age", "fires", "lifespan")
_EDGES: Final = ("source", "target", "count", "weight")
_FLOATS: Final = ("lifespan", "weight")
TOLD: Final = tuple(f"told_{name}" for name in ("times", "ends", "edge_ends", *_ROWS, *_EDGES))


def encoded(summaries: Mapping[int, EngramsInfo]) -> dict[str, npt.NDArray[Any]]:
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
        **{name: [row[at] for row in rows] for at, name in enumerate(_ROWS)},
        **{name: [pair[at] for pair in pairs] for at, name in enumerate(_EDGES)},
    }
    kinds = {True: np.float64, False: np.int64}
    return {f"told_{n}": np.array(v, kinds[n in _FLOATS]) for n, v in columns.items()}


def decoded(parts: Mapping[str, npt.NDArray[Any]], steps: int) -> dict[int, EngramsInfo]:
    """What was `encoded`, of ``steps`` steps. Raises ValueError for what never was."""
    for name in TOLD:
        part = parts[name]
        kind = np.float64 if name.removeprefix("told_") in _FLOATS else np.int64
        if part.ndim != 1 or part.dtype != kind:
            raise ValueError(name)
    times = parts["told_times"].tolist()
    if times != sorted(set(times)) or not all(0 <= time < steps for time in times):
        raise ValueError("told_times")
    rows = _cut(parts, _ROWS, parts["told_ends"], len(times))
    pairs = _cut(parts, _EDGES, parts["told_edge_ends"], len(times))
    return {time: _one(a, b) for time, a, b in zip(times, rows, pairs, strict=True)}


def _cut(
    parts: Mapping[str, npt.NDArray[Any]], names: tuple[str, ...], ends: Any, count: int
) -> list[list[tuple[Any, ...]]]:
    columns = [parts[f"told_{name}"].tolist() for name in names]
    reach = [0, *ends.tolist()]
    if len(ends) != count or reach != sorted(reach) or reach[-1] != len(columns[0]):
        raise ValueError("told_ends")
    table = list(zip(*columns, strict=True))
    return [table[a:b] for a, b in pairwise(reach)]


def _one(rows: list[tuple[Any, ...]], pairs: list[tuple[Any, ...]]) -> EngramsInfo:
    edges = {(i, j): EngramConnection(i, j, weight, count) for i, j, count, weight in pairs}
    outgoing: dict[int, list[EngramConnection]] = {row[0]: [] for row in rows}
    incoming: dict[int, list[EngramConnection]] = {row[0]: [] for row in rows}
    for edge in edges.values():
        outgoing[edge.source_id].append(edge)
        incoming[edge.target_id].append(edge)
    engrams, memories = {}, {kind: list[int]() for kind in EngramType}
    for id_, kind, age, fires, lifespan in rows:
        out, into = tuple(outgoing[id_]), tuple(incoming[id_])
        name, known = EngramType(kind).name, None if age < 0 else age
        engrams[id_] = EngramInfo(id_, name, lifespan, known, fires, out, into)
        memories[EngramType(kind)].append(id_)
    kinds = (EngramType.WORKING, EngramType.SHORTTERM, EngramType.LONGTERM)
    return EngramsInfo(engrams, edges, *(tuple(memories[kind]) for kind in kinds))
