"""What `memoria.search` must compute, written from its formula, slowly and without arrays."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from memoria.search.languages import Language
from memoria.search.ranking import Weights
from memoria.search.words import trigrams_of, words_of

HOUR = 3_600_000


@dataclass(frozen=True)
class Said:
    """One text with all that is known of it."""

    text: str
    time: int = -1
    source: int = -1
    offset: int = 0
    speaker: str = ""
    group: int = 0
    heading: str = ""

    @property
    def parts(self) -> tuple[str, str]:
        name, colon, body = self.text.partition(": ")
        fits = colon and len(name) <= 40 and len(name.split()) <= 4 and name
        return (name, body) if fits else ("", self.text)


class Table:
    """Vectors of words that a byte a number holds exactly, alike for words that begin alike."""

    def word_vectors(self, words: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        return np.array([_vector(word) for word in words], np.float32).reshape(-1, 12)

    def is_word(self, word: str) -> bool:
        return len(word) == 5


@cache
def _vector(word: str) -> list[int]:
    own = np.random.default_rng(sum(map(ord, word)))
    alike = np.random.default_rng(ord(word[0]))
    return [*own.integers(-1, 2, 6).tolist(), *alike.integers(-1, 2, 5).tolist(), 1]


def unit(vector: Any) -> Any:
    length = np.linalg.norm(vector)
    return np.asarray(vector, float) / (length if length > 0 else 1.0)


def z(values: Sequence[float]) -> list[float]:
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    if deviation <= 1e-7 * max(1.0, abs(mean)):
        return [0.0] * len(values)
    return [(value - mean) / deviation for value in values]


def idf(count: int, held: int) -> float:
    return math.log(1 + (count - held + 0.5) / (held + 0.5))


class Oracle:
    """Scores of texts for a cue; ``living`` are their numbers, ascending."""

    def __init__(self, texts: Sequence[Said], language: Language, table: Table | None) -> None:
        self.said, self.language, self.table = texts, language, table
        self.own = [self._content(words_of(one.text)) for one in texts]
        self.words = []
        for one, own in zip(texts, self.own, strict=True):
            date = language.date(one.time) if one.time >= 0 and one.text else ""
            beside = f"{date} {one.heading}" if one.text else ""
            self.words.append([*self._content(words_of(beside)), *own])
        self.sessions, self.speakers = self._turns()

    def scores(
        self,
        cue: str | None,
        weights: Weights,
        cosines: Any = None,
        living: Sequence[int] | None = None,
    ) -> list[float]:
        living = list(range(len(self.said))) if living is None else list(living)
        count = len(living)
        base = [0.0] * count
        if cosines is not None and weights.dense:
            bare, whole = (z([float(row[at]) for at in living]) for row in cosines)
            for at, value in enumerate(z([a + b for a, b in zip(bare, whole, strict=True)])):
                base[at] += weights.dense * value
        if cue is not None:
            lexical = self.match(cue) if self.table else self.bm25(cue, self._stem_tokens)
            parts = [(weights.lexical, lexical)]
            if weights.trigram:
                parts.append((weights.trigram, self.bm25(cue, self._trigram_tokens)))
            for weight, values in parts:
                for at, value in enumerate(z([values[one] for one in living])):
                    base[at] += weight * value
        s = [value + weights.around * self._around(base, at) for at, value in enumerate(base)]
        out = list(s)
        for at in range(count):
            for step, weight in (
                (-1, weights.asked if self._asked(living, at) else weights.before),
                (-2, weights.before2),
                (1, weights.after),
                (2, weights.after2),
            ):
                if 0 <= at + step < count:
                    out[at] += weight * s[at + step]
        information = z([math.log1p(self.information(one)) for one in living])
        for at, one in enumerate(living):
            out[at] += weights.information * information[at]
            said = self.said[one].parts[1].rstrip()
            out[at] -= weights.question * said.endswith("?")
            if cue is not None:
                out[at] += weights.speaker * (self._named(cue) == self._speaker(one) != "")
                out[at] += weights.flag * self._flags(cue, self.said[one].parts[1])
        return out

    def match(self, cue: str) -> list[float]:
        assert self.table is not None
        rows = {w: unit(self.table.word_vectors([w])[0]) for text in self.words for w in text}
        mean = sum(rows.values()) / len(rows) if rows else 0
        stem, total = self.language.stem, [0.0] * len(self.said)
        for word in dict.fromkeys(self._content(words_of(cue))):
            asked = unit(unit(self.table.word_vectors([word])[0]) - mean)
            held = sum(stem(word) in map(stem, text) for text in self.words)
            for at, text in enumerate(self.words):
                best = 0.0
                for other in text:
                    alike = float(asked @ unit(rows[other] - mean))
                    near = 0.0 if re.search(r"\d", word) else max(0.0, (alike - 0.3) / 0.7)
                    near = 1.0 if stem(word) == stem(other) else near
                    best = max(best, near)
                total[at] += idf(len(self.said), held) * best
        return total

    def bm25(self, cue: str, tokens: Callable[[Sequence[str]], list[str]]) -> list[float]:
        texts = [tokens(text) for text in self.words]
        mean = max(sum(map(len, texts)) / len(texts), 1e-9)
        total = [0.0] * len(texts)
        for token in dict.fromkeys(tokens(self._content(words_of(cue)))):
            held = sum(token in text for text in texts)
            for at, text in enumerate(texts):
                f, norm = text.count(token), 0.9 * (1 - 0.4 + 0.4 * len(text) / mean)
                total[at] += idf(len(texts), held) * f * 1.9 / (f + norm) if f else 0
        return total

    def information(self, at: int) -> float:
        read = [i for i, one in enumerate(self.said) if one.group <= self.said[at].group]
        stems = [{self.language.stem(word) for word in self.own[i]} for i in read]
        counts = Counter(stem for one in stems for stem in one)
        own = {self.language.stem(word) for word in self.own[at]}
        return sum(math.log((len(read) + 1) / counts[stem]) for stem in own)

    def _content(self, words: Sequence[str]) -> list[str]:
        return [word for word in words if word not in self.language.stop]

    def _stem_tokens(self, words: Sequence[str]) -> list[str]:
        return [self.language.stem(word) for word in words]

    def _trigram_tokens(self, words: Sequence[str]) -> list[str]:
        return [part for word in words for part in trigrams_of(word)]

    def _turns(self) -> tuple[list[int], list[tuple[str, str]]]:
        sessions, speakers, session = [], [], 0
        last_time = -1
        for at, one in enumerate(self.said):
            before = self.said[at - 1] if at else None
            same = before is not None and before.source == one.source
            far = last_time >= 0 and one.time >= 0 and abs(one.time - last_time) > 6 * HOUR
            if not same or far:
                session += 1
                last_time = -1
            last_time = one.time if one.time >= 0 else last_time
            sessions.append(session)
            name = one.parts[0]
            end = before.offset + len(before.text) + 1 if before else 0
            if one.speaker:
                speakers.append((one.speaker, "told"))
            elif name:
                speakers.append((name, "begins"))
            elif (
                same
                and not far
                and before is not None
                and one.source >= 0
                and before.offset < one.offset <= end
            ):
                speakers.append((speakers[-1][0], "carried"))
            else:
                speakers.append(("", ""))
        return sessions, speakers

    def _speaker(self, at: int) -> str:
        name = self.speakers[at][0]
        how = Counter(origin for other, origin in self.speakers if other == name)
        enough = how["told"] or how["begins"] >= max(1, 0.05 * len(self.said))
        return name if enough else ""

    def _asked(self, living: Sequence[int], at: int) -> bool:
        one, before = living[at], living[at] - 1
        return (
            at > 0
            and living[at - 1] == before
            and "?" in self.said[before].parts[1]
            and self.sessions[one] == self.sessions[before]
            and self._speaker(one) != self._speaker(before)
        )

    def _around(self, base: Sequence[float], at: int) -> float:
        best = sorted(base[max(0, at - 12) : at + 13])[-3:]
        return sum(best) / len(best)

    def _named(self, cue: str) -> str:
        def parts(name: str) -> set[str]:
            return {part for part in re.findall(r"[^\W_]+", name.lower()) if len(part) >= 2}

        names = {self._speaker(at) for at in range(len(self.said))} - {""}
        named = [name for name in names if parts(name) & parts(cue)]
        return named[0] if len(named) == 1 else "nobody"

    def _flags(self, cue: str, body: str) -> int:
        count = 0
        for kind in self.language.kinds.values():
            if kind.asked.search(cue):
                for flag in kind.flags:
                    words = flag.words is not None and any(
                        map(flag.words.fullmatch, words_of(body))
                    )
                    phrase = flag.phrase is not None and flag.phrase.search(body) is not None
                    count += words or phrase
        return count
