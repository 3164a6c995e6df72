"""The kinds of memory an engram can stand in."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class EngramType(IntEnum):
    """Which memory an engram belongs to; stored as uint8. NULL marks padding."""

    NULL = 0
    WORKING = 1
    SHORTTERM = 2
    LONGTERM = 3


LIVING_TYPES: Final = (EngramType.WORKING, EngramType.SHORTTERM, EngramType.LONGTERM)
