"""Vectors that live in the store's files; only those that a step touches come into memory."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from memoria.core.similarity import exact_squares
from memoria.store.memory_files import MemoryFiles

_CACHE_BYTES: Final = 2**28
_LEAST_ROWS: Final = 1024

Index = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class FileVectors:
    """`Vectors` over the array ``vectors``, whose row ``id * lanes + lane`` is an engram's.

    A pool holds what was read or added lately; when it is full the oldest of it makes room.
    """

    def __init__(self, files: MemoryFiles, lanes: int, dimension: int) -> None:
        self._files, self._lanes, self._dimension = files, lanes, dimension
        self._most = max(_LEAST_ROWS, _CACHE_BYTES // (4 * dimension))
        self._pool = np.empty((0, dimension), np.float32)
        self._squares = np.empty(0, np.float32)  # squared lengths of what the pool holds
        self._owners = np.full(0, -1, np.int64)  # whose vector a place of the pool holds
        self._next = 0  # the place that is filled next
        self._revised: dict[int, Floats] = {}  # vectors that edits have made since
        self.load(0)

    @property
    def dimension(self) -> int:
        return self._dimension

    def append(self, positions: Index, data: Floats) -> None:
        lane = np.repeat(np.arange(self._lanes), positions.shape[1])
        owners = self._owner(lane, positions.ravel())
        self._keep(owners, data.reshape(-1, self._dimension))

    def gather(self, positions: Index, ids: Index) -> Floats:
        if self._capacity == 0:
            return np.zeros((*positions.shape, self._dimension), np.float32)
        place = self._places.take(positions + self._first, mode="clip")
        lacking = (place < 0) | (positions < 0)
        if not np.count_nonzero(lacking):
            return self._pool.take(place, 0)
        if len(self._pool):
            out = self._pool.take(np.maximum(place, 0), 0)
            out[positions < 0] = 0
        else:
            out = np.zeros((*positions.shape, self._dimension), np.float32)
        lane, column = np.nonzero(lacking & (positions >= 0))
        if len(lane):
            wanted = ids[lane, positions[lane, column]] * self._lanes + lane
            found = self._files.vectors(wanted)
            for row in np.flatnonzero(np.isin(wanted, list(self._revised))).tolist():
                found[row] = self._revised[int(wanted[row])]
            out[lane, column] = found
            self._keep(self._owner(lane, positions[lane, column]), found)
        return out

    def compare(self, positions: Index, ids: Index) -> tuple[Floats, Floats]:
        if self._capacity:
            place = self._places.take(positions + self._first, mode="clip")
            if not np.count_nonzero((place < 0) | (positions < 0)):
                return self._pool.take(place, 0), self._squares.take(place)
        found = self.gather(positions, ids)
        return found, exact_squares(found)

    def pack(self, positions: Index, capacity: int) -> None:
        lane, column = np.nonzero(positions >= 0)
        before = self._places[self._owner(lane, positions[lane, column])]
        self.load(capacity)
        self._assign(self._owner(lane, column)[before >= 0], before[before >= 0])

    def load(self, capacity: int) -> None:
        """Room for positions up to ``capacity``, none of them in the pool."""
        self._capacity = capacity
        self._first = np.arange(self._lanes)[:, None] * capacity  # owner of position 0
        self._places = np.full(self._lanes * capacity, -1, np.int64)  # in the pool, by owner
        self._owners.fill(-1)

    def revise(self, lane: int, position: int, engram: int, vector: Floats) -> None:
        """The engram, at ``position`` of ``lane``, has another vector from now on."""
        self._revised[engram] = vector
        self._keep(self._owner(np.array([lane]), np.array([position])), vector[None])

    def _owner(self, lane: Index, position: Index) -> Index:
        return lane * self._capacity + position

    def _assign(self, owners: Index, places: Index) -> None:
        self._places[owners] = places
        self._owners[places] = owners

    def _keep(self, owners: Index, rows: Floats) -> None:
        """Put rows into the pool, in place of the oldest; of more than it holds, the last ones."""
        owners, rows = owners[-self._most :], rows[-self._most :]
        end = self._next + len(rows)
        if end > len(self._pool) and len(self._pool) < self._most:
            self._grow(min(self._most, max(end, 2 * len(self._pool))))
        places = np.arange(self._next, end) % self._most
        evicted = self._owners[places]
        evicted = evicted[evicted >= 0]
        self._places[evicted] = -1
        self._assign(owners, places)
        self._pool[places], self._squares[places] = rows, exact_squares(rows[None])[0]
        self._next = end if end <= len(self._pool) < self._most else end % self._most

    def _grow(self, size: int) -> None:
        used = self._next
        pool, squares = np.empty((size, self._dimension), np.float32), np.empty(size, np.float32)
        owners = np.full(size, -1, np.int64)
        pool[:used], squares[:used] = self._pool[:used], self._squares[:used]
        owners[:used] = self._owners[:used]
        self._pool, self._squares, self._owners = pool, squares, owners
