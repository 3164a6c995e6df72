"""Values as people read them in tables."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["byte_size", "counted", "minute", "number", "shortened"]


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
    """A moment of ``memoria.store.engram_life.iso_time`` to the minute; nothing for None."""
    return "" if time is None else time[:16].replace("T", " ") + " UTC"


def byte_size(count: float) -> str:
    """So many bytes, in the unit that suits."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}" if unit != "bytes" else f"{count} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"
