"""What a replay found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

__all__ = ["Difference", "Replay"]

_MOST: Final = 100  # differences that are told


@dataclass(frozen=True)
class Difference:
    """A step at which something else came out: ``kind`` is reminded, lifespan, type or digest."""

    step: int
    lane: int | None
    kind: str
    logged: list[float]
    recomputed: list[float]


@dataclass
class Replay:
    """What a replay found: `Difference`s (100 at most) and in how many steps.

    ``near_ties`` are those at which rounding decided. In ``given_gains`` steps the lifespan gained
    is not that of the store's rule: it was given otherwise.
    """

    steps: int
    first: int
    last: int
    differences: list[Difference]
    near_ties: list[int]
    different_steps: int = 0
    given_gains: int = 0

    @property
    def identical(self) -> bool:
        """Whether every step came out bit for bit."""
        return not self.different_steps

    def note(self, step: int, differences: list[Difference], near: bool) -> None:
        """Step number ``step`` came out with ``differences``."""
        if differences:
            self.different_steps += 1
            self.differences += differences[: max(0, _MOST - len(self.differences))]
            if near:
                self.near_ties.append(step)

    def record(self) -> dict[str, Any]:
        """As plain values: `memoria replay --json`."""
        first = self.differences[0] if self.differences else None
        return {
            "steps": self.steps,
            "identical": self.identical,
            "first_difference": None if first is None else asdict(first),
            "near_ties": self.near_ties,
            "different_steps": self.different_steps,
            "given_gains": self.given_gains,
            "from": self.first,
            "to": self.last,
        }
