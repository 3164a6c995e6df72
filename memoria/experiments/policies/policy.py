"""`Policy`: three choices put together by name, and the published systems that are such."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from memoria.errors import ConfigError
from memoria.experiments.policies.finding import find_finding
from memoria.experiments.policies.keeping import KEEPERS, surplus
from memoria.experiments.policies.life import Cue, Floats, Indices, Items, Life
from memoria.experiments.policies.scoring import SCORERS

# Who is kept, and what being found changes, in systems that say more than how they score.
SYSTEMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "generative-agents": "generative-agents+lru+used",
        "actr": "actr+actr+used",
        "memorybank": "neighbours+memorybank+strength",
        "hema": "neighbours+hema+used",
    }
)


@dataclass(frozen=True)
class Policy:
    """How candidates are scored, who is kept, what being found changes: names of each."""

    scored: str
    kept: str
    found: str

    @classmethod
    def parse(cls, name: str, others: tuple[str, ...] = ()) -> Policy:
        """``SCORED``, ``SCORED+KEPT`` or ``SCORED+KEPT+FOUND``, or the name of a system.

        The last N are kept unless it is said, and being found changes what goes with that.

        Args:
            name: such as ``bm25``, ``neighbours+lru``, ``ask+information+gain20``, ``hema``.
            others: names that may stand for SCORED beside those of `SCORERS`.

        Raises:
            ConfigError: one of the three is unknown.
        """
        scored, *rest = SYSTEMS.get(name, name).split("+")
        known = (*SCORERS, *others)
        if scored not in known or len(rest) > 2:
            systems = [one for one in SYSTEMS if one not in SCORERS]
            hint = f"it is SCORED[+KEPT[+FOUND]], SCORED one of {', '.join((*known, *systems))}"
            raise ConfigError(f"policy {name!r} is unknown", hint)
        kept = rest[0] if rest else "last"
        if kept not in KEEPERS:
            raise ConfigError(f"kept = {kept!r}: unknown", f"choose one of {', '.join(KEEPERS)}")
        found = rest[1] if len(rest) > 1 else KEEPERS[kept].found
        find_finding(found)
        return cls(scored, kept, found)


class PolicyMemory:
    """A memory that keeps, scores and learns as a policy says.

    Args:
        policy: of `SCORERS`.
        dimension: D.
        seed: of what is drawn.
    """

    def __init__(self, policy: Policy, dimension: int, seed: int = 0) -> None:
        self._kept, self._scorer = policy.kept, SCORERS[policy.scored]()
        self._found = find_finding(policy.found)
        self.life = Life(dimension, self._scorer.needs, seed)

    def read(self, items: Items, size: int | None = None) -> None:
        """Read the items of one step, then keep ``size`` of all; None keeps all."""
        self.life.read(items)
        if size is not None:
            self.life.drop(surplus(self.life, self._kept, size))
        self.life.end_step()

    def rank(self, cue: Cue, most: int) -> tuple[Indices, Floats]:
        """The best ``most`` of the living, best first, of equals the older, and their scores."""
        if len(self.life.living) == 0:
            return np.empty(0, np.int64), np.empty(0)
        scores = self._scorer(self.life, cue)
        best = np.argsort(-scores, kind="stable")[:most]
        return self.life.living[best], scores[best]

    def found(self, ids: Indices) -> None:
        """Let items have been found."""
        self._found(self.life, ids)
