"""The colours of every picture: plots, animations, reports, terminals.

Those of memories are from Okabe and Ito's palette, whose colours people with any colour vision tell
apart; the blue is lighter, so that it can be read on dark and on light grounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

MEMORY_COLOURS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "working": "#E69F00",
        "shortterm": "#12A67F",
        "longterm": "#4C86E8",
        "forgotten": "#8B929C",
    }
)
FIRED: Final = "#F0572D"  # what fires now
# From about to be forgotten to far from it: ever lighter, of viridis, for dark and light grounds.
LIFESPANS: Final = ("#355F8D", "#27808E", "#1F9F88", "#3FBC73", "#86D549", "#DFE318")
# From low to high, as a person with any colour vision sees it: samples of viridis.
SCALE: Final = ("#440154", "#414487", "#2A788E", "#22A884", "#7AD151", "#FDE725")
# Lines of single engrams: Okabe and Ito's and two more, neighbours as different as they may be.
LINES: Final = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#603000"),
    *("#5B6573",),
)
GROUND: Final[Mapping[str, str]] = MappingProxyType({"light": "#FFFFFF", "dark": "#10141C"})
INK: Final[Mapping[str, str]] = MappingProxyType({"light": "#1D232E", "dark": "#E6EAF2"})
FAINT: Final[Mapping[str, str]] = MappingProxyType({"light": "#5E6876", "dark": "#A9B2C0"})
GRID: Final[Mapping[str, str]] = MappingProxyType({"light": "#E4E8ED", "dark": "#2A3140"})
BLANK: Final[Mapping[str, str]] = MappingProxyType({"light": "#EEF0F3", "dark": "#1A202B"})


def rgb(colour: str) -> tuple[float, float, float]:
    """``#RRGGBB`` as red, green and blue, each 0 to 1."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue
