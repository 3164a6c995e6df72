"""The compiled loops of `DenseConnections` in numpy, one lane at a time.

C positions; the matrix of co-fire counts is int32 or int16 [C, C], of which rows and columns from
the first open position to the last are read. They do what the operations on arrays there do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True)
def walk_kernel(counts: Any, paths: Any, closed: Any, depth: int) -> Any:
    """`Walk` of one lane: ``paths`` [P] without -1; ``closed`` [C] changes."""
    seen = np.zeros(len(closed), np.bool_)
    for path in paths:
        seen[path] = True
        closed[path] = True
    low, high = _open_range(closed)
    shut = np.zeros(len(closed), counts.dtype)  # -1 in all bits where open
    for position in range(low, high):
        if not closed[position]:
            shut[position] = -1
    for _ in range(depth):
        while low < high and shut[low] == 0:
            low += 1
        while low < high and shut[high - 1] == 0:
            high -= 1
        if low == high or len(paths) == 0:
            break
        chosen = np.empty(len(paths), np.int64)
        length = 0
        for path in paths:
            choice = _strongest_of(counts[path, low:high], shut[low:high]) + low
            if not seen[choice]:  # paths that meet go on as one
                seen[choice] = True
                chosen[length] = choice
                length += 1
        paths = chosen[:length]
        for path in paths:
            shut[path] = 0
    return np.flatnonzero(seen)


@njit(cache=True)
def _open_range(closed: Any) -> Any:
    low, high = 0, len(closed)
    while low < high and closed[low]:
        low += 1
    while low < high and closed[high - 1]:
        high -= 1
    return low, high


@njit(cache=True)
def _strongest_of(row: Any, shut: Any) -> Any:
    """The first of the open columns with the greatest count; column 0 is open."""
    most = row.dtype.type(0)
    for k in range(len(row)):
        most = row.dtype.type(max(most, row.dtype.type(row[k] & shut[k])))
    if most == 0:
        return 0
    for k in range(len(row)):
        if row[k] == most and shut[k] != 0:
            return k
    return 0


@njit(cache=True)
def preferred_kernel(counts: Any, current: Any, closed: Any, preference: Any, chosen: Any) -> None:
    """Write into ``chosen`` [P] the open position with the greatest count of each row.

    Of equals the one with the greatest ``preference`` int64 [C], then the oldest. ``current`` [P]
    and ``chosen`` have -1 for none.
    """
    low, high = _open_range(closed)
    for p in range(len(current)):
        chosen[p] = -1
        if current[p] < 0:
            continue
        row = counts[current[p]]
        most, best, choice = -1, -1, -1
        for k in range(low, high):
            if row[k] < most or closed[k]:
                continue
            if row[k] > most or preference[k] > best:
                most, best, choice = row[k], preference[k], k
        chosen[p] = choice


@njit(cache=True)
def fire_kernel(counts: Any, fired: Any) -> None:
    """+1 for each pair of the distinct positions ``fired`` [N], none of them -1."""
    for row in fired:
        for column in fired:
            counts[row, column] += 1
