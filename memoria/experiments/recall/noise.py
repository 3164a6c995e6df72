"""Cues: passages as someone half remembers them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from memoria.errors import ConfigError, InputError
from memoria.experiments.reading import Indices, Passages, Vectors

_HINT = "give none, words:P with P from 0 to 1, or vector:S with S of 0 or more"


@dataclass(frozen=True)
class Noise:
    """``words``: each word of the text is left out with probability ``level``, one stays at least.

    ``vector``: v + level * ||v|| * g / sqrt(D) with g standard normal, so the noise is about
    ``level`` times as long as v. ``none``: the passage itself.
    """

    kind: Literal["none", "words", "vector"]
    level: float

    def __str__(self) -> str:
        return "none" if self.kind == "none" else f"{self.kind}:{self.level:g}"


def parse_noise(text: str) -> Noise:
    """``"none"``, ``"words:0.3"``, ``"vector:0.5"``. Raises `ConfigError`."""
    if text == "none":
        return Noise("none", 0.0)
    kind, _, amount = text.partition(":")
    try:
        level = float(amount)
    except ValueError:
        level = math.nan
    if kind == "words" and 0.0 <= level <= 1.0:
        return Noise("words", level)
    if kind == "vector" and 0.0 <= level < math.inf:
        return Noise("vector", level)
    raise ConfigError(f"noise = {text!r}: unknown", _HINT)


def cues(passages: Passages, chosen: Indices, noise: Noise, rng: np.random.Generator) -> Vectors:
    """Noised vectors [P, D] of the passages ``chosen`` [P].

    Raises `InputError` for words of passages that have none.
    """
    vectors = passages.vectors[chosen]
    if noise.kind == "none" or not len(chosen):
        return vectors
    if noise.kind == "vector":
        drawn = rng.standard_normal(vectors.shape)
        length = np.linalg.norm(vectors, axis=1, keepdims=True) / math.sqrt(vectors.shape[1])
        moved: Vectors = (vectors + noise.level * length * drawn).astype(np.float32)
        return moved
    texts = [passages.texts[at] for at in chosen]
    if passages.backbone is None or None in texts:
        raise InputError(f"noise {noise}: the data is no text", "use vector:S on arrays and images")
    return passages.backbone.encode([_thinned(str(text), noise.level, rng) for text in texts])


def _thinned(text: str, share: float, rng: np.random.Generator) -> str:
    words = text.split()
    kept: NDArray[np.bool_] = rng.random(len(words)) >= share
    if not kept.any():
        kept[rng.integers(len(words))] = True
    return " ".join(word for word, keep in zip(words, kept, strict=True) if keep)
