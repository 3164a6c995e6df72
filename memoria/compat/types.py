"""`memoria.types` of memoria-pytorch: The records of summaries and histories."""

from __future__ import annotations

from memoria.timeline.summary import (
    EngramConnection,
    EngramHistory,
    EngramInfo,
    EngramsInfo,
    Firing,
)

__all__ = ["EngramConnection", "EngramHistory", "EngramInfo", "EngramsInfo", "Firing"]
