"""Memoria: a human-like memory for neural networks.

Names are loaded when first used, so that ``import memoria`` and the parts of the command line that
do without tensors never wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memoria.abstractor import Abstractor as Abstractor
    from memoria.config import MemoriaConfig as MemoriaConfig
    from memoria.engram_type import EngramType as EngramType
    from memoria.engrams import Engrams as Engrams
    from memoria.errors import MemoriaError as MemoriaError
    from memoria.history import HistoryManager as HistoryManager
    from memoria.memoria import Memoria as Memoria

__version__ = "0.1.0"

_HOMES = {
    "Abstractor": "memoria.abstractor",
    "EngramType": "memoria.engram_type",
    "Engrams": "memoria.engrams",
    "MemoriaConfig": "memoria.config",
    "MemoriaError": "memoria.errors",
    "HistoryManager": "memoria.history",
    "Memoria": "memoria.memoria",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
