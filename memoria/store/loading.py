"""From files to a running core, and from a running core to the next generation of the state."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from memoria.config import MemoriaConfig
from memoria.connections.dense import DenseConnections
from memoria.connections.firing_log import FiringLog, IntArray
from memoria.connections.sparse import SparseConnections
from memoria.core import MemoryCore
from memoria.engram_type import EngramType
from memoria.ranks import whole_blocks
from memoria.store.attributes import Pending, StateHead
from memoria.store.life import Life, StepTable, fold, lane_logs
from memoria.store.memory_files import MemoryFiles
from memoria.store.schema import EDGE_PAIRS, EDGES_PER_ENGRAM, state_specs
from memoria.store.vectors import FileVectors

__all__ = ["load_core", "strongest_edges", "write_state"]

_CPU = torch.device("cpu")


def load_core(files: MemoryFiles, config: MemoriaConfig) -> MemoryCore:
    """The memory as it was committed, ready to step. ``auto`` keeps connections as the log."""
    steps = StepTable.read(files)
    life = fold(files, config, steps)
    logs = lane_logs(files, steps, life)
    vectors = FileVectors(files, config.lanes, config.hidden_dim)
    width = max((int(life.of_lane(lane).sum()) for lane in range(config.lanes)), default=0)
    capacity = whole_blocks(width)
    connections: DenseConnections | SparseConnections
    if config.layout == "dense":
        connections = DenseConnections.from_logs(logs, capacity)
    else:
        connections = SparseConnections(config.lanes, logs, capacity)
    core = MemoryCore(config, vectors, connections, range(config.lanes), _CPU)
    core.step = life.step
    core.traces.load(
        _padded(life, life.ids // life.lanes, width, -1),
        _padded(life, life.types, width, EngramType.NULL),
        _padded(life, life.expiry, width, -1.0),
        _padded(life, life.born.astype(np.int32), width, -1),
        _padded(life, life.fires.astype(np.int32), width, 0),
        life.next_id,
    )
    vectors.load(capacity)
    return core


def write_state(files: MemoryFiles, config: MemoriaConfig, generation: int) -> StateHead:
    """Stage the state after the last finished step as a generation; returns its head.

    Only between steps. It is what the log says, written out: readers fold less, and a plain Zarr
    reader sees lifespans, types and connections.
    """
    steps = StepTable.read(files)
    life = fold(files, config, steps, Pending())
    logs = lane_logs(files, steps, life)
    with_edges = sum(log.pairs_of_all() for log in logs) <= EDGE_PAIRS
    source, target, count = strongest_edges(life, logs if with_edges else [])
    fires = life.fires[np.searchsorted(life.ids, source)]
    columns: dict[str, npt.NDArray[Any]] = {
        "ids": life.ids,
        "types": life.types,
        "lifespan": life.lifespan().astype(np.float32),
        "expiry": life.expiry,
        "born": life.born,
        "fires": life.fires,
        "edges/source": source,
        "edges/target": target,
        "edges/count": count,
        "edges/weight": (count / np.maximum(fires, 1)).astype(np.float32),
    }
    specs = state_specs(generation, len(life.ids), len(source))
    arrays = [(specs[name], values) for name, values in columns.items()]
    files.replace_state(generation, arrays)
    return StateHead(
        generation=generation,
        step=life.step,
        rows=files.created,
        log_end=files.log_end,
        living=len(life.ids),
        edges=len(source) if with_edges else None,
        events=files.events,
    )


def strongest_edges(
    life: Life, logs: list[FiringLog], most: int = EDGES_PER_ENGRAM
) -> tuple[IntArray, IntArray, IntArray]:
    """(source, target, co-fire count) of every engram's ``most`` strongest connections.

    By source, then by count from the greatest, then from the oldest target. Ids are the store's.
    """
    parts: list[tuple[IntArray, IntArray, IntArray]] = []
    for lane, log in enumerate(logs):
        ids = life.ids[life.of_lane(lane)]
        for source, target, count in log.edges(len(ids), most):
            parts.append((ids[source], ids[target], count))
    if not parts:
        nothing = np.empty(0, np.int64)
        return nothing, nothing, nothing
    source, target, count = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(source, kind="stable")
    return source[order], target[order], count[order]


def _padded(life: Life, values: Any, width: int, fill: float) -> torch.Tensor:
    """``values`` [A] by lane, [B, width]."""
    out = np.full((life.lanes, width), fill, values.dtype)
    for lane in range(life.lanes):
        mine = values[life.of_lane(lane)]
        out[lane, : len(mine)] = mine
    return torch.from_numpy(out)
