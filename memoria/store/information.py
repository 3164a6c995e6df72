"""How long engrams live at birth where ``lifespan_by`` is ``"information"``.

The information of a text is the sum over its distinct words, without stop words and endings, of
log((n + 1) / df): n texts of its lane had been read by then, df of them with that word, itself
among both. Its engram begins with ``ENDLESS + 50 * information / mean information so far`` steps:
so nothing ends by age, and what tells least goes first where a capacity is exceeded.

The counts are kept in the directory ``index``, so that an opening need not read all texts again. As
all that lies there they are derived, and counted anew where they are missing or of another past.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from memoria.io.bounds import open_regular
from memoria.search.languages import Language, find_language
from memoria.search.words import words_of
from memoria.store.life import StepTable
from memoria.store.memory_files import MemoryFiles
from memoria.store.schema import DERIVED
from memoria.store.texts import StoredTexts
from memoria.timeline.lifespan import ENDLESS
from memoria.timeline.log import FloatArray, IntArray

_SCALE: Final = 50.0  # steps that a text of mean information has before others
_TEXTS: Final = 8192  # read at a time
_FILE: Final = "words.json"
_VERSION: Final = 1
_LEAST_SAVED: Final = 512  # new texts for which the counts are written
_MOST_BYTES: Final = 2**30  # of the file


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

    def document(self) -> dict[str, Any]:
        """The counts as JSON values, for `take`."""
        return {
            "texts": self._texts,
            "total": self._total,
            "scale": self.scale,
            "counts": self._texts_with,
        }

    def take(self, document: dict[str, Any]) -> None:
        """Go on from what `document` gave. Raises for what it cannot have given."""
        texts, total, scale = document["texts"], document["total"], document["scale"]
        counts = document["counts"]
        numbers = isinstance(texts, int) and isinstance(total, float) and isinstance(scale, float)
        if not numbers or not (total >= 0 and 0 < scale < math.inf and total < math.inf):
            raise ValueError("no counts")
        if not all(type(count) is int and 0 < count <= texts for count in counts.values()):
            raise ValueError("no counts")
        self._texts, self._total, self.scale, self._texts_with = texts, total, scale, counts

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
        self._files = files
        self._place = files.path / DERIVED / _FILE
        ids, _ = files.ids_from(0)
        kept = files.attributes.era.kept
        counted = self._saved = self._load(ids)  # rows of texts that are in the file
        if counted == 0:
            self._lanes = self._no_counts()
            ratios = self._read(stored_texts, ids[:kept])
            if kept:
                self._scale(files, ids[:kept], ratios)
            counted = kept
        self._read(stored_texts, ids[counted : files.rows("texts/index")])

    def save(self) -> None:
        """Keep the counts, once what they count is committed and no step is begun.

        What cannot be written is left: it is counted anew.
        """
        files, attributes = self._files, self._files.attributes
        rows = files.rows("texts/index")
        if attributes.pending.phase != "idle" or rows - self._saved < _LEAST_SAVED:
            return
        document = {
            "version": _VERSION,
            "era": files.prefix,
            "step": attributes.step,
            "digest": StepTable.read(files).digest(attributes.step).hex(),
            "rows": rows,
            "lanes": [lane.document() for lane in self._lanes],
        }
        aside = self._place.with_name(f"{_FILE}.{os.getpid()}.tmp")
        with contextlib.suppress(OSError):
            self._place.parent.mkdir(exist_ok=True)
            if not self._place.parent.is_symlink():
                aside.write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")
                os.replace(aside, self._place)
                self._saved = rows

    def _load(self, ids: IntArray) -> int:
        """Go on from the counts in the file, if they are of this very past; how many rows."""
        steps = StepTable.read(self._files)
        try:
            with open(open_regular(self._place), "rb") as file:
                document = json.loads(file.read(_MOST_BYTES))
            step, rows = document["step"], document["rows"]
            fits = document["version"] == _VERSION and document["era"] == self._files.prefix
            fits = (
                fits and 0 < step <= len(steps) and steps.digest(step).hex() == document["digest"]
            )
            if not fits or not 0 < rows <= np.searchsorted(ids, steps.rows()[step - 1]):
                return 0
            lanes = self._no_counts()
            for lane, counts in zip(lanes, document["lanes"], strict=True):
                lane.take(counts)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return 0
        self._lanes = lanes
        return int(rows)

    def _no_counts(self) -> list[WordCounts]:
        language = find_language("english")
        return [WordCounts(language) for _ in range(self._files.config.lanes)]

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
