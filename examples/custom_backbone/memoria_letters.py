"""Backbone ``letters[:ALPHABET]``: how often each letter of an alphabet stands in a text."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from memoria.backbones import BackboneBase, Batch
from memoria.errors import BackboneError

LATIN = "abcdefghijklmnopqrstuvwxyz"


class LettersBackbone(BackboneBase):
    """v[i] = share of letter i among the letters of the alphabet, then v / ||v||."""

    def __init__(self, name: str, alphabet: str, normalize: bool) -> None:
        super().__init__(name, len(alphabet), {"normalize": normalize})
        self._alphabet = alphabet

    def encode(self, batch: Batch) -> NDArray[np.float32]:
        counts = [[text.lower().count(letter) for letter in self._alphabet] for text in batch]
        vectors = np.array(counts, dtype=np.float32).reshape(len(batch), self.dimension)
        if self.options["normalize"]:
            length = np.linalg.norm(vectors, axis=1, keepdims=True)
            vectors = vectors / np.maximum(length, 1e-12)
        return vectors


def create(
    argument: str | None, dimension: int | None, options: Mapping[str, object]
) -> LettersBackbone:
    """What the entry point names: ``argument`` is what follows the colon, None without one."""
    for key in options:
        if key != "normalize":
            raise BackboneError(f"backbone 'letters' has no option {key!r}", "it takes normalize")
    alphabet = LATIN if argument is None else argument
    name = "letters" if argument is None else f"letters:{argument}"
    return LettersBackbone(name, alphabet, bool(options.get("normalize", True)))
