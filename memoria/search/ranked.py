"""Rank the living texts of an index for one cue: a first look at all, then exact values of few."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.search.cues import named_speaker
from memoria.search.days import named_days, nearness
from memoria.search.facts import ASKS, ENDS_IN_QUESTION, FIRST_FLAG
from memoria.search.lexical import bm25, cue_words, match, trigram_bm25
from memoria.search.postings import IntArray
from memoria.search.quantized import Floats, unit
from memoria.search.ranking import (
    NEAR,
    REACH,
    DenseScales,
    Weights,
    around,
    neighbours,
    z,
)
from memoria.search.text_index import TextIndex

Mask = npt.NDArray[np.bool_]

EXACT_TEXTS: Final = 8192  # living texts up to which exact vectors of all are looked at
_MORE: Final = 4  # candidates whose scores become exact, for each answer that is wanted,
_LEAST_CANDIDATES: Final = 64  # and at least so many
_SPAN: Final = REACH + NEAR  # a score depends on texts that far before and after


@dataclass(frozen=True)
class Cue:
    """What is asked.

    Attributes:
        text: the question's words, respelled; None for a question that is a vector.
        vectors: of the bare and of the whole cue, of length 1, [2, D]; None: vectors tell nothing.
    """

    text: str | None
    vectors: Floats | None


@dataclass(frozen=True)
class Memory:
    """The texts that are ranked, beside their index. M living texts.

    Attributes:
        living: their numbers in the index, ascending, [M].
        vectors: exact vectors [n, D] of texts by their numbers; None: there are none.
        confirmed: what cues like this one, once answered, add to each, [M]; None: nothing.
    """

    living: IntArray
    vectors: Callable[[IntArray], Floats] | None = None
    confirmed: Floats | None = None


@dataclass(frozen=True)
class Ranked:
    """The best texts, best first. All [k].

    Attributes:
        texts: their numbers in the index.
        scores: their scores, the sums of ``parts``.
        parts: what each part of the score is.
        cosines: with the bare and the whole cue, [2, k]; 0 without vectors.
        shares: the lexical score as a share of the most that the cue's words could give.
        unknown: share of the cue's words of whose stem no text has any; of the cue, not [k].
    """

    texts: IntArray
    scores: Floats
    parts: dict[str, Floats]
    cosines: Floats
    shares: Floats
    unknown: float


def rank(
    index: TextIndex,
    cue: Cue,
    memory: Memory,
    weights: Weights,
    top: int,
    allowed: Mask | None = None,
    exact_texts: int = EXACT_TEXTS,
) -> Ranked:
    """The ``top`` best of the living texts for which ``allowed`` [M] is true.

    Scores are those among all living texts, whatever is allowed. Above ``exact_texts`` the
    cosines of a first look are of quantised vectors, and those of the best are made exact.
    """
    scoring = _Scoring(index, cue, memory, weights, exact_texts)
    order = _best(scoring.scores(), allowed, top if scoring.is_exact else _candidates(top))
    if not scoring.is_exact:
        scores = scoring.exact_scores(order)
        order = order[np.lexsort((order, -scores))][:top]
    return scoring.ranked(order)


def _candidates(top: int) -> int:
    return max(_LEAST_CANDIDATES, _MORE * top)


def _best(scores: Floats, allowed: Mask | None, count: int) -> IntArray:
    """Places of the ``count`` greatest, greatest first; of equal ones the earlier."""
    places = np.arange(len(scores)) if allowed is None else np.flatnonzero(allowed)
    found = scores[places]
    if count < len(found):
        least = np.partition(found, len(found) - count)[len(found) - count]
        kept = np.flatnonzero(found >= least)
        places, found = places[kept], found[kept]
    return places[np.lexsort((places, -found))][:count]


class _Scoring:
    """The parts of all scores, [M] each, of one cue."""

    def __init__(
        self, index: TextIndex, cue: Cue, memory: Memory, weights: Weights, exact_texts: int
    ) -> None:
        self._index, self._cue, self._memory = index, cue, memory
        self._weights = weights if index.has_texts else weights.of_vectors()
        self._living = memory.living
        self._count = len(memory.living)
        self._all = self._count == len(index)
        self.is_exact = self._count <= exact_texts or index.dimension == 0
        self._lexical()
        self._dense()
        self._fixed()

    def scores(self) -> Floats:
        """All scores [M]; with quantised vectors, unless `is_exact`."""
        base = self._lexical_base.copy()
        if self._scales is not None:
            base += self._dense_part(*self._cosines)
        self._base = base
        self._around = np.float32(self._weights.around) * around(base)
        self._neighbours = neighbours(base + self._around, self._asked, self._weights)
        return base + self._around + self._neighbours + self._fixed_sum

    def exact_scores(self, at: IntArray) -> Floats:
        """Exact scores of the places ``at``; their parts are put in too."""
        near = at[:, None] + np.arange(-_SPAN, _SPAN + 1)
        there = (near >= 0) & (near < self._count)
        if self._scales is not None:
            rows = np.unique(near[there])
            self._look_exactly(rows)
        inside = np.clip(near, 0, self._count - 1)
        base = np.where(there, self._base[inside], np.float32(-np.inf))
        surrounding = np.float32(self._weights.around) * around(base)
        s = np.where(there, base + surrounding, np.float32(0))
        found = neighbours(s, self._asked[inside] & there, self._weights)[:, _SPAN]
        self._around[at], self._neighbours[at] = surrounding[:, _SPAN], found
        scores: Floats = self._base[at] + self._around[at] + found + self._fixed_sum[at]
        return scores

    def ranked(self, at: IntArray) -> Ranked:
        """The places ``at`` with the parts of their scores."""
        parts: dict[str, Floats] = {}
        if self._scales is not None:
            parts["dense"] = self._dense_part(*self._cosines[:, at])
        parts |= {name: part[at] for name, part in self._lexical_parts.items()}
        parts |= {"around": self._around[at], "neighbours": self._neighbours[at]}
        parts |= {name: part[at] for name, part in self._fixed_parts.items()}
        none = np.zeros((2, len(at)), np.float32)
        scores = self._base[at] + self._around[at] + self._neighbours[at] + self._fixed_sum[at]
        return Ranked(
            texts=self._living[at],
            scores=scores,
            parts=parts,
            cosines=none if self._scales is None else self._cosines[:, at],
            shares=self._shares[at],
            unknown=self._unknown(),
        )

    def _unknown(self) -> float:
        words = [] if self._cue.text is None else cue_words(self._index, self._cue.text)
        known = [self._index.vocabulary.has_stem(word) for word in words]
        return known.count(False) / len(known) if known else 0.0

    def _of_living(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return values if self._all else values[self._living]

    def _lexical(self) -> None:
        weights, cue, index = self._weights, self._cue.text, self._index
        self._lexical_parts: dict[str, Floats] = {}
        self._shares = np.zeros(self._count, np.float32)
        if cue is not None and index.has_texts:
            words = match if index.table is not None else bm25
            found = {
                "lexical": (weights.lexical, words),
                "trigram": (weights.trigram, trigram_bm25),
            }
            for name, (weight, score) in found.items():
                if weight == 0:
                    continue
                values, greatest = score(index, cue)
                values = self._of_living(values)
                if name == "lexical" and greatest > 0:
                    self._shares = values / np.float32(greatest)
                self._lexical_parts[name] = np.float32(weight) * z(values)
        self._lexical_base = np.zeros(self._count, np.float32)
        for part in self._lexical_parts.values():
            self._lexical_base += part

    def _dense(self) -> None:
        self._scales: DenseScales | None = None
        cue, vectors = self._cue.vectors, self._memory.vectors
        if self._weights.dense == 0 or cue is None or vectors is None:
            return
        if self.is_exact:
            parts = range(0, max(1, self._count), EXACT_TEXTS)  # bounds memory
            texts = [self._living[at : at + EXACT_TEXTS] for at in parts]
            self._cosines = np.concatenate([_cosines(cue, vectors(at)) for at in texts], axis=1)
        else:
            products = self._index.vectors.products(cue)
            self._cosines = products if self._all else products[:, self._living]
        self._scales = DenseScales.of(*self._cosines)

    def _dense_part(self, bare: Floats, whole: Floats) -> Floats:
        assert self._scales is not None
        part: Floats = np.float32(self._weights.dense) * self._scales.z(bare, whole)
        return part

    def _look_exactly(self, rows: IntArray) -> None:
        """Put exact cosines and base scores in the place of quantised ones."""
        cue, vectors = self._cue.vectors, self._memory.vectors
        assert cue is not None
        assert vectors is not None
        self._cosines[:, rows] = _cosines(cue, vectors(self._living[rows]))
        dense = self._dense_part(*self._cosines[:, rows])
        self._base[rows] = self._lexical_base[rows] + dense

    def _fixed(self) -> None:
        """The parts that need no scores of others; and whether another speaker asked before."""
        index, weights, cue = self._index, self._weights, self._cue.text
        marks, living = index["marks"], self._living
        marks = marks if self._all else marks[living]
        self._asked = np.zeros(self._count, np.bool_)
        parts: dict[str, Floats] = {}
        if index.has_texts:
            session, speaker = (self._of_living(index[name]) for name in ("session", "speaker"))
            known = np.zeros(len(index.speakers), np.bool_)
            known[list(index.named_speakers())] = True
            speaker = np.where(known[speaker], speaker, -1)
            self._asked[1:] = (
                ((marks[:-1] & ASKS) > 0)
                & (session[1:] == session[:-1])
                & (speaker[1:] != speaker[:-1])
                & (living[1:] == living[:-1] + 1)
            )
            information = self._of_living(index["information"])
            parts["information"] = np.float32(weights.information) * z(np.log1p(information))
            ends = (marks & ENDS_IN_QUESTION) > 0
            parts["question"] = np.where(ends, np.float32(-weights.question), np.float32(0))
            if cue is not None and (named := named_speaker(index, cue)) is not None:
                by = (speaker == named).astype(np.float32)
                parts["speaker"] = np.float32(weights.speaker) * by
            if cue is not None:
                parts |= self._answers(cue, marks)
                if days := named_days(cue, index.language):
                    near = nearness(self._of_living(index["time"]), days)
                    parts["day"] = np.float32(weights.day) * near
        if self._memory.confirmed is not None:
            parts["confirmed"] = np.float32(weights.confirmed) * self._memory.confirmed
        self._fixed_parts = parts
        self._fixed_sum = np.zeros(self._count, np.float32)
        for part in parts.values():
            self._fixed_sum += part

    def _answers(self, cue: str, marks: npt.NDArray[np.uint16]) -> dict[str, Floats]:
        """The flags of each text, of the kinds of answer that the cue asks for."""
        parts, first = {}, 0
        for name, kind in self._index.language.kinds.items():
            if kind.asked.search(cue):
                bits = [FIRST_FLAG << (first + k) for k in range(len(kind.flags))]
                count = sum(((marks & bit) > 0).astype(np.float32) for bit in bits)
                parts[f"answer: {name}"] = np.float32(self._weights.flag) * np.asarray(count)
            first += len(kind.flags)
        return parts


def _cosines(cue: Floats, vectors: Floats) -> Floats:
    """Cosines [2, n] of the cue's vectors with those of texts."""
    cosines: Floats = cue @ unit(vectors).T
    return cosines
