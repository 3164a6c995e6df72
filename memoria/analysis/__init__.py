"""What a memory's life shows, as numbers: one function for each kind of plot, none of which draws.

Torch-free: `Chronicle` is a life as arrays, `analyse` makes one of `KINDS` of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memoria.analysis.chronicle import Chronicle as Chronicle
    from memoria.analysis.chronicle import open_chronicle as open_chronicle
    from memoria.analysis.kinds import KINDS as KINDS
    from memoria.analysis.kinds import analyse as analyse
    from memoria.analysis.result import Analysis as Analysis
    from memoria.analysis.tables import TABLES as TABLES
    from memoria.analysis.tables import write_table as write_table

_HOMES = {
    "Analysis": "memoria.analysis.result",
    "Chronicle": "memoria.analysis.chronicle",
    "KINDS": "memoria.analysis.kinds",
    "TABLES": "memoria.analysis.tables",
    "analyse": "memoria.analysis.kinds",
    "open_chronicle": "memoria.analysis.chronicle",
    "write_table": "memoria.analysis.tables",
}

__all__ = [
    *("KINDS", "TABLES", "Analysis", "Chronicle", "analyse", "open_chronicle", "write_table"),
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
