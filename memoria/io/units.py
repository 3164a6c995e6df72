"""Texts into units: what of a text becomes one engram, and where in the text it stands.

Units are verbatim: ``source[offset : offset + len(text)] == text``, without surrounding white
space, in order, none blank and none overlapping. Every rule takes time linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from memoria.errors import UsageError

MAX_SENTENCE: Final = 2_000  # characters; longer sentences are cut at a space
MAX_UNIT: Final = 20_000  # characters; the same for lines and paragraphs
_WORD_ROOM: Final = 64  # characters a word of a window may take on average before a cut

_Span = tuple[int, int]

_LINE = re.compile(r"[^\r\n]+")
_WORD = re.compile(r"\S+")
_BULLET = re.compile(r"[^\S\r\n]*(?:[-*+•‣◦–—]|\d{1,3}[.)]|\(?[a-zA-Z]\)|#{1,6})[^\S\r\n]")
_HEADING = re.compile(r"[^\S\r\n]*#{1,6}[^\S\r\n]")
_RULE = re.compile(r"[-=~_*^#+\"'`.:\s|]++\Z")


class Unit(NamedTuple):
    """One unit of a text, verbatim, and the offset of its first character."""

    text: str
    offset: int


def split(text: str, unit: str) -> list[Unit]:
    """The units of ``text``; ``unit`` is sentence, paragraph, line, window:N (N words) or record.

    A sentence ends at ``. ! ?`` (not behind abbreviations, initials or in numbers), at a blank
    line, and before a list item or heading. Windows do not overlap; a record is all of it.
    Sentences above 2,000 characters, lines and paragraphs above 20,000 and windows above 64 N (at
    least 2,000) are cut at the last space before. Raises `UsageError` for an unknown unit.
    """
    return list(iter_units(text, unit))


def iter_units(text: str, unit: str) -> Iterator[Unit]:
    """Like `split`, one unit at a time."""
    kind, words = parse_unit(unit)
    if kind == "record":
        yield from split_long(text, max(1, len(text)))
        return
    spans: Callable[[str], Iterator[_Span]]
    if kind == "window":
        produced, limit = _windows(text, words), max(MAX_SENTENCE, words * _WORD_ROOM)
    else:
        spans = {"sentence": _sentences, "paragraph": _paragraphs, "line": _lines}[kind]
        produced, limit = spans(text), MAX_SENTENCE if kind == "sentence" else MAX_UNIT
    for start, end in produced:
        for piece_start, piece_end in _capped(text, start, end, limit):
            yield Unit(text[piece_start:piece_end], piece_start)


def split_long(text: str, limit: int) -> Iterator[Unit]:
    """All of ``text`` as one unit, or cut at spaces into some of at most ``limit`` characters."""
    if (span := _trimmed(text, 0, len(text))) is not None:
        for start, end in _capped(text, *span, limit):
            yield Unit(text[start:end], start)


def parse_unit(unit: str) -> tuple[str, int]:
    """``"window:64"`` -> ``("window", 64)``, the others with 0. Raises `UsageError`."""
    kind, colon, number = unit.partition(":")
    if kind in ("sentence", "paragraph", "line", "record") and not colon:
        return kind, 0
    if kind == "window" and number.isascii() and number.isdigit() and 0 < int(number) < 10**7:
        return kind, int(number)
    raise UsageError(
        f"unit = {unit!r}: unknown", "give sentence, paragraph, line, record or window:N"
    )


def flatten(text: str) -> str:
    """The text as it is encoded: wrapped lines joined, every run of white space one space."""
    return " ".join(text.split())


def fold(text: str) -> str:
    """The text for comparing: NFKC and case folding, so that one word has one spelling."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _lines(text: str) -> Iterator[_Span]:
    for match in _LINE.finditer(text):
        if (span := _trimmed(text, *match.span())) is not None:
            yield span


def _paragraphs(text: str) -> Iterator[_Span]:
    """Runs of lines that are not blank."""
    block: _Span | None = None
    for start, end in _all_lines(text):
        span = _trimmed(text, start, end)
        if span is None:
            if block is not None:
                yield block
            block = None
        else:
            block = (block[0] if block else span[0], span[1])
    if block is not None:
        yield block


def _windows(text: str, words: int) -> Iterator[_Span]:
    start = end = count = 0
    for match in _WORD.finditer(text):
        if count == 0:
            start = match.start()
        end, count = match.end(), count + 1
        if count == words:
            yield start, end
            count = 0
    if count:
        yield start, end


def _sentences(text: str) -> Iterator[_Span]:
    from memoria.io.sentences import sentence_spans  # its patterns take 20 ms to compile

    for start, end in _blocks(text):
        for begin, stop in sentence_spans(text, start, end):
            if (span := _trimmed(text, begin, stop)) is not None:
                yield span


def _blocks(text: str) -> Iterator[_Span]:
    """Paragraphs, cut again before list items and around headings; ruling lines belong to none."""
    block: _Span | None = None
    for start, end in _all_lines(text):
        span = _trimmed(text, start, end)
        heading = span is not None and _HEADING.match(text, start, end) is not None
        breaks = span is None or heading or _is_rule(text, start, end)
        if block is not None and (breaks or _BULLET.match(text, start, end)):
            yield block
            block = None
        if span is None or (breaks and not heading):
            continue
        block = (block[0] if block else span[0], span[1])
        if heading:
            yield block
            block = None
    if block is not None:
        yield block


def _is_rule(text: str, start: int, end: int) -> bool:
    """Whether a line only draws: an underline, a table border, a scene break."""
    return end - start >= 3 and _RULE.match(text, start, end) is not None


def _all_lines(text: str) -> Iterator[_Span]:
    """The spans of all lines without their ends, empty ones included."""
    start = 0
    for match in re.finditer(r"\r\n|\r|\n", text):
        yield start, match.start()
        start = match.end()
    yield start, len(text)


def _trimmed(text: str, start: int, end: int) -> _Span | None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return (start, end) if start < end else None


def _capped(text: str, start: int, end: int, limit: int) -> Iterator[_Span]:
    """The span in pieces of at most ``limit`` characters, cut at the last space of each."""
    while end - start > limit:
        cut = start + limit
        floor = start + limit // 2
        while cut > floor and not text[cut].isspace():
            cut -= 1
        if cut == floor:  # no space in sight
            cut = start + limit
        if (span := _trimmed(text, start, cut)) is not None:
            yield span
        while cut < end and text[cut].isspace():
            cut += 1
        start = cut
    if start < end:
        yield start, end
