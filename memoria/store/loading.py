"""From files to a running core, and from the core to what is alive in it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.config import MemoriaConfig
from memoria.core.arrays import NUMPY, Array, ArrayOps
from memoria.core.connections import Connections
from memoria.core.connections.dense import DenseConnections
from memoria.core.connections.sparse import SparseConnections
from memoria.core.memory_core import MemoryCore
from memoria.core.ranks import whole_blocks
from memoria.core.vectors import ArrayVectors, Vectors
from memoria.store.attributes import Pending
from memoria.store.life import Life, StepTable, fold, lane_logs
from memoria.store.memory_files import MemoryFiles
from memoria.store.vectors import FileVectors
from memoria.timeline.cofiring import FiringLog
from memoria.timeline.engram_type import EngramType

MOST_CELLS: Final = 2**26  # of 4 bytes; twice that while the living are packed


def load_core(
    files: MemoryFiles, config: MemoriaConfig, steps: StepTable | None = None
) -> MemoryCore:
    """The memory as it was committed, ready to step; ``steps`` is its table, if read already.

    ``auto`` keeps connections as the log. So does ``dense`` where the matrices would have more than
    `MOST_CELLS` cells: a store from elsewhere says what it likes, and the results are the same.
    """
    steps = StepTable.read(files) if steps is None else steps
    life = fold(files, config, steps)
    logs = lane_logs(files, steps, life)
    capacity = _capacity(life)
    dense = config.layout == "dense" and _fits(config, capacity)
    vectors = FileVectors(files, config.lanes, config.hidden_dim)
    core = _core(config, life, vectors, _connections(logs, capacity, dense, NUMPY), NUMPY)
    vectors.load(capacity)
    return core


def load_whole(files: MemoryFiles, config: MemoriaConfig, life: Life, ops: ArrayOps) -> MemoryCore:
    """The memory ``life`` of ``files`` in arrays of ``ops``, ready to step without the files.

    ``auto`` keeps the matrix, as `Memoria` does, where it fits into `MOST_CELLS` cells.
    """
    logs = lane_logs(files, StepTable.read(files), life)
    capacity = _capacity(life)
    dense = config.layout != "sparse" and _fits(config, capacity)
    vectors = ArrayVectors(config.lanes, config.hidden_dim, ops)
    core = _core(config, life, vectors, _connections(logs, capacity, dense, ops), ops)
    data = np.zeros((config.lanes, capacity, config.hidden_dim), np.float32)
    for lane in range(config.lanes):
        of_lane = files.vectors(life.ids[life.of_lane(lane)])
        data[lane, : len(of_lane)] = of_lane
    vectors.load(ops.array(data))
    return core


def life_of_core(core: MemoryCore) -> Life:
    """The living engrams of ``core`` between two steps, ascending by store id."""
    state, lanes, ops = core.state, core.state.lanes, core.ops
    lane, position = ops.nonzero(state.types != EngramType.NULL)
    ids = ops.numpy(state.ids[lane, position] * lanes + lane)
    order = np.argsort(ids)

    def column(values: Array, dtype: Any) -> Any:
        return ops.numpy(values[lane, position])[order].astype(dtype)

    return Life(
        step=core.step,
        lanes=lanes,
        ids=ids[order],
        types=column(state.types, np.uint8),
        expiry=column(state.expiry, np.float64),
        born=column(state.born, np.int64),
        fires=column(state.fires, np.int64),
        pinned=column(state.pinned, np.bool_),
        first_short=ops.numpy(state.first_shortterm()),
        next_id=state.next_id,
        pending=Pending(),
    )


def _capacity(life: Life) -> int:
    return whole_blocks(_width(life))


def _width(life: Life) -> int:
    return max((int(life.of_lane(lane).sum()) for lane in range(life.lanes)), default=0)


def _fits(config: MemoriaConfig, capacity: int) -> bool:
    return config.lanes * capacity**2 <= MOST_CELLS


def _connections(
    logs: list[FiringLog], capacity: int, dense: bool, ops: ArrayOps
) -> DenseConnections | SparseConnections:
    if dense:
        return DenseConnections.from_logs(logs, capacity, ops)
    return SparseConnections(len(logs), ops, logs, capacity)


def _core(
    config: MemoriaConfig,
    life: Life,
    vectors: Vectors,
    connections: Connections,
    ops: ArrayOps,
) -> MemoryCore:
    """Everything but the vectors, which are to be loaded."""
    core = MemoryCore(config, vectors, connections, range(config.lanes), ops)
    core.step = life.step
    width = _width(life)

    def padded(values: Any, fill: int | float) -> Array:
        return ops.array(_padded(life, values, width, fill))

    core.state.load(
        padded(life.ids // life.lanes, -1),
        padded(life.types, EngramType.NULL),
        padded(life.expiry, -1.0),
        padded(life.born.astype(np.int32), -1),
        padded(life.fires.astype(np.int32), 0),
        life.next_id,
        padded(life.pinned, False),
    )
    return core


def _padded(life: Life, values: Any, width: int, fill: float) -> npt.NDArray[Any]:
    """``values`` [A] by lane, [B, width]."""
    out = np.full((life.lanes, width), fill, values.dtype)
    for lane in range(life.lanes):
        of_lane = values[life.of_lane(lane)]
        out[lane, : len(of_lane)] = of_lane
    return out
