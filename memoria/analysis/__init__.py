"""Numbers about a memory's life, one function for each kind of plot; nothing here draws.

Torch-free: `Chronicle` is a life as arrays, `analyse` computes one of `KINDS` from it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memoria.analysis.chronicle import Chronicle as Chronicle
    from memoria.analysis.chronicle import open_chronicle as open_chronicle
    from memoria.analysis.kinds import KINDS as KINDS
    from memoria.analysis.kinds import analyse as analyse
    from memoria.analysis.result import TABLES as TABLES
    from memoria.analysis.result import Analysis as Analysis
    from memoria.analysis.result import write_table as write_table

_MODULES = {
    "Analysis": "result",
    "Chronicle": "chronicle",
    "KINDS": "kinds",
    "TABLES": "result",
    "analyse": "kinds",
    "open_chronicle": "chronicle",
    "write_table": "result",
}

__all__ = ["KINDS", "TABLES", "Analysis", "Chronicle", "analyse", "open_chronicle", "write_table"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"memoria.analysis.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
