"""How old the engrams are that are reminded, over the steps."""

from __future__ import annotations

from typing import Final

import numpy as np

from memoria.analysis.choices import Bins, Kind, Option, after_compaction, in_lane, sentences
from memoria.analysis.chronicle import Chronicle
from memoria.analysis.result import Analysis, Frame
from memoria.timeline.engram_type import EngramType
from memoria.timeline.firing_log import IntArray

__all__ = ["REMINDED_AGE"]

_QUANTILES: Final = {"p10": 0.1, "p25": 0.25, "median": 0.5, "p75": 0.75, "p90": 0.9}
_GROUPS: Final = {
    "all": (EngramType.SHORTTERM, EngramType.LONGTERM),
    "shortterm": (EngramType.SHORTTERM,),
    "longterm": (EngramType.LONGTERM,),
}


def _reminded_age(chronicle: Chronicle, lane: int | None, bins: int) -> Analysis:
    """Mean and quantiles of ``step - born`` of what was reminded in each run of steps.

    By ``memory``: all, shortterm, longterm, as it stood when it was reminded. A run in which
    nothing was reminded has no row.
    """
    mine = in_lane(chronicle, lane)
    steps = Bins.of(chronicle.first_step, chronicle.steps, bins)
    rows: dict[str, list[list[float]]] = {name: [] for name in _GROUPS}
    for first, last in zip(steps.starts.tolist(), steps.ends.tolist(), strict=True):
        entries = slice(int(chronicle.ends[first - 1]), int(chronicle.ends[last]))
        places, at = chronicle.fired_places[entries], chronicle.fired_steps[entries]
        old = mine[places] & (chronicle.born[places] < at)
        places, at = places[old], at[old]
        ages, kinds = at - chronicle.born[places], chronicle.types(places, at)
        for name, group in _GROUPS.items():
            of_group = ages[np.isin(kinds, group)]
            if len(of_group):
                rows[name].append([first, last, len(of_group), *_numbers(of_group)])
    return Analysis(
        kind="reminded-age",
        title="Age of what is reminded",
        x_label="step",
        y_label="age when reminded, in steps",
        note=sentences(
            steps.note, after_compaction(chronicle), "" if lane is None else f"lane {lane}"
        ),
        frames={"ages": _frame(rows)},
    )


def _numbers(ages: IntArray) -> list[float]:
    return [float(ages.mean()), *np.quantile(ages, list(_QUANTILES.values())).tolist()]


def _frame(rows: dict[str, list[list[float]]]) -> Frame:
    names = [name for name, group in rows.items() for _ in group]
    table = np.array([row for group in rows.values() for row in group], np.float64)
    table = table.reshape(-1, 4 + len(_QUANTILES))
    whole = dict(zip(("from_step", "to_step", "reminded"), table[:, :3].T, strict=True))
    return {
        "memory": np.array(names, "U9"),
        **{name: column.astype(np.int64) for name, column in whole.items()},
        **dict(zip(("mean", *_QUANTILES), table[:, 3:].T.copy(), strict=True)),
    }


REMINDED_AGE: Final = Kind(
    "reminded-age",
    _reminded_age,
    {"lane": Option(None, 0), "bins": Option(100, 1)},
)
