"""Vectors that live in the store's files; only those that a step touches come into memory."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor

from memoria.store.memory_files import MemoryFiles

__all__ = ["FileVectors"]

_CACHE_BYTES: Final = 2**29
_LEAST_ROWS: Final = 1024


class FileVectors:
    """`Vectors` over the array ``vectors``, whose row ``id * lanes + lane`` is an engram's.

    A pool holds what was touched lately; when it is full it starts over.
    """

    def __init__(self, files: MemoryFiles, lanes: int, dimension: int) -> None:
        self._files, self._lanes, self._dimension = files, lanes, dimension
        self._most = max(_LEAST_ROWS, _CACHE_BYTES // (4 * dimension))
        self._pool = np.empty((0, dimension), np.float32)
        self._used = 0
        self._slots = np.full((lanes, 0), -1, np.int64)  # by position, -1: not in the pool

    @property
    def dimension(self) -> int:
        return self._dimension

    def append(self, positions: Tensor, data: Tensor) -> None:
        at, rows = positions.numpy(), data.numpy()
        self._keep(
            np.repeat(np.arange(self._lanes), at.shape[1]),
            at.ravel(),
            rows.reshape(-1, self._dimension),
        )

    def gather(self, positions: Tensor, ids: Tensor) -> Tensor:
        at, local = positions.numpy(), ids.numpy()
        out = np.zeros((*at.shape, self._dimension), np.float32)
        lane, column = np.nonzero(at >= 0)
        position = at[lane, column]
        missing = self._slots[lane, position] < 0
        if missing.any():
            rows = local[lane[missing], column[missing]] * self._lanes + lane[missing]
            found = self._files.vectors(rows)
            if not self._keep(lane[missing], position[missing], found):
                out[lane[missing], column[missing]] = found
            kept = self._slots[lane, position] >= 0
            lost = ~kept & ~missing  # the pool started over
            if lost.any():
                rows = local[lane[lost], column[lost]] * self._lanes + lane[lost]
                out[lane[lost], column[lost]] = self._files.vectors(rows)
            lane, column, position = lane[kept], column[kept], position[kept]
        out[lane, column] = self._pool[self._slots[lane, position]]
        return torch.from_numpy(out)

    def pack(self, positions: Tensor, capacity: int) -> None:
        kept = positions.numpy()
        slots = np.full((self._lanes, capacity), -1, np.int64)
        lane, column = np.nonzero(kept >= 0)
        if self._slots.shape[1]:
            slots[lane, column] = self._slots[lane, kept[lane, column]]
        self._slots = slots

    def load(self, capacity: int) -> None:
        """Room for positions up to ``capacity``, none of them in the pool."""
        self._slots = np.full((self._lanes, capacity), -1, np.int64)
        self._used = 0

    def _keep(
        self,
        lane: np.ndarray[tuple[int], np.dtype[np.int64]],
        position: np.ndarray[tuple[int], np.dtype[np.int64]],
        rows: np.ndarray[tuple[int, int], np.dtype[np.float32]],
    ) -> bool:
        """Put rows into the pool; False when they are more than it may ever hold."""
        if len(rows) > self._most:
            return False
        if self._used + len(rows) > self._most:
            self._slots.fill(-1)
            self._used = 0
        end = self._used + len(rows)
        if end > len(self._pool):
            grown = np.empty(
                (min(self._most, max(end, 2 * len(self._pool))), self._dimension), np.float32
            )
            grown[: self._used] = self._pool[: self._used]
            self._pool = grown
        self._pool[self._used : end] = rows
        self._slots[lane, position] = np.arange(self._used, end)
        self._used = end
        return True
