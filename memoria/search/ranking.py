"""The score of each of M living texts for a cue, and the constants of it.

z(x) = (x - mean x) / std x over all M, 0 where std is 0. Of one cue, all [M], in order of creation:

    base  = dense z(z(cos of the bare cue) + z(cos of the whole cue))
            + lexical z(match, or BM25 without vectors of words) + trigram z(BM25 over trigrams)
    s     = base + around * mean of the 3 greatest of base within 12 before and after, with itself
    score = s + w s[-1] + before2 s[-2] + after s[+1] + after2 s[+2]
            w = asked where another speaker of the same session asked just before, else before
            + information z(log(1 + information)) - question where the text ends in "?"
            + day * how soon it was said after a day that the cue names (see `days`)
            + speaker where it is by the one speaker that the cue names
            + flag * the number of the text's flags of the kinds of answer that the cue asks for
            + confirmed * the sum over confirmed cues that it answered of max(0, (cos - .5) / .5)

Constants were chosen on seven of ten conversations of LoCoMo.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.search.quantized import Floats

REACH: Final = 12  # texts before and after that are its surroundings
BEST: Final = 3
NEAR: Final = 2  # neighbours before and after whose score counts
_BLOCK: Final = 16_384  # texts whose surroundings are looked at together
ALIKE: Final = 0.5  # cosine from which on two cues are alike


@dataclass(frozen=True)
class Weights:
    """What each part of a score counts."""

    dense: float
    lexical: float
    trigram: float
    around: float = 0.6
    asked: float = 0.5
    before: float = 0.05
    before2: float = 0.2
    after: float = 0.1
    after2: float = 0.05
    information: float = 0.5
    question: float = 1.5
    speaker: float = 2.0
    flag: float = 2.5
    day: float = 2.0
    confirmed: float = 4.0

    def with_settings(self, settings: Mapping[str, Any]) -> Weights:
        """These with the numbers that ``settings`` names; other keys are passed over."""
        names = {one.name for one in fields(self)} & set(settings)
        numbers = {name: settings[name] for name in names}
        given = {name: float(n) for name, n in numbers.items() if isinstance(n, int | float)}
        return replace(self, **given)

    def of_vectors(self) -> Weights:
        """These for what has no texts: the nearest come first, whatever stands around them."""
        nothing = dict.fromkeys((one.name for one in fields(self)), 0.0)
        return Weights(**{**nothing, "dense": self.dense, "confirmed": self.confirmed})


SENTENCE: Final = Weights(dense=1.0, lexical=0.7, trigram=0.0)  # sentence encoders
STATIC: Final = Weights(dense=0.7, lexical=0.7, trigram=0.0)  # static vectors
WORDS: Final = Weights(dense=0.0, lexical=0.7, trigram=0.7)  # no encoder that knows meanings


@dataclass(frozen=True)
class Scale:
    """Mean and deviation that z takes away: kept, so that exact values can be put in later."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, values: Floats) -> Scale:
        """That of ``values`` [M]."""
        if len(values) == 0:
            return cls(0.0, 0.0)
        mean = float(values.mean(dtype=np.float64))
        deviation = float(values.std(dtype=np.float64))
        return cls(mean, deviation if deviation > 1e-7 * max(1.0, abs(mean)) else 0.0)

    def z(self, values: Floats) -> Floats:
        """``values`` by this scale."""
        if self.deviation == 0.0:
            return np.zeros_like(values)
        return (values - np.float32(self.mean)) / np.float32(self.deviation)


def z(values: Floats) -> Floats:
    """``values`` [M] with mean 0 and deviation 1; 0 where they are all alike."""
    return Scale.of(values).z(values)


@dataclass(frozen=True)
class DenseScales:
    """The scales of the dense part: of the bare cue's cosines, the whole cue's, and their sum."""

    bare: Scale
    whole: Scale
    both: Scale

    @classmethod
    def of(cls, bare: Floats, whole: Floats) -> DenseScales:
        """Those of cosines [M]."""
        scales = Scale.of(bare), Scale.of(whole)
        return cls(*scales, Scale.of(scales[0].z(bare) + scales[1].z(whole)))

    def z(self, bare: Floats, whole: Floats) -> Floats:
        """z(z(bare) + z(whole))."""
        return self.both.z(self.bare.z(bare) + self.whole.z(whole))


def around(base: Floats) -> Floats:
    """Mean of the 3 greatest of ``base`` [..., M] within 12 before and after; of all if fewer.

    -inf stands for no text.
    """
    length = base.shape[-1]
    if length <= _BLOCK:
        return _around(base)
    out = np.empty_like(base)
    for first in range(0, length, _BLOCK):  # what stays in the processor's cache is faster
        low, high = max(0, first - REACH), min(length, first + _BLOCK + REACH)
        part = _around(base[..., low:high])
        out[..., first : first + _BLOCK] = part[..., first - low : first - low + _BLOCK]
    return out


def neighbours(s: Floats, asked: npt.NDArray[np.bool_], weights: Weights) -> Floats:
    """What the texts before and after add, from their scores ``s`` [..., M] (0 for no text)."""
    out = np.zeros_like(s)
    first = np.where(asked, np.float32(weights.asked), np.float32(weights.before))
    out[..., 1:] += first[..., 1:] * s[..., :-1]
    out[..., 2:] += np.float32(weights.before2) * s[..., :-2]
    out[..., :-1] += np.float32(weights.after) * s[..., 1:]
    out[..., :-2] += np.float32(weights.after2) * s[..., 2:]
    return out


def confirmed_gain(similarities: Floats) -> Floats:
    """max(0, (cos - .5) / .5) of the cosines of a cue with cues that were confirmed."""
    gain: Floats = np.maximum(similarities - np.float32(ALIKE), 0) / np.float32(1 - ALIKE)
    return gain


def _around(base: Floats) -> Floats:
    edge = [(0, 0)] * (base.ndim - 1) + [(REACH, REACH)]
    least = np.float32(-np.inf)
    padded = np.pad(base, edge, constant_values=least)
    none = np.full_like(padded, least)
    ones = (padded, none, none)  # the three greatest of the one text from here on
    by_size = {1: ones}
    for size in (1, 2, 4, 8):
        by_size[2 * size] = _greatest(by_size[size], by_size[size], size)
    window = _greatest(_greatest(by_size[16], by_size[8], 16), by_size[1], 24)
    best = [part[..., : base.shape[-1]] for part in window]
    counts = sum((np.isfinite(part) for part in best), np.zeros(best[0].shape, np.float32))
    total = sum(np.where(np.isfinite(part), part, 0) for part in best)
    mean: Floats = (total / np.maximum(counts, 1)).astype(np.float32)
    return mean


_Triple = tuple[Floats, Floats, Floats]


def _greatest(one: _Triple, other: _Triple, shift: int) -> _Triple:
    """The three greatest of two runs of texts, the second ``shift`` further on."""
    length = min(one[0].shape[-1], other[0].shape[-1] - shift)
    a1, b1, c1 = (part[..., :length] for part in one)
    a2, b2, c2 = (part[..., shift : shift + length] for part in other)
    second = np.maximum(np.minimum(a1, a2), np.maximum(b1, b2))
    third = np.maximum(np.minimum(a1, b2), np.minimum(a2, b1))
    return np.maximum(a1, a2), second, np.maximum(third, np.maximum(c1, c2))
