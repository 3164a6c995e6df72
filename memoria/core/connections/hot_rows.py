"""An index over a firing log that finds an engram's strongest partners without recounting it.

An engram that fired rarely is counted by walking its firings. One that fired often keeps the exact
counts of its strongest partners in a list that every firing updates; no unlisted partner's count
exceeds the list's ``bound``, which grows only when an unlisted partner that fired often enough to
pass it fires along. A question that the list cannot decide recounts the row and renews the list.
Compiled with numba, which is loaded only for memories large enough to gain from it.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.core.connections.hot_kernels import (
    LAST,
    SLOT,
    follow_kernel,
    oldest_kernel,
    pack_kernel,
    tied_kernel,
    walk_kernel,
)
from memoria.timeline.cofiring import FiringLog
from memoria.timeline.log import IntArray

Int32Array = npt.NDArray[np.int32]

_HOT: Final = 16  # firings from which a row is kept in a list
_LISTED: Final = 1024  # in large logs a walk may shut out the strongest 700 of a row
_MOST_LISTS: Final = 8_192
_FIRST_LISTS: Final = 256


class HotRows:
    """Index of a firing log that answers `tied`. It follows as the log grows, and sorts firings.

    Args:
        log: the firings; positions are below ``capacity``.
        capacity: C.
        hot: firings from which a row has a list.
        listed: partners in a list.
        most_lists: lists kept at most.
    """

    def __init__(
        self,
        log: FiringLog,
        capacity: int,
        hot: int = _HOT,
        listed: int = _LISTED,
        most_lists: int = _MOST_LISTS,
    ) -> None:
        self._log, self._hot, self._most_lists = log, hot, most_lists
        slots = min(_FIRST_LISTS, most_lists)
        self._lists = np.zeros((slots, 2, listed), np.int32)
        self._heads = np.zeros((slots, 4), np.int32)
        self._cursor = np.zeros(3, np.int32)
        self._known = 0  # firings counted
        self._previous: Int32Array = np.empty(0, np.int32)  # entry of the same engram, -1: none
        self._rows, self._stamps = _empty_rows(capacity)

    def pack(self, kept: IntArray, capacity: int) -> None:
        """Positions ``kept`` become 0..K-1, here and in the log; room for ``capacity``."""
        self._follow()  # the lists' counts stand, so they must be up to date
        if self._log.pack(kept):
            rename = np.full(self._rows.shape[1], -1, np.int32)
            rename[kept] = np.arange(len(kept))
            self._known = 0
            self._rows, self._stamps = _empty_rows(capacity)
            self._follow()
            pack_kernel(rename, self._rows, self._lists, self._heads, self._cursor)
        else:
            rows, self._stamps = _empty_rows(capacity)
            rows[:, : self._rows.shape[1]] = self._rows[:, :capacity]
            self._rows = rows

    def tied(self, positions: IntArray, shut: npt.NDArray[np.bool_]) -> tuple[IntArray, IntArray]:
        """As `FiringLog.tied`."""
        which, partner = tied_kernel(positions, shut, *self._asked(len(positions)))
        return which, partner

    def oldest(self, positions: IntArray, shut: npt.NDArray[np.bool_]) -> IntArray:
        """The oldest partner that `tied` finds for each of ``positions``, [P]; -1: none."""
        chosen: IntArray = oldest_kernel(positions, shut, *self._asked(len(positions)))
        return chosen

    def walk(self, paths: IntArray, shut: npt.NDArray[np.bool_], depth: int) -> IntArray:
        """As `Walk`, of one lane: ``paths`` [P] without -1; ``shut`` [C] changes."""
        # as many lists again for the engrams on the way: they are fewer in every round
        found: IntArray = walk_kernel(paths, shut, depth, *self._asked(2 * len(paths)))
        return found

    def _asked(self, rows: int) -> tuple[Any, ...]:
        """What the kernels work on, with room for the lists of ``rows`` more rows."""
        self._follow()
        self._reserve_lists(int(self._cursor[0]) + rows)
        log = self._log
        index = (self._previous, self._rows, self._lists, self._heads, self._cursor)
        return (self._hot, log.entries, log.starts, *index, self._stamps)

    def _follow(self) -> None:
        """Count what the log has gained."""
        entries, starts = self._log.entries, self._log.starts
        if self._log.room != len(self._previous):
            previous = np.empty(self._log.room, np.int32)
            known = min(len(previous), len(self._previous))
            previous[:known] = self._previous[:known]
            self._previous = previous
        follow_kernel(
            self._known, entries, starts, self._previous, self._rows, self._lists, self._heads
        )
        self._known = len(starts) - 1

    def _reserve_lists(self, count: int) -> None:
        slots = len(self._heads)
        size = min(self._most_lists, max(2 * slots, count))
        if count > slots and size > slots:
            self._lists = _grown(self._lists, size)
            self._heads = _grown(self._heads, size)


def _grown(array: Int32Array, size: int) -> Int32Array:
    grown = np.zeros((size, *array.shape[1:]), np.int32)
    grown[: len(array)] = array
    return grown


def _empty_rows(capacity: int) -> tuple[Int32Array, npt.NDArray[np.uint16]]:
    rows = np.zeros((4, capacity), np.int32)
    rows[LAST], rows[SLOT] = -1, -1
    return rows, np.zeros(capacity, np.uint16)
