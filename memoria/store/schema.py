"""The arrays of a store, for a configuration. stores/SPEC.md says it in prose."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from enum import IntEnum
from typing import Any, Final

from memoria.chunkstore.spec import ArraySpec
from memoria.config import MemoriaConfig, VectorType
from memoria.store.attributes import Era, StoreAttributes

EDGES_PER_ENGRAM: Final = 64  # connections written out per engram; the log holds all of them
EDGE_PAIRS: Final = 10**8  # pairs in the living's log above which they are not written out
STATE_GROUP: Final = "state"
ERA_GROUP: Final = "era"
DERIVED: Final = "index"  # a directory beside the memory, made from it and no part of it

_VECTOR_CHUNK: Final = 16
_MOST_VECTOR_CHUNKS: Final = 32  # of a file
_VECTOR_NUMBERS: Final = 98_304  # of a file, since a commit rewrites the last one
_VECTOR_TYPES: Final[dict[VectorType, tuple[str, float | int]]] = {
    "float32": ("f4", math.nan),
    "float16": ("f2", math.nan),
    "int8": ("i1", -128),
}
_LOG_CHUNK: Final = 4096
_STATE_CHUNK: Final = 65536
_LEAST_STATE_CHUNK: Final = 256


class StepColumn(IntEnum):
    """Columns of ``log/steps``, one row a finished step; column FIRST_SHORT + b is of lane b."""

    TIME = 0  # milliseconds since 1970-01-01 UTC
    ROWS = 1  # rows of ``vectors`` after the step
    LOG_END = 2  # entries of ``log/ids`` after the step
    DIGEST = 3  # four columns: the chained sha256 as big-endian words
    FIRST_SHORT = 7  # the lane's first short-term engram; older ones are long-term


class TextColumn(IntEnum):
    """Columns of ``texts/index``, one row an engram; ends are in ``texts/bytes``."""

    TEXT_END = 0  # the text begins where the meta of the engram before ends
    META_END = 1  # the meta, a JSON object, begins where the text ends
    SOURCE = 2  # number of the source, -1: none
    OFFSET = 3  # characters before the text in its source, -1: none
    TIME = 4  # the engram's own, milliseconds since 1970-01-01 UTC, -1: none


class ReadingColumn(IntEnum):
    """Columns of ``sources/readings``, one row each time a source was read."""

    SOURCE = 0  # its number
    STEP = 1  # steps finished by then
    EVENTS = 2  # events by then
    TIME = 3  # milliseconds since 1970-01-01 UTC
    UNITS_END = 4  # rows of ``sources/units`` by then
    HASH = 5  # four columns: sha256 of the content as big-endian words


class CommandColumn(IntEnum):
    """Columns of ``commands/index``, one row a command that changed the memory."""

    STEP = 0  # steps finished when it began
    EVENTS = 1  # events when it began
    TIME = 2  # milliseconds since 1970-01-01 UTC
    END = 3  # of its words in ``commands/bytes``


class EventColumn(IntEnum):
    """Columns of ``events/index``, one row for each engram that something was done to."""

    STEP = 0  # steps finished by then
    KIND = 1  # an `EventKind`
    ENGRAM = 2  # its id
    TIME = 3  # milliseconds since 1970-01-01 UTC
    END = 4  # of its payload in ``events/bytes``


def era_prefix(era: Era) -> str:
    """What stands before the names of the append-only arrays."""
    return "" if era.generation is None else f"{ERA_GROUP}/{era.generation}/"


def array_specs(config: MemoriaConfig, era: Era | None = None) -> list[ArraySpec]:
    """The append-only arrays, by the names under which they lie."""
    era = era or Era()
    prefix = era_prefix(era)
    specs = _arrays(config)
    if prefix:
        kept, steps = (_least_chunk(n) for n in (era.kept, era.step))
        specs.append(ArraySpec("kept/ids", "i8", (), kept, None, -1, ("engram",)))
        specs.append(ArraySpec("kept/ends", "i8", (), steps, None, -1, ("step",)))
        specs.append(ArraySpec("kept/places", "i8", (), 512, None, -2, ("place",)))
    return [replace(spec, name=prefix + spec.name) for spec in specs]


def _arrays(config: MemoriaConfig) -> list[ArraySpec]:
    dimension, lanes = config.hidden_dim, config.lanes
    chunks = max(1, min(_MOST_VECTOR_CHUNKS, _VECTOR_NUMBERS // _VECTOR_CHUNK // dimension))
    dtype, fill = _VECTOR_TYPES[config.vector_dtype]
    columns = StepColumn.FIRST_SHORT + lanes
    step_rows = max(1, min(512, 2**16 // columns))
    vectors = ArraySpec(
        "vectors",
        dtype,
        (dimension,),
        _VECTOR_CHUNK,
        chunks * _VECTOR_CHUNK,
        fill,
        ("engram", "dimension"),
    )
    scales = ArraySpec("scales", "f4", (), 4096, None, math.nan, ("engram",))
    return [
        vectors,
        *([scales] if config.vector_dtype == "int8" else []),
        ArraySpec("log/steps", "i8", (columns,), step_rows, None, -1, ("step", "column")),
        ArraySpec("log/ids", "i8", (), _LOG_CHUNK, None, -1, ("entry",)),
        ArraySpec("log/expiry", "f8", (), _LOG_CHUNK, None, math.nan, ("entry",)),
        ArraySpec("texts/bytes", "u1", (), 32768, None, 255, ("byte",)),
        ArraySpec("texts/index", "i8", (5,), 1024, None, -1, ("engram", "field")),
        ArraySpec("sources/bytes", "u1", (), 4096, None, 255, ("byte",)),
        ArraySpec("sources/index", "i8", (2,), 512, None, -1, ("source", "field")),
        ArraySpec("sources/readings", "i8", (9,), 256, None, -1, ("reading", "field")),
        ArraySpec("sources/units", "i8", (4,), 2048, None, -1, ("unit", "field")),
        ArraySpec("events/index", "i8", (5,), 512, None, -1, ("event", "field")),
        ArraySpec("events/values", "f8", (), 1024, None, math.nan, ("event",)),
        ArraySpec("events/bytes", "u1", (), 4096, None, 255, ("byte",)),
        ArraySpec("commands/index", "i8", (4,), 512, None, -1, ("command", "field")),
        ArraySpec("commands/bytes", "u1", (), 4096, None, 255, ("byte",)),
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
