"""Every kind of analysis, counted slowly from the records that `Inspection` has of engrams."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import numpy as np

from memoria.query.inspection import Inspection

Rows = list[dict[str, Any]]


@dataclass
class EngramLife:
    """One engram's life."""

    id: int
    lane: int
    born: int
    gone: int
    longterm: int
    fired: dict[int, tuple[float, float]] = field(default_factory=dict)  # (gain, lifespan) by step

    def alive(self, step: int) -> bool:
        return self.born <= step and not 0 < self.gone <= step

    def memory(self, step: int) -> str:
        """As the step reminds."""
        if step == self.born:
            return "working"
        return "longterm" if 0 < self.longterm < step else "shortterm"

    def memory_after(self, step: int) -> str:
        if not self.alive(step):
            return "forgotten"
        return "longterm" if 0 < self.longterm <= step else "shortterm"

    def end(self, steps: int) -> int:
        return self.gone or steps


class Oracle:
    """The life of a store as plain lists; ``first`` is the first step of which all is known."""

    def __init__(self, path: Path, ids: Iterable[int], lane: int | None, first: int = 1) -> None:
        self.first = first
        with Inspection.open(path) as view:
            self.steps = view.step
            self.lanes = view.config.lanes
            self.added = [one["added"] for one in view.history(lane=lane)]
            records = [view.engram(id_) for id_ in ids]
        self.engrams = []
        for one in records:
            gone = one["forgotten"]["step"] if one["forgotten"] else 0
            longterm = one["longterm"] or 0
            made = EngramLife(one["id"], one["lane"], one["created"]["step"], gone, 0)
            made.longterm = 0 if gone and longterm >= gone else longterm
            made.fired = {f["step"]: (f["gain"], f["lifespan"]) for f in one["firings"]}
            if lane is None or made.lane == lane:
                self.engrams.append(made)

    def runs(self, first: int, bins: int) -> list[tuple[int, int]]:
        width = max(1, math.ceil((self.steps - first + 1) / bins))
        starts = range(first, self.steps + 1, width)
        return [(start, min(start + width - 1, self.steps)) for start in starts]

    def survival(self, bins: int) -> Rows:
        rows = []
        for start, end in self.runs(1, bins):
            born = [e for e in self.engrams if start <= e.born <= end]
            kinds = [e.memory_after(self.steps) for e in born]
            made = sum(self.added[start - 1 : end])
            short, old = kinds.count("shortterm"), kinds.count("longterm")
            rows.append(
                {
                    "from_step": start,
                    "to_step": end,
                    "created": made,
                    "alive": short + old,
                    "shortterm": short,
                    "longterm": old,
                    "share": (short + old) / made if made else None,
                }
            )
        return rows

    def together(self, one: EngramLife, other: EngramLife) -> int:
        return len(one.fired.keys() & other.fired.keys()) if one.lane == other.lane else 0

    def contiguity(self, max_lag: int, forgotten: bool) -> Rows:
        mine = [e for e in self.engrams if forgotten or e.alive(self.steps)]
        most = min(max_lag, self.steps - 1)
        found: dict[int, list[float]] = {lag: [] for lag in range(-most, most + 1)}
        for one in mine:
            for other in mine:
                lag = other.born - one.born
                if one.id != other.id and one.lane == other.lane and abs(lag) <= most:
                    found[lag].append(self.together(one, other) / len(one.fired))
        return [
            {
                "lag": lag,
                "mean": fmean(weights) if weights else None,
                "std": pstdev(weights) if weights else None,
                "pairs": len(weights),
                "connected": sum(weight > 0 for weight in weights),
            }
            for lag, weights in found.items()
            if mine
        ]

    def reminded_age(self, bins: int) -> Rows:
        rows = []
        for name in ("all", "shortterm", "longterm"):
            for start, end in self.runs(self.first, bins):
                ages = [
                    step - e.born
                    for e in self.engrams
                    for step in e.fired
                    if step != e.born and start <= step <= end and name in ("all", e.memory(step))
                ]
                if ages:
                    points = [float(np.percentile(ages, p)) for p in (10, 25, 50, 75, 90)]
                    names = ("p10", "p25", "median", "p75", "p90")
                    head = {"memory": name, "from_step": start, "to_step": end}
                    numbers = dict(zip(names, points, strict=True))
                    rows.append(head | {"reminded": len(ages), "mean": fmean(ages)} | numbers)
        return rows

    def raster(self, first: int, last: int) -> Rows:
        shown = [e for e in self.engrams if any(first <= step <= last for step in e.fired)]
        return [
            {
                "step": step,
                "id": e.id,
                "row": row,
                "memory": e.memory(step),
                "gain": e.fired[step][0],
            }
            for step in range(first, last + 1)
            for row, e in enumerate(shown)
            if step in e.fired
        ]

    def connections(self, ids: list[int]) -> Rows:
        by_id = {e.id: e for e in self.engrams}
        return [
            {
                "source": a,
                "target": b,
                "weight": self.together(by_id[a], by_id[b]) / len(by_id[a].fired),
                "cofire_count": self.together(by_id[a], by_id[b]),
            }
            for a in ids
            for b in ids
        ]

    def sizes(self, bins: int) -> Rows:
        rows = []
        for start, end in self.runs(self.first, bins):
            kinds = [e.memory_after(end) for e in self.engrams]
            again = [s for e in self.engrams for s in e.fired if s != e.born and start <= s <= end]
            rows.append(
                {
                    "from_step": start,
                    "to_step": end,
                    "working": sum(e.born == end for e in self.engrams),
                    "shortterm": kinds.count("shortterm"),
                    "longterm": kinds.count("longterm"),
                    "born": sum(start <= e.born <= end for e in self.engrams),
                    "forgotten": sum(start <= e.gone <= end for e in self.engrams),
                    "reminded": len(again),
                }
            )
        return rows

    def autocorrelation(self, max_lag: int) -> Rows:
        trains = []
        for e in self.engrams:
            if e.longterm:
                start = max(e.longterm, self.first - 1)
                train = [int(step in e.fired) for step in range(start + 1, e.end(self.steps) + 1)]
                if len(train) > max_lag and 0 < sum(train) < len(train):
                    trains.append(train)
        rows = []
        for lag in range(1, max_lag + 1) if trains else ():
            each, same, chances = [], 0, 0
            for train in trains:
                mean = sum(train) / len(train)
                pairs = list(zip(train, train[lag:], strict=False))
                energy = sum((f - mean) ** 2 for f in train)
                each.append(sum((a - mean) * (b - mean) for a, b in pairs) / energy)
                same += sum(a and b for a, b in pairs)
                chances += sum(a for a, _ in pairs)
            rows.append(
                {
                    "lag": lag,
                    "autocorrelation": fmean(each),
                    "std": pstdev(each),
                    "probability": same / chances if chances else None,
                    "base": sum(map(sum, trains)) / sum(map(len, trains)),
                    "engrams": len(trains),
                }
            )
        return rows
