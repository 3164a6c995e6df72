"""What is done to engrams of a running core by hand, as the store records it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from memoria.core.arrays import Array
from memoria.core.memory_core import MemoryCore
from memoria.errors import InputError
from memoria.store.events import checked_ids
from memoria.store.memory_files import MemoryFiles
from memoria.timeline import rules
from memoria.timeline.engram_type import EngramType
from memoria.timeline.log import ENDINGS, EventKind, IntArray


def happen(
    core: MemoryCore, files: MemoryFiles, kind: EventKind, ids: Any, gain: float = 0.0
) -> IntArray:
    """Let an event happen to the engrams ``ids`` of ``core``; returns who it changed.

    ``gain`` are the steps that a recall gives. The ids are ascending; what is pinned already is
    not pinned again, nor unpinned what is not pinned. Raises `InputError` for ids that are
    unknown, forgotten or repeated.
    """
    wanted = checked_ids(ids, files.created)
    positions = _positions(core, wanted)
    found = core.ops.numpy(positions >= 0).any(0)
    if not found.all():
        gone = wanted[found.argmin()]
        raise InputError(f"engram {gone}: is forgotten already", "`memoria list` shows the living")
    state = core.state
    if kind in (EventKind.PIN, EventKind.UNPIN):
        changes = state.at(state.pinned, positions, False) != (kind is EventKind.PIN)
        positions = core.ops.where(changes, positions, -1)
    apply_event(core, kind, positions, gain)
    changed: IntArray = wanted[core.ops.numpy(positions >= 0).any(0)]
    return changed


def are_alive(core: MemoryCore, ids: IntArray) -> npt.NDArray[np.bool_]:
    """Whether each of the engrams ``ids`` lives."""
    found: npt.NDArray[np.bool_] = core.ops.numpy(_positions(core, ids) >= 0)
    return np.asarray(found.any(0))


def displaced_ids(core: MemoryCore) -> IntArray:
    """The engrams of ``core`` that its capacity leaves no room for, ascending by id."""
    capacity, state, numpy = core.config.capacity, core.state, core.ops.numpy
    if capacity is None or int(state.living_count().max()) <= capacity:
        return np.empty(0, np.int64)
    types, expiry, pinned, ids = map(numpy, (state.types, state.expiry, state.pinned, state.ids))
    gone = []
    for lane in range(state.lanes):
        living = np.flatnonzero(types[lane] != EngramType.NULL)
        rows = rules.displaced(expiry[lane, living], pinned[lane, living], capacity)
        gone.append(ids[lane, living[rows]] * state.lanes + lane)
    return np.sort(np.concatenate(gone))


def apply_event(core: MemoryCore, kind: EventKind, positions: Array, gain: float = 0.0) -> None:
    """Do to the engrams at ``positions`` [B, N] what an event does to their lifespan."""
    if kind in ENDINGS:
        core.forget(positions)
    elif kind == EventKind.PIN:
        core.pin(positions)
    elif kind == EventKind.UNPIN:
        core.unpin(positions)
    elif kind == EventKind.RECALL:
        core.recall_by_hand(positions, gain)


def revise(core: MemoryCore, engram: int, vector: npt.NDArray[np.float32]) -> None:
    """Let ``core`` work with another vector [D] of the engram from now on."""
    lane = engram % core.config.lanes
    position = int(_positions(core, np.array([engram]))[lane, 0])
    core.state.vectors.revise(lane, position, engram, core.ops.array(vector))


def _positions(core: MemoryCore, ids: IntArray) -> Array:
    """Positions [B, N] of ``ids``, each in its lane; -1 in the other lanes, and of the dead."""
    lanes = core.config.lanes
    in_lane = ids % lanes == np.arange(lanes)[:, None]
    return core.state.find_living(core.ops.array(np.where(in_lane, ids // lanes, -1)))
