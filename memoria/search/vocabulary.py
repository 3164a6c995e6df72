"""The words of many texts: numbers, stems, counts, letters and vectors of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.backbones.base import WordTable
from memoria.search.facts import flags_of_word
from memoria.search.growing import GrowingArray
from memoria.search.languages import Language
from memoria.search.quantized import Floats, QuantizedRows, unit
from memoria.search.words import is_one_edit

IntArray = npt.NDArray[np.int64]

_LETTER_BITS: Final = 64
_LEAST_SPELT: Final = 4  # letters of a word that respelling may change
_FLOAT_ROWS: Final = 2**24  # numbers of word vectors that are kept as floats too


class _Numbers(dict[str, int]):
    """Numbers of strings; one that is new gets the next."""

    def __missing__(self, key: str) -> int:
        self[key] = number = len(self)
        return number


class Vocabulary:
    """Words in order of first appearance. V words, S stems.

    Attributes:
        numbers: number of each word; looking up a new one adds it (see `learn`).
        stems: number of each stem.
    """

    def __init__(self, language: Language, table: WordTable | None) -> None:
        self.language, self.table = language, table
        self.numbers, self.stems = _Numbers(), _Numbers()
        self.words: list[str] = []
        self._columns = {
            "stop": GrowingArray(np.bool_),
            "stem": GrowingArray(np.int32),
            "length": GrowingArray(np.int32),
            "letters": GrowingArray(np.uint64),
            "flags": GrowingArray(np.int32),
            "texts": GrowingArray(np.int32),  # that hold it
            "own": GrowingArray(np.int32),  # that hold it elsewhere than in date or heading
        }
        self._stem_columns = {"texts": GrowingArray(np.int32), "own": GrowingArray(np.int32)}
        self.rows: QuantizedRows | None = None
        self._floats: tuple[int, Floats] | None = None
        self._centre: tuple[tuple[int, int], Floats, Floats] | None = None
        self._trigrams: TrigramTable | None = None
        self.changes = 0  # how often counts have changed

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """A column [V]: stop, stem, length, letters, flags, texts, own."""
        return self._columns[name].values

    def of_stem(self, name: str) -> npt.NDArray[Any]:
        """A column [S]: texts, own."""
        return self._stem_columns[name].values

    def number(self, word: str) -> int | None:
        """The number of a word that stands in a text; None if none has it."""
        number = self.numbers.get(word)
        return number if number is not None and self["texts"][number] > 0 else None

    def learn(self) -> None:
        """Take in the words that looking up has added to `numbers`."""
        new = list(self.numbers)[len(self.words) :] if len(self.numbers) > len(self.words) else []
        if not new:
            return
        stem = self.language.stem
        stems = [self.stems[stem(word)] for word in new]
        self.take(new, stems, self._vectors(new))

    def take(
        self,
        words: Sequence[str],
        stems: npt.ArrayLike,
        rows: QuantizedRows | None,
        known: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    ) -> None:
        """Put words with these stems and vectors behind those there are.

        ``known``: their columns ``letters`` and ``flags``, where they have been computed.
        """
        self.words += words
        if known is None:
            flags = self.language.flags
            letters = [_letters(word) for word in words]
            known = letters, [flags_of_word(word, flags) for word in words]
        for name, values in (
            ("stop", [word in self.language.stop for word in words]),
            ("stem", stems),
            ("length", [len(word) for word in words]),
            ("letters", known[0]),
            ("flags", known[1]),
            ("texts", np.zeros(len(words))),
            ("own", np.zeros(len(words))),
        ):
            self._columns[name].append(np.asarray(values, self._columns[name].values.dtype))
        for column in self._stem_columns.values():
            column.append(np.zeros(len(self.stems) - len(column)))
        if rows is not None:
            if self.rows is None:
                self.rows = QuantizedRows(rows.arrays[0].shape[1])
            self.rows.append_codes(*rows.arrays)

    def count(self, words: dict[str, IntArray], stems: dict[str, IntArray]) -> None:
        """Add to the counts of texts: ``{"texts": [V], "own": [V]}``, and of stems [S]."""
        for name, more in words.items():
            self._columns[name].values[: len(more)] += more.astype(np.int32)
        for name, more in stems.items():
            self._stem_columns[name].values[: len(more)] += more.astype(np.int32)
        self.changes += 1

    def mark(self) -> _Mark:
        """What `cut` goes back to."""
        columns = (*self._columns.values(), *self._stem_columns.values())
        return len(self.words), len(self.stems), [column.values.copy() for column in columns]

    def cut(self, mark: _Mark) -> None:
        """Go back to what was when ``mark`` was made."""
        words, stems, before = mark
        for numbers, count in ((self.numbers, words), (self.stems, stems)):
            while len(numbers) > count:
                numbers.popitem()
        del self.words[words:]
        columns = (*self._columns.values(), *self._stem_columns.values())
        for column, values in zip(columns, before, strict=True):
            column.cut(len(values))
            column.values[:] = values
        if self.rows is not None:
            self.rows.cut(words)
        self._floats = self._trigrams = None
        self.changes += 1

    def similarities(self, words: Sequence[str]) -> Floats | None:
        """Cosine of each word with each word of the vocabulary, about the mean row: [n, V].

        None without vectors of words.
        """
        if self.table is None or self.rows is None or not words:
            return None
        mean, lengths = self._centred()
        asked = unit(unit(np.asarray(self.table.word_vectors(words), np.float32)) - mean)
        floats = self._row_floats()
        products = self.rows.products(asked) if floats is None else asked @ floats.T
        found = (products - (asked @ mean)[:, None]) / lengths
        return found.astype(np.float32)

    def trigrams(self) -> TrigramTable:
        """Which words have which trigrams of letters."""
        if self._trigrams is None or self._trigrams.count != len(self.words):
            self._trigrams = TrigramTable.of_words(self.words)
        return self._trigrams

    def respell(self, word: str) -> str:
        """The most frequent word of the texts one edit away, if no text has ``word``.

        Not one of which one begins the other: hike and hiker are mostly no error. An equal first
        letter counts more than being frequent.
        """
        if len(word) < _LEAST_SPELT or word in self.language.stop or self.has_stem(word):
            return word
        if self.table is not None and self.table.is_word(word):
            return word
        length, texts = self["length"], self["texts"]
        near = (np.abs(length - len(word)) <= 1) & (length >= _LEAST_SPELT) & (texts > 0)
        differ = self["letters"] ^ np.uint64(_letters(word))
        near &= np.bitwise_count(differ) <= 2  # one edit takes a letter away and brings one
        close = [self.words[at] for at in np.flatnonzero(near).tolist()]
        close = sorted(other for other in close if is_one_edit(word, other))
        counts = {other: int(texts[self.numbers[other]]) for other in close}
        best = max(close, key=lambda other: (other[0] == word[0], counts[other]), default=word)
        return word if best.startswith(word) or word.startswith(best) else best

    def has_stem(self, word: str) -> bool:
        """Whether a text has the word, or one of its stem."""
        stem = self.stems.get(self.language.stem(word))
        found = stem is not None and self.of_stem("texts")[stem] > 0
        return found or self.number(word) is not None

    def _vectors(self, words: Sequence[str]) -> QuantizedRows | None:
        if self.table is None:
            return None
        vectors = np.asarray(self.table.word_vectors(words), np.float32)
        vectors[[word in self.language.stop for word in words]] = 0.0
        rows = QuantizedRows(vectors.shape[1])
        rows.append(unit(vectors))
        return rows

    def _row_floats(self) -> Floats | None:
        """The word vectors as floats; None where they are too many to be kept so."""
        assert self.rows is not None
        codes, scales = self.rows.arrays
        if codes.size > _FLOAT_ROWS:
            return None
        if self._floats is None or self._floats[0] != len(codes):
            floats: Floats = codes.astype(np.float32) * scales[:, None]
            self._floats = len(codes), floats
        return self._floats[1]

    def _centred(self) -> tuple[Floats, Floats]:
        """The mean of the vectors of words that texts hold, and how far each lies from it."""
        assert self.rows is not None
        state = (len(self.rows), self.changes)
        if self._centre is None or self._centre[0] != state:
            used = ~self["stop"] & (self["texts"] > 0)
            mean = self.rows.mean_of(used)
            products = self.rows.products(mean[None])[0]
            squares = np.maximum(1 - 2 * products + mean @ mean, 1e-12)
            self._centre = state, mean, np.sqrt(squares).astype(np.float32)
        return self._centre[1], self._centre[2]


@dataclass(frozen=True)
class TrigramTable:
    """The trigrams of ``count`` words: ``trigrams`` ascending, and the word of each, both [T]."""

    count: int
    trigrams: IntArray
    words: IntArray

    @classmethod
    def of_words(cls, words: Sequence[str]) -> TrigramTable:
        """Each word's trigrams, its ends marked, as `trigrams_of` has them."""
        letters = np.frombuffer("".join(f"_{word}_" for word in words).encode("utf-32-le"), "<u4")
        lengths = np.array([len(word) for word in words], np.int64)
        owner = np.repeat(np.arange(len(words)), lengths)
        at = np.arange(len(owner)) + 2 * owner
        keys = _trigram_keys(letters, at) if len(at) else np.empty(0, np.int64)
        order = np.argsort(keys, kind="stable")
        return cls(len(words), keys[order], owner[order])

    def words_with(self, trigram: str) -> IntArray:
        """The words that have it, once for each time they do."""
        letters = np.frombuffer(trigram.encode("utf-32-le"), "<u4")
        key = _trigram_keys(letters, np.array([0]))[0]
        first, last = np.searchsorted(self.trigrams, [key, key + 1])
        return self.words[first:last]


def _trigram_keys(letters: npt.NDArray[Any], at: IntArray) -> IntArray:
    """A number for the three letters from each place on."""
    wide = letters.astype(np.int64)
    return (wide[at] << 42) | (wide[at + 1] << 21) | wide[at + 2]


_Mark = tuple[int, int, list[npt.NDArray[Any]]]


def _letters(word: str) -> int:
    """The letters of a word as bits, whatever their order."""
    bits = 0
    for letter in word:
        bits |= 1 << ord(letter) % _LETTER_BITS
    return bits
