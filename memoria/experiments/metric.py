"""`Metric`: a number that runs end with."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Metric"]


@dataclass(frozen=True)
class Metric:
    """A number that runs end with. ``better`` is "higher", "lower" or "" where neither is."""

    name: str
    title: str
    better: str = ""
