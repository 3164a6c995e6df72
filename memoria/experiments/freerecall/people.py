"""What people recalled: the data of the package psifr (extra ``human``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import numpy as np

from memoria.errors import MissingExtraError

INTRUSION: Final = 0  # among recalled positions: a word that is not of the list

_STUDIES: Final = {"peers": "peers_notask", "morton": "Morton2013"}


@dataclass(frozen=True)
class Recalls:
    """Lists of words and the order in which they were recalled.

    Attributes:
        length: words of a list (L).
        subjects: who recalled, one number for each list [N].
        orders: positions 1..L as recalled, each at most once, for each list [N]; `INTRUSION` is
            a word of elsewhere, so what follows was not recalled directly after what precedes.
    """

    length: int
    subjects: Sequence[int]
    orders: Sequence[Sequence[int]]

    def of_half(self, half: int) -> Recalls:
        """The lists of every other subject, from the first (0) or the second (1)."""
        chosen = set(sorted(set(self.subjects))[half::2])
        at = [row for row, subject in enumerate(self.subjects) if subject in chosen]
        return Recalls(
            self.length, [self.subjects[row] for row in at], [self.orders[row] for row in at]
        )

    def shuffled(self, seed: int) -> Recalls:
        """The same words recalled, in random order."""
        rng = np.random.default_rng((seed, 1))
        return Recalls(
            self.length, self.subjects, [rng.permutation(one).tolist() for one in self.orders]
        )

    def drawn(self, seed: int) -> Recalls:
        """As many words of each list, any of them in any order: a recaller that knows nothing."""
        rng = np.random.default_rng((seed, 2))
        counts = [sum(position != INTRUSION for position in one) for one in self.orders]
        orders = [(rng.permutation(self.length)[:count] + 1).tolist() for count in counts]
        return Recalls(self.length, self.subjects, orders)


def read_people(study: str) -> Recalls:
    """What the people of a study recalled, repeats left out.

    Args:
        study: "peers" (126 people, 3,528 lists of 16 words, recalled at once) or "morton" (40
            people, 1,200 lists of 24 words of mixed categories).

    Raises:
        MissingExtraError: psifr is not installed.
    """
    fr = load_psifr()
    data = fr.sample_data(_STUDIES[study])
    if "list_type" in data:
        data = data[data["list_type"] == "mixed"]
    merged = fr.merge_free_recall(data)
    length = int(merged["input"].max())
    first = merged[merged["recall"] & (merged["repeat"] == 0)].sort_values("output", kind="stable")
    recalled: dict[tuple[int, int], list[int]] = {}
    for subject, number in merged[["subject", "list"]].drop_duplicates().to_numpy().tolist():
        recalled[subject, number] = []
    positions = first["input"].where(first["study"], INTRUSION).astype(int)
    for subject, number, position in zip(first["subject"], first["list"], positions, strict=True):
        recalled[subject, number].append(position)
    return Recalls(length, [subject for subject, _ in recalled], list(recalled.values()))


def load_psifr() -> Any:
    """The module ``psifr.fr``. Raises `MissingExtraError`."""
    try:
        return import_module("psifr.fr")
    except ImportError:
        raise MissingExtraError("free recall of people", "human") from None
