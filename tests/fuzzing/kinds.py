"""The kinds of cases, by name; loaded when asked for."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from fuzzing.judge import Judge

Case = Callable[[Judge, random.Random, Path], None]


def _stores() -> Case:
    from fuzzing.store_cases import case

    return case


KINDS: dict[str, Callable[[], Case]] = {"stores": _stores}
