"""Checks of tensors that come from outside: shapes, types, finite values."""

from __future__ import annotations

import math
from operator import index

import torch
from torch import Tensor

from memoria.errors import ConfigError, InputError, ShapeError

_FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def as_memory_data(
    data: object, lanes: int | None, dimension: int | None, device: torch.device | None
) -> Tensor:
    """Check working memory and convert it to float32.

    Args:
        data: floating point tensor [B, W, D], no size 0.
        lanes: B that it must have; None allows any.
        dimension: D that it must have; None allows any.
        device: where the result lies; None leaves it.

    Returns:
        ``data`` detached, float32 [B, W, D].

    Raises:
        ShapeError: another shape.
        InputError: no floating point tensor, or NaN or Inf in float32.
    """
    expected = f"[{lanes or 'B'}, W, {dimension or 'D'}]"
    if not isinstance(data, Tensor):
        raise InputError(f"data is {_name(data)}, not a tensor", "give a torch tensor")
    shape = list(data.shape)
    if data.dim() != 3 or 0 in shape:
        raise ShapeError("data", f"{expected}, all at least 1", shape)
    if (lanes or shape[0]) != shape[0]:
        hint = "the number of lanes stays until reset_memory()"
        raise ShapeError("data", expected, shape, hint)
    if (dimension or shape[2]) != shape[2]:
        raise ShapeError("data", expected, shape, "all engrams have vectors of one length")
    if data.dtype not in _FLOATS:
        hint = "convert it with .float()"
        raise InputError(f"data is {_name(data)}, not a floating point type", hint)
    taken = data.detach().to(device=device, dtype=torch.float32)
    if not math.isfinite(taken.sum()) and not bool(taken.isfinite().all()):  # sums are fast
        wrong = taken[~taken.isfinite()].flatten()[0].item()
        raise InputError(f"data holds {wrong} after conversion to float32", "clean it first")
    return taken


def as_indices(indices: object, living: Tensor, device: torch.device) -> Tensor:
    """Check ``indices`` [B, N], each from -1 to its lane's count ``living`` [B] less 1.

    Returns:
        ``indices`` detached, int64 [B, N], on ``device``.

    Raises:
        ShapeError: another shape.
        InputError: not integers, or one out of range.
    """
    expected = f"[{living.shape[0]}, N]"
    if not isinstance(indices, Tensor) or indices.dtype not in _INTEGERS:
        raise InputError(
            f"indices are {_name(indices)}, not integers", "give what remind() returned"
        )
    if indices.dim() != 2 or indices.shape[0] != living.shape[0]:
        raise ShapeError("indices", expected, list(indices.shape))
    taken = indices.detach().to(device=device, dtype=torch.int64)
    if taken.is_cpu and taken.numel():
        least, most = taken.aminmax()
        if least >= -1 and most < living.min():
            return taken
    wrong = (taken >= living.unsqueeze(1)) | (taken < -1)
    if bool(wrong.any()):
        lane = int(wrong.any(1).nonzero()[0])
        value, count = int(taken[lane][wrong[lane]][0]), int(living[lane])
        message = f"index {value} in lane {lane} is out of range"
        raise InputError(message, f"the lane holds {count} engrams; -1 stands for none")
    return taken


def as_lane_mask(name: str, mask: object, lanes: int) -> Tensor:
    """Check a ``mask`` of lanes, bool [B], called ``name``; returns it on the CPU.

    Raises:
        ShapeError: another shape.
        InputError: no tensor of bool.
    """
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        raise InputError(f"{name} is {_name(mask)}, not bool", "give one true or false a lane")
    if list(mask.shape) != [lanes]:
        raise ShapeError(name, f"[{lanes}], one a lane", list(mask.shape))
    return mask.detach().cpu()


def as_device(device: str | torch.device | None) -> torch.device | None:
    """``device`` as torch has it. Raises `ConfigError` if this machine lacks it."""
    if device is None:
        return None
    try:
        known = torch.device(device)
        torch.empty(0, device=known)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device = {device!r}: {reason}", "use 'cpu' or 'cuda'") from None
    return known


def as_lane_ids(lane_ids: object) -> list[int] | None:
    """``lane_ids`` as int64 numbers. Raises `ConfigError` for anything else."""
    if lane_ids is None:
        return None
    hint = "give one 64-bit integer for each lane"
    try:
        taken = [index(lane) for lane in lane_ids]  # type: ignore[attr-defined]
    except TypeError:
        raise ConfigError(f"lane_ids = {lane_ids!r}: not integers", hint) from None
    if not all(-(2**63) <= lane < 2**63 for lane in taken):
        raise ConfigError(f"lane_ids = {lane_ids!r}: too large", hint)
    return taken


def as_delta(delta: object, indices: Tensor, device: torch.device) -> Tensor:
    """Check lifespan gains: real numbers of the shape of ``indices`` [B, N], finite except at -1.

    Returns:
        ``delta`` detached, float64 [B, N], on ``device``.

    Raises:
        ShapeError: another shape.
        InputError: not real numbers, or NaN or Inf.
    """
    if not isinstance(delta, Tensor) or delta.is_complex() or delta.dtype == torch.bool:
        raise InputError(f"lifespan delta is {_name(delta)}, not real numbers", "give a tensor")
    if delta.shape != indices.shape:
        raise ShapeError("lifespan delta", str(list(indices.shape)), list(delta.shape))
    taken = delta.detach().to(device=device, dtype=torch.float64)
    if math.isfinite(taken.sum()):
        return taken
    wrong = ~taken.isfinite() & (indices >= 0)
    if bool(wrong.any()):
        raise InputError(f"lifespan delta holds {taken[wrong][0].item()}", "give finite numbers")
    return taken


def _name(value: object) -> str:
    """The type of numbers of a tensor; of anything else its class."""
    if isinstance(value, Tensor):
        return str(value.dtype).removeprefix("torch.")
    return type(value).__name__
