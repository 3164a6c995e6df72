"""How long a lifespan can be, in steps."""

from __future__ import annotations

from typing import Final

LONGEST: Final = 2.0**52  # that a pinned engram has left at most: adding 1 to it stays exact
ENDLESS: Final = 2.0**40  # nobody takes so many steps; gains of 2^-12 added to it stay exact
PLAINLY_ENDLESS: Final = ENDLESS / 2  # what is left of it, however many steps were taken
