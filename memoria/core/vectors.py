"""Where the engrams' vectors live, and the place in memory."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

__all__ = ["TensorVectors", "Vectors"]


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

    def load(self, data: Tensor) -> None:
        """Take over vectors [B, C, D] from elsewhere, C the capacity of the state."""
        self._data = data

    @property
    def dimension(self) -> int:
        return self._data.shape[2]

    def append(self, positions: Tensor, data: Tensor) -> None:
        lane = torch.arange(positions.shape[0], device=positions.device).unsqueeze(1)
        self._data[lane, positions] = data

    def gather(self, positions: Tensor, ids: Tensor) -> Tensor:
        lanes, capacity, dimension = self._data.shape
        lane = torch.arange(lanes, device=positions.device).unsqueeze(1)
        place = lane * capacity + positions.clamp_min(0)
        rows = self._data.view(-1, dimension).index_select(0, place.view(-1))
        rows = rows.view(*positions.shape, dimension)
        if bool((positions < 0).any()):
            rows.masked_fill_((positions < 0).unsqueeze(2), 0.0)
        return rows

    def pack(self, positions: Tensor, capacity: int) -> None:
        lanes, _, dimension = self._data.shape
        packed = self._data.new_zeros((lanes, capacity, dimension))
        packed[:, : positions.shape[1]] = self.gather(positions, positions)
        self._data = packed
