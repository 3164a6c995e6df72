"""A small memory to serve."""

from __future__ import annotations

from pathlib import Path

from memoria.config import MemoriaConfig
from memoria.store import MemoryStore
from memoria.store.remembering import remember

CONFIG = MemoriaConfig(hidden_dim=64, backbone="hash", initial_lifespan=1000.0)
TEXT = "The bees live in the old oak. Anna feeds them in winter. Bo is her dog."


def make_notes(place: Path) -> Path:
    """A store of three engrams, made by one command."""
    with MemoryStore.create(place, CONFIG) as store:
        store.begin_command("step")
        remember(store, TEXT, source="talk.txt", time=1_700_000_000_000, meta={"speaker": "Clara"})
    return place
