"""Values as people read them in lines and tables, and text that no terminal obeys."""

from __future__ import annotations

import re
from collections.abc import Sequence

from memoria.timeline.lifespan import PLAINLY_ENDLESS

# Controls (C0, DEL, C1), line separators, what turns the direction of writing or cannot be seen,
# lone surrogates. The joiners U+200C and U+200D stay: scripts and emoji need them.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def shorten(text: str | None, width: int = 36) -> str:
    """Cut ``text`` to one line of at most ``width`` characters."""
    flat = " ".join((text or "").split())
    return flat if len(flat) <= width else flat[: width - 1].rstrip() + "…"


def format_number(value: float | None) -> str:
    """Four digits, large ones whole; nothing for None."""
    return "" if value is None else f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def format_lifespan(steps: float | None) -> str:
    """Steps left, as `format_number` writes them; "no end" of a lifespan without one."""
    return "no end" if steps is not None and steps > PLAINLY_ENDLESS else format_number(steps)


def format_count(count: int, noun: str, nouns: str | None = None) -> str:
    """ "1 step", "2,000 steps"; ``nouns`` is the plural where it takes more than an s."""
    return f"{count:,} {noun if count == 1 else nouns or f'{noun}s'}"


def format_engrams(ids: Sequence[int]) -> str:
    """How many engrams, and which ones if they are few."""
    few = f" ({', '.join(map(str, ids))})" if 0 < len(ids) <= 10 else ""
    return f"{format_count(len(ids), 'engram')}{few}"


def format_engram(engram: int, text: str | None, width: int = 0) -> str:
    """An engram's id, on the right of ``width`` columns, and the beginning of its text."""
    return f"{engram:>{width}} {shorten(text)}".rstrip()


def format_change(value: float | None) -> str:
    """A signed number of four digits, "no end" of a lifespan without one; nothing for None."""
    if value is not None and value > PLAINLY_ENDLESS:
        return "no end"
    return "" if value is None else f"{value:+.4g}"


def format_minute(time: str | None) -> str:
    """An ISO 8601 time in UTC to the minute; nothing for None."""
    return "" if time is None else time[:16].replace("T", " ") + " UTC"


def format_bytes(count: float) -> str:
    """A number of bytes in the unit that suits it."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}" if unit != "bytes" else f"{count} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def format_duration(seconds: float) -> str:
    """A time in the unit that suits it: "8 s", "12 min", "3.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def escape(text: str) -> str:
    """Write out control and direction characters of ``text`` as escapes, on one line."""
    return _UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 256:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 2**16 else f"\\U{code:08x}"
