"""Which engrams a graph shows when a memory has more than can be looked at."""

from __future__ import annotations

import numpy as np

from memoria.analysis import Chronicle
from memoria.timeline.log import IntArray

__all__ = ["choose"]


def choose(chronicle: Chronicle, places: IntArray, most: int) -> IntArray:
    """At most ``most`` of the engrams at ``places``, as ascending places.

    A quarter are those made last, which the short-term memory of now is of; a quarter those of the
    others that fired most often. The rest is spread over the life: what is left, in order of
    creation, is cut into runs of equal length, and of each the one that fired most often is taken.
    Of equals the older one.
    """
    places = np.sort(places)
    if len(places) <= most:
        return places
    quarter = most // 4
    older, last = np.split(places, [len(places) - quarter])
    often = older[np.lexsort((older, -chronicle.fires[older]))][:quarter]
    rest = np.setdiff1d(older, often, assume_unique=True)
    runs = most - 2 * quarter
    run = np.arange(len(rest)) * runs // len(rest)
    best = rest[np.lexsort((rest, -chronicle.fires[rest], run))]  # runs keep their lengths
    _, first = np.unique(run, return_index=True)
    return np.sort(np.concatenate((last, often, best[first])))
