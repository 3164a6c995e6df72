"""What callers hand to a store, checked and brought into its shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from memoria.config import MemoriaConfig
from memoria.errors import InputError, ShapeError
from memoria.store.payloads import Meta
from memoria.store.texts import Place
from memoria.timeline.gain import parse_rule
from memoria.timeline.log import FloatArray, IntArray

if TYPE_CHECKING:
    from torch import Tensor

_MOST_STEPS: Final = 2.0**52

Data: TypeAlias = "npt.NDArray[Any] | Tensor"
Delta: TypeAlias = "npt.NDArray[Any] | Tensor | Sequence[Sequence[float]] | float | str"
Texts = Sequence[str | None] | Sequence[Sequence[str | None]]
Places = Sequence[Place | None] | Sequence[Sequence[Place | None]]
Times = Sequence[int | None] | Sequence[Sequence[int | None]]
Metas = Sequence[Meta | None] | Sequence[Sequence[Meta | None]]


def as_cue(config: MemoriaConfig, data: Data) -> npt.NDArray[np.float32]:
    """``data`` [B, W, D], or [W, D] with one lane, checked, as float32 [B, W, D].

    Raises:
        ShapeError: another shape.
        InputError: no array of floating point numbers, or NaN or Inf in float32.
    """
    given = as_numpy(data)
    if not isinstance(given, np.ndarray):
        raise InputError(f"data is {type(data).__name__}, not an array", "give a numpy array")
    if given.dtype.kind != "f":
        hint = "convert it with .astype('float32')"
        raise InputError(f"data is {given.dtype}, not a floating point type", hint)
    if given.ndim == 2 and config.lanes == 1:
        given = given[None]
    lanes, dimension = config.lanes, config.hidden_dim
    shape = list(given.shape)
    if given.ndim != 3 or 0 in shape or shape[0] != lanes or shape[2] != dimension:
        raise ShapeError("data", f"[{lanes}, W, {dimension}], W at least 1", shape)
    with np.errstate(over="ignore"):  # what overflows is refused below, as Inf
        taken = np.array(given, np.float32, order="C")
    finite = np.isfinite(taken)
    if not finite.all():
        wrong = taken[~finite][0]
        raise InputError(f"data holds {wrong} after conversion to float32", "clean it first")
    return taken


def as_numpy(values: Any) -> Any:
    """A tensor of torch as a numpy array; anything else as it is."""
    if type(values).__module__.partition(".")[0] != "torch" or not hasattr(values, "detach"):
        return values
    there = values.detach().cpu()
    return (
        there.float() if there.dtype.itemsize == 2 and there.is_floating_point() else there
    ).numpy()


def check_delta(delta: Delta | None) -> None:
    """Raise `InputError` or `ConfigError` for what no step could take, whatever it reminds of."""
    if isinstance(delta, str):
        parse_rule(delta)
    elif isinstance(delta, (int, float)) and not abs(delta) <= _MOST_STEPS:
        raise InputError(f"lifespan delta is {delta}", "give numbers of at most 2^52 steps")


def as_gains(delta: Delta, ids: IntArray, scores: Sequence[Sequence[float]]) -> FloatArray:
    """Steps gained by the reminded ``ids`` [B, R] (-1 pads), float64 [B, R].

    ``delta`` is numbers of that shape, one number for all, or a rule, which reads the lanes' log
    correlations ``scores``.
    """
    gains = np.zeros(ids.shape)
    if isinstance(delta, str):
        rule = parse_rule(delta)
        for lane, row in enumerate(scores):
            gains[lane, : len(row)] = rule.gains(np.exp(np.array(row)))
        return gains
    given = _as_numbers(delta, gains)
    if given.ndim == 1 and len(ids) == 1:
        given = given[None]
    if given.shape != ids.shape:
        hint = "give one number for each reminded engram"
        raise ShapeError("lifespan delta", str(list(ids.shape)), list(given.shape), hint)
    wrong = ~(abs(given) <= _MOST_STEPS) & (ids >= 0)  # NaN compares as wrong too
    if wrong.any():
        value = given[wrong][0]
        raise InputError(f"lifespan delta holds {value}", "give numbers of at most 2^52 steps")
    return np.where(ids < 0, 0.0, given)


def _as_numbers(delta: Any, like: FloatArray) -> FloatArray:
    if isinstance(delta, (int, float)):
        return np.full_like(like, float(delta))
    try:
        given = np.asarray(as_numpy(delta))
    except (TypeError, ValueError):
        raise InputError(f"lifespan delta is {type(delta).__name__}, not numbers") from None
    if given.dtype.kind not in "fiu":
        raise InputError(f"lifespan delta is {given.dtype}, not real numbers")
    return given.astype(np.float64)


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
