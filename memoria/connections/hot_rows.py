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

from memoria.connections.firing_log import IntArray
from memoria.connections.hot_kernels import fire_kernel, tied_kernel

__all__ = ["HotRows"]

Int32Array = npt.NDArray[np.int32]

_HOT: Final = 8  # firings from which a row is kept in a list
_LISTED: Final = 256
_MOST_LISTS: Final = 16_384
_FIRST_LISTS: Final = 256


class HotRows:
    """Built from a log's ``entries`` and ``starts`` for positions below ``capacity``."""

    def __init__(
        self,
        entries: IntArray,
        starts: IntArray,
        capacity: int,
        hot: int = _HOT,
        listed: int = _LISTED,
        most_lists: int = _MOST_LISTS,
    ) -> None:
        self._hot, self._most_lists = hot, most_lists
        used, firings = len(entries), len(starts)
        self._entry = np.empty(
            (3, max(1024, used + used // 4)), np.int32
        )  # position, previous, firing
        self._entry[0, :used] = entries
        self._entry[2, :used] = np.repeat(np.arange(firings), np.diff(starts, append=used))
        order = np.argsort(entries, kind="stable")
        grouped = entries[order]
        previous = np.full(used, -1, np.int32)
        same = grouped[1:] == grouped[:-1]
        previous[order[1:][same]] = order[:-1][same]
        self._entry[1, :used] = previous
        self._start = np.zeros(max(1024, firings + firings // 4) + 1, np.int64)
        self._start[:firings] = starts
        self._start[firings] = used
        self._counts = np.array([used, firings, 0, 0], np.int64)  # + lists used, clock hand
        # per position: last entry, firings, its list, scratch count, stamp of the running firing
        self._row = np.zeros((5, capacity), np.int32)
        self._row[0], self._row[2] = -1, -1
        self._row[0, grouped] = order  # of repeats the last one stays
        self._row[1] = np.bincount(entries, minlength=capacity)
        self._lists(min(_FIRST_LISTS, most_lists), listed)

    def append(self, positions: IntArray) -> None:
        """One firing of distinct ``positions``."""
        used, firings = int(self._counts[0]), int(self._counts[1])
        if used + len(positions) > self._entry.shape[1]:
            grown = np.empty((3, (used + len(positions)) * 5 // 4), np.int32)
            grown[:, :used] = self._entry[:, :used]
            self._entry = grown
        if firings + 2 > len(self._start):
            more = np.zeros(max(1024, firings // 4), np.int64)
            self._start = np.concatenate((self._start, more))
        fire_kernel(
            positions.astype(np.int32),
            self._counts,
            self._entry,
            self._start,
            self._row,
            self._list,
            self._head,
        )

    def tied(
        self, positions: IntArray, shut: npt.NDArray[np.bool_], oldest: bool = False
    ) -> tuple[IntArray, IntArray]:
        """As `FiringLog.tied`."""
        full = int(self._counts[2]) + len(positions) > len(self._head)
        if full and len(self._head) < self._most_lists:
            size = min(
                self._most_lists, max(2 * len(self._head), int(self._counts[2]) + len(positions))
            )
            head, lists = self._head, self._list
            self._lists(size, lists.shape[2])
            self._head[: len(head)] = head
            self._list[: len(lists)] = lists
        which, partner = tied_kernel(
            positions,
            shut,
            oldest,
            self._hot,
            self._counts,
            self._entry,
            self._start,
            self._row,
            self._list,
            self._head,
        )
        return which, partner

    def _lists(self, count: int, listed: int) -> None:
        self._list = np.zeros((count, 2, listed), np.int32)  # partners, their counts
        self._head = np.zeros((count, 4), np.int32)  # owner, length, bound, last use
        self._head[:, 0] = -1
