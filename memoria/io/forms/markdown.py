"""Markdown: what stands below headings, with the headings and the front matter beside it.

Prose is cut like any text. Tables, lists and code stay whole. Headings and rules are no text of
their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from memoria.io.forms.front_matter import front_matter
from memoria.io.forms.source import TextSource, parts
from memoria.io.text_unit import Section, TextUnit

HEADING_SEPARATOR: Final = " > "

_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_ATX: Final = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*\Z")
_SETEXT: Final = re.compile(r" {0,3}(=+|-+)[ \t]*\Z")
_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})(.*)\Z")
_BULLET: Final = re.compile(r"[ \t]*(?:[-*+•]|\d{1,9}[.)])[ \t]+\S")
_DELIMITER: Final = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*\Z")
_RULE: Final = re.compile(r" {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})\Z")
_INDENTED: Final = re.compile(r"(?: {4}|\t)[ \t]*\S")
_LONG: Final = 1_000  # characters of a line above which it is nothing but prose
_STARTS: Final = {"table": "prose", "indented": "code"}  # blocks that lines of these kinds start
_MARKUP: Final = re.compile(r"[*_`]+|!?\[([^\]]*)\]\([^)]*\)")


def markdown_sections(source: TextSource) -> Iterator[Section]:
    """Prose, tables, lists and blocks of code in order; ``heading`` is the path to each.

    With the unit ``record`` all that stands below the front matter is one section.
    """
    reader = _Reader(source)
    for number, (text, offset) in enumerate(parts(source)):
        begin = reader.take_front_matter(text) if number == 0 else 0
        if source.options.unit == "record":
            yield reader.section(text[begin:], offset + begin)
            continue
        yield from reader.read(text, offset, begin)


@dataclass
class _Block:
    """Lines that belong together, from ``start`` to ``end``."""

    kind: str  # "prose", "list", "table", "code"
    start: int
    end: int
    fence: str = ""


@dataclass
class _Reader:
    source: TextSource
    time: int | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    headings: list[tuple[int, str]] = field(default_factory=list)

    def take_front_matter(self, text: str) -> int:
        """Read what stands between two rules at the beginning; where the text begins."""
        self.time, self.meta, end = front_matter(text)
        return end

    def section(self, text: str, offset: int, whole: bool = False) -> Section:
        meta = dict(self.meta)
        if self.headings:
            meta["heading"] = HEADING_SEPARATOR.join(name for _, name in self.headings)
        unit = TextUnit(text, self.source.name, offset, self.time, meta or None)
        return Section(unit, "block" if whole else "")

    def read(self, text: str, offset: int, begin: int) -> Iterator[Section]:
        block: _Block | None = None
        gap = False  # whether a blank line came before this one
        for start, end, line in _lines(text, begin):
            if block is not None and block.fence:  # within code, whatever it looks like
                block.end = end
                if _closes(line, block.fence):
                    block.fence = ""
                    if block.kind == "code":
                        yield self._of(block, text, offset)
                        block = None
                gap = False
                continue
            kind = _kind(line)
            if kind == "underline" and (block is None or block.kind != "prose" or gap):
                kind = "rule" if _RULE.match(line) else "prose"
            if kind == "blank":
                gap = True
                continue
            if kind == "underline" and block is not None:  # the line before is a heading
                last = text.rfind("\n", block.start, block.end - 1) + 1
                last = max(last, text.rfind("\r", block.start, block.end - 1) + 1, block.start)
                name = text[last : block.end]
                block.end = last
                if text[block.start : last].strip():
                    yield self._of(block, text, offset)
                block = None
                self._enter(1 if line.strip()[0] == "=" else 2, name)
            elif kind == "heading" or kind == "rule":
                if block is not None:
                    yield self._of(block, text, offset)
                block = None
                if found := _ATX.match(line):
                    self._enter(len(found[1]), found[2] or "")
            elif block is not None and self._goes_on(block, kind, line, gap):
                if kind == "table":  # the line before names its columns
                    yield from self._before_table(block, text, offset)
                if block.kind == "list" and (fence := _FENCE.match(line.lstrip())):
                    block.fence = fence[1]
                block.end = end
            else:
                if block is not None:
                    yield self._of(block, text, offset)
                fence = _FENCE.match(line)
                block = _Block(_STARTS.get(kind, kind), start, end)
                block.fence = fence[1] if fence and kind == "code" else ""
            gap = False
        if block is not None:
            yield self._of(block, text, offset)

    def _goes_on(self, block: _Block, kind: str, line: str, gap: bool) -> bool:
        """Whether a line belongs to the block before it."""
        if block.kind == "list":
            return kind == "list" or line[:1] in " \t" or (kind == "prose" and not gap)
        if block.kind == "table":
            return not gap and "|" in line
        if block.kind == "code":
            return kind == "indented"
        if kind == "table":
            return not gap
        return kind == "prose" or (kind == "indented" and not gap)

    def _before_table(self, block: _Block, text: str, offset: int) -> Iterator[Section]:
        """Part the line that names the columns from the prose before it."""
        last = max(text.rfind("\n", block.start, block.end - 1) + 1, block.start)
        if "|" not in text[last : block.end]:
            return
        if text[block.start : last].strip():
            yield self._of(_Block("prose", block.start, last), text, offset)
        block.start, block.kind = last, "table"

    def _of(self, block: _Block, text: str, offset: int) -> Section:
        part = text[block.start : block.end]
        return self.section(part, offset + block.start, block.kind != "prose")

    def _enter(self, level: int, name: str) -> None:
        name = " ".join(_MARKUP.sub(lambda found: found[1] or "", name).split())
        self.headings = [one for one in self.headings if one[0] < level]
        if name:
            self.headings.append((level, name))


def _lines(text: str, begin: int) -> Iterator[tuple[int, int, str]]:
    """Start, end and content of each line; the end is that of the content."""
    for found in _LINE.finditer(text, begin):
        if found.end() == found.start():
            return
        line = found[0].rstrip("\r\n")
        yield found.start(), found.start() + len(line), line


def _kind(line: str) -> str:
    if not line.strip():
        return "blank"
    if len(line) > _LONG:
        return "prose"
    if _ATX.match(line):
        return "heading"
    if _SETEXT.match(line):
        return "underline"
    if _RULE.match(line):
        return "rule"
    if _FENCE.match(line):
        return "code"
    if _BULLET.match(line):
        return "list"
    if "|" in line and _DELIMITER.match(line):
        return "table"
    return "indented" if _INDENTED.match(line) else "prose"


def _closes(line: str, fence: str) -> bool:
    stripped = line.strip()
    return len(stripped) >= len(fence) and not stripped.strip(fence[0])
