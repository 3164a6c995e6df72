"""How long engrams live at birth where ``lifespan_by`` is ``"information"``.

The information of a text is the sum over its distinct words, without stop words and endings, of
log((n + 1) / df): n texts of its lane had been read by then, df of them with that word, itself
among both. Its engram begins with ``ENDLESS + 50 * information / mean information so far`` steps:
so nothing ends by age, and what tells least goes first where a capacity is exceeded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import numpy as np

from memoria.search.languages import Language, find_language
from memoria.search.words import words_of
from memoria.store.life import StepTable
from memoria.store.memory_files import MemoryFiles
from memoria.store.texts import StoredTexts
from memoria.timeline.lifespan import ENDLESS
from memoria.timeline.log import FloatArray, IntArray

_SCALE: Final = 50.0  # steps that a text of mean information has before others
_TEXTS: Final = 8192  # read at a time


class WordCounts:
    """The words of one lane's texts, in the order in which they are read."""

    def __init__(self, language: Language) -> None:
        self._stem, self._stop = language.stem, language.stop
        self._stems: dict[str, str] = {}
        self._texts_with: dict[str, int] = {}
        self._texts = 0
        self._total = 0.0
        self.scale = 1.0  # by which every ratio is multiplied

    def read(self, text: str | None) -> float:
        """Count a text; returns its information over the mean so far, 1 for no text."""
        if not text:
            return 1.0
        self._texts += 1
        ratio, n = 1.0, self._texts + 1
        information = 0.0
        for stem in dict.fromkeys(map(self._stem_of, words_of(text))):
            if stem:
                count = self._texts_with[stem] = self._texts_with.get(stem, 0) + 1
                information += math.log(n / count)
        self._total += information
        if self._total > 0:
            ratio = information / (self._total / self._texts)
        return self.scale * ratio

    def _stem_of(self, word: str) -> str:
        """The word's stem; "" for stop words."""
        stem = self._stems.get(word)
        if stem is None:
            stem = self._stems[word] = "" if word in self._stop else self._stem(word)
        return stem


class InformedLifespans:
    """Lifespans at birth by the information of texts; counts those that a store holds first.

    What compaction left behind is not counted, and texts count as they were at birth. Those that
    it kept told more than most: what comes after is scaled as their lifespans at birth were.
    """

    def __init__(self, files: MemoryFiles, stored_texts: StoredTexts) -> None:
        language = find_language("english")
        self._lanes = [WordCounts(language) for _ in range(files.config.lanes)]
        ids, _ = files.ids_from(0)
        kept = files.attributes.era.kept
        ratios = self._read(stored_texts, ids[:kept])
        if kept:
            self._scale(files, ids[:kept], ratios)
        self._read(stored_texts, ids[kept : files.rows("texts/index")])

    def _read(self, stored_texts: StoredTexts, ids: IntArray) -> FloatArray:
        ratios: list[float] = []
        for first in range(0, len(ids), _TEXTS):
            some = ids[first : first + _TEXTS]
            for engram, text in zip(some.tolist(), stored_texts.first_texts(some), strict=True):
                ratios.append(self._lanes[engram % len(self._lanes)].read(text))
        return np.array(ratios)

    def _scale(self, files: MemoryFiles, kept: IntArray, ratios: FloatArray) -> None:
        """Let ratios go on from those at which the engrams ``kept`` were born."""
        logged, first = np.unique(files.read("log/ids"), return_index=True)
        expiry = files.read("log/expiry")[first[np.searchsorted(logged, kept)]]
        born = StepTable.read(files).born(kept)
        recorded = (expiry - born - ENDLESS) / _SCALE
        for lane, counts in enumerate(self._lanes):
            in_lane = kept % len(self._lanes) == lane
            counted, before = ratios[in_lane].sum(), recorded[in_lane].sum()
            if counted > 0 and before > 0:
                counts.scale = float(before / counted)

    def expiry(self, step: int, texts: Iterable[str | None]) -> FloatArray:
        """The expiry of engrams born after ``step`` steps with ``texts`` [W * B], lane by lane."""
        lanes = len(self._lanes)
        ratios = [self._lanes[at % lanes].read(text) for at, text in enumerate(texts)]
        return step + (ENDLESS + _SCALE * np.array(ratios))
