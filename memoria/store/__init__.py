"""Persistent memories: plain Zarr directories that grow by atomic, durable commits."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memoria.store.reading import read_config as read_config
    from memoria.store.reminded import Reminded as Reminded
    from memoria.store.save_load import load_memory as load_memory
    from memoria.store.save_load import save_memory as save_memory
    from memoria.store.store import MemoryStore as MemoryStore

_HOMES = {
    "MemoryStore": "memoria.store.store",
    "Reminded": "memoria.store.reminded",
    "load_memory": "memoria.store.save_load",
    "read_config": "memoria.store.reading",
    "save_memory": "memoria.store.save_load",
}

__all__ = ["MemoryStore", "Reminded", "load_memory", "read_config", "save_memory"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
