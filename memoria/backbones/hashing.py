"""Backbone ``hash``: word and letter statistics of a text, projected. No model, no download."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from memoria.backbones.base import (
    BackboneBase,
    Batch,
    OptionValue,
    Vectors,
    check_options,
    check_texts,
)
from memoria.backbones.word_hashes import ONE, WordHashes, mix, pair_hashes
from memoria.errors import BackboneError
from memoria.io.units import fold

DEFAULT_DIMENSION: Final = 384
_MIN_DIMENSION: Final = 8
_MAX_DIMENSION: Final = 1_048_576
_SIGNS: Final = 4  # coordinates that a feature adds to, one in each of as many bands
_PAIR_WEIGHT: Final = ONE // 2  # of a pair of neighbours, the word itself weighing ONE
_CACHED_WORDS: Final = 50_000
_GROUP_WORDS: Final = 100_000  # words, and
_GROUP_NUMBERS: Final = 1 << 21  # numbers of output, that are worked on at a time
_BLOCK: Final = 8_192  # words projected at a time
_GOLDEN: Final = 0x9E3779B97F4A7C15

# Ideographs and kana are words of their own, since no space separates them. The marks are those
# that Hebrew, Arabic, Indic and other scripts write between letters. Long runs come in pieces.
_SINGLE: Final = (
    r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # no spaces here
)
_MARKS: Final = (
    r"\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff"
    r"\u0e31-\u0e4e\u0eb1-\u0ecd\u0f18-\u0fbc\u102b-\u103e\u17b4-\u17d3"
)
_WORDS = re.compile(rf"[{_SINGLE}]|(?:[^\W_{_SINGLE}]|[{_MARKS}]|(?<=[a-z])['’](?=[a-z])){{1,64}}")

_Ints = NDArray[np.int64]


def words_of(text: str) -> list[str]:
    """The words of a text after NFKC and case folding; its visible signs when it has none."""
    text = fold(text)
    return _WORDS.findall(text) or [sign for sign in text if not sign.isspace()] or [""]


class HashBackbone(BackboneBase):
    """v = sum over features f of weight(f) * sqrt(count(f)) * s(f), then v / ||v||.

    Features are the words, their groups of 3 to 5 letters with the word's ends marked, and pairs
    of neighbouring words; s(f) has a +1 or -1 in four of the D coordinates, chosen by f's hash, so
    s(f) . s(g) is near 0 for f != g. Common English words count half. All sums are of integers
    and the rest is exactly rounded, so vectors are the same bits on every machine. A text
    without words is encoded by its signs, an empty one has a vector of its own.
    """

    def __init__(self, dimension: int = DEFAULT_DIMENSION) -> None:
        if not _MIN_DIMENSION <= dimension <= _MAX_DIMENSION:
            raise BackboneError(
                f"backbone 'hash': dimension = {dimension}: "
                f"must be {_MIN_DIMENSION} to {_MAX_DIMENSION}"
            )
        super().__init__("hash", dimension)
        self._table = WordHashes()
        edges = np.arange(_SIGNS + 1, dtype=np.int64) * dimension // _SIGNS
        self._band_start, self._band_size = edges[:-1], np.diff(edges).astype(np.uint64)

    def encode(self, batch: Batch) -> Vectors:
        """Unit vectors [N, D] float32 of N texts. Raises `BackboneError` for other items."""
        texts = check_texts(self.name, batch)
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for start, words in self._groups(texts):
            vectors[start : start + len(words)] = self._encode_group(words)
        return vectors

    def _groups(self, texts: Sequence[str]) -> Iterator[tuple[int, list[list[str]]]]:
        """Texts as lists of words, in groups that bound the memory used."""
        group: list[list[str]] = []
        start = words = 0
        most = max(1, _GROUP_NUMBERS // self.dimension)
        for position, text in enumerate(texts):
            group.append(words_of(text))
            words += len(group[-1])
            if words >= _GROUP_WORDS or len(group) == most:
                yield start, group
                start, group, words = position + 1, [], 0
        if group:
            yield start, group

    def _encode_group(self, words: list[list[str]]) -> Vectors:
        if len(self._table) > _CACHED_WORDS:
            self._table = WordHashes()
        table = self._table
        ids = table.lookup([word for one in words for word in one])
        rows = np.repeat(np.arange(len(words)), [len(one) for one in words])
        # Sums of integers below 2^53: exact in float64, whatever the order.
        sums = np.zeros(len(words) * self.dimension, dtype=np.float64)

        keys, counts = np.unique(rows * len(table) + ids, return_counts=True)
        row, word = np.divmod(keys, len(table))
        weight = _damped(counts) * table.shares[word] // ONE
        for block in range(0, len(word), _BLOCK):
            part = slice(block, block + _BLOCK)
            self._project(sums, row[part], table.hashes[word[part]], weight[part])
            owner, grams = table.grams_of(word[part])
            gram_weight = weight[part] * table.gram_weights[word[part]] // ONE
            self._project(sums, row[part][owner], grams, gram_weight[owner])

        inside = np.flatnonzero(rows[1:] == rows[:-1])
        first, second = ids[inside], ids[inside + 1]
        hashes = pair_hashes(table.hashes[first], table.hashes[second])
        by_row = mix(hashes ^ mix(rows[inside].astype(np.uint64)))
        _, where, counts = np.unique(by_row, return_index=True, return_counts=True)
        share = np.minimum(table.shares[first], table.shares[second])[where]
        weight = _damped(counts) * share // ONE * _PAIR_WEIGHT // ONE
        for block in range(0, len(where), _BLOCK * 8):
            part = slice(block, block + _BLOCK * 8)
            self._project(sums, rows[inside][where[part]], hashes[where[part]], weight[part])
        return _normalised(sums.reshape(len(words), self.dimension))

    def _project(
        self, sums: NDArray[np.float64], row: _Ints, hashes: NDArray[np.uint64], weight: _Ints
    ) -> None:
        """Add each feature's weight, signed, at its coordinate in each band of its row."""
        seeds = np.array([_GOLDEN * (i + 1) % 2**64 for i in range(_SIGNS)], dtype=np.uint64)
        bits = mix(hashes[:, None] + seeds)
        offset = ((bits >> np.uint64(32)) * self._band_size >> np.uint64(32)).astype(np.int64)
        cell = row[:, None] * self.dimension + self._band_start + offset
        signed = np.where(bits & np.uint64(1), weight[:, None], -weight[:, None])
        sums += np.bincount(cell.ravel(), signed.ravel(), minlength=len(sums))


def _damped(counts: _Ints) -> _Ints:
    """sqrt(count) in units of 1 / ONE, rounded down; the root itself is exactly rounded."""
    return np.floor(np.sqrt(counts.astype(np.float64) * (ONE * ONE))).astype(np.int64)


def _normalised(sums: NDArray[np.float64]) -> Vectors:
    """Rows of length 1. The running sum fixes the order of additions, unlike ``np.sum``."""
    squares = np.add.accumulate(sums * sums, axis=1)[:, -1]
    nothing = squares == 0  # signs that cancelled out everywhere
    sums[nothing, 0] = 1.0
    squares[nothing] = 1.0
    return (sums / np.sqrt(squares)[:, None]).astype(np.float32)


def create(
    argument: str | None, dimension: int | None, options: Mapping[str, OptionValue]
) -> HashBackbone:
    """The factory of the entry point ``hash``."""
    if argument is not None:
        raise BackboneError(f"backbone 'hash:{argument}' does not exist", "write 'hash'")
    check_options("hash", options, ())
    return HashBackbone(DEFAULT_DIMENSION if dimension is None else dimension)
