"""What a text says of itself before any cue: who speaks, whether it asks, what it may answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from memoria.search.languages import Flag

_NAME: Final = re.compile(r"([^:\n]{1,40}):\s")
_MOST_NAME_WORDS: Final = 4
_CAPTION: Final = re.compile(r"\s*\[[^\[\]]*\]\s*$")  # such as "[shares a picture of a dog]"
_QUESTION_MARKS: Final = "?？؟"

ENDS_IN_QUESTION: Final = 1
ASKS: Final = 2
FIRST_FLAG: Final = 4  # flag k of the language is bit FIRST_FLAG << k
MOST_FLAGS: Final = 14
_WITHIN: Final = 1 << MOST_FLAGS


def split_speaker(text: str) -> tuple[str, str]:
    """``"Ann: Hi"`` -> ``("Ann", "Hi")``; a text that no name begins -> ``("", text)``."""
    found = _NAME.match(text)
    if found and len(found[1].split()) <= _MOST_NAME_WORDS:
        return found[1].strip(), text[found.end() :]
    return "", text


def question_marks(body: str) -> int:
    """Bits: whether the text has a question mark (`ASKS`), and whether it ends in one."""
    if not any(mark in body for mark in _QUESTION_MARKS):
        return 0
    said = _CAPTION.sub("", body).rstrip()
    marks = ASKS if any(mark in said for mark in _QUESTION_MARKS) else 0
    return marks | (ENDS_IN_QUESTION if said and said[-1] in _QUESTION_MARKS else 0)


def flags_of_word(word: str, flags: Sequence[Flag]) -> int:
    """Bits: of which flags the word is a sign, and above them in whose phrases it may stand."""
    bits = 0
    for number, flag in enumerate(flags):
        if flag.words is not None and flag.words.fullmatch(word):
            bits |= 1 << number
        if flag.within is not None and flag.within.fullmatch(word):
            bits |= _WITHIN << number
    return bits


def flags_of_text(body: str, word_bits: int, flags: Sequence[Flag]) -> int:
    """Bits of a text's flags, from those that `flags_of_word` gave of its words."""
    found = word_bits & (_WITHIN - 1)
    for number, flag in enumerate(flags):
        if flag.phrase is None or found >> number & 1:
            continue
        may = flag.within is None or word_bits & (_WITHIN << number)
        if may and flag.phrase.search(body):
            found |= 1 << number
    return found * FIRST_FLAG
