"""Curves over the steps: survival, sizes of the memories, age of what is reminded."""

from __future__ import annotations

from typing import Final

import numpy as np

from memoria.analysis.chronicle import Chronicle
from memoria.analysis.result import Analysis, Table
from memoria.analysis.scope import Bins, after_compaction, in_lane, note
from memoria.timeline.engram_type import EngramType
from memoria.timeline.log import IntArray

_QUANTILES: Final = {"p10": 0.1, "p25": 0.25, "median": 0.5, "p75": 0.75, "p90": 0.9}
_GROUPS: Final = {
    "all": (EngramType.SHORTTERM, EngramType.LONGTERM),
    "shortterm": (EngramType.SHORTTERM,),
    "longterm": (EngramType.LONGTERM,),
}


def survival(chronicle: Chronicle, lane: int | None, bins: int) -> Analysis:
    """``share = alive / created`` of the engrams made in steps ``from_step`` to ``to_step``.

    Alive after the last step; ``shortterm`` and ``longterm`` of them are in which memory. Where
    nothing was made the share is NaN. Compaction changes nothing: it keeps the living.
    """
    steps = Bins.fit(1, chronicle.steps, bins)
    members = np.flatnonzero(in_lane(chronicle, lane))
    created = steps.sum(chronicle.added // (1 if lane is None else chronicle.lanes))
    types = chronicle.types_after(members, chronicle.steps)
    run = steps.of_steps(chronicle.born[members])
    shortterm, longterm = (
        np.bincount(run[types == kind], minlength=len(steps))
        for kind in (EngramType.SHORTTERM, EngramType.LONGTERM)
    )
    alive = shortterm + longterm
    return Analysis(
        kind="survival",
        title=f"Survival by step of creation, after step {chronicle.steps}",
        x_label="step of creation",
        y_label="share still alive",
        note=note(lane, steps.note("bar")),
        frames={
            "survival": {
                "from_step": steps.starts,
                "to_step": steps.ends,
                "created": created,
                "alive": alive,
                "shortterm": shortterm,
                "longterm": longterm,
                "share": np.where(created > 0, alive / np.maximum(created, 1), np.nan),
            }
        },
    )


def counts_as_reminded(counts: Table, steps: IntArray) -> Table:
    """How many engrams ``steps`` [R] find in each memory as they remind, from `Chronicle.counts`.

    ``working`` ones are those that the step creates; ``forgotten`` are those gone before it.
    """
    before = {name: np.append(0, counts[name])[steps - 1] for name in ("shortterm", "longterm")}
    gone = np.append(0, np.cumsum(counts["forgotten"]))[steps - 1]
    return {"working": counts["born"][steps - 1], **before, "forgotten": gone}


def firings_by_run(
    chronicle: Chronicle, positions: IntArray, first: int, ends: IntArray
) -> tuple[IntArray, IntArray]:
    """Which of N engrams fired in which run of steps, each once a run.

    Args:
        chronicle: the life.
        positions: of the engrams, ascending, [N].
        first: the first step of the first run.
        ends: the last step of each run, [R].

    Returns:
        Runs and ranks among ``positions``, int64 [K] each, ordered by run and then by rank.
    """
    rank, steps = chronicle.ranks(positions)[chronicle.fired_positions], chronicle.fired_steps
    seen = (rank >= 0) & (steps >= first) & (steps <= ends.max(initial=0))
    width = max(1, len(positions))
    keys = np.unique(np.searchsorted(ends, steps[seen]) * width + rank[seen])
    return keys // width, keys % width


def sizes(chronicle: Chronicle, lane: int | None, bins: int) -> Analysis:
    """``shortterm`` and ``longterm`` engrams after ``to_step``, ``working`` ones in it.

    ``born``, ``forgotten`` and ``reminded`` are counted over the run of steps from ``from_step``.
    """
    counts = chronicle.counts(in_lane(chronicle, lane))
    steps = Bins.fit(chronicle.first_step, chronicle.steps, bins)
    last = steps.ends - 1
    return Analysis(
        kind="sizes",
        title="Engrams in each memory",
        x_label="step",
        y_label="engrams",
        note=note(lane, steps.note(), after_compaction(chronicle)),
        frames={
            "sizes": {
                "from_step": steps.starts,
                "to_step": steps.ends,
                "working": counts["born"][last],
                "shortterm": counts["shortterm"][last],
                "longterm": counts["longterm"][last],
                **{name: steps.sum(counts[name]) for name in ("born", "forgotten", "reminded")},
            }
        },
    )


def reminded_age(chronicle: Chronicle, lane: int | None, bins: int) -> Analysis:
    """Mean and quantiles of ``step - born`` of what was reminded in each run of steps.

    By ``memory``: all, shortterm, longterm, as it stood when it was reminded. A run in which
    nothing was reminded has no row.
    """
    covered = in_lane(chronicle, lane)
    steps = Bins.fit(chronicle.first_step, chronicle.steps, bins)
    rows: dict[str, list[list[float]]] = {name: [] for name in _GROUPS}
    for first, last in zip(steps.starts.tolist(), steps.ends.tolist(), strict=True):
        entries = slice(int(chronicle.ends[first - 1]), int(chronicle.ends[last]))
        positions, at = chronicle.fired_positions[entries], chronicle.fired_steps[entries]
        old = covered[positions] & (chronicle.born[positions] < at)
        positions, at = positions[old], at[old]
        ages, types = at - chronicle.born[positions], chronicle.types(positions, at)
        for name, group in _GROUPS.items():
            of_group = ages[np.isin(types, group)]
            if len(of_group):
                rows[name].append([first, last, len(of_group), *_statistics(of_group)])
    return Analysis(
        kind="reminded-age",
        title="Age of what is reminded",
        x_label="step",
        y_label="age when reminded, in steps",
        note=note(lane, steps.note(), after_compaction(chronicle)),
        frames={"ages": _ages(rows)},
    )


def _statistics(ages: IntArray) -> list[float]:
    return [float(ages.mean()), *np.quantile(ages, list(_QUANTILES.values())).tolist()]


def _ages(rows: dict[str, list[list[float]]]) -> Table:
    names = [name for name, group in rows.items() for _ in group]
    table = np.array([row for group in rows.values() for row in group], np.float64)
    table = table.reshape(-1, 4 + len(_QUANTILES))
    whole = dict(zip(("from_step", "to_step", "reminded"), table[:, :3].T, strict=True))
    return {
        "memory": np.array(names, "U9"),
        **{name: column.astype(np.int64) for name, column in whole.items()},
        **dict(zip(("mean", *_QUANTILES), table[:, 3:].T.copy(), strict=True)),
    }
