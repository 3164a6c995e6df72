"""A help page as lines: of any width, and with no word alone on a line where that can be helped."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import Final

from memoria_cli.help_page import Entry, HelpPage, Section

_WIDEST: Final = 100  # columns: longer lines are harder to read
_NARROWEST: Final = 40
_TERM: Final = 26  # columns of the longest term beside its text
_BOLD: Final = "\x1b[1m{}\x1b[0m"


def help_lines(page: HelpPage, width: int, styled: bool = False) -> list[str]:
    """Return the page in lines of at most ``width`` columns; examples stay whole."""
    width = max(_NARROWEST, min(width, _WIDEST))
    return [*_lines(page, width, styled)]


def wrapped(text: str, width: int) -> list[str]:
    """Wrap a paragraph; narrower where its last line would be a single word."""
    lines = _wrap(text, width)
    for narrower in range(width - 1, width * 2 // 3, -1):
        if len(lines) < 2 or " " in lines[-1]:
            return lines
        tried = _wrap(text, narrower)
        if len(tried) > len(lines):
            break
        lines = tried
    return lines


def _wrap(text: str, width: int) -> list[str]:
    return wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _lines(page: HelpPage, width: int, styled: bool) -> Iterator[str]:
    def title(text: str) -> str:
        return _BOLD.format(text) if styled else text

    first, *rest = wrapped(page.usage, width - len("Usage: "))
    yield f"{title('Usage:')} {first}"
    yield from (f"       {line}" for line in rest)
    for paragraph in page.paragraphs:
        yield ""
        yield from wrapped(paragraph, width)
    for section in page.sections:
        yield ""
        yield title(f"{section.title}:")
        beside = [section]
        if not _has_options(section):  # the verbs of a group stand in line in all its sections
            beside = [one for one in page.sections if not _has_options(one)]
        longest = max(len(entry.term) for one in beside for entry in one.entries)
        for entry in section.entries:
            yield from _entry(entry, min(longest, _TERM), width)
    if page.examples:
        yield ""
        yield title("Examples:")
        yield from (f"  {example}" for example in page.examples)
    if page.end:
        yield ""
        yield from wrapped(page.end, width)


def _has_options(section: Section) -> bool:
    return section.entries[0].term.lstrip().startswith("-")


def _entry(entry: Entry, term_width: int, width: int) -> Iterator[str]:
    indent = 2 + term_width + 2
    lines = wrapped(entry.text, width - indent)
    if len(entry.term) > term_width:
        yield f"  {entry.term}"
    else:
        first = lines.pop(0) if lines else ""
        yield f"  {entry.term:<{term_width}}  {first}".rstrip()
    yield from (f"{' ' * indent}{line}" for line in lines)
