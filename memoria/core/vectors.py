"""The engrams' vectors, behind one interface: in an array here, in a store's files there."""

from __future__ import annotations

from typing import Protocol

from memoria.core.arrays import Array, ArrayOps
from memoria.core.similarity import exact_squares


class Vectors(Protocol):
    """Vectors of all engrams, addressed by position. B lanes, D elements a vector."""

    @property
    def dimension(self) -> int:
        """D."""

    def append(self, positions: Array, data: Array) -> None:
        """Store ``data`` [B, W, D] for the new engrams at ``positions`` [B, W]."""

    def gather(self, positions: Array, ids: Array) -> Array:
        """Vectors [B, N, D] at ``positions`` [B, N], zeros at -1; ``ids`` [B, C] are all local ids.

        A copy.
        """

    def compare(self, positions: Array, ids: Array) -> tuple[Array, Array]:
        """As `gather`, of ascending ``positions``, to be looked at only; and `exact_squares`."""

    def pack(self, positions: Array, capacity: int) -> None:
        """Move ``positions`` [B, K] (-1 pads) to 0..K-1, drop the rest; room for ``capacity``."""

    def revise(self, lane: int, position: int, engram: int, vector: Array) -> None:
        """The engram ``engram``, at ``position`` of ``lane``, has another ``vector`` [D]."""


class ArrayVectors:
    """Vectors as one float32 array [B, C, D]."""

    def __init__(self, lanes: int, dimension: int, ops: ArrayOps) -> None:
        self._ops = ops
        self._data = ops.full((lanes, 0, dimension), 0, "float32")
        self._is_own = True  # no one else holds `_data`
        self._squares = ops.full((lanes, 0), 0, "float32")

    def load(self, data: Array) -> None:
        """Replace all vectors by ``data`` [B, C, D], not copied."""
        self._data, self._is_own = data, False
        self._squares = exact_squares(data, self._ops)

    @property
    def dimension(self) -> int:
        return int(self._data.shape[2])

    def append(self, positions: Array, data: Array) -> None:
        at = self._ops.arange(len(positions))[:, None], positions
        self._data[at] = data
        self._squares[at] = exact_squares(data, self._ops)

    def gather(self, positions: Array, ids: Array) -> Array:
        return self._ops.take_rows(self._data, positions)

    def compare(self, positions: Array, ids: Array) -> tuple[Array, Array]:
        count = positions.shape[1]
        if self._ops.is_host and count:
            first, last = positions[:, 0], positions[:, -1]
            start = int(first[0])
            if start >= 0 and bool((first == start).all() and (last == start + count - 1).all()):
                part = slice(start, start + count)  # as short-term memory lies: nothing is copied
                return self._data[:, part], self._squares[:, part]
        return self.gather(positions, ids), self._ops.take(self._squares, positions, 0)

    def revise(self, lane: int, position: int, engram: int, vector: Array) -> None:
        self._data[lane, position] = vector
        self._squares[lane, position] = exact_squares(vector[None, None], self._ops)[0, 0]

    def overwrite(self, lanes: Array, positions: Array, data: Array) -> None:
        """The engrams at (``lanes``, ``positions``), [N] both, have the vectors ``data`` [N, D]."""
        self._data[lanes, positions] = data
        self._squares[lanes, positions] = exact_squares(data[None], self._ops)[0]

    def pack(self, positions: Array, capacity: int) -> None:
        lanes, _, dimension = self._data.shape
        kept = self.gather(positions, positions)
        squares = self._ops.take(self._squares, positions, 0)
        if not self._is_own or capacity != self._data.shape[1]:
            self._data = self._ops.full((lanes, capacity, dimension), 0, "float32")
            self._squares = self._ops.full((lanes, capacity), 0, "float32")
            self._is_own = True
        self._data[:, : positions.shape[1]] = kept
        self._squares[:, : positions.shape[1]] = squares
