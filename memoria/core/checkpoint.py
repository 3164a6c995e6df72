"""A `MemoryCore` as plain tensors and back, so that training resumes bit for bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from memoria.core.arrays import Array
from memoria.core.connections import Connections
from memoria.core.connections.dense import DenseConnections
from memoria.core.connections.sparse import SparseConnections
from memoria.core.memory_core import MemoryCore
from memoria.core.state import NULL
from memoria.errors import InputError
from memoria.timeline.cofiring import FiringLog

_ARRAYS: Final = ("ids", "types", "expiry", "born", "fires", "pinned")  # [B, M] each
_NEEDED: Final = ("step", "next_id", "data", *_ARRAYS)


def core_state(core: MemoryCore) -> dict[str, Tensor]:
    """Everything that the next step depends on, copied. Packs the core.

    Returns:
        ``step``, ``next_id`` []; ``ids``, ``types``, ``expiry``, ``born``, ``fires``, ``pinned``
        [B, M] as in `EngramState`; ``data`` [B, M, D]; and the connections, dense as ``counts``
        [B, M, M], sparse as the logs of all lanes end to end: ``entries`` [N], ``starts`` [F],
        and of each lane ``lengths`` [B] entries and ``firings`` [B].
    """
    core.close_holes()
    state, connections = core.state, core.connections
    used = state.used
    living = state.ops.where(state.types[:, :used] == NULL, -1, state.ops.arange(used))
    saved = {name: torch.as_tensor(getattr(state, name)[:, :used]).clone() for name in _ARRAYS}
    saved["step"], saved["next_id"] = torch.tensor(core.step), torch.tensor(state.next_id)
    saved["data"] = torch.as_tensor(state.data_at(living))
    if isinstance(connections, SparseConnections):
        return {**saved, **_logs_as_tensors(connections.by_lane())}
    return {**saved, "counts": torch.as_tensor(connections.counts()[:, :used, :used]).clone()}


def fill_core(core: MemoryCore, saved: Mapping[str, Tensor]) -> None:
    """Fill an empty ``core`` with what `core_state` returned.

    Raises:
        InputError: tensors are missing, of another layout, or do not fit together.
    """
    lacking = [name for name in _NEEDED if name not in saved]
    if lacking:
        raise InputError(f"the state lacks {', '.join(lacking)}", "give what state() returned")
    state = core.state
    arrays = [state.ops.array(saved[name].clone()) for name in _ARRAYS]
    shape, data = arrays[0].shape, state.ops.array(saved["data"])
    expected = [*shape, state.vectors.dimension]
    if any(array.shape != shape for array in arrays) or list(data.shape) != expected:
        raise InputError("the tensors of the state do not fit together", "give it unchanged")
    if shape[0] != state.lanes:
        raise InputError(f"the state has {shape[0]} lanes, the memory {state.lanes}")
    ids, types, expiry, born, fires, pinned = arrays
    state.load(ids, types, expiry, born, fires, int(saved["next_id"]), pinned)
    nothing = ids[:, :0]
    state.vectors.pack(nothing, state.capacity)
    everywhere = state.ops.full(tuple(shape), 0, "int64") + state.ops.arange(shape[1])
    state.vectors.append(everywhere, data)
    core.connections = _connections(core, saved, nothing)
    core.step = int(saved["step"])


def _connections(core: MemoryCore, saved: Mapping[str, Tensor], nothing: Array) -> Connections:
    sparse = isinstance(core.connections, SparseConnections)
    if sparse != ("entries" in saved) or sparse == ("counts" in saved):
        now = "sparse" if sparse else "dense"
        raise InputError(f"the state is of another layout than {now!r}", "use the same layout")
    lanes, capacity = core.state.lanes, core.state.capacity
    if sparse:
        return SparseConnections(lanes, core.ops, _logs_from_tensors(saved), capacity)
    made = DenseConnections(lanes, core.ops)
    made.pack(nothing, capacity)
    counts = core.ops.array(saved["counts"])
    made.counts()[:, : counts.shape[1], : counts.shape[2]] = counts
    return made


def _logs_as_tensors(logs: Sequence[FiringLog]) -> dict[str, Tensor]:
    return {
        "entries": torch.from_numpy(np.concatenate([log.entries for log in logs])),
        "starts": torch.from_numpy(np.concatenate([log.starts[:-1] for log in logs])),
        "lengths": torch.tensor([len(log) for log in logs]),
        "firings": torch.tensor([len(log.starts) - 1 for log in logs]),
    }


def _logs_from_tensors(saved: Mapping[str, Tensor]) -> list[FiringLog]:
    entries = torch.split(saved["entries"].cpu(), saved["lengths"].tolist())
    starts = torch.split(saved["starts"].cpu(), saved["firings"].tolist())
    return [
        FiringLog(entry.numpy().copy(), start.numpy().copy())
        for entry, start in zip(entries, starts, strict=True)
    ]
