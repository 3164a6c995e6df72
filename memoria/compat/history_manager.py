"""`memoria.history_manager` of memoria-pytorch: HistoryManager and its records."""

from __future__ import annotations

from memoria.timeline.history import HistoryManager
from memoria.timeline.summary import EngramHistory, EngramInfo, EngramsInfo, Firing

__all__ = ["EngramHistory", "EngramInfo", "EngramsInfo", "Firing", "HistoryManager"]
