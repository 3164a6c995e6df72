"""Histories that begin in the middle of a life: of a memory that came from a store or a state."""

from __future__ import annotations

import numpy as np

from memoria.core.life_log import LifeLog
from memoria.core.memory_core import MemoryCore
from memoria.core.state import NULL
from memoria.timeline.history import HistoryManager

__all__ = ["known_histories"]


def known_histories(core: MemoryCore, log: LifeLog) -> list[HistoryManager]:
    """What a memory knows of its own past, between two steps: a history for each lane.

    Times are those of the whole life. Of who was forgotten by now it knows nothing, and of steps
    that ``log`` lacks that they were.
    """
    tables, state = log.tables(core.state), core.state
    lacking = core.step - len(tables.made)
    lanes = state.lanes
    ids, expiry = state.ids.cpu().numpy(), state.expiry.cpu().numpy()
    living = (state.types != NULL).cpu().numpy()
    short = state.first_shortterm().tolist()
    made = np.concatenate((np.zeros(lacking, np.int64), tables.made))
    made[-1] = state.next_id
    histories = []
    for lane in range(lanes):
        mine = tables.ids % lanes == lane
        fired, ends = tables.ids[mine] // lanes, np.append(0, np.cumsum(mine))[tables.ends]
        ends = np.concatenate((np.zeros(lacking, np.int64), ends))
        last = np.full(state.next_id, np.nan)
        last[fired] = tables.expiry[mine]
        who, now = ids[lane][living[lane]], expiry[lane][living[lane]]
        moved = last[who] != now  # pinned since, or by steps that are not known
        set_ends = ends.copy()
        set_ends[-1] += int(moved.sum())
        first = np.concatenate((np.zeros(lacking, np.int64), tables.first_short[:, lane]))
        first[-1] = short[lane]
        histories.append(
            HistoryManager.from_arrays(
                {
                    "fired": fired,
                    "fired_ends": ends,
                    "firing_ends": np.arange(1, core.step + 1),
                    "set_ids": np.concatenate((fired, who[moved])),
                    "set_ends": set_ends,
                    "expiry": np.concatenate((tables.expiry[mine], now[moved])),
                    "bounds": np.column_stack((first, made)),
                }
            )
        )
    return histories
