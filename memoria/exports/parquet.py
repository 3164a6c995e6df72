"""Parquet: a folder with the tables of engrams, edges, firings and steps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np

from memoria.errors import MissingExtraError
from memoria.exports.content import Columns, Content
from memoria.query.engram_table import FIELDS

PARQUET_FILES: Final = frozenset(
    ("engrams.parquet", "edges.parquet", "firings.parquet", "steps.parquet")
)
_ROWS: Final = 2**19  # of edges in a row group
_TIME: Final = "timestamp[ms, UTC]"
_KINDS: Final = {  # what is not int64
    "lane": "int32",
    "type": "string",
    "lifespan": "double",
    "pinned": "bool",
    "weight": "double",
    "text": "large_string",
    "source": "large_string",
    "meta": "large_string",  # JSON
    "created_time": _TIME,
    "time": _TIME,
}


def write_parquet(content: Content, out: Path) -> None:
    """``out`` is a new folder with `PARQUET_FILES`, written one row group after another.

    ``engrams`` has the columns of `memoria list` and with vectors ``vector``; the others join to
    its ``id``. Times are UTC. The key ``memoria`` of each file's metadata says what it is of.
    """
    try:
        import pyarrow as pa
    except ImportError:
        raise MissingExtraError("exporting to parquet", "parquet") from None

    out.mkdir()
    kinds = {name: _kind(pa, name) for name in FIELDS}
    if content.vectors:
        kinds["vector"] = pa.list_(pa.float32(), content.view.config.hidden_dim)
    _write_table(content, out / "engrams.parquet", kinds, _engrams(content, kinds, pa))
    edges = ("source", "target", "lane", "cofire_count", "weight")
    kinds = {name: _kind(pa, name) for name in edges} | {"source": pa.int64()}
    _write_table(content, out / "edges.parquet", kinds, _merged(content.edges()))
    kinds = {name: _kind(pa, name) for name in ("step", "id", "lane", "lifespan")}
    _write_table(content, out / "firings.parquet", kinds, content.firings())
    steps = content.steps()
    kinds = {name: _kind(pa, name) for name in steps}
    nulls = {name: pa.array(values, mask=values < 0) for name, values in steps.items()}
    _write_table(content, out / "steps.parquet", kinds, iter([nulls]))


def _kind(pa: Any, name: str) -> Any:
    kind = _KINDS.get(name, "int64")
    return pa.timestamp("ms", tz="UTC") if kind == _TIME else pa.type_for_alias(kind)


def _engrams(content: Content, kinds: dict[str, Any], pa: Any) -> Iterator[dict[str, Any]]:
    for block in content.engrams():
        values = content.view.columns(block)
        values["meta"] = [None if one is None else json.dumps(one) for one in values["meta"]]
        columns = {
            name: pa.array(values[name], kinds[name]) for name in FIELDS if name != "created_time"
        }
        columns["created_time"] = pa.array(block.created_time, mask=block.created_time < 0)
        if content.vectors:
            flat = pa.array(content.view.vectors(block.ids).reshape(-1))
            columns["vector"] = pa.FixedSizeListArray.from_arrays(flat, type=kinds["vector"])
        yield columns


def _merged(blocks: Iterator[Columns]) -> Iterator[Columns]:
    """``blocks`` put together to `_ROWS` or more: small row groups cost more than their rows."""
    waiting, rows = list[Columns](), 0
    for block in chain(blocks, [None]):
        if block is not None:
            waiting.append(block)
            rows += len(block["source"])
        if waiting and (block is None or rows >= _ROWS):
            yield {name: np.concatenate([one[name] for one in waiting]) for name in waiting[0]}
            waiting, rows = [], 0


def _write_table(
    content: Content, path: Path, kinds: dict[str, Any], blocks: Iterator[dict[str, Any]]
) -> None:
    """Each block is a row group; NaN becomes null."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    about = {"memoria": json.dumps(content.about())}
    schema = pa.schema(list(kinds.items()), metadata=about)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for block in blocks:
            arrays = []
            for name, kind in kinds.items():
                column = block[name]
                if isinstance(column, np.ndarray):
                    column = pa.array(column, from_pandas=True)
                arrays.append(column.cast(kind))
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
