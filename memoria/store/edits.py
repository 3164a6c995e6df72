"""Forgetting, pinning and unpinning engrams of a running core, as the store records them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from memoria.core.memory_core import MemoryCore
from memoria.errors import InputError
from memoria.store.events import checked_ids
from memoria.store.memory_files import MemoryFiles
from memoria.timeline.log import EventKind, IntArray

__all__ = ["happen"]


def happen(core: MemoryCore, files: MemoryFiles, kind: EventKind, ids: Any) -> IntArray:
    """Let an event happen to the engrams ``ids`` of ``core``; returns who it changed.

    The ids are ascending; what is pinned already is not pinned again, nor unpinned what is
    not pinned. Raises `InputError` for ids that are unknown, forgotten or repeated.
    """
    wanted = checked_ids(ids, files.created)
    positions = _positions(core, wanted)
    found = positions >= 0
    if not found.any(0).all():
        gone = int(wanted[int(found.any(0).logical_not().nonzero()[0])])
        raise InputError(f"engram {gone}: is forgotten already", "`memoria list` shows the living")
    state = core.state
    if kind is not EventKind.FORGET:
        changes = state.at(state.pinned, positions, 0) != (kind is EventKind.PIN)
        positions = positions.masked_fill(~changes, -1)
    {EventKind.FORGET: core.forget, EventKind.PIN: core.pin, EventKind.UNPIN: core.unpin}[kind](
        positions
    )
    changed: IntArray = wanted[(positions >= 0).any(0).numpy()]
    return changed


def _positions(core: MemoryCore, ids: IntArray) -> Tensor:
    """Positions [B, N] of ``ids``, each in its lane; -1 in the other lanes, and of the dead."""
    lanes = core.config.lanes
    wanted = torch.from_numpy(ids)
    mine = wanted % lanes == torch.arange(lanes).unsqueeze(1)
    local = (wanted // lanes).expand(lanes, -1)
    return core.state.find_living(local.masked_fill(~mine, -1))
