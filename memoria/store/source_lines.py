"""On which line of its source a text stands, where the source is still there and still has it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Final

from memoria.io.bounds import open_regular
from memoria.store.texts import Place, StoredTexts

_RECORD: Final = re.compile(r".*\.jsonl:([1-9][0-9]{0,17})", re.DOTALL)
_GIVEN: Final = re.compile(r"text:[0-9]+|-")  # on the command line or standard input
_BREAK: Final = re.compile(r"\r\n?|\n")
_MOST_BYTES: Final = 2**26


def source_lines(
    stored: StoredTexts, places: Sequence[Place | None], texts: Sequence[str | None]
) -> list[int | None]:
    """The line, from 1, of each text; None where its source does not have it there (any more).

    A record of a .jsonl file stands on the line that the source's name ends with.
    """
    contents: dict[str, str] = {}
    lines: list[int | None] = []
    for place, text in zip(places, texts, strict=True):
        line = None
        if place is not None and text is not None and not _GIVEN.fullmatch(place[0]):
            source, offset = place
            record = _RECORD.fullmatch(source)
            if record:
                line = int(record[1])
            else:
                if source not in contents:
                    contents[source] = _content(stored.resolved_name(source) or source)
                if contents[source].startswith(text, offset):
                    line = len(_BREAK.findall(contents[source], 0, offset)) + 1
        lines.append(line)
    return lines


def _content(path: str) -> str:
    """The text of a file; "" where it cannot be read, or is very large."""
    try:
        with open(open_regular(path), "rb") as file:
            if os.fstat(file.fileno()).st_size > _MOST_BYTES:
                return ""
            return file.read(_MOST_BYTES).decode("utf-8").removeprefix("\ufeff")
    except (OSError, ValueError):
        return ""
