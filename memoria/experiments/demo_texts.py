"""The text of the tour: prose from the help that every Python brings, and questions about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from memoria.errors import InputError

QUESTIONS: Final = (
    "What does the finally clause of a try statement do?",
    "When are default parameter values evaluated?",
    "How do I set a breakpoint in the debugger?",
)

_TOPICS: Final = (
    "assert assignment augassign booleans break class continue del dict exceptions for function"
    " global if import integers lambda lists numbers pass power raise return slicings strings"
    " string-methods truth try typesmapping typesseq while with yield calls comparisons execmodel"
    " identifiers attribute-access debugger"
).split()
_NOTICE = re.compile(r"\s*(?:New|Added|Changed|Deprecated)\b[^.]* version|\s*See also")
_RULE = re.compile(r"[=*\-~^\"+#]{3,}")
_CODE_INDENT: Final = " " * 4
_CUE_WORDS: Final = 8


def help_text(every_topic: bool = False) -> str:
    """The prose of `pydoc`'s topics about the language: no code, grammar or headings, no repeats.

    ``every_topic`` takes the rest of them too. The same for the same Python. Raises `InputError`
    where Python came without it.
    """
    topics = help_topics()
    names = sorted(topics) if every_topic else _TOPICS
    paragraphs = [one for name in names if name in topics for one in _prose(topics[name])]
    return "\n\n".join(dict.fromkeys(paragraphs)) + "\n"


def help_topics() -> dict[str, str]:
    """The topics of Python's help by name. Raises `InputError` where Python came without them."""
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise InputError(
            "pydoc_data.topics: this Python came without its help texts", "name text files"
        ) from None
    return dict(topics)


def _prose(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n[^\S\n]*\n", text.strip("\n")):
        lines = paragraph.splitlines()
        is_code = any(
            line.startswith(_CODE_INDENT) or ">>>" in line or "::=" in line for line in lines
        )
        is_heading = len(lines) > 1 and _RULE.fullmatch(lines[1].strip())
        ends = paragraph.rstrip().rstrip("\"')”’").endswith((".", "!", "?"))
        if ends and not is_code and not is_heading and not _NOTICE.match(paragraph):
            yield paragraph


def cues_from(texts: list[str]) -> list[str]:
    """Three cues: the first words of texts a quarter, a half and three quarters down the list."""
    worth = [words for words in map(str.split, texts) if len(words) >= _CUE_WORDS // 2]
    worth = worth or [text.split() for text in texts]
    positions = dict.fromkeys(len(worth) * quarter // 4 for quarter in (1, 2, 3))
    return [" ".join(worth[place][:_CUE_WORDS]) for place in positions if place < len(worth)]
