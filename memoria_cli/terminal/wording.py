"""Values as people read them in tables."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["byte_size", "counted", "harmless", "minute", "number", "shortened"]

# Controls (C0, DEL, C1), line separators, what turns the direction of writing or cannot be seen,
# lone surrogates. The joiners U+200C and U+200D stay: scripts and emoji need them.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def shortened(text: str | None, width: int = 36) -> str:
    """The text on one line of at most ``width`` characters."""
    flat = " ".join((text or "").split())
    return flat if len(flat) <= width else flat[: width - 1].rstrip() + "…"


def number(value: float | None) -> str:
    """Four digits, large ones whole; nothing for None."""
    return "" if value is None else f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def counted(ids: Sequence[int]) -> str:
    """How many engrams these are, and of few which."""
    few = f" ({', '.join(map(str, ids))})" if 0 < len(ids) <= 10 else ""
    return f"{len(ids):,} engram{'s' * (len(ids) != 1)}{few}"


def minute(time: str | None) -> str:
    """A moment of ``memoria.query.documents.iso_time`` to the minute; nothing for None."""
    return "" if time is None else time[:16].replace("T", " ") + " UTC"


def byte_size(count: float) -> str:
    """So many bytes, in the unit that suits."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}" if unit != "bytes" else f"{count} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def harmless(text: str) -> str:
    """``text`` on one line, with control and direction characters written out as escapes."""
    return _UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 256:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 2**16 else f"\\U{code:08x}"
