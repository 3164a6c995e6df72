"""The kinds of cases, by name; loaded when asked for."""

from __future__ import annotations

import random
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from fuzzing.judge import Judge

Case = Callable[[Judge, random.Random, Path], None]

KINDS = {
    "stores": "fuzzing.store_cases:case",
    "bombs": "fuzzing.input_cases:bombs",
    "inputs": "fuzzing.input_cases:changed",
    "archives": "fuzzing.archive_cases:table",
    "lies": "fuzzing.archive_cases:lies",
    "indexes": "fuzzing.index_cases:case",
    "arguments": "fuzzing.argument_cases:case",
}


def load(kind: str) -> Case:
    """The function that runs one case of a kind."""
    module, _, name = KINDS[kind].partition(":")
    case: Case = getattr(import_module(module), name)
    return case
