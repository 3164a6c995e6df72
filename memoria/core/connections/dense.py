"""Connections as one matrix per lane, changed in place."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final

import numpy as np

from memoria.core.arrays import NUMPY, Array, ArrayOps, padded
from memoria.core.ties import TieRule
from memoria.timeline.cofiring import FiringLog
from memoria.timeline.log import IntArray
from memoria.timeline.strongest import strongest_first

_ROWS_AT_ONCE: Final = 2**24  # elements of gathered rows; bounds memory, keeps them in cache
_COMPILED_AFTER: Final = 3 * 10**9  # nanoseconds of choosing after which compiled loops pay
_SOONER: Final = 10  # times, in a process that has loaded torch: it is no short command
_NANOSECONDS: Final = 25_000  # of one round of choices, and one more for each cell compared
_LANES_APART: Final = 8  # up to so many lanes walk one after another
_COUNTED_AT_ONCE: Final = 2**22  # cells; counting takes three times the memory of the result


class DenseConnections:
    """Co-fire counts as one array [B, C, C]. A firing adds to N^2 cells, a row is one gather.

    In numpy, what is asked often is compiled: numba loads once choosing has cost the process more
    than that.

    Attributes:
        dtype: of the counts, ``"int32"`` or ``"int16"``.
    """

    _spent: ClassVar[int] = 0  # nanoseconds of choosing, about, by all of them

    def __init__(self, lanes: int, ops: ArrayOps) -> None:
        self._ops = ops
        self.dtype = "int32"
        self._counts = ops.full((lanes, 0, 0), 0, self.dtype)
        self._is_own = True  # no one else holds `_counts`
        self._patience = _COMPILED_AFTER // (_SOONER if "torch" in sys.modules else 1)
        self._is_compiled = False  # whether the compiled loops pay

    @classmethod
    def from_counts(cls, counts: Array, ops: ArrayOps) -> DenseConnections:
        """From ``counts``, int32 [B, C, C], not copied."""
        made = cls(counts.shape[0], ops)
        made._counts, made._is_own = counts, False
        return made

    @classmethod
    def from_logs(
        cls,
        logs: Sequence[FiringLog],
        capacity: int,
        ops: ArrayOps = NUMPY,
        dtype: str = "int32",
    ) -> DenseConnections:
        """Count the firings of each lane's log, in positions below ``capacity``.

        ``dtype`` of the counts: with ``"int16"`` the caller sees to it that firings are fewer.
        """
        counted = np.empty((len(logs), capacity, capacity), dtype)
        at_once = max(1, _COUNTED_AT_ONCE // max(1, capacity))
        for counts, log in zip(counted, logs, strict=True):
            for part in np.array_split(np.arange(capacity), -(-capacity // at_once) or 1):
                if len(part):
                    counts[int(part[0]) : int(part[-1]) + 1] = log.rows(part, capacity)
        made = cls.from_counts(ops.array(counted), ops)
        made.dtype, made._is_own = dtype, True
        return made

    def pack(self, kept: Array, capacity: int) -> None:
        in_place = self._is_own and capacity == self._counts.shape[1]
        packed = self._counts
        if not in_place:
            packed = self._ops.full((kept.shape[0], capacity, capacity), 0, self.dtype)
        for new, old, row in zip(packed, self._counts, kept, strict=True):
            here = row[row >= 0]
            count = len(here)
            if count == 0 or int(here[-1]) >= count:
                self._ops.take_pairs(old, here, new[:count, :count])
            elif not in_place:  # no holes: one copy
                new[:count, :count] = old[:count, :count]
            if in_place:
                new[:count, count:] = 0
                new[count:] = 0
        self._counts, self._is_own = packed, True

    def fire(self, positions: Array) -> None:
        if not self._is_compiled:
            self._ops.add_pairs(self._counts, positions)
            return
        add = _kernels().fire_kernel
        for counts, row in zip(self._counts, self._ops.distinct(positions), strict=True):
            add(counts, row[row >= 0])

    def walk(self, paths: Array, closed: Array, depth: int) -> Array | None:
        lanes, width = paths.shape
        large = width * self._counts.shape[2] > _ROWS_AT_ONCE
        if self._ops is not NUMPY or large or lanes > _LANES_APART:
            return None
        walk = _kernels().walk_kernel if self._is_compiled else self._walk
        each = zip(self._counts, paths, closed, strict=True)
        return padded([walk(counts, row[row >= 0], shut, depth) for counts, row, shut in each])

    def _walk(self, counts: Array, paths: Array, closed: Array, depth: int) -> Array:
        """`Walk` of one lane; ``paths`` [P] without -1."""
        closed[paths] = True
        is_open = (~closed).nonzero()[0]
        left = len(is_open)
        if left == 0:
            return paths
        low, high = int(is_open[0]), int(is_open[-1]) + 1
        lowest = np.iinfo(counts.dtype).min  # with a count added still below every count
        shut = np.where(closed[low:high], lowest, 0).astype(counts.dtype)
        found, between = [paths], counts[:, low:high]
        for _ in range(depth):
            if left == 0 or len(paths) == 0:
                break
            self._spend(_NANOSECONDS + len(paths) * (high - low))
            rows = between[paths]
            rows += shut
            chosen = sorted({*rows.argmax(1).tolist()})  # paths that meet go on as one
            shut[chosen] = lowest
            left -= len(chosen)
            paths = np.array(chosen) + low
            found.append(paths)
        return np.sort(np.concatenate(found))

    def strongest(self, current: Array, closed: Array, ids: Array, ties: TieRule | None) -> Array:
        lanes, paths = current.shape
        if paths == 0 or closed.shape[1] == 0:
            return self._ops.full(current.shape, -1, "int64")
        preference = None if ties is None else ties.values(ids)
        self._spend(4 * lanes * (_NANOSECONDS + paths * closed.shape[1]))
        if self._is_compiled and preference is not None:
            prefer, chosen = _kernels().preferred_kernel, np.empty(current.shape, np.int64)
            for each in zip(self._counts, current, closed, preference, chosen, strict=True):
                prefer(*each)
            return chosen
        at_once = max(1, _ROWS_AT_ONCE // (paths * closed.shape[1]))
        parts = []
        for first in range(0, lanes, at_once):
            part = slice(first, first + at_once)
            preferred = None if preference is None else preference[part]
            parts.append(self._strongest(part, current[part], closed[part], preferred))
        return parts[0] if len(parts) == 1 else self._ops.concatenate(parts, 0)

    def _strongest(
        self, lanes: slice, current: Array, closed: Array, preference: Array | None
    ) -> Array:
        ops = self._ops
        rows = ops.where(closed[:, None], -1, ops.take_rows(self._counts[lanes], current))
        choice = ops.argmax(rows)  # the first of equals, hence the oldest
        if preference is not None:
            most = ops.greatest(rows)
            tied = rows == most[:, :, None]
            choice = ops.argmax(ops.where(tied, preference[:, None], -1))
        return ops.fill(choice, closed.all(1)[:, None] | (current < 0), -1)

    def use_compiled(self, after: int) -> None:
        """Load the compiled loops once choosing has taken more than ``after`` nanoseconds."""
        self._patience = after
        self._spend(0)

    def _spend(self, nanoseconds: int) -> None:
        """So much time goes into choosing."""
        DenseConnections._spent += nanoseconds
        self._is_compiled |= self._ops is NUMPY and self._spent >= self._patience

    def counts(self) -> Array:
        return self._counts

    def overwrite(self, positions: Array, counts: Array) -> None:
        """Replace the counts between ``positions`` [B, N] (-1 ignored) by ``counts`` [B, N, N]."""
        for mine, row, given in zip(self._counts, positions, counts, strict=True):
            here = row >= 0
            at = row[here]
            mine[at[:, None], at] = given[here][:, here]

    def by_lane(self) -> Sequence[LaneCounts]:
        return [LaneCounts(self._ops.numpy(counts)) for counts in self._counts]


def _kernels() -> Any:
    """The compiled loops; whoever asks first waits for numba. Copies of a memory hold no module."""
    from memoria.core.connections import matrix_kernels

    return matrix_kernels


class LaneCounts:
    """The matrix of one lane, asked as a `FiringLog` is."""

    def __init__(self, counts: IntArray) -> None:
        self._counts = counts

    def pair_count(self) -> int:
        return int(self._counts.sum())

    def edges(self, engrams: int, most: int) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
        at_once = max(1, _COUNTED_AT_ONCE // max(1, engrams))
        for first in range(0, engrams, at_once):
            rows = self._counts[first : min(first + at_once, engrams), :engrams]
            which, partner = np.nonzero(rows)
            other = which + first != partner
            which, partner = which[other], partner[other]
            count = rows[which, partner].astype(np.int64)
            kept = strongest_first(which, partner, count, most)
            yield which[kept] + first, partner[kept], count[kept]
