"""How well the words of each text fit those of a cue: late interaction, BM25, letter trigrams.

match(cue, i) = sum over the cue's words w of idf(w) max over the words t of text i of
max(0, (cos(w, t) - .3) / .7), a word of the same stem counting 1, and no other where w has a
digit. Needs vectors of words.

bm25(cue, i) = sum over the cue's stems w of idf(w) f (k1 + 1) / (f + k1 (1 - b + b L_i / mean L)),
f of them in the text of L_i words; over trigrams of letters in the same way.

idf = log(1 + (n - df + .5) / (df + .5)).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from memoria.search.postings import IntArray
from memoria.search.quantized import Floats
from memoria.search.text_index import TextIndex
from memoria.search.words import trigrams_of, words_of

_THRESHOLD: Final = 0.3
_K1: Final = 0.9
_B: Final = 0.4


def cue_words(index: TextIndex, cue: str) -> list[str]:
    """The distinct words of a cue, without stop words."""
    stop = index.language.stop
    return [word for word in dict.fromkeys(words_of(cue)) if word not in stop]


def match(index: TextIndex, cue: str) -> tuple[Floats, float]:
    """Late interaction of the cue's words with those of each text, and the most it could be."""
    vocabulary, words = index.vocabulary, cue_words(index, cue)
    total, greatest = np.zeros(len(index), np.float32), 0.0
    similar = vocabulary.similarities(words) if len(vocabulary) else None
    if similar is None:
        return total, greatest
    for word, row in zip(words, similar, strict=True):
        stem = vocabulary.stems.get(vocabulary.language.stem(word))
        if any(letter.isdigit() for letter in word):
            row[:] = 0.0  # other numbers have like vectors, and are no like answers
        held = 0
        if stem is not None:
            row[vocabulary["stem"] == stem] = 1.0
            held = int(vocabulary.of_stem("texts")[stem])
        weight = _idf(len(index), held)
        greatest += weight
        near = np.flatnonzero(row > _THRESHOLD)
        near = near[np.argsort(row[near], kind="stable")]  # ascending: the greatest stays
        best = np.zeros(len(index), np.float32)
        values = (row[near] - _THRESHOLD) / np.float32(1 - _THRESHOLD)
        for postings in index.postings:
            owner, at = postings.gather(near)
            best[postings.texts[at]] = values[owner]
        if index.revised is not None:
            best[index.revised.texts] = 0.0
            owner, at = index.revised.postings.gather(near)
            best[index.revised.postings.texts[at]] = values[owner]
        total += np.float32(weight) * best
    return total, greatest


def bm25(index: TextIndex, cue: str) -> tuple[Floats, float]:
    """BM25 over stems, and the most that texts with each of them once could have."""
    vocabulary = index.vocabulary
    stems = [vocabulary.stems.get(vocabulary.language.stem(w)) for w in cue_words(index, cue)]
    found = list(dict.fromkeys(stems))
    groups = [
        np.empty(0, np.int64) if stem is None else np.flatnonzero(vocabulary["stem"] == stem)
        for stem in found
    ]
    return _bm25(index, groups, index["length"])


def trigram_bm25(index: TextIndex, cue: str) -> tuple[Floats, float]:
    """BM25 over the trigrams of letters."""
    wanted = dict.fromkeys(part for word in cue_words(index, cue) for part in trigrams_of(word))
    table = index.vocabulary.trigrams()
    return _bm25(index, [table.words_with(part) for part in wanted], index["letters"])


def _bm25(
    index: TextIndex, groups: Sequence[IntArray], lengths: npt.NDArray[np.int32]
) -> tuple[Floats, float]:
    """BM25 where each token of the cue is a group of words, which may name a word twice."""
    mean = max(float(lengths.mean(dtype=np.float64)), 1e-9) if len(lengths) else 1.0
    total, greatest = np.zeros(len(index), np.float32), 0.0
    frequency = np.zeros(len(index), np.float32)  # of the token, 0 again after each
    last = np.zeros(len(index), np.int32)
    for group in groups:
        texts, counts = _occurrences(index, group)
        # a text may stand there several times: then all its places get the same sum
        np.add.at(frequency, texts, counts)
        places = np.arange(len(texts), dtype=np.int32)
        last[texts] = places
        weight = _idf(len(index), int((last[texts] == places).sum()))
        greatest += weight
        f = frequency[texts]
        norms = np.float32(_K1 * (1 - _B)) + np.float32(_K1 * _B / mean) * lengths[texts]
        total[texts] = total[texts] + np.float32(weight * (_K1 + 1)) * f / (f + norms)
        frequency[texts] = 0
    return total, greatest


def _occurrences(
    index: TextIndex, words: IntArray
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """The texts that hold any of ``words``, once for each word, and how often."""
    texts, counts = [], []
    revised = index.revised
    for postings in index.postings:
        _, at = postings.gather(words)
        held, often = postings.texts[at], postings.counts[at]
        if revised is not None:
            kept = np.logical_not(np.isin(held, revised.texts))
            held, often = held[kept], often[kept]
        texts.append(held)
        counts.append(often)
    if revised is not None:
        _, at = revised.postings.gather(words)
        texts.append(revised.postings.texts[at])
        counts.append(revised.postings.counts[at])
    if not texts:
        return np.empty(0, np.int32), np.empty(0, np.float32)
    return np.concatenate(texts), np.concatenate(counts).astype(np.float32)


def _idf(count: int, held: int) -> float:
    return float(np.log(1 + (count - held + 0.5) / (held + 0.5)))
