"""The engrams' vectors, behind one interface: in an array here, in a store's files there."""

from __future__ import annotations

from typing import Protocol

from memoria.core.arrays import Array, ArrayOps


class Vectors(Protocol):
    """Vectors of all engrams, addressed by position. B lanes, D elements a vector."""

    @property
    def dimension(self) -> int:
        """D."""

    def append(self, positions: Array, data: Array) -> None:
        """Store ``data`` [B, W, D] for the new engrams at ``positions`` [B, W]."""

    def gather(self, positions: Array, ids: Array) -> Array:
        """Vectors [B, N, D] at ``positions`` [B, N] with local ids ``ids`` [B, N]; zeros at -1."""

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

    def load(self, data: Array) -> None:
        """Replace all vectors by ``data`` [B, C, D], not copied."""
        self._data, self._is_own = data, False

    @property
    def dimension(self) -> int:
        return int(self._data.shape[2])

    def append(self, positions: Array, data: Array) -> None:
        self._ops.put_rows(self._data, positions, data)

    def gather(self, positions: Array, ids: Array) -> Array:
        return self._ops.take_rows(self._data, positions)

    def revise(self, lane: int, position: int, engram: int, vector: Array) -> None:
        self._data[lane, position] = vector

    def overwrite(self, lanes: Array, positions: Array, data: Array) -> None:
        """The engrams at (``lanes``, ``positions``), [N] both, have the vectors ``data`` [N, D]."""
        self._data[lanes, positions] = data

    def pack(self, positions: Array, capacity: int) -> None:
        lanes, _, dimension = self._data.shape
        kept = self.gather(positions, positions)
        if not self._is_own or capacity != self._data.shape[1]:
            self._data = self._ops.full((lanes, capacity, dimension), 0, "float32")
            self._is_own = True
        self._data[:, : positions.shape[1]] = kept
