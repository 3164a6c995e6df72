"""Memoria: a human-like memory for neural networks.

Names are loaded when first used, so that ``import memoria`` and the parts of the command line that
do without tensors never wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from memoria.distributions import notice_conflict

if TYPE_CHECKING:
    from memoria.backbones import load_backbone as load_backbone
    from memoria.compat.sparse_tensor import SparseTensor as SparseTensor
    from memoria.config import MemoriaConfig as MemoriaConfig
    from memoria.core.abstractor import Abstractor as Abstractor
    from memoria.core.engrams import Engrams as Engrams
    from memoria.core.memoria import Memoria as Memoria
    from memoria.errors import MemoriaError as MemoriaError
    from memoria.store import MemoryStore as MemoryStore
    from memoria.store import load_memory as load_memory
    from memoria.store import save_memory as save_memory
    from memoria.timeline.engram_type import EngramType as EngramType
    from memoria.timeline.history import HistoryManager as HistoryManager

__version__ = "0.1.0"

_HOMES = {
    "Abstractor": "memoria.core.abstractor",
    "EngramType": "memoria.timeline.engram_type",
    "Engrams": "memoria.core.engrams",
    "HistoryManager": "memoria.timeline.history",
    "Memoria": "memoria.core.memoria",
    "MemoriaConfig": "memoria.config",
    "MemoriaError": "memoria.errors",
    "MemoryStore": "memoria.store",
    "SparseTensor": "memoria.compat.sparse_tensor",
    "load_backbone": "memoria.backbones",
    "load_memory": "memoria.store",
    "save_memory": "memoria.store",
}

_MODULES = ("utils",)  # `from memoria import utils`, as of memoria-pytorch

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        notice_conflict(_warn)
        return getattr(import_module(_HOMES[name]), name)
    if name in _MODULES:
        return import_module(f"memoria.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _warn(line: str) -> None:
    import logging

    logging.getLogger(__name__).warning(line)  # on stderr, unless the program logs elsewhere


def __dir__() -> list[str]:
    return sorted(__all__)
