"""The engrams' vectors, behind one interface: in a tensor here, in a store's files there."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class Vectors(Protocol):
    """Vectors of all engrams, addressed by position. B lanes, D elements a vector."""

    @property
    def dimension(self) -> int:
        """D."""

    def append(self, positions: Tensor, data: Tensor) -> None:
        """Store ``data`` [B, W, D] for the new engrams at ``positions`` [B, W]."""

    def gather(self, positions: Tensor, ids: Tensor) -> Tensor:
        """Vectors [B, N, D] at ``positions`` [B, N] with local ids ``ids`` [B, N]; zeros at -1."""

    def pack(self, positions: Tensor, capacity: int) -> None:
        """Move ``positions`` [B, K] (-1 pads) to 0..K-1, drop the rest; room for ``capacity``."""


class TensorVectors:
    """Vectors as one float32 tensor [B, C, D]."""

    def __init__(self, lanes: int, dimension: int, device: torch.device) -> None:
        self._data = torch.zeros((lanes, 0, dimension), device=device)

    def load(self, data: Tensor) -> None:
        """Replace all vectors by ``data`` [B, C, D], not copied."""
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
        cells = lane * capacity + positions.clamp_min(0)
        vectors = self._data.view(-1, dimension).index_select(0, cells.view(-1))
        vectors = vectors.view(*positions.shape, dimension)
        if bool((positions < 0).any()):
            vectors.masked_fill_((positions < 0).unsqueeze(2), 0.0)
        return vectors

    def pack(self, positions: Tensor, capacity: int) -> None:
        lanes, _, dimension = self._data.shape
        packed = self._data.new_zeros((lanes, capacity, dimension))
        packed[:, : positions.shape[1]] = self.gather(positions, positions)
        self._data = packed
