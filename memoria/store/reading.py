"""Opening a store without tensors: its configuration, for what comes before loading torch."""

from __future__ import annotations

import os

from memoria.config import MemoriaConfig
from memoria.store.attributes import StoreAttributes
from memoria.store.files import StoreFiles
from memoria.store.schema import expected_specs

__all__ = ["config_of", "open_files", "read_config"]


def open_files(path: str | os.PathLike[str]) -> StoreFiles:
    """The store's files for reading, with the arrays of its format checked to be there."""
    return StoreFiles.open(path, "r", expected_specs)


def config_of(files: StoreFiles) -> MemoriaConfig:
    """The configuration in the store's attributes."""
    return StoreAttributes.of(files.attributes).memory_config()


def read_config(path: str | os.PathLike[str]) -> MemoriaConfig:
    """The configuration of the store at ``path``."""
    files = open_files(path)
    try:
        return config_of(files)
    finally:
        files.close()
