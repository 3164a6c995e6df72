"""Five findings of the paper as one number each, of the life of a memory.

Steps count 1..T; an engram of step b begins with a lifespan of L steps, so none made after T - L
can have been forgotten yet. Where a life is too short for a number, or its log does not reach
back, it is None.

- primacy = share alive of those made in the first tenth of steps 1..T - L, less that of those made
  in the middle eight tenths; recency: of the last tenth of them, less the middle. So what has not
  had time to be forgotten counts for neither.
- contiguity = -rho of |lag| and the mean weight P(j fires | i fires) over pairs made that many
  steps apart, lags 1..50 (rho: Spearman's): 1 if every step further apart weakens the connection.
- autocorrelation = mean over lags 1..10 of the autocorrelation of long-term engrams' firing;
  ``autocorrelation_decay`` = -rho of lag and autocorrelation, all lags.
- ageing = slope of the mean age of what long-term memory reminds of against the step, over the
  second half of the life: 1 if always the same are reminded, 0 if the age stays.

Each lane is a life of its own; numbers are means over lanes.

A finding shows where the mean over lives is at least a least effect, which stands in `FINDINGS`,
and Student's 95 % interval of that mean lies above 0; so one life alone shows nothing. The least
effects are a tenth to a half of what the small preset measures with Hebbian connections.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memoria.analysis import Chronicle, analyse
from memoria.experiments.panels import Curve as DrawnCurve
from memoria.experiments.panels import Panels
from memoria.experiments.records import RunRecord
from memoria.experiments.statistics import rank_correlation, t_interval

_SHORT_LAGS: Final = 10
_TENTH: Final = 10
_LEAST_STEPS: Final = 20
_BINS: Final = 20

Floats = NDArray[np.float64]


class Finding(NamedTuple):
    """A finding of the paper.

    Attributes:
        name: of its number.
        claim: what the paper says.
        measure: what the number is.
        least: the smallest mean that counts as an effect.
    """

    name: str
    claim: str
    measure: str
    least: float


FINDINGS: Final = (
    Finding(
        "primacy",
        "engrams made first survive more often than those in between",
        "share alive, first tenth less middle",
        0.05,
    ),
    Finding(
        "recency",
        "engrams made last survive more often than those in between",
        "share alive, last tenth less middle",
        0.05,
    ),
    Finding(
        "contiguity",
        "engrams made close in time are connected more strongly",
        "-rho of distance in time and weight",
        0.1,
    ),
    Finding(
        "autocorrelation",
        "an engram that fired fires again soon",
        "autocorrelation of firing, lags 1-10",
        0.01,
    ),
    Finding(
        "ageing",
        "what long-term memory reminds of grows older and older",
        "steps of age per step, second half",
        0.1,
    ),
)


class Curve(NamedTuple):
    """Values ``y`` at ``x``, float64 [N]; NaN where there is none."""

    name: str
    x: Floats
    y: Floats

    def row(self) -> dict[str, Any]:
        """As a row of results."""
        return {"kind": "curve", "name": self.name, "x": self.x.tolist(), "y": self.y.tolist()}


def numbers(chronicle: Chronicle) -> dict[str, float | None]:
    """Every finding's number, the mean over lanes in which it can be computed."""
    by_lane = [_of_lane(chronicle, lane) for lane in range(chronicle.lanes)]
    names = [one.name for one in FINDINGS] + ["autocorrelation_decay"]
    found: dict[str, float | None] = {}
    for name in names:
        known = [value for lane in by_lane if (value := lane.get(name)) is not None]
        found[name] = sum(known) / len(known) if known else None
    return found


def curves(chronicle: Chronicle) -> Iterator[Curve]:
    """What the numbers sum up, over all lanes: survival, contiguity, autocorrelation, ageing."""
    if not chronicle.steps:
        return
    frame = analyse(chronicle, "survival", bins=_BINS).frame()
    middle = (frame["from_step"] + frame["to_step"] - 1) / 2 / chronicle.steps
    yield Curve("survival", middle, frame["share"])
    frame = analyse(chronicle, "contiguity").frame()
    yield Curve("contiguity", *map(_floats, (frame["lag"], frame["mean"])))
    frame = analyse(chronicle, "autocorrelation").frame()
    yield Curve("autocorrelation", *map(_floats, (frame["lag"], frame["autocorrelation"])))
    yield Curve("ageing", *_ages(chronicle, None))


