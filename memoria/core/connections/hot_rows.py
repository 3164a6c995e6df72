"""An index over a firing log that finds an engram's strongest partners without recounting it.

An engram that fired rarely is counted by walking its firings. One that fired often keeps the exact
counts of its strongest partners in a list that every firing updates; no unlisted partner's count
exceeds the list's ``bound``, which grows only when an unlisted partner that fired often enough to
pass it fires along. A question that the list cannot decide recounts the row and renews the list.
Compiled with numba, which is loaded only for memories large enough to gain from it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from memoria.core.connections.hot_kernels import follow_kernel, pack_kernel, tied_kernel
from memoria.timeline.cofiring import FiringLog
from memoria.timeline.log import IntArray

__all__ = ["HotRows"]

Int32Array = npt.NDArray[np.int32]

_HOT: Final = 16  # firings from which a row is kept in a list
_LISTED: Final = 512  # in large logs a question may shut out the strongest 256 of a row
_MOST_LISTS: Final = 8_192
_FIRST_LISTS: Final = 256


class HotRows:
    """The index of ``log``, whose positions are below ``capacity``. It follows as the log grows."""

    def __init__(
        self,
        log: FiringLog,
        capacity: int,
        hot: int = _HOT,
        listed: int = _LISTED,
        most_lists: int = _MOST_LISTS,
    ) -> None:
        self._log, self._hot, self._most_lists = log, hot, most_lists
        self._places = np.zeros(2, np.int64)  # lists used, clock hand
        self._list = np.zeros((min(_FIRST_LISTS, most_lists), 2, listed), np.int32)
        self._head = np.zeros((len(self._list), 4), np.int32)  # owner, length, bound, last use
        self._known = 0  # firings taken in
        self._previous: Int32Array = np.empty(0, np.int32)  # entry of the same engram, -1: none
        self._row = _no_rows(capacity)

    def pack(self, kept: IntArray, capacity: int) -> None:
        """Positions ``kept`` become 0..K-1, here and in the log; room for ``capacity``."""
        self._follow()  # the lists' counts stand, so they must be up to date
        if self._log.pack(kept):
            rename = np.full(self._row.shape[1], -1, np.int32)
            rename[kept] = np.arange(len(kept))
            self._known, self._row = 0, _no_rows(capacity)
            self._follow()
            pack_kernel(rename, self._row, self._list, self._head, self._places)
        else:
            row = _no_rows(capacity)
            row[:, : self._row.shape[1]] = self._row[:, :capacity]
            self._row = row

    def tied(
        self, positions: IntArray, shut: npt.NDArray[np.bool_], oldest: bool = False
    ) -> tuple[IntArray, IntArray]:
        """As `FiringLog.tied`."""
        self._follow()
        self._reserve_lists(int(self._places[0]) + len(positions))
        which, partner = tied_kernel(
            positions,
            shut,
            oldest,
            self._hot,
            self._log.entries,
            self._log.starts,
            self._previous,
            self._row,
            self._list,
            self._head,
            self._places,
        )
        return which, partner

    def _follow(self) -> None:
        """Take in what the log has gained."""
        entries, starts = self._log.entries, self._log.starts
        if self._log.room != len(self._previous):
            previous = np.empty(self._log.room, np.int32)
            known = min(len(previous), len(self._previous))
            previous[:known] = self._previous[:known]
            self._previous = previous
        follow_kernel(
            self._known, entries, starts, self._previous, self._row, self._list, self._head
        )
        self._known = len(starts) - 1

    def _reserve_lists(self, count: int) -> None:
        size = min(self._most_lists, max(2 * len(self._head), count))
        if count <= len(self._head) or size <= len(self._head):
            return
        head, lists = self._head, self._list
        self._head = np.zeros((size, head.shape[1]), np.int32)
        self._list = np.zeros((size, *lists.shape[1:]), np.int32)
        self._head[: len(head)] = head
        self._list[: len(lists)] = lists


def _no_rows(capacity: int) -> Int32Array:
    """Per position: last entry, firings, list, scratch count (0 between calls)."""
    row = np.zeros((4, capacity), np.int32)
    row[0], row[2] = -1, -1
    return row
