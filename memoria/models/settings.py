"""What the configuration of a model with memory has besides the plain model's."""

from __future__ import annotations

from dataclasses import dataclass

from memoria.config import MemoriaConfig
from memoria.core.memoria import Memoria
from memoria.errors import ConfigError

__all__ = ["MemorySettings", "new_memoria"]


@dataclass(kw_only=True)
class MemorySettings:
    """Fields that every configuration with memory adds; the defaults are the authors' for GPT-2.

    ``num_memories`` engrams are made of each segment, by an abstractor of ``memory_hidden``
    (None: four times the hidden size). ``lifespan_alpha`` scales what the reminded gain.
    ``reset_period``: in training mode the memory forgets everything each so many segments; None
    never. The others are those of `Memoria`, ``memory_seed`` and ``memory_layout`` its ``seed``
    and ``layout``.
    """

    num_memories: int = 50
    memory_hidden: int | None = None
    num_reminded_stm: int = 50
    stm_capacity: int = 400
    ltm_search_depth: int = 10
    initial_lifespan: float | int = 9
    num_final_ltms: int = 50
    lifespan_alpha: float | int = 8
    reset_period: int | None = 500
    random_entries: str | int = "unreminded"
    tie_break: str = "hash"
    memory_seed: int = 0
    memory_layout: str = "auto"
    keep_history: bool = False


def new_memoria(settings: MemorySettings) -> Memoria:
    """An empty memory of these settings. Raises `ConfigError` for one out of bounds."""
    for name, least in (("num_memories", 1), ("memory_hidden", 1), ("reset_period", 1)):
        value = getattr(settings, name)
        if value is not None and value < least:
            raise ConfigError(f"{name} = {value}: must be {least} or more")
    checked = MemoriaConfig(
        num_reminded_stm=settings.num_reminded_stm,
        stm_capacity=settings.stm_capacity,
        ltm_search_depth=settings.ltm_search_depth,
        initial_lifespan=float(settings.initial_lifespan),
        num_final_ltms=settings.num_final_ltms,
    )
    return Memoria(
        checked.num_reminded_stm,
        checked.stm_capacity,
        checked.ltm_search_depth,
        checked.initial_lifespan,
        checked.num_final_ltms,
        track_id=True,
        keep_history=settings.keep_history,
        seed=settings.memory_seed,
        tie_break=settings.tie_break,
        random_entries=settings.random_entries,
        layout=settings.memory_layout,
    )
