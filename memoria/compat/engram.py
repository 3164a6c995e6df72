"""`memoria.engram` of memoria-pytorch: EngramType, Engrams and the records of a summary."""

from __future__ import annotations

from memoria.core.engrams import Engrams
from memoria.timeline.engram_type import EngramType
from memoria.timeline.summary import EngramConnection, EngramInfo, EngramsInfo

__all__ = ["EngramConnection", "EngramInfo", "EngramType", "Engrams", "EngramsInfo"]
