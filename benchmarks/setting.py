"""The memories that are measured."""

from __future__ import annotations

from typing import Any

# The authors' language models: working and short-term memory, reminded of each, depth.
SETTING: dict[str, Any] = {
    "working": 50,
    "shortterm": 400,
    "reminded_shortterm": 50,
    "reminded_longterm": 50,
    "depth": 10,
}
AUTHORS_RULE = {"lifespan": 9.0, "alpha": 8.0}  # about 1,100 engrams are alive

# A memory of texts with the sizes of `memoria init`, and a lifespan: about 550 engrams are alive.
TEXT_SETTING: dict[str, Any] = {
    "working": 8,
    "shortterm": 128,
    "reminded_shortterm": 8,
    "reminded_longterm": 16,
    "depth": 10,
}
TEXT_RULE = {"lifespan": 50.0, "alpha": 8.0}