def verdict(finding: Finding, values: Sequence[float]) -> str:
    """Whether lives with these ``values`` show the finding, in a sentence."""
    if not values:
        return f"{finding.claim}: cannot be told: a short life, or one without its log"
    count, mean = len(values), sum(values) / len(values)
    large = sum(value >= finding.least for value in values)
    measured = f"{finding.measure}: {mean:+.3f}"
    interval = t_interval(values)
    if interval is None:
        how = "cannot be told from one life"
    else:
        measured += ", 95 % interval {:+.3f} to {:+.3f}".format(*interval)
        if interval[0] <= 0.0:
            how = "does not show" if mean < finding.least else "cannot be told from chance"
        else:
            how = "shows" if mean >= finding.least else "too small to count"
    counted = f"{large} of {count} at least {finding.least:g}"
    return f"{finding.claim}: {how}, {counted} ({measured})"


def _of_lane(chronicle: Chronicle, lane: int) -> dict[str, float | None]:
    if chronicle.steps < _LEAST_STEPS:
        return {}
    frame = analyse(chronicle, "contiguity", lane=lane).frame()
    autocorrelation = analyse(chronicle, "autocorrelation", lane=lane).frame()
    lags, r = autocorrelation["lag"], autocorrelation["autocorrelation"]
    decay = rank_correlation(lags, r)
    return {
        **_survival(chronicle, lane),
        "contiguity": _contiguity(frame),
        "autocorrelation": float(r[lags <= _SHORT_LAGS].mean()) if len(r) else None,
        "autocorrelation_decay": None if decay is None else -decay,
        "ageing": _ageing(chronicle, lane),
    }


def _survival(chronicle: Chronicle, lane: int) -> dict[str, float | None]:
    """Primacy and recency of one lane."""
    last = chronicle.steps - int(np.ceil(_first_lifespan(chronicle)))
    made = chronicle.added // chronicle.lanes
    in_lane = chronicle.lane == lane
    alive = np.bincount(
        chronicle.born[in_lane & (chronicle.gone == 0)], minlength=chronicle.steps + 1
    )[1:]
    tenth = last // _TENTH
    if tenth < 1:
        return {}
    share = [
        alive[part].sum() / made[part].sum() if made[part].sum() else np.nan
        for part in (slice(tenth), slice(tenth, last - tenth), slice(last - tenth, last))
    ]
    primacy, recency = share[0] - share[1], share[2] - share[1]
    return {
        "primacy": float(primacy) if np.isfinite(primacy) else None,
        "recency": float(recency) if np.isfinite(recency) else None,
    }


def _first_lifespan(chronicle: Chronicle) -> float:
    """What most engrams began with, in steps."""
    first = chronicle.fired_steps == chronicle.born[chronicle.fired_positions]
    return float(np.median(chronicle.gains[first])) if first.any() else 0.0


def _contiguity(frame: dict[str, NDArray[Any]]) -> float | None:
    lag, pairs = np.abs(frame["lag"]), frame["pairs"]
    weights = np.bincount(lag, np.nan_to_num(frame["mean"]) * pairs)
    count = np.bincount(lag, pairs)
    known = np.flatnonzero(count[1:]) + 1
    rho = rank_correlation(known, weights[known] / count[known]) if len(known) else None
    return None if rho is None else -rho


def _ageing(chronicle: Chronicle, lane: int) -> float | None:
    step, age = _ages(chronicle, lane)
    late = step > chronicle.steps / 2
    if late.sum() < 3:
        return None
    return float(np.polyfit(step[late], age[late], 1)[0])


def _ages(chronicle: Chronicle, lane: int | None) -> tuple[Floats, Floats]:
    """(steps, mean age of the long-term engrams reminded in them)."""
    frame = analyse(chronicle, "reminded-age", lane=lane).frame()
    old = frame["memory"] == "longterm"
    step = (frame["from_step"] + frame["to_step"]) / 2
    return _floats(step[old]), _floats(frame["mean"][old])


def _floats(values: Any) -> Floats:
    return np.asarray(values, dtype=np.float64)


_PANELS: Final = {
    "survival": ("share still alive", "made at this part of the life"),
    "contiguity": ("P(it fires too)", "made so many steps after the one that fires"),
    "autocorrelation": ("autocorrelation of firing", "lag, in steps"),
    "ageing": ("age of what long-term memory reminds of", "step"),
}


def draw_engrams(records: Sequence[RunRecord], path: Path) -> list[Path]:
    """Draw what finished runs found to ``path``, if there are any; the files written.

    Raises `MissingExtraError` without matplotlib.
    """
    found: dict[str, dict[str, list[DrawnCurve]]] = {}
    for record in records:
        for row in record.rows() if record.status == "done" else ():
            if row.get("kind") == "curve" and row.get("x"):
                curve = (row["x"], row["y"])
                found.setdefault(record.variant, {}).setdefault(row["name"], []).append(curve)
    if not found:
        return []
    panels = Panels(len(_PANELS))
    for panel, (name, (title, below)) in enumerate(_PANELS.items()):
        for number, (variant, of_variant) in enumerate(found.items()):
            panels.add_curves(panel, of_variant.get(name, []), number, variant)
        panels.finish(panel, title, below)
    return panels.write(path)
