"""Which token stands for which word, for which fact, and for hay.

Words come first: names and values of pairs and variables; people, places, objects and verbs of
stories. Then facts that are one token: (relation, a, b) for each two. Then what asks for the second
value of a key, the third .. . Then hay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from memoria.experiments.associate.config import AssociateConfig

VERBS: Final = ("went", "to", "took", "dropped")


class Words:
    """Tokens of a configuration.

    Attributes:
        first_place, first_thing, first_verb: of stories.
        first_value: of pairs and variables.
        first_hay: the first token of the hay.
        count: of all tokens.
    """

    def __init__(self, config: AssociateConfig) -> None:
        self._config = config
        if config.kind == "stories":
            self.first_place = config.people
            self.first_thing = self.first_place + config.places
            self.first_verb = self.first_thing + config.things
            words, relations = self.first_verb + len(VERBS), 3
            left, self._right = config.people, max(config.places, config.things)
        else:
            self.first_value = config.symbols
            words = 2 * config.symbols
            relations = config.values if config.kind == "pairs" else 2
            left = self._right = config.symbols
        self._first_fact = words
        self._facts = left * self._right
        self._first_asking = words + (relations * self._facts if config.joined else 0)
        asking = config.symbols * (config.values - 1) if config.kind == "pairs" else 0
        self.first_hay = self._first_asking + (asking if config.joined else 0)
        self.count = self.first_hay + config.noise

    def fact(self, relation: int, a: int, b: int, words: Sequence[int]) -> list[int]:
        """The fact that ``relation`` holds of a and b: one token, or ``words``."""
        if not self._config.joined:
            return list(words)
        return [self._first_fact + relation * self._facts + a * self._right + b]

    def asking(self, key: int, value: int) -> int:
        """What asks for a value of a key by its number, where facts are one token."""
        if value == 0:
            return key
        return self._first_asking + (value - 1) * self._config.symbols + key
