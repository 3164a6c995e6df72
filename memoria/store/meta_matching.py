"""Whether what stands beside an engram has the values that are wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from unicodedata import normalize


def has_meta(held: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> bool:
    """Whether ``held`` has these values.

    A number or truth value is found by its letters too, a list by each text in it; how letters are
    composed makes no difference.
    """
    return held is not None and all(
        key in held and _is_same(held[key], value) for key, value in wanted.items()
    )


def _is_same(held: Any, wanted: Any) -> bool:
    if held == wanted or _letters(held) == _letters(wanted):
        return True
    return isinstance(held, list) and any(_letters(one) == _letters(wanted) for one in held)


def _letters(value: Any) -> str:
    return normalize("NFC", str(value))
