"""Makes the sample stores of format version 2: ``python stores/samples/make_v2.py NAME OUT``.

As `make_v1.py` does for format 1, with what the second format added.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import make_v1

from memoria.config import MemoriaConfig
from memoria.store import MemoryStore
from memoria.store.compacting import compact


def named_states(path: Path) -> None:
    """Thirty steps of two lanes in eighths, three of them named; a step begun."""
    config = MemoriaConfig(
        hidden_dim=8,
        lanes=2,
        num_reminded_stm=2,
        stm_capacity=4,
        ltm_search_depth=3,
        initial_lifespan=5.0,
        num_final_ltms=3,
        seed=30,
        wm_length=2,
        rule="uniform:2",
        backbone="array",
    )
    numbers = random.Random(30)
    with MemoryStore.create(path, config) as store:
        for number in range(1, 31):
            make_v1.step_in_eighths(store, numbers)
            if number % 10 == 0:
                store.snapshot(f"after-{number}", f"step {number}")
                store.commit()
        store.add(make_v1.eighths(numbers, 2, 2, 8))


def compacted(path: Path) -> None:
    """Two lanes over 24 steps with texts, pinned and forgotten ones among them; compacted twice.

    The first compaction is after 16 steps, with snapshots of 4 and 9; the second, after 20, has
    one of 18 too. Four steps follow, and a step begun.
    """
    config = MemoriaConfig(
        hidden_dim=4,
        lanes=2,
        num_reminded_stm=2,
        stm_capacity=4,
        ltm_search_depth=2,
        initial_lifespan=3.0,
        num_final_ltms=3,
        seed=24,
        wm_length=2,
        rule="uniform:2",
        backbone="array",
    )
    numbers = random.Random(24)
    MemoryStore.create(path, config).close()
    for last in (16, 20, 24):
        with MemoryStore.open(path, "r+") as store:
            while store.timestep < last:
                step = store.timestep + 1
                texts = [[f"step {step}, lane {lane}", None] for lane in range(2)]
                places = [[("notes.txt", 10 * step), None]] * 2
                store.add(make_v1.eighths(numbers, 2, 2, 4), texts, places)
                width = store.remind().ids.shape[1]
                store.adjust([[int(numbers.random() * 25) / 8] * width for _ in range(2)])
                if step in (3, 14):
                    store.pin([4 * step - 4, 4 * step - 1])
                if step in (7, 15):
                    store.forget([4 * step - 2])
                if step in (4, 9, 18):
                    store.snapshot(f"after-{step}")
        if last < 24:
            compact(path)
    with MemoryStore.open(path, "r+") as store:
        store.add(make_v1.eighths(numbers, 2, 2, 4))


MAKERS: dict[str, Callable[[Path], None]] = {
    "named-states": named_states,
    "compacted": compacted,
}

if __name__ == "__main__":
    sys.exit(make_v1.main(sys.argv[1:], MAKERS, "make_v2.py"))
