"""`ArrayOps` of torch, on any device: what the core is on a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor


class TorchOps:
    """Operations on tensors of ``device``; what each does stands in `ArrayOps`."""

    def __init__(self, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        self.is_host = self.device.type == "cpu"

    def full(self, shape: tuple[int, ...], value: float, dtype: str) -> Tensor:
        return torch.full(shape, value, dtype=getattr(torch, dtype), device=self.device)

    def arange(self, stop: int) -> Tensor:
        return torch.arange(stop, device=self.device)

    def array(self, values: Any) -> Tensor:
        return torch.as_tensor(values, device=self.device)

    def numpy(self, array: Tensor) -> npt.NDArray[Any]:
        found: npt.NDArray[Any] = array.cpu().numpy()
        return found

    def cast(self, array: Tensor, dtype: str) -> Tensor:
        return array.to(getattr(torch, dtype))

    def copy(self, array: Tensor) -> Tensor:
        return array.clone()

    def concatenate(self, parts: Sequence[Tensor], axis: int) -> Tensor:
        return torch.cat(list(parts), axis)

    def where(self, condition: Tensor, first: Any, second: Any) -> Tensor:
        return torch.where(condition, first, second)

    def fill(self, array: Tensor, mask: Tensor, value: float) -> Tensor:
        return array.masked_fill_(mask, value)

    def maximum(self, array: Tensor, least: float) -> Tensor:
        return array.clamp_min(least)

    def finite(self, array: Tensor) -> Tensor:
        return array.isfinite()

    def least(self, array: Tensor) -> Tensor:
        return array.amin(1)

    def greatest(self, array: Tensor) -> Tensor:
        return array.amax(-1)

    def argmax(self, array: Tensor) -> Tensor:
        return array.max(-1).indices  # the first of equals

    def sort(self, array: Tensor) -> Tensor:
        return array.sort(1).values

    def argsort(self, array: Tensor) -> Tensor:
        return array.sort(dim=1, stable=True).indices

    def kth_greatest(self, array: Tensor, count: int) -> Tensor:
        return array.topk(count, 1).values[:, -1:]

    def search(self, array: Tensor, wanted: Tensor, lengths: Tensor | None = None) -> Tensor:
        if lengths is None:
            return torch.searchsorted(array, wanted.contiguous(), right=True)
        rows = zip(array, lengths.tolist(), wanted, strict=True)
        return torch.stack(
            [torch.searchsorted(row[:length], mine.contiguous()) for row, length, mine in rows]
        )

    def unique(self, array: Tensor) -> Tensor:
        found: Tensor = torch.unique(array)
        return found

    def nonzero(self, mask: Tensor) -> tuple[Tensor, Tensor]:
        lane, column = mask.nonzero(as_tuple=True)
        return lane, column

    def columns(self, mask: Tensor) -> Tensor:
        counts = mask.sum(1)
        width = int(counts.max()) if mask.shape[0] else 0
        lane, column = mask.nonzero(as_tuple=True)
        rank = torch.arange(len(lane), device=mask.device) - (counts.cumsum(0) - counts)[lane]
        out = torch.full((mask.shape[0], width), -1, device=mask.device)
        out[lane, rank] = column
        return out

    def mask(self, columns: Tensor, width: int) -> Tensor:
        shape = (columns.shape[0], width + 1)
        hit = torch.zeros(shape, dtype=torch.bool, device=columns.device)
        return hit.scatter_(1, torch.where(columns < 0, width, columns), True)[:, :-1]

    def mark(self, mask: Tensor, columns: Tensor) -> None:
        mask |= self.mask(columns, mask.shape[1])

    def distinct(self, columns: Tensor) -> Tensor:
        last = torch.iinfo(columns.dtype).max
        ordered = columns.masked_fill(columns < 0, last).sort(1).values
        ordered[:, 1:].masked_fill_(ordered[:, 1:] == ordered[:, :-1].clone(), last)
        ordered = ordered.sort(1).values
        width = int((ordered < last).sum(1).max()) if ordered.numel() else 0
        ordered = ordered[:, :width]
        return ordered.masked_fill(ordered == last, -1)

    def take(self, array: Tensor, columns: Tensor, null: float) -> Tensor:
        if array.shape[1] == 0:
            return array.new_full(columns.shape, null)
        return array.gather(1, columns.clamp_min(0)).masked_fill_(columns < 0, null)

    def add_at(self, array: Tensor, columns: Tensor, amounts: Tensor) -> None:
        given = amounts.to(array.dtype).masked_fill(columns < 0, 0)
        array.scatter_add_(1, columns.clamp_min(0), given)

    def add_cells(self, array: Tensor, rows: Tensor, columns: Tensor, amount: int) -> None:
        each = torch.full_like(rows, amount).to(array.dtype)
        array.index_put_((rows, columns), each, accumulate=True)

    def take_rows(self, array: Tensor, columns: Tensor) -> Tensor:
        lanes, width, dimension = array.shape
        cells = self._lanes(lanes) * width + columns.clamp_min(0)
        rows = array.reshape(-1, dimension).index_select(0, cells.view(-1))
        rows = rows.view(*columns.shape, dimension)
        if bool((columns < 0).any()):
            rows.masked_fill_((columns < 0).unsqueeze(2), 0)
        return rows

    def add_pairs(self, array: Tensor, columns: Tensor) -> None:
        unique = self.distinct(columns)
        valid, at = (unique >= 0).to(torch.int32), unique.clamp_min(0)
        lane = self._lanes(array.shape[0]).unsqueeze(2)
        pairs = valid.unsqueeze(2) * valid.unsqueeze(1)
        array.index_put_((lane, at.unsqueeze(2), at.unsqueeze(1)), pairs, accumulate=True)

    def take_pairs(self, array: Tensor, columns: Tensor, out: Tensor) -> None:
        out.copy_(array.index_select(0, columns).index_select(1, columns))

    @property
    def exact_products(self) -> bool:
        return torch.get_float32_matmul_precision() == "highest"

    def squares(self, vectors: Tensor) -> Tensor:
        if vectors.dtype == torch.float32:  # one pass, nothing of size N x D in between
            norms: Tensor = torch.linalg.vector_norm(vectors, dim=2)
            return norms.square()
        return vectors.square().sum(2)

    def distances(
        self, cue: Tensor, keys: Tensor, cue_square: Tensor, key_square: Tensor
    ) -> Tensor:
        squares = cue_square.unsqueeze(2) + key_square.unsqueeze(1)
        return torch.baddbmm(squares, cue, keys.transpose(1, 2), alpha=-2.0).clamp_min_(0.0)

    def log_sum_exp(self, array: Tensor) -> Tensor:
        return torch.logsumexp(array, dim=1)

    def log_kernel_sum(
        self, cue: Tensor, keys: Tensor, cue_square: Tensor, key_square: Tensor
    ) -> Tensor:
        return self.log_sum_exp(-self.distances(cue, keys, cue_square, key_square))

    def _lanes(self, lanes: int) -> Tensor:
        return torch.arange(lanes, device=self.device).unsqueeze(1)
