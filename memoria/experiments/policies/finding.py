"""What being found changes: what happens to items that were an answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from memoria.errors import ConfigError
from memoria.experiments.policies.life import STEP, Indices, Life

Finding = Callable[[Life, Indices], None]

_GAIN: Final = re.compile(r"gain([0-9]{1,4})")


def nothing(life: Life, ids: Indices) -> None:
    """Nothing."""


def used(life: Life, ids: Indices) -> None:
    """One use more, now: what LRU, LFU, ACT-R, HEMA and generative agents look at."""
    life["found"][ids] += 1
    life["last"][ids] = life.now
    for one in ids.tolist():
        life.uses[one].append(float(life.now[STEP]))


def strength(life: Life, ids: Indices) -> None:
    """MemoryBank: S grows by 1, and t begins at 0 again."""
    used(life, ids)
    life["strength"][ids] += 1


def gain(steps: float) -> Finding:
    """Memoria: so many steps of lifespan more."""

    def given(life: Life, ids: Indices) -> None:
        used(life, ids)
        life["gained"][ids] += steps

    return given


FINDINGS: Final[Mapping[str, Finding]] = MappingProxyType(
    {"nothing": nothing, "used": used, "strength": strength}
)


def gain_of(name: str) -> float | None:
    """The steps of ``gain20``; None of another name."""
    found = _GAIN.fullmatch(name)
    return float(found[1]) if found else None


def find_finding(name: str) -> Finding:
    """What the name stands for; ``gainN`` gives N steps. Raises `ConfigError`."""
    steps = gain_of(name)
    if steps is not None:
        return gain(steps)
    if name not in FINDINGS:
        raise ConfigError(
            f"found = {name!r}: unknown", f"choose one of {', '.join(FINDINGS)}, gainN"
        )
    return FINDINGS[name]
