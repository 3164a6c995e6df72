"""What the tests of `verify` share: stores with everything in them, and forgeries of them."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import torch

from memoria.config import MemoriaConfig
from memoria.store import MemoryStore
from memoria.store.life import StepTable, fold
from memoria.store.reading import open_files

torch.set_num_threads(1)

STORES = Path(__file__).parents[2] / "stores"
SAMPLES = sorted(path for path in (STORES / "samples" / "sound").iterdir() if path.is_dir())

sys.path.insert(0, str(STORES / "samples"))  # where forging and make are
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
        living = living_ids(store)
        store.pin([living[0], living[1], living[-1]])
        store.forget([living[2]])
        store.snapshot("by-hand")
    store = MemoryStore.open(path, "r+")
    for number in range(steps - 4, steps - 1):
        step(store, numbers, number)
    store.unpin([living[1]])
    step(store, numbers, steps - 1)
    store.commit()
    store.add(eighths(numbers, config.lanes, 2, config.hidden_dim))
    store.remind()
    store.commit()
    store.close()
    for name in (".lock", ".lease"):
        (path / name).unlink()
    return path


def living_ids(store: MemoryStore) -> list[int]:
    """The living engrams of what is committed, ascending."""
    store.commit()
    files = open_files(store.path)
    life = fold(files, files.config, StepTable.read(files))
    files.close()
    return life.ids.tolist()


def files_of(path: Path) -> list[str]:
    """Every file below ``path``."""
    return sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())
