"""What the tests of `verify` share: stores with everything in them, and forgeries of them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from memoria.config import MemoriaConfig
from memoria.store import MemoryStore
from memoria.store.chunks import encode_file
from memoria.store.root import Root, encode_attributes, read_root
from memoria.store.sources import LocalSource
from memoria.store.staged import StoredArray

torch.set_num_threads(1)

STORES = Path(__file__).parents[1] / "stores"
SAMPLES = sorted(path for path in (STORES / "samples").glob("v*/*") if path.is_dir())

Array = np.ndarray[Any, Any]
Change = Callable[[Array], Array | None]

CONFIG = MemoriaConfig(
    hidden_dim=4,
    lanes=2,
    num_reminded_stm=2,
    stm_capacity=4,
    ltm_search_depth=3,
    initial_lifespan=5.5,
    num_final_ltms=3,
    seed=3,
    wm_length=2,
    rule="uniform:1.5",
    backbone="array",
)


def eighths(numbers: random.Random, lanes: int, width: int, dimension: int) -> torch.Tensor:
    """[B, W, D] multiples of 1/8."""
    flat = [int(numbers.random() * 17) / 8 - 1 for _ in range(lanes * width * dimension)]
    return torch.tensor(flat).reshape(lanes, width, dimension)


def step(store: MemoryStore, numbers: random.Random, number: int) -> None:
    """One step with a text and a place for some engrams."""
    data = eighths(numbers, store.config.lanes, 2, store.config.hidden_dim)
    texts = [[f"text {number} of {lane}, é", None] for lane in range(store.config.lanes)]
    places = [[("a.txt", 10 * number), ("b.txt", lane)] for lane in range(store.config.lanes)]
    store.step(data, texts=texts if number % 3 else None, places=places if number % 2 else None)


def busy_store(path: Path, steps: int = 24, config: MemoriaConfig = CONFIG) -> Path:
    """Two lanes, texts, sources, events, snapshots, a state with steps after it, a step begun."""
    numbers = random.Random(8)
    with MemoryStore.create(path, config) as store:
        for number in range(steps - 4):
            step(store, numbers, number)
            if number == steps // 2:
                store.snapshot("half", "half of it")
    store = MemoryStore.open(path, "r+")
    for number in range(steps - 4, steps - 1):
        step(store, numbers, number)
    step(store, numbers, steps - 1)
    store.commit()
    store.add(eighths(numbers, config.lanes, 2, config.hidden_dim))
    store.remind()
    store.commit()
    store.close()
    for name in (".lock", ".lease"):
        (path / name).unlink()
    return path


def files_of(path: Path) -> list[str]:
    """Every file below ``path``."""
    return sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())


def forge(path: Path, name: str, change: Change) -> None:
    """Change an array, with sound checksums; if it gets another length the root says so."""
    root = read_root(LocalSource(path))
    spec, rows = root.arrays[name]
    values = StoredArray(spec, LocalSource(path), rows, False).read(0, rows).copy()
    changed = change(values)
    values = values if changed is None else changed
    for index in range(spec.file_count(len(values))):
        part = values[index * spec.file_rows : (index + 1) * spec.file_rows]
        whole = np.full((spec.file_rows, *spec.row_shape), spec.fill, spec.np_dtype)
        whole[: len(part)] = part
        content = b"".join(
            bytes(memoryview(p).cast("B")) for p in encode_file(spec, whole, len(part))
        )
        (path / name / spec.file_name(index)).write_bytes(content)
    arrays = {**root.arrays, name: (spec, len(values))}
    (path / "zarr.json").write_bytes(replace(root, arrays=arrays).encode())


def forge_root(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the attributes, with a sound checksum."""
    root = read_root(LocalSource(path))
    attributes = json.loads(root.attributes)
    change(attributes)
    payload = Root(encode_attributes(attributes), root.arrays, root.version).encode()
    (path / "zarr.json").write_bytes(payload)


def put(row: Any, value: Any) -> Change:
    """A change of one cell."""

    def change(values: Array) -> None:
        values[row] = value

    return change


def add_to(row: Any, amount: Any) -> Change:
    """A change of one cell."""

    def change(values: Array) -> None:
        values[row] += amount

    return change
