"""Numbers and texts for a page: columns in base64, JSON that cannot end its element."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["excerpt", "for_script", "packed"]

_WHOLE: Final = (("u1", 2**8), ("u2", 2**16), ("u4", 2**32))
# In JSON these three are only in texts, where their escapes mean the same.
_MARKUP: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
_ESCAPES: Final = str.maketrans(_MARKUP)


def packed(values: npt.NDArray[Any]) -> dict[str, str]:
    """A column as ``{"type", "base64"}``, little-endian: the smallest of u1 u2 u4 that holds it.

    Real numbers are f4, whole ones that are negative or beyond 2^32 are f8.
    """
    kind = "f4"
    if values.dtype.kind in "iub":
        low, high = int(values.min(initial=0)), int(values.max(initial=0))
        kind = next((name for name, end in _WHOLE if low >= 0 and high < end), "f8")
    raw = np.ascontiguousarray(values, f"<{kind}").tobytes()
    return {"type": kind, "base64": base64.b64encode(raw).decode("ascii")}


def excerpt(text: str | None, most: int) -> tuple[str, int]:
    """(its first ``most`` characters, how many it has); lone surrogates become U+FFFD."""
    if text is None:
        return "", 0
    first = text[:most].encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return first[:most], len(text)


def for_script(document: object) -> str:
    """JSON for a ``<script>`` of data: no ``<`` in it, so that nothing can end the element."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(_ESCAPES).encode("utf-8", "replace").decode("utf-8")
