"""Plain text: all of it, and logs, whose lines each stand for themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from memoria.io.forms.source import TextSource, parts
from memoria.io.text_unit import Section, TextUnit
from memoria.io.times import leading_time

_LINE: Final = re.compile(r"[^\r\n]*\S[^\r\n]*")


def plain_sections(source: TextSource) -> Iterator[Section]:
    """The text as one section, or several above 64 MiB."""
    for text, offset in parts(source):
        yield Section(TextUnit(text, source.name, offset))


def log_sections(source: TextSource) -> Iterator[Section]:
    """A section a line, with the time that it begins with."""
    for text, offset in parts(source):
        for line in _LINE.finditer(text):
            time = leading_time(line[0].lstrip())
            yield Section(TextUnit(line[0], source.name, offset + line.start(), time))
