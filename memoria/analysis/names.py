"""The kinds of analysis by name, each in a line: all that help texts need to load."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["SUMMARIES"]

SUMMARIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "survival": "share of engrams still alive, by step of creation: primacy and recency",
        "contiguity": "connection weight by distance in creation time: temporal contiguity",
        "reminded-age": "age of what is reminded, over the steps, by memory",
        "raster": "which engrams fired in which steps",
        "lifespans": "lifespans of some engrams over their lives",
        "connections": "weights of the connections among some engrams, as a matrix",
        "sizes": "engrams in working, short-term and long-term memory, over the steps",
        "autocorrelation": "autocorrelation of long-term memory's firing, by lag",
    }
)
