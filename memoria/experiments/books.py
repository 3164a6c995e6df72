"""Books as experiments read them: sentences, and words counted through the whole book."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from memoria.errors import InputError, StorageError
from memoria.experiments.demo_texts import help_text
from memoria.io.units import flatten, split

Ints = NDArray[np.int64]

_SUFFIXES: Final = (".txt", ".md")
_BEGINS = re.compile(
    r"\*\*\* ?START OF [^\n]*\*\*\*"
)  # Project Gutenberg's own words around a book
_ENDS = re.compile(r"\*\*\* ?END OF [^\n]*\*\*\*")


@dataclass(frozen=True)
class Book:
    """A book of N sentences and T words.

    Attributes:
        name: of its file.
        sentences: texts in order [N].
        starts: number of the first word of each sentence, int64 [N].
        words: of all sentences [T].
    """

    name: str
    sentences: Sequence[str]
    starts: Ints
    words: Sequence[str]

    def text(self, start: int, count: int) -> str:
        """``count`` words from word ``start`` on."""
        return " ".join(self.words[start : start + count])

    def first(self, words: int) -> Book:
        """The sentences that lie within the first ``words`` words; 0 is all of the book."""
        if not words or words >= len(self.words):
            return self
        count = max(1, int(np.searchsorted(self.starts, words, side="right")) - 1)
        end = int(self.starts[count]) if count < len(self.starts) else len(self.words)
        return Book(self.name, self.sentences[:count], self.starts[:count], self.words[:end])


def make_book(name: str, text: str) -> Book:
    """The book in ``text``, without what Project Gutenberg writes before and behind it."""
    begins = _BEGINS.search(text)
    ends = _ENDS.search(text, begins.end() if begins else 0)
    text = text[begins.end() if begins else 0 : ends.start() if ends else len(text)]
    sentences = [flatten(one.text) for one in split(text, "sentence")]
    by_sentence = [one.split() for one in sentences]
    counts = np.array([len(one) for one in by_sentence], dtype=np.int64)
    return Book(
        name, sentences, counts.cumsum() - counts, [word for one in by_sentence for word in one]
    )


def check_books(data: Sequence[str]) -> None:
    """Raise what `read_books` would raise for what is not there, without reading the books."""
    for path in _files(data):
        try:
            path.open("rb").close()
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror or error}") from None


def read_books(data: Sequence[str]) -> list[Book]:
    """The books in files, or in folders of .txt and .md; Python's help is the book if none.

    Raises:
        InputError: a folder without a book, or a book without a sentence.
        StorageError: a file cannot be read.
    """
    if not data:
        return [make_book("help", help_text(every_topic=True))]
    books = []
    for path in _files(data):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror or error}") from None
        book = make_book(path.stem, text)
        if not book.sentences:
            raise InputError(f"{path}: no sentence in it", "name text files")
        books.append(book)
    return books


def word_numbers(words: Sequence[str], vocabulary: int) -> Ints:
    """A number below ``vocabulary`` for each word, by a hash of its letters in lower case [T]."""
    known: dict[str, int] = {}
    for word in words:
        if word not in known:
            bare = re.sub(r"\W+", "", word).lower() or word
            known[word] = zlib.crc32(bare.encode()) % vocabulary
    return np.array([known[word] for word in words], dtype=np.int64)


def _files(data: Sequence[str]) -> list[Path]:
    found: list[Path] = []
    for name in data:
        path = Path(name)
        if not os.path.isdir(path):
            found.append(path)
            continue
        inner = sorted(one for one in path.iterdir() if one.suffix in _SUFFIXES)
        if not inner:
            raise InputError(f"{path}: no book in this folder", "name .txt or .md files")
        found += inner
    return found
