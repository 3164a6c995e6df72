"""Texts into words, and words into the letters that typing errors leave alike."""

from __future__ import annotations

import re
from typing import Final
from unicodedata import normalize

_ASCII_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_MARKS: Final = (  # that Hebrew, Arabic, Indic and other scripts write between letters
    r"\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff"
    r"\u0e31-\u0e4e\u0eb1-\u0ecd\u0f18-\u0fbc\u102b-\u103e\u17b4-\u17d3"
)
_WORD: Final = re.compile(rf"(?:[^\W_]|[{_MARKS}])+(?:'(?:[^\W_]|[{_MARKS}])+)?")

# Scripts that put no space between words: Thai to Khmer, kana, ideographs.
_UNSPACED: Final = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\uf900-\ufaff\U00020000-\U0003ffff"
)
_RUNS: Final = re.compile(rf"[{_UNSPACED}]+|[^{_UNSPACED}]+")
_IS_UNSPACED: Final = re.compile(f"[{_UNSPACED}]")


def words_of(text: str) -> list[str]:
    """The words of a text after NFKC, in lower case; of unspaced scripts, pieces of 2 and 3."""
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    lowered = normalize("NFKC", text).lower()
    found: list[str] = _WORD.findall(lowered.replace("\u2019", "'"))
    if not _IS_UNSPACED.search(lowered):
        return found
    return [piece for word in found for piece in _pieces(word)]


def trigrams_of(word: str) -> list[str]:
    """Groups of three letters of a word, its ends marked: ``_oslo_`` has ``_os osl slo lo_``."""
    marked = f"_{word}_"
    return [marked[at : at + 3] for at in range(len(word))]


def is_one_edit(a: str, b: str) -> bool:
    """Whether a letter more, less or other, or two neighbours exchanged, make ``a`` into ``b``."""
    if len(a) > len(b):
        a, b = b, a
    if a == b or len(b) - len(a) > 1:
        return False
    at = next((k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), len(a))
    if a[at:] == b[at + 1 :]:
        return True
    if len(a) < len(b):
        return False
    exchanged = a[at : at + 2] == b[at : at + 2][::-1] and a[at + 2 :] == b[at + 2 :]
    return a[at + 1 :] == b[at + 1 :] or exchanged


def _pieces(word: str) -> list[str]:
    """A word as it is; each run of letters of a script without spaces in overlapping pieces."""
    if not _IS_UNSPACED.search(word):
        return [word]
    pieces: list[str] = []
    for run in _RUNS.findall(word):
        if len(run) < 3 or not _IS_UNSPACED.match(run):
            pieces.append(run)
            continue
        for size in (2, 3):
            pieces += [run[at : at + size] for at in range(len(run) - size + 1)]
    return pieces
