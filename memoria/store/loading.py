"""From files to a running core."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch

from memoria.config import MemoriaConfig
from memoria.connections.dense import DenseConnections
from memoria.connections.sparse import SparseConnections
from memoria.core import MemoryCore
from memoria.engram_type import EngramType
from memoria.ranks import whole_blocks
from memoria.store.life import Life, StepTable, fold, lane_logs
from memoria.store.memory_files import MemoryFiles
from memoria.store.vectors import FileVectors

__all__ = ["MOST_CELLS", "load_core"]

MOST_CELLS: Final = 2**26  # of 4 bytes; twice that while the living are packed

_CPU = torch.device("cpu")


def load_core(files: MemoryFiles, config: MemoriaConfig) -> MemoryCore:
    """The memory as it was committed, ready to step.

    ``auto`` keeps connections as the log. So does ``dense`` where the matrices would have more than
    `MOST_CELLS` cells: a store from elsewhere says what it likes, and the results are the same.
    """
    steps = StepTable.read(files)
    life = fold(files, config, steps)
    logs = lane_logs(files, steps, life)
    vectors = FileVectors(files, config.lanes, config.hidden_dim)
    width = max((int(life.of_lane(lane).sum()) for lane in range(config.lanes)), default=0)
    capacity = whole_blocks(width)
    connections: DenseConnections | SparseConnections
    if config.layout == "dense" and config.lanes * capacity**2 <= MOST_CELLS:
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
        _padded(life, life.pinned, width, False),
    )
    vectors.load(capacity)
    return core


def _padded(life: Life, values: Any, width: int, fill: float) -> torch.Tensor:
    """``values`` [A] by lane, [B, width]."""
    out = np.full((life.lanes, width), fill, values.dtype)
    for lane in range(life.lanes):
        mine = values[life.of_lane(lane)]
        out[lane, : len(mine)] = mine
    return torch.from_numpy(out)
