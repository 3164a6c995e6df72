"""What callers hand to a store, checked and brought into its shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from memoria.config import MemoriaConfig
from memoria.core.checks import as_memory_data
from memoria.errors import InputError, ShapeError
from memoria.store.payloads import Meta
from memoria.store.texts import Place
from memoria.timeline.gain import parse_rule

_MOST_STEPS: Final = 2.0**52

Data = Tensor | np.ndarray[Any, np.dtype[Any]]
Delta = Tensor | np.ndarray[Any, np.dtype[Any]] | Sequence[Sequence[float]] | float | str
Texts = Sequence[str | None] | Sequence[Sequence[str | None]]
Places = Sequence[Place | None] | Sequence[Sequence[Place | None]]
Times = Sequence[int | None] | Sequence[Sequence[int | None]]
Metas = Sequence[Meta | None] | Sequence[Sequence[Meta | None]]


def as_cue(config: MemoriaConfig, data: Data) -> Tensor:
    """``data`` [B, W, D], or [W, D] with one lane, as a checked float32 tensor [B, W, D]."""
    if isinstance(data, np.ndarray):
        if data.dtype.kind != "f":
            raise InputError(f"data is {data.dtype}, not a floating point type")
        with np.errstate(over="ignore"):  # what overflows is refused below, as Inf
            data = torch.from_numpy(np.array(data, np.float32))
    if isinstance(data, Tensor) and data.dim() == 2 and config.lanes == 1:
        data = data.unsqueeze(0)
    return as_memory_data(data, config.lanes, config.hidden_dim, torch.device("cpu"))


def check_delta(delta: Delta | None) -> None:
    """Raise `InputError` or `ConfigError` for what no step could take, whatever it reminds of."""
    if isinstance(delta, str):
        parse_rule(delta)
    elif isinstance(delta, (int, float)) and not abs(delta) <= _MOST_STEPS:
        raise InputError(f"lifespan delta is {delta}", "give numbers of at most 2^52 steps")


def as_gains(delta: Delta, ids: Tensor, scores: Sequence[Sequence[float]]) -> Tensor:
    """Steps gained by the reminded ``ids`` [B, R] (-1 pads), float64 [B, R].

    ``delta`` is numbers of that shape, one number for all, or a rule, which reads the lanes' log
    correlations ``scores``.
    """
    gains = torch.zeros(ids.shape, dtype=torch.float64)
    if isinstance(delta, str):
        rule = parse_rule(delta)
        for lane, row in enumerate(scores):
            gains[lane, : len(row)] = torch.from_numpy(rule.gains(np.exp(np.array(row))))
        return gains
    given = _as_numbers(delta, gains)
    if given.dim() == 1 and ids.shape[0] == 1:
        given = given.unsqueeze(0)
    if given.shape != ids.shape:
        hint = "give one number for each reminded engram"
        raise ShapeError("lifespan delta", str(list(ids.shape)), list(given.shape), hint)
    wrong = ~(given.abs() <= _MOST_STEPS) & (ids >= 0)  # NaN compares as wrong too
    if bool(wrong.any()):
        value = given[wrong][0].item()
        raise InputError(f"lifespan delta holds {value}", "give numbers of at most 2^52 steps")
    return given.masked_fill(ids < 0, 0.0)


def _as_numbers(delta: Any, like: Tensor) -> Tensor:
    if isinstance(delta, (int, float)):
        return torch.full_like(like, float(delta))
    try:
        given = torch.as_tensor(delta)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"lifespan delta is {type(delta).__name__}, not numbers") from None
    if given.is_complex() or given.dtype == torch.bool:
        raise InputError(f"lifespan delta is {given.dtype}, not real numbers")
    return given.detach().to("cpu", torch.float64)


def by_row(values: Any, lanes: int, count: int, name: str) -> list[Any]:
    """``values`` [B][W], or [W] with one lane, in the order of rows: all lanes of place 0, ..."""
    if values is None:
        return [None] * (lanes * count)
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise InputError(f"{name} is {type(values).__name__}, not a sequence for each lane")
    flat = lanes == 1 and len(values) == count and not _nested(values)
    nested = [values] if flat else values
    rows = [row if isinstance(row, Sequence) and not isinstance(row, str) else [] for row in nested]
    if [len(row) for row in rows] != [count] * lanes:
        raise ShapeError(name, f"[{lanes}][{count}]", [len(row) for row in rows])
    return [nested[lane][place] for place in range(count) for lane in range(lanes)]


def _nested(values: Sequence[Any]) -> bool:
    """Whether the first value is a row of a lane: not None, a text, place, time or meta."""
    first = values[0]
    if isinstance(first, tuple) and len(first) == 2 and isinstance(first[0], str):
        return not isinstance(first[1], int)
    return isinstance(first, Sequence) and not isinstance(first, str)
