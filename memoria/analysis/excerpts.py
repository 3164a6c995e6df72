"""The beginnings of texts, on one line, as labels of pictures."""

from __future__ import annotations

import re
from typing import Final

from memoria.analysis.chronicle import Chronicle
from memoria.timeline.log import IntArray

_LONGEST: Final = 200  # characters
_AT_ONCE: Final = 256  # texts: each may be long
# What stands in no line: controls, marks of direction, halves of pairs.
UNSEEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def excerpts(chronicle: Chronicle, positions: IntArray) -> list[str]:
    """The first 200 characters of the texts of engrams; "" where there is none."""
    ids = chronicle.ids[positions]
    return [
        on_one_line(text)
        for first in range(0, len(ids), _AT_ONCE)
        for text in chronicle.texts(ids[first : first + _AT_ONCE])
    ]


def on_one_line(text: str | None, most: int = _LONGEST) -> str:
    """At most ``most`` characters of a text, whitespace as single spaces."""
    line = " ".join(UNSEEN.sub(" ", (text or "")[: 2 * most]).split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def label(id_: int, text: str, most: int = 32) -> str:
    """An engram's id, and the beginning of its text where it has one."""
    return f"{id_} {on_one_line(text, most)}" if text else f"engram {id_}"
