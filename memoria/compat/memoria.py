"""`memoria.memoria` of memoria-pytorch: Memoria."""

from __future__ import annotations

from memoria.compat.utils import super_unique
from memoria.core.engrams import Engrams
from memoria.core.memoria import Memoria
from memoria.timeline.engram_type import EngramType
from memoria.timeline.history import HistoryManager

__all__ = ["EngramType", "Engrams", "HistoryManager", "Memoria", "super_unique"]
