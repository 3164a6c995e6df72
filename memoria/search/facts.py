"""What a text says of itself before any cue: who speaks, whether it asks, what it may answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_NAME: Final = re.compile(r"([^:\n]{1,40}):\s")
_MOST_NAME_WORDS: Final = 4
_CAPTION: Final = re.compile(r"\s*\[[^\[\]]*\]\s*$")  # such as "[shares a picture of a dog]"
_QUESTION_MARKS: Final = "?？؟"

ENDS_IN_QUESTION: Final = 1
ASKS: Final = 2
FIRST_FLAG: Final = 4  # flag k of the language is bit FIRST_FLAG << k


def split_speaker(text: str) -> tuple[str, str]:
    """``"Ann: Hi"`` -> ``("Ann", "Hi")``; a text that no name begins -> ``("", text)``."""
    found = _NAME.match(text)
    if found and len(found[1].split()) <= _MOST_NAME_WORDS:
        return found[1].strip(), text[found.end() :]
    return "", text


def marks_of(body: str, flags: Sequence[re.Pattern[str]]) -> int:
    """Bits: `ENDS_IN_QUESTION`, `ASKS`, and which of ``flags`` are found in the text."""
    marks = 0
    if any(mark in body for mark in _QUESTION_MARKS):
        said = _CAPTION.sub("", body).rstrip()
        marks |= ASKS if any(mark in said for mark in _QUESTION_MARKS) else 0
        marks |= ENDS_IN_QUESTION if said[-1:] and said[-1] in _QUESTION_MARKS else 0
    for number, flag in enumerate(flags):
        if flag.search(body):
            marks |= FIRST_FLAG << number
    return marks
