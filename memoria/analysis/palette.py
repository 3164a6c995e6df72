"""The colours of memories in every picture: plots, animations, reports, terminals.

From Okabe and Ito's palette, whose colours people with any colour vision tell apart; the blue is
lighter, so that it can be read on dark and on light grounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["FIRED", "GROUND", "INK", "LIFESPANS", "MEMORY_COLOURS"]

MEMORY_COLOURS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "working": "#E69F00",
        "shortterm": "#12A67F",
        "longterm": "#4C86E8",
        "forgotten": "#8B929C",
    }
)
FIRED: Final = "#F0572D"  # what fires now
# From about to be forgotten to far from it; even steps in lightness, for dark and light grounds.
LIFESPANS: Final = ("#B3486F", "#D2695A", "#E0964B", "#B7B04A", "#63B36B", "#2BA79A")
GROUND: Final[Mapping[str, str]] = MappingProxyType({"light": "#FFFFFF", "dark": "#10141C"})
INK: Final[Mapping[str, str]] = MappingProxyType({"light": "#1D232E", "dark": "#E6EAF2"})
