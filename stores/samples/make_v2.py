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


MAKERS: dict[str, Callable[[Path], None]] = {"named-states": named_states}

if __name__ == "__main__":
    sys.exit(make_v1.main(sys.argv[1:], MAKERS, "make_v2.py"))
