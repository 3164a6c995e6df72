"""The state of a memory written out: what the log says, as arrays that anybody reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from memoria.chunkstore.spec import ArraySpec
from memoria.store.attributes import Pending, StateHead
from memoria.store.life import Life, StepTable, fold, lane_logs
from memoria.store.memory_files import MemoryFiles
from memoria.store.schema import EDGE_PAIRS, EDGES_PER_ENGRAM, state_specs
from memoria.timeline.log import IntArray


class CofireCounts(Protocol):
    """Who fired together in one lane: a `FiringLog`, or a matrix of counts."""

    def pair_count(self) -> int:
        """Pairs that fired together, each counted once per firing and an engram with itself too."""

    def edges(self, engrams: int, most: int) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
        """(source, target, count) of the ``most`` strongest connections of each of ``engrams``."""


def state_arrays(
    files: MemoryFiles, generation: int
) -> tuple[StateHead, list[tuple[ArraySpec, npt.NDArray[Any]]]]:
    """The state after the last finished step as a generation: its head and its arrays.

    Only between steps. It is what the log says, written out: readers fold less, and a plain Zarr
    reader sees lifespans, types and connections.
    """
    steps = StepTable.read(files)
    life = fold(files, files.config, steps, Pending())
    logs = lane_logs(files, steps, life)
    return written_state(life, logs, generation, files.created, files.log_end, files.events)


def written_state(
    life: Life,
    counts: Sequence[CofireCounts],
    generation: int,
    created: int,
    log_end: int,
    events: int,
) -> tuple[StateHead, list[tuple[ArraySpec, npt.NDArray[Any]]]]:
    """`state_arrays` of a memory that so many engrams, log entries and events have been in.

    ``counts`` [lanes] tell of the living by their ranks in their lanes.
    """
    with_edges = sum(lane.pair_count() for lane in counts) <= EDGE_PAIRS
    source, target, count = strongest_edges(life, counts if with_edges else [])
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
    head = StateHead(
        generation=generation,
        step=life.step,
        rows=created,
        log_end=log_end,
        living=len(life.ids),
        edges=len(source) if with_edges else None,
        events=events,
    )
    return head, arrays


def strongest_edges(
    life: Life, counts: Sequence[CofireCounts], most: int = EDGES_PER_ENGRAM
) -> tuple[IntArray, IntArray, IntArray]:
    """(source, target, co-fire count) of every engram's ``most`` strongest connections.

    By source, then by count from the greatest, then from the oldest target. Ids are the store's.
    """
    parts: list[tuple[IntArray, IntArray, IntArray]] = []
    for lane, of_lane in enumerate(counts):
        ids = life.ids[life.of_lane(lane)]
        for source, target, count in of_lane.edges(len(ids), most):
            parts.append((ids[source], ids[target], count))
    if not parts:
        nothing = np.empty(0, np.int64)
        return nothing, nothing, nothing
    source, target, count = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(source, kind="stable")
    return source[order], target[order], count[order]
