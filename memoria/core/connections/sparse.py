"""Connections as the log of firings: exact counts, computed for the rows that are asked for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from memoria.core.arrays import NUMPY, Array, ArrayOps, padded
from memoria.core.connections.dense import DenseConnections
from memoria.core.ties import TieRule
from memoria.timeline.cofiring import FiringLog
from memoria.timeline.log import IntArray

if TYPE_CHECKING:
    from memoria.core.connections.hot_rows import HotRows

_KERNELS: Final = "memoria.core.connections.hot_kernels"
# Pairs counted after which an index pays: what loading numba costs, and building for each entry.
_INDEX_AFTER: Final = 6_000_000
_INDEX_PER_ENTRY: Final = 1
_MATRIX_CELLS: Final = 2**22  # of all lanes, up to which counts are kept as matrices
_NARROW_FIRINGS: Final = 2**15 - 1  # more than these may be counted in int32 only


class SparseConnections:
    """A `FiringLog` for each lane, in numpy whatever the state's arrays are.

    Counts what it is asked for from the log at first. Once that has cost as much as counting all,
    small memories keep the matrices too; large ones get `HotRows`.

    Args:
        lanes: B.
        ops: of the state's arrays.
        logs: firings so far, one log a lane; None: empty.
        capacity: C, above every position in ``logs``.
    """

    def __init__(
        self,
        lanes: int,
        ops: ArrayOps = NUMPY,
        logs: Sequence[FiringLog] | None = None,
        capacity: int = 0,
    ) -> None:
        self._ops = ops
        self._logs = [FiringLog() for _ in range(lanes)] if logs is None else list(logs)
        self._capacity = capacity
        self._hot: list[HotRows | None] = [None] * lanes
        self._matrix: DenseConnections | None = None

    def by_lane(self) -> Sequence[FiringLog]:
        return self._logs

    def pack(self, kept: Array, capacity: int) -> None:
        for log, hot, row in zip(self._logs, self._hot, self._ops.numpy(kept), strict=True):
            here = row[row >= 0]
            if hot is None:
                log.pack(here)
            else:
                hot.pack(here, capacity)
        self._capacity = capacity
        if self._matrix is not None:
            self._matrix.pack(self._ops.numpy(kept), capacity)
            self._keep_matrix()

    def fire(self, positions: Array) -> None:
        fired = NUMPY.distinct(self._ops.numpy(positions))
        for log, row in zip(self._logs, fired, strict=True):
            log.append(row[row >= 0])
        if self._matrix is not None:
            self._matrix.fire(fired)
        self._keep_matrix()

    def strongest(self, current: Array, closed: Array, ids: Array, ties: TieRule | None) -> Array:
        paths, shut, local = (self._ops.numpy(one) for one in (current, closed, ids))
        if ties is not None:
            ties = TieRule(ties.seed, ties.step, self._ops.numpy(ties.lanes))
        if self._matrix is not None:
            return self._ops.array(self._matrix.strongest(paths, shut, local, ties))
        out = np.full(paths.shape, -1, np.int64)
        for lane, row in enumerate(paths):
            valid = row >= 0
            if valid.any() and not shut[lane].all():
                out[lane, valid] = self._best(lane, row[valid], shut[lane], local, ties)
        return self._ops.array(out)

    def walk(self, paths: Array, closed: Array, depth: int) -> Array | None:
        numpy = self._ops.numpy
        if self._matrix is not None:
            found = self._matrix.walk(numpy(paths), numpy(closed), depth)
            return None if found is None else self._ops.array(found)
        hot = [index for index in self._hot if index is not None]
        if len(hot) < len(self._hot):
            return None
        lanes = zip(hot, numpy(paths), numpy(closed), strict=True)
        rows = [index.walk(row[row >= 0], shut, depth) for index, row, shut in lanes]
        return self._ops.array(padded(rows))

    def counts(self) -> Array:
        positions = np.arange(self._capacity)
        counted = np.stack([log.rows(positions, self._capacity) for log in self._logs])
        return self._ops.array(counted)

    def _keep_matrix(self) -> None:
        """Make the matrix once that pays, and drop it where the memory is no longer small."""
        firings = max(len(log.starts) for log in self._logs)
        dtype = "int16" if firings < _NARROW_FIRINGS else "int32"
        if not self._fits_matrix():
            self._matrix = None
        elif self._matrix is None:
            asked = sum(log.work for log in self._logs)
            if asked >= sum(log.pair_count() for log in self._logs):
                self._matrix = self._count_all(dtype)
        elif dtype != self._matrix.dtype and dtype == "int32":
            self._matrix = self._count_all(dtype)

    def _fits_matrix(self) -> bool:
        return len(self._logs) * self._capacity**2 <= _MATRIX_CELLS

    def _count_all(self, dtype: str) -> DenseConnections:
        return DenseConnections.from_logs(self._logs, self._capacity, NUMPY, dtype)

    def _best(
        self,
        lane: int,
        current: IntArray,
        shut: npt.NDArray[np.bool_],
        ids: IntArray,
        ties: TieRule | None,
    ) -> IntArray:
        index = self._index(lane)
        if ties is None:
            best = index.oldest(current, shut)
        else:
            which, partner = index.tied(current, shut)
            best = np.full(len(current), -1, np.int64)
            first = np.flatnonzero(np.diff(which, prepend=-1))  # of each row; none has no partner
            if len(first):
                hashes = self._hashes(lane, partner, ids, ties)
                sizes = np.diff(first, append=len(which))
                is_best = hashes == np.repeat(np.maximum.reduceat(hashes, first), sizes)
                chosen = np.where(is_best, partner, self._capacity)
                best[which[first]] = np.minimum.reduceat(chosen, first)
        alone = best < 0
        if alone.any():  # no open partner fired with it: all open positions tie at zero
            if ties is None:
                best[alone] = np.argmin(shut)
            else:
                candidates = np.flatnonzero(~shut)
                hashes = self._hashes(lane, candidates, ids, ties)
                best[alone] = candidates[int(hashes.argmax())]
        return best

    def _index(self, lane: int) -> FiringLog | HotRows:
        """What answers for the lane: the log, or `HotRows` of it once that pays."""
        log, hot = self._logs[lane], self._hot[lane]
        if hot is None and self._pays_index(log):
            from memoria.core.connections.hot_rows import HotRows

            log.drop_index()
            hot = self._hot[lane] = HotRows(log, self._capacity)
        return log if hot is None else hot

    def _pays_index(self, log: FiringLog) -> bool:
        is_ready = _KERNELS in sys.modules and not self._fits_matrix()
        loading = 0 if is_ready else _INDEX_AFTER
        return log.work >= loading + _INDEX_PER_ENTRY * len(log)

    def _hashes(self, lane: int, positions: IntArray, ids: IntArray, ties: TieRule) -> IntArray:
        """Hashes of the ids at ``positions``; the greatest is preferred, the older of equals."""
        hashes: IntArray = ties.values_of_lane(lane, ids[lane][positions])
        return hashes
