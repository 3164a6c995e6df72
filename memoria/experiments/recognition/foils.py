"""Sentences to study, and foils that were not: a new one, the same reworded, one word changed.

A paraphrase is made by rule, as no language model is asked: the clauses change places and common
words are said otherwise. It keeps the words that carry the sense, and says the same in most cases.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from memoria.errors import InputError

FOILS: Final = ("new", "paraphrase", "word")

_LEAST, _MOST = 8, 24  # words of a sentence that is studied
_SENSE: Final = 5  # letters from which a word is taken to carry sense
_CLAUSE = re.compile(r"(?:[,;:]|—|--)\s+|\s+(?=(?:and|but|or|because|when|while|if|that|which)\s)")
_OTHERWISE: Final = {
    "also": "too",
    "although": "though",
    "because": "since",
    "begin": "start",
    "began": "started",
    "cannot": "can not",
    "do not": "don't",
    "big": "large",
    "great": "large",
    "however": "yet",
    "is not": "isn't",
    "it is": "it's",
    "many": "a lot of",
    "may": "can",
    "must": "has to",
    "nearly": "almost",
    "quickly": "fast",
    "said": "told",
    "shall": "will",
    "small": "little",
    "such as": "like",
    "therefore": "so",
    "though": "although",
    "till": "until",
    "upon": "on",
    "which": "that",
    "whilst": "while",
}
_WORDS = re.compile(r"\b(" + "|".join(sorted(_OTHERWISE, key=len, reverse=True)) + r")\b", re.I)


@dataclass(frozen=True)
class Studied:
    """N sentences to study, with foils.

    Attributes:
        seen: those that are read [N].
        foils: by kind, the foil of each [N].
        other: sentences read between, in order.
    """

    seen: Sequence[str]
    foils: Mapping[str, Sequence[str]]
    other: Sequence[str]


def choose(sentences: Sequence[str], count: int, seed: int) -> Studied:
    """Draw ``count`` sentences and as many new ones; the rest are read between.

    Raises:
        InputError: too few different sentences.
    """
    rng = np.random.default_rng((seed, 11))
    different = list(dict.fromkeys(sentences))
    fit = [at for at, one in enumerate(different) if _LEAST <= len(one.split()) <= _MOST]
    if len(fit) < 2 * count + 1:
        raise InputError(
            f"{len(fit)} different sentences of {_LEAST} to {_MOST} words",
            f"{2 * count + 1} are needed: give more text, or study fewer",
        )
    drawn = rng.permutation(fit)[: 2 * count]
    seen = [different[at] for at in drawn[:count]]
    new = [different[at] for at in drawn[count:]]
    taken = set(drawn.tolist())
    other = [one for at, one in enumerate(different) if at not in taken]
    words = {word.lower() for one in different for word in re.findall(r"\w+", one)}
    pool = sorted(word for word in words if len(word) >= _SENSE)
    foils = {
        "new": new,
        "paraphrase": [reworded(one) for one in seen],
        "word": [with_one_word_changed(one, pool, rng) for one in seen],
    }
    return Studied(seen, foils, other)


def reworded(sentence: str) -> str:
    """The same in other words, by rule: never the sentence itself."""
    body, mark = (sentence[:-1], sentence[-1]) if sentence[-1:] in ".!?" else (sentence, "")
    clauses = [one for one in _CLAUSE.split(body) if one]
    if len(clauses) < 2:
        words = body.split()
        clauses = [" ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])]
    turned = ", ".join([*clauses[1:], clauses[0]])
    said = _WORDS.sub(lambda found: _OTHERWISE[found[0].lower()], turned)
    return said[:1].upper() + said[1:] + mark


def with_one_word_changed(sentence: str, pool: Sequence[str], rng: np.random.Generator) -> str:
    """One word that carries sense, or else the longest, replaced by another of ``pool``."""
    words = list(re.finditer(r"\w+", sentence))
    if not words:  # a row of stars
        return f"{sentence} {rng.choice(pool)}"
    longest = max(len(word[0]) for word in words)
    places = [word for word in words if len(word[0]) >= min(_SENSE, longest)]
    chosen = places[int(rng.integers(len(places)))]
    others = [word for word in pool if word != chosen[0].lower()]
    return sentence[: chosen.start()] + str(rng.choice(others)) + sentence[chosen.end() :]
