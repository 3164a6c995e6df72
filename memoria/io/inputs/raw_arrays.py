"""An array found in a file, and the words in which openers refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from memoria.errors import InputError
from memoria.io.inputs.files import shown

__all__ = ["RawArray", "check_kind", "check_shape", "first_line", "pick"]

_MOST_AXES: Final = 16


@dataclass(frozen=True, slots=True)
class RawArray:
    """An array in its own type: ``part(start, stop)`` along axis 0, or ``whole()``."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None  # None: known only when read
    part: Callable[[int, int], NDArray[Any]]
    whole: Callable[[], NDArray[Any]]


def check_kind(dtype: np.dtype[Any], source: str) -> None:
    """Raise `InputError` for what is not real numbers."""
    if dtype.kind not in "fiub":
        raise InputError(f"{source}: holds {dtype}, not real numbers", "save it as float32 instead")


def check_shape(source: str, shape: tuple[int, ...]) -> None:
    """Raise `InputError` for what is no shape of an array that could be read."""
    if not all(type(size) is int and 0 <= size < 2**63 for size in shape):
        raise InputError(f"{source}: the header claims shape {shown(str(list(shape)))}")
    if len(shape) > _MOST_AXES:
        raise InputError(f"{source}: an array of {len(shape)} axes", "give at most four")


def pick(path: str, names: Iterable[str], key: str | None) -> str:
    """The wanted name: the key, the only one, or ``vectors``."""
    known = sorted(names)
    if key is not None:
        if key not in known:
            raise InputError(f"{path}: holds no array {key!r}", f"it holds {_listed(known)}")
        return key
    if len(known) == 1:
        return known[0]
    if "vectors" in known:
        return "vectors"
    if not known:
        raise InputError(f"{path}: holds no array")
    raise InputError(
        f"{path}: holds {len(known)} arrays: {_listed(known)}",
        f"choose one: {path}:{shown(known[0])}",
    )


def _listed(names: list[str]) -> str:
    return (
        ", ".join(map(shown, names[:12])) + (", ..." if len(names) > 12 else "")
        if names
        else "none"
    )


def first_line(error: BaseException) -> str:
    """What an error from elsewhere says first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return shown(lines[0]) if lines else type(error).__name__
