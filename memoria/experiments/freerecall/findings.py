"""Four findings of human free recall, as one number a subject each, and whether they are there.

- primacy: recall of the first three words of a list, less that of the middle.
- recency: of the last three, less that of the middle. The middle is the middle half.
- contiguity: the temporal factor less .5; and the lag-CRP must fall with distance: that of lags
  -1 and 1 above that of lags -3 and 3.
- asymmetry: the lag-CRP forwards (lag 1) less that backwards (lag -1).

A finding is there if the 99 % bootstrap interval of its mean over subjects lies above 0; at 95 %
one of ten recallers without any finding would be said to have one, as four are judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from memoria.experiments.freerecall.curves import Curves, Floats
from memoria.experiments.statistics import bootstrap_interval

FINDINGS: Final = ("primacy", "recency", "contiguity", "asymmetry")
_CONFIDENCE: Final = 0.99
_ENDS: Final = 3  # words at the beginning and at the end


class Finding(NamedTuple):
    """One finding.

    Attributes:
        size: mean over subjects.
        low, high: ends of its interval.
        is_there: the verdict.
    """

    size: float
    low: float
    high: float
    is_there: bool


def find(curves: Curves) -> Mapping[str, Finding]:
    """The four findings in curves of at least two subjects."""
    quarter = curves.length // 4
    middle = curves.serial[:, quarter : curves.length - quarter].mean(axis=1)
    near = (curves.at_lag(-1) + curves.at_lag(1)) / 2
    far = (curves.at_lag(-3) + curves.at_lag(3)) / 2
    contiguity = _judged(curves.temporal - 0.5)
    falls = _judged(near - far).is_there
    return {
        "primacy": _judged(curves.serial[:, :_ENDS].mean(axis=1) - middle),
        "recency": _judged(curves.serial[:, -_ENDS:].mean(axis=1) - middle),
        "contiguity": contiguity._replace(is_there=contiguity.is_there and falls),
        "asymmetry": _judged(curves.at_lag(1) - curves.at_lag(-1)),
    }


def _judged(values: Floats) -> Finding:
    known = values[np.isfinite(values)]
    interval = bootstrap_interval(known, _CONFIDENCE)
    if interval is None:
        return Finding(float("nan"), float("nan"), float("nan"), False)
    low, high = interval
    return Finding(float(known.mean()), low, high, low > 0)
