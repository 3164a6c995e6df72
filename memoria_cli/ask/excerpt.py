"""The part of a long text that a question is about."""

from __future__ import annotations

from typing import Final

from memoria.search.words import words_of

MOST: Final = 600  # characters of a text that is shown whole
_LEAST_WORD: Final = 3
_BEFORE: Final = 100  # characters before a word of the question
_STARTS: Final = 200  # parts that are looked at


def excerpt(text: str, question: str) -> str:
    """``text``, or the part of about 600 characters with most of the question's words."""
    if len(text) <= MOST:
        return text
    lowered = text.lower()
    places = [
        (at, word)
        for word in dict.fromkeys(words_of(question))
        if len(word) >= _LEAST_WORD or not word.isascii()
        for at in _places(lowered, word)
    ]
    starts = sorted({max(0, min(at - _BEFORE, len(text) - MOST)) for at, _ in places} | {0})
    first = max(starts[:_STARTS], key=lambda start: (_held(places, start), -start))
    last = first + MOST
    first = 0 if first == 0 else text.find(" ", first, last) + 1 or first
    last = len(text) if last >= len(text) else text.rfind(" ", first, last) + 1 or last
    left, right = "… " if first else "", " …" if last < len(text) else ""
    return f"{left}{text[first:last].strip()}{right}"


def _places(text: str, word: str) -> list[int]:
    found, at = [], text.find(word)
    while at >= 0:
        found.append(at)
        at = text.find(word, at + len(word))
    return found


def _held(places: list[tuple[int, str]], start: int) -> int:
    """How many different words begin in the window from ``start`` on."""
    return len({word for at, word in places if start <= at < start + MOST})
