"""Columns of numbers as JSON documents: one record a row, times in UTC, no NaN or Inf."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from memoria.timeline.log import FloatArray, IntArray


def records(columns: Mapping[str, npt.NDArray[Any] | Iterable[Any]]) -> list[dict[str, Any]]:
    """The rows of ``columns``, all of one length, as records with plain Python values.

    Raises:
        ValueError: columns of different lengths.
    """
    names = list(columns)
    values = (
        column.tolist() if isinstance(column, np.ndarray) else column for column in columns.values()
    )
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def finite_or_none(values: FloatArray) -> list[float | None]:
    """``values`` [N] with None for NaN and Inf."""
    return [value if isfinite(value) else None for value in values.tolist()]


def or_none(values: IntArray, missing: int) -> list[int | None]:
    """``values`` [N] with None for ``missing``."""
    return [None if value == missing else value for value in values.tolist()]


def iso_time(milliseconds: int) -> str:
    """Milliseconds since 1970 in UTC, as ``2025-01-31T12:00:00.000Z``."""
    return f"{np.datetime64(milliseconds, 'ms')}Z"


def iso_times(milliseconds: IntArray) -> list[str | None]:
    """`iso_time` of many [N]; None for -1."""
    texts = np.datetime_as_string(milliseconds.astype("M8[ms]")).tolist()
    pairs = zip(milliseconds.tolist(), texts, strict=True)
    return [None if time < 0 else f"{text}Z" for time, text in pairs]
