"""The arrays of a store, for a configuration. stores/SPEC.md says it in prose."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from enum import IntEnum
from typing import Any, Final

from memoria.chunkstore.spec import ArraySpec
from memoria.config import MemoriaConfig
from memoria.store.attributes import Era, StoreAttributes

EDGES_PER_ENGRAM: Final = 64  # connections written out per engram; the log holds all of them
EDGE_PAIRS: Final = 10**8  # pairs in the living's log above which they are not written out
STATE_GROUP: Final = "state"
ERA_GROUP: Final = "era"

_VECTOR_CHUNK: Final = 16
_VECTOR_SHARD: Final = 512
_SHARD_BYTES: Final = 2**26  # a wide vector gets smaller shards, since tails are rewritten
_LOG_CHUNK: Final = 8192
_STATE_CHUNK: Final = 65536
_LEAST_STATE_CHUNK: Final = 256


class StepColumn(IntEnum):
    """Columns of ``log/steps``, one row a finished step; column FIRST_SHORT + b is of lane b."""

    TIME = 0  # milliseconds since 1970-01-01 UTC
    ROWS = 1  # rows of ``vectors`` after the step
    LOG_END = 2  # entries of ``log/ids`` after the step
    DIGEST = 3  # four columns: the chained sha256 as big-endian words
    FIRST_SHORT = 7  # the lane's first short-term engram; older ones are long-term


class EventColumn(IntEnum):
    """Columns of ``events``, one row for every engram that something was done to between steps."""

    STEP = 0  # steps finished by then
    KIND = 1  # an `EventKind`
    ENGRAM = 2  # its id
    TIME = 3  # milliseconds since 1970-01-01 UTC


def era_prefix(era: Era) -> str:
    """What stands before the names of the append-only arrays."""
    return "" if era.generation is None else f"{ERA_GROUP}/{era.generation}/"


def array_specs(config: MemoriaConfig, era: Era | None = None) -> list[ArraySpec]:
    """The append-only arrays, by the names under which they lie."""
    era = era or Era()
    prefix = era_prefix(era)
    specs = _arrays(config)
    specs.append(ArraySpec("events", "i8", (4,), 1024, None, -1, ("event", "field")))
    if prefix:
        kept, steps = (_least_chunk(n) for n in (era.kept, era.step))
        specs.append(ArraySpec("kept/ids", "i8", (), kept, None, -1, ("engram",)))
        specs.append(ArraySpec("kept/ends", "i8", (), steps, None, -1, ("step",)))
        specs.append(ArraySpec("kept/places", "i8", (), 512, None, -2, ("place",)))
    return [replace(spec, name=prefix + spec.name) for spec in specs]


def _arrays(config: MemoriaConfig) -> list[ArraySpec]:
    dimension, lanes = config.hidden_dim, config.lanes
    chunks = max(1, min(_VECTOR_SHARD // _VECTOR_CHUNK, _SHARD_BYTES // (64 * dimension)))
    columns = StepColumn.FIRST_SHORT + lanes
    step_rows = max(1, min(1024, 2**17 // columns))
    return [
        ArraySpec(
            "vectors",
            "f4",
            (dimension,),
            _VECTOR_CHUNK,
            chunks * _VECTOR_CHUNK,
            math.nan,
            ("engram", "dimension"),
        ),
        ArraySpec("log/steps", "i8", (columns,), step_rows, None, -1, ("step", "column")),
        ArraySpec("log/ids", "i8", (), _LOG_CHUNK, None, -1, ("entry",)),
        ArraySpec("log/expiry", "f8", (), _LOG_CHUNK, None, math.nan, ("entry",)),
        ArraySpec("texts/bytes", "u1", (), 65536, None, 255, ("byte",)),
        ArraySpec("texts/index", "i8", (3,), 4096, None, -1, ("engram", "field")),
        ArraySpec("sources/bytes", "u1", (), 4096, None, 255, ("byte",)),
        ArraySpec("sources/ends", "i8", (), 512, None, -1, ("source",)),
    ]


def state_specs(generation: int, living: int, edges: int) -> dict[str, ArraySpec]:
    """The arrays of one generation of the state, by short name.

    A generation never grows, so its chunks are the least power of two that holds it all, from 256
    to 65536: the state of a small memory is small.
    """
    at = f"{STATE_GROUP}/{generation}"
    rows = {"living": living, "edge": edges}

    def one(name: str, dtype: str, fill: float | int, axis: str) -> ArraySpec:
        chunk = _least_chunk(rows[axis])
        return ArraySpec(f"{at}/{name}", dtype, (), chunk, None, fill, (axis,))

    return {
        "ids": one("ids", "i8", -1, "living"),
        "types": one("types", "u1", 255, "living"),
        "lifespan": one("lifespan", "f4", math.nan, "living"),
        "expiry": one("expiry", "f8", math.nan, "living"),
        "born": one("born", "i8", -1, "living"),
        "fires": one("fires", "i8", -1, "living"),
        "edges/source": one("edges/source", "i8", -1, "edge"),
        "edges/target": one("edges/target", "i8", -1, "edge"),
        "edges/count": one("edges/count", "i8", -1, "edge"),
        "edges/weight": one("edges/weight", "f4", math.nan, "edge"),
    }


def _least_chunk(rows: int) -> int:
    return min(_STATE_CHUNK, max(_LEAST_STATE_CHUNK, 1 << (rows - 1).bit_length()))


def expected_specs(attributes: Mapping[str, Any]) -> list[ArraySpec]:
    """Every array that a store with these attributes must have."""
    checked = StoreAttributes.parse(attributes)
    specs = array_specs(checked.memory_config(), checked.era)
    state = checked.state
    if state.generation is not None:
        specs += state_specs(state.generation, state.living, state.edges or 0).values()
    return specs
