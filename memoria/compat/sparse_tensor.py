"""`memoria.sparse_tensor` of memoria-pytorch: a tensor that keeps what differs from a default."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from memoria.errors import InputError

__all__ = ["SparseTensor"]

_Number = int | float


class SparseTensor:
    """N elements of a tensor of ``shape``; all others have the default.

    Args:
        indices: places of the elements, int64 [N, number of dimensions], each once.
        values: the elements, [N].
        default_value: what stands everywhere else.
        shape: None: just large enough for ``indices``.
        device: None: that of ``values``.
    """

    def __init__(
        self,
        indices: Tensor,
        values: Tensor,
        default_value: _Number = 0,
        shape: Sequence[int] | None = None,
        device: torch.device | None = None,
    ) -> None:
        if shape is None:
            shape = (indices.max(dim=0).values + 1).tolist()
        self.shape = tuple(shape)
        self.device = values.device if device is None else device
        self.indices = indices.to(self.device)
        self.values = values.to(self.device)
        self.default_value = default_value

    @classmethod
    def empty(
        cls,
        size: Iterable[int],
        default_value: _Number = 0,
        dtype: torch.dtype = torch.int32,
        device: torch.device | None = None,
    ) -> SparseTensor:
        """A tensor in which every element has the default.

        Args:
            size: its shape.
            default_value: of its elements.
            dtype: their type.
            device: where it lies; None: the CPU.
        """
        shape = tuple(size)
        indices = torch.empty((0, len(shape)), dtype=torch.long, device=device)
        return cls(indices, torch.empty(0, dtype=dtype, device=device), default_value, shape)

    @classmethod
    def from_tensor(cls, tensor: Tensor, default_value: _Number = 0) -> SparseTensor:
        """A dense tensor, of which the elements are kept that differ from the default.

        Args:
            tensor: any shape.
            default_value: of the elements that are not kept.
        """
        indices = torch.nonzero(tensor != default_value)
        return cls(indices, tensor[indices.unbind(1)], default_value, tensor.shape)

    def to_dense(self) -> Tensor:
        """The whole tensor."""
        whole = torch.full(
            self.shape, self.default_value, dtype=self.values.dtype, device=self.device
        )
        whole[self.indices.long().unbind(1)] = self.values
        return whole

    def dim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def __getitem__(self, keys: Any) -> SparseTensor | Tensor:
        """As of a tensor; a single element is a `Tensor`, all else a `SparseTensor`."""
        found = self.to_dense()[_keys(keys)]
        return found if found.dim() == 0 else SparseTensor.from_tensor(found, self.default_value)

    def __setitem__(self, keys: Any, value: _Number | Tensor | SparseTensor) -> None:
        whole = self.to_dense()
        given = value.to_dense() if isinstance(value, SparseTensor) else value
        whole[_keys(keys)] = given.to(whole.dtype) if isinstance(given, Tensor) else given
        made = SparseTensor.from_tensor(whole, self.default_value)
        self.indices, self.values = made.indices, made.values

    def __add__(self, other: int | SparseTensor) -> SparseTensor:
        """The sum, element by element; with a number, the default becomes 0."""
        if isinstance(other, int):
            return SparseTensor.from_tensor(self.to_dense() + other)
        if not isinstance(other, SparseTensor):
            raise InputError(f"cannot add {type(other).__name__}", "a SparseTensor or an int")
        if (self.default_value, self.shape) != (other.default_value, other.shape):
            raise InputError(
                f"cannot add a SparseTensor of shape {other.shape} and default "
                f"{other.default_value} to one of {self.shape} and {self.default_value}",
                "both must be alike",
            )
        total = torch.full_like(self.to_dense(), 0)
        for one in (self, other):
            total[one.indices.long().unbind(1)] += one.values
        taken = torch.zeros(self.shape, dtype=torch.bool, device=self.device)
        for one in (self, other):
            taken[one.indices.long().unbind(1)] = True
        indices = torch.nonzero(taken)
        return SparseTensor(indices, total[indices.unbind(1)], self.default_value, self.shape)

    def unsqueeze(self, dim: int = -1) -> SparseTensor:
        """One more dimension, of size 1, before ``dim`` (negative ones count from the last)."""
        at = dim + self.dim() if dim < 0 else dim
        new = torch.zeros((len(self.indices), 1), dtype=self.indices.dtype, device=self.device)
        indices = torch.cat((self.indices[:, :at], new, self.indices[:, at:]), 1)
        shape = (*self.shape[:at], 1, *self.shape[at:])
        return SparseTensor(indices, self.values, self.default_value, shape)

    def diagonal(self, dim1: int = 0, dim2: int = 1) -> SparseTensor:
        """Elements whose places in two dimensions are the same.

        Args:
            dim1: the dimension that goes.
            dim2: the dimension that stays.
        """
        first, second = sorted(one % self.dim() for one in (dim1, dim2))
        on = self.indices[:, first] == self.indices[:, second]
        left = [one for one in range(self.dim()) if one != first]
        shape = tuple(self.shape[one] for one in left)
        return SparseTensor(self.indices[on][:, left], self.values[on], self.default_value, shape)

    def to(self, device: torch.device) -> SparseTensor:
        """The same on another device."""
        return SparseTensor(
            self.indices.to(device), self.values.to(device), self.default_value, self.shape
        )

    def type(self, dtype: torch.dtype) -> SparseTensor:
        """The same with values of another type."""
        return SparseTensor(self.indices, self.values.type(dtype), self.default_value, self.shape)

    def clone(self) -> SparseTensor:
        """A copy that shares nothing."""
        return SparseTensor(
            self.indices.clone(), self.values.clone(), self.default_value, self.shape
        )

    def tolist(self) -> list[Any]:
        """The whole tensor as nested lists."""
        whole: list[Any] = self.to_dense().tolist()
        return whole

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Tensor):
            other = SparseTensor.from_tensor(other, self.default_value)
        return (
            isinstance(other, SparseTensor)
            and (self.shape, self.default_value) == (other.shape, other.default_value)
            and torch.equal(self.to_dense(), other.to_dense())
        )

    __hash__ = None  # type: ignore[assignment]  # changes in place

    def __repr__(self) -> str:
        return (
            f"SparseTensor(shape={self.shape}, default_value={self.default_value}, "
            f"indices={self.indices}, values={self.values})"
        )


def _keys(keys: Any) -> Any:
    """Keys as torch takes them: lists and narrow integers become int64."""
    if isinstance(keys, tuple):
        return tuple(_keys(key) for key in keys)
    if isinstance(keys, list):
        return torch.tensor(keys)
    if isinstance(keys, Tensor) and keys.dtype != torch.bool:
        return keys.long()
    return slice(None) if keys is None else keys
