"""Which texts hold which words: arrays sorted by word, joined as texts come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

_MERGED: Final = 2**18  # pairs that are put in place at a time, about
_MOST_COUNT: Final = 2**16 - 1


@dataclass(frozen=True)
class Postings:
    """The words of some texts. U distinct words, P pairs of a word and a text that holds it.

    Attributes:
        words: numbers of the words, ascending, int32 [U].
        ends: texts[ends[u - 1]:ends[u]] hold word u, int64 [U].
        texts: numbers of texts, ascending for each word, int32 [P].
        counts: how often the text holds the word, at most 65,535, uint16 [P].
    """

    words: npt.NDArray[np.int32]
    ends: IntArray
    texts: npt.NDArray[np.int32]
    counts: npt.NDArray[np.uint16]

    @classmethod
    def from_occurrences(cls, words: IntArray, texts: IntArray) -> Postings:
        """Of each occurrence of a word in a text, in any order."""
        first = int(texts.min()) if len(texts) else 0
        width = int(texts.max()) - first + 1 if len(texts) else 1
        keys, counts = distinct(words * width + (texts - first))
        owners = keys // width
        last = np.flatnonzero(np.diff(owners, append=-1))
        return cls(
            words=owners[last].astype(np.int32),
            ends=last + 1,
            texts=(keys % width + first).astype(np.int32),
            counts=np.minimum(counts, _MOST_COUNT).astype(np.uint16),
        )

    def __len__(self) -> int:
        return len(self.texts)

    def sizes(self) -> IntArray:
        """How many texts hold each of `words`, [U]."""
        return np.diff(self.ends, prepend=0)

    def gather(self, words: IntArray) -> tuple[IntArray, IntArray]:
        """(index into ``words``, index into `texts`) of every pair, word after word."""
        if len(self.words) == 0:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        at = np.minimum(np.searchsorted(self.words, words), len(self.words) - 1)
        held = np.flatnonzero(self.words[at] == words)
        ends = self.ends[at[held]]
        sizes = self.sizes_at(at[held])
        owner = np.repeat(held, sizes)
        run_ends = np.cumsum(sizes)
        return owner, np.arange(len(owner)) + np.repeat(ends - run_ends, sizes)

    def sizes_at(self, at: IntArray) -> IntArray:
        """`sizes` of the words at these indices."""
        return self.ends[at] - np.where(at > 0, self.ends[at - 1], 0)

    def joined(self, later: Postings) -> Postings:
        """Both, where all texts of ``later`` come after those of this."""
        words = np.union1d(self.words, later.words)
        mine, theirs = (np.searchsorted(words, one.words) for one in (self, later))
        sizes = np.zeros((2, len(words)), np.int64)
        sizes[0, mine], sizes[1, theirs] = self.sizes(), later.sizes()
        ends = np.cumsum(sizes.sum(0))
        starts = ends - sizes.sum(0)
        texts = np.empty(len(self) + len(later), np.int32)
        counts = np.empty(len(texts), np.uint16)
        for one, first in ((self, starts[mine]), (later, (starts + sizes[0])[theirs])):
            for part, places in one._places(first):
                texts[places], counts[places] = one.texts[part], one.counts[part]
        return Postings(words.astype(np.int32), ends, texts, counts)

    def _places(self, first: IntArray) -> Iterator[tuple[slice, IntArray]]:
        """Where pairs go when those of each word begin at ``first`` [U], some at a time."""
        sizes = self.sizes()
        cuts = np.searchsorted(self.ends, np.arange(_MERGED, len(self) + _MERGED, _MERGED))
        low = 0
        for high in np.minimum(cuts + 1, len(self.words)).tolist():
            if high > low:
                begin, end = int(self.ends[low] - sizes[low]), int(self.ends[high - 1])
                shift = first[low:high] - (self.ends[low:high] - sizes[low:high])
                yield slice(begin, end), np.arange(begin, end) + np.repeat(shift, sizes[low:high])
            low = max(low, high)


def with_postings(parts: list[Postings], new: Postings) -> list[Postings]:
    """``parts`` and ``new``, joined so that each part is more than twice as long as the next."""
    out = [*parts, new]
    while len(out) > 1 and len(out[-2]) <= 2 * len(out[-1]):
        later = out.pop()
        out[-1] = out[-1].joined(later)
    return out


def distinct(keys: IntArray) -> tuple[IntArray, IntArray]:
    """The different ``keys``, ascending, and how often each is there."""
    ordered = np.sort(keys)
    first = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
    return ordered[first], np.diff(first, append=len(ordered))
