"""The engrams of all lanes as arrays that change in place.

Every lane holds its engrams in order of creation at *positions* 0, 1, 2, ...; a forgotten engram
leaves a hole until the arrays are packed. What users see are *indices*: ranks among the living.
"""

from __future__ import annotations

from typing import Final, Protocol

import torch
from torch import Tensor

from memoria.engram_type import EngramType

__all__ = ["TensorVectors", "Traces", "Vectors", "positions_of"]

NULL, WORKING, SHORTTERM, LONGTERM = (int(t) for t in EngramType)

_SPARE: Final = 1.5  # capacity over what lives, when arrays are packed
_LEAST: Final = 16


def positions_of(mask: Tensor) -> Tensor:
    """Positions of the true entries of ``mask`` [B, C] in ascending order, [B, N], -1 right."""
    counts = mask.sum(dim=1)
    width = int(counts.max()) if mask.shape[0] else 0
    lane, position = mask.nonzero(as_tuple=True)
    rank = torch.arange(lane.numel(), device=mask.device) - (counts.cumsum(0) - counts)[lane]
    out = torch.full((mask.shape[0], width), -1, dtype=torch.int64, device=mask.device)
    out[lane, rank] = position
    return out


class Vectors(Protocol):
    """Where the engrams' vectors live: in memory, or in a store's files."""

    @property
    def dimension(self) -> int: ...

    def append(self, positions: Tensor, data: Tensor) -> None:
        """Keep ``data`` [B, W, D] for the new engrams at ``positions`` [B, W]."""

    def gather(self, positions: Tensor, ids: Tensor) -> Tensor:
        """Vectors [B, N, D] at ``positions``, whose engram ids are ``ids``; zeros where -1."""

    def pack(self, positions: Tensor, capacity: int) -> None:
        """Keep only ``positions`` [B, K] (-1 pads), in that order, with room for ``capacity``."""


class TensorVectors:
    """Vectors as one float32 tensor [B, C, D]."""

    def __init__(self, lanes: int, dimension: int, device: torch.device) -> None:
        self._data = torch.zeros((lanes, 0, dimension), device=device)

    @property
    def dimension(self) -> int:
        return self._data.shape[2]

    def append(self, positions: Tensor, data: Tensor) -> None:
        lane = torch.arange(positions.shape[0], device=positions.device).unsqueeze(1)
        self._data[lane, positions] = data

    def gather(self, positions: Tensor, ids: Tensor) -> Tensor:
        lane = torch.arange(positions.shape[0], device=positions.device).unsqueeze(1)
        rows = self._data[lane, positions.clamp_min(0)]
        return rows.masked_fill_((positions < 0).unsqueeze(2), 0.0)

    def pack(self, positions: Tensor, capacity: int) -> None:
        lanes, _, dimension = self._data.shape
        packed = self._data.new_zeros((lanes, capacity, dimension))
        packed[:, : positions.shape[1]] = self.gather(positions, positions)
        self._data = packed


