"""Sources as people name them: which match a pattern, and on which line of one a text stands."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from fnmatch import translate
from typing import Final
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from memoria.io.bounds import open_regular
from memoria.store.texts import Place, StoredTexts

_RECORD: Final = re.compile(r".*\.jsonl:([1-9][0-9]{0,17})", re.DOTALL)
_GIVEN: Final = re.compile(r"text:[0-9]+|-")  # on the command line or standard input
_BREAK: Final = re.compile(r"\r\n?|\n")
_MOST_BYTES: Final = 2**26


def matching_sources(stored: StoredTexts, patterns: Sequence[str]) -> NDArray[np.bool_]:
    """Which sources fit one of the ``patterns`` (``*``, ``?``), and False for none: [sources + 1].

    Records of a .jsonl file are found by the file's name too. How letters are composed (NFC, NFD)
    makes no difference.
    """
    found = [re.compile(translate(normalize("NFC", one))) for one in patterns]
    fits = []
    for name in (normalize("NFC", one) for one in stored.sources()):
        record = _RECORD.fullmatch(name)
        names = [name] if record is None else [name, name[: record.start(1) - 1]]
        fits.append(any(one.match(each) for one in found for each in names))
    return np.array([*fits, False])


def is_given(source: str) -> bool:
    """Whether a source is no file: a text on the command line, or standard input."""
    return _GIVEN.fullmatch(source) is not None


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
        if place is not None and text is not None and not is_given(place[0]):
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
