"""Changes numbers of a store and makes its checksums right again: for broken samples and tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from memoria.chunkstore.codec import encode_file
from memoria.chunkstore.root import encode_attributes, read_root
from memoria.chunkstore.sources.local import LocalSource
from memoria.chunkstore.staged import StoredArray

Array = np.ndarray[Any, Any]
Change = Callable[[Array], Array | None]


def forge(path: Path, name: str, change: Change) -> None:
    """Change an array's committed rows, in place or by returning others; the root counts them."""
    source = LocalSource(path)
    root = read_root(source)
    spec, rows = root.arrays[name]
    values = StoredArray(spec, source, rows, False).read(0, rows).copy()
    source.close()
    changed = change(values)
    values = values if changed is None else changed
    for index in range(spec.file_count(len(values))):
        part = values[index * spec.file_rows : (index + 1) * spec.file_rows]
        whole = np.full((spec.file_rows, *spec.row_shape), spec.fill, spec.np_dtype)
        whole[: len(part)] = part
        buffers = [bytes(memoryview(one).cast("B")) for one in encode_file(spec, whole, len(part))]
        (path / name / spec.file_name(index)).write_bytes(b"".join(buffers))
    if len(values) != rows:
        arrays = {**root.arrays, name: (spec, len(values))}
        (path / "zarr.json").write_bytes(replace(root, arrays=arrays).encode())


def forge_root(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the attributes of the store."""
    root = read_root(LocalSource(path))
    attributes = json.loads(root.attributes)
    change(attributes)
    changed = replace(root, attributes=encode_attributes(attributes))
    (path / "zarr.json").write_bytes(changed.encode())


def put(row: Any, value: Any) -> Change:
    """The change of one cell, or of several, to ``value``."""

    def change(values: Array) -> None:
        values[row] = value

    return change


def add_to(row: Any, amount: Any) -> Change:
    """The change of one cell, or of several, by ``amount``."""

    def change(values: Array) -> None:
        values[row] += amount

    return change