class Traces:
    """State of every engram but its connections.

    All [B, C]: ``ids`` int64 (lane-local, never reused; -1 where nothing is), ``types`` uint8,
    ``expiry`` float64 (the step at which it is forgotten; its lifespan is ``expiry - step``),
    ``born`` int64 (step), ``fires`` int64. An expiry needs no decrement, so ageing costs nothing
    and never stalls as a float32 countdown does past 2^24.
    """

    def __init__(self, lanes: int, vectors: Vectors, device: torch.device) -> None:
        self.lanes, self.device, self.vectors = lanes, device, vectors
        self.capacity = 0
        self.used = 0  # no lane reaches further than this
        self.length = torch.zeros(lanes, dtype=torch.int64, device=device)
        self.next_id = 0
        self.ids = self._array(torch.int64, -1)
        self.types = self._array(torch.uint8, NULL)
        self.expiry = self._array(torch.float64, -1.0)
        self.born = self._array(torch.int64, -1)
        self.fires = self._array(torch.int64, 0)

    def load(
        self, ids: Tensor, types: Tensor, expiry: Tensor, born: Tensor, fires: Tensor, next_id: int
    ) -> None:
        """Take over engrams from elsewhere, all [B, M], ``ids`` -1 and types NULL on the right."""
        self.ids, self.types, self.expiry, self.born, self.fires = ids, types, expiry, born, fires
        self.capacity = self.used = ids.shape[1]
        self.length = (ids >= 0).sum(1)
        self.next_id = next_id

    def has_room(self, count: int) -> bool:
        """Whether ``count`` more engrams a lane fit without packing."""
        return self.used + count <= self.capacity

    def pack(self, count: int) -> Tensor:
        """Close the holes and make room for ``count`` more; returns the old positions kept."""
        kept = positions_of(self.types != NULL)
        living = kept.shape[1]
        self.capacity = max(_LEAST, int((living + count) * _SPARE))
        self.ids = self._packed(self.ids, kept, -1)
        self.types = self._packed(self.types, kept, NULL)
        self.expiry = self._packed(self.expiry, kept, -1.0)
        self.born = self._packed(self.born, kept, -1)
        self.fires = self._packed(self.fires, kept, 0)
        self.vectors.pack(kept, self.capacity)
        self.length = (kept >= 0).sum(dim=1)
        self.used = living
        return kept

    def append(self, data: Tensor, step: int, lifespan: float) -> Tensor:
        """Working memory from ``data`` [B, W, D]; returns its positions. Needs room."""
        count = data.shape[1]
        new = torch.arange(count, device=self.device)
        positions = self.length.unsqueeze(1) + new
        self.ids.scatter_(1, positions, (self.next_id + new).expand(self.lanes, -1))
        self.types.scatter_(1, positions, WORKING)
        self.expiry.scatter_(1, positions, step + lifespan)
        self.born.scatter_(1, positions, step)
        self.fires.scatter_(1, positions, 0)
        self.vectors.append(positions, data)
        self.length += count
        self.used += count
        self.next_id += count
        return positions

    def at(self, values: Tensor, positions: Tensor, null: int) -> Tensor:
        """``values`` [B, C] at ``positions`` [B, N]; ``null`` where the position is -1."""
        taken = values.gather(1, positions.clamp_min(0))
        return taken.masked_fill_(positions < 0, null)

    def data_at(self, positions: Tensor) -> Tensor:
        """Vectors [B, N, D] at ``positions``; zeros where -1."""
        return self.vectors.gather(positions, self.at(self.ids, positions, -1))

    def fire(self, positions: Tensor) -> None:
        """Count one firing for every distinct position [B, N]; -1 is ignored."""
        self.fires += self.mask(positions)

    def mask(self, positions: Tensor) -> Tensor:
        """Boolean [B, C], true at ``positions``."""
        hit = torch.zeros((self.lanes, self.capacity + 1), dtype=torch.bool, device=self.device)
        hit.scatter_(1, torch.where(positions < 0, self.capacity, positions), True)
        return hit[:, :-1]

    def extend(self, positions: Tensor, delta: Tensor) -> None:
        """Add ``delta`` [B, N] steps to the lifespans at ``positions``; repeats add up."""
        padded = positions < 0
        gain = delta.to(self.expiry).masked_fill(padded, 0.0)
        self.expiry.scatter_add_(1, positions.clamp_min(0), gain)

    def promote(self, stm_capacity: int) -> None:
        """Working memory becomes short-term; the oldest above the capacity become long-term."""
        self.types.masked_fill_(self.types == WORKING, SHORTTERM)
        short = self.types == SHORTTERM
        newer = short.flip(1).cumsum(1).flip(1)  # how many short-term engrams from here on
        self.types.masked_fill_(short & (newer > stm_capacity), LONGTERM)

    def forget(self, step: int) -> Tensor:
        """Forget what has no lifespan left at ``step``; returns who died, bool [B, C]."""
        dead = (self.types != NULL) & (self.expiry <= step)
        self.types.masked_fill_(dead, NULL)
        return dead

    def indices(self, positions: Tensor) -> Tensor:
        """Ranks among the living of ``positions`` [B, N]; -1 stays -1."""
        rank = (self.types != NULL).cumsum(1) - 1
        return self.at(rank, positions, -1)

    def _array(self, dtype: torch.dtype, fill: float) -> Tensor:
        shape = (self.lanes, self.capacity)
        return torch.full(shape, fill, dtype=dtype, device=self.device)

    def _packed(self, values: Tensor, kept: Tensor, fill: float) -> Tensor:
        packed = self._array(values.dtype, fill)
        packed[:, : kept.shape[1]] = self.at(values, kept, int(fill))
        return packed
