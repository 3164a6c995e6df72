"""What a memory holds at one moment, as plain records. Names as in `memoria-pytorch`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["EngramConnection", "EngramHistory", "EngramInfo", "EngramsInfo", "Firing"]


@dataclass(frozen=True, slots=True)
class EngramConnection:
    """``weight = cofire_count / fire count of the source``: the chance that target fires too."""

    source_id: int
    target_id: int
    weight: float
    cofire_count: int


@dataclass(frozen=True, slots=True)
class EngramInfo:
    """One engram: ``type`` is WORKING, SHORTTERM or LONGTERM; lifespan and age in steps."""

    id: int
    type: str
    lifespan: float
    age: int | None
    fire_count: int
    outgoings: tuple[EngramConnection, ...]
    incoming: tuple[EngramConnection, ...]

    @property
    def cofire_counts(self) -> dict[int, int]:
        """How often each connected engram fired together with this one, by its id."""
        return {edge.target_id: edge.cofire_count for edge in self.outgoings}


@dataclass(frozen=True, slots=True)
class EngramsInfo:
    """One lane: its engrams by id, its connections by (source, target), ids by memory."""

    engrams: dict[int, EngramInfo]
    edges: dict[tuple[int, int], EngramConnection]
    working: tuple[int, ...]
    shortterm: tuple[int, ...]
    longterm: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Firing:
    """An engram fired at a step and gained ``lifespan_gain`` steps."""

    timestep: int
    engram_id: int
    lifespan_gain: float


@dataclass(frozen=True, slots=True)
class EngramHistory:
    """The life of one engram; ``deletion_timestep`` is None while it lives."""

    id: int
    creation_timestep: int
    deletion_timestep: int | None
    duration: int
    firing_times: list[int]
    firings: list[Firing]
    summaries: Sequence[EngramsInfo]
