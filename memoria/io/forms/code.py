"""Programs: a section a definition, with what it is defined in beside it.

Definitions are found by their first lines and how far they are indented, in any language that
indents; nothing is parsed. What stands between them (imports, constants, statements) is a section
of its own, and comments and decorators above a definition belong to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from memoria.io.forms.source import TextSource
from memoria.io.text_unit import Section, TextUnit

_DEEPEST: Final = 8  # definitions in each other
_HEAD: Final = 200  # characters
LARGE: Final = 2_000  # characters of a definition above which its parts are sections

_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_MODIFIERS: Final = (
    r"(?:(?:export|default|public|private|protected|internal|static|final|abstract|async|override|"
    r"open|sealed|data|inline|extern|unsafe|const|virtual|partial|local|pub(?:\([^)]*\))?|"
    r"CREATE|OR|REPLACE)\s+)*"
)
_DEFINITION: Final = re.compile(
    rf"{_MODIFIERS}(?:def|class|function\*?|func|fn|fun|interface|struct|enum|trait|impl|module|"
    r"namespace|type|object|protocol|extension|record|sub|defmodule|defp?|macro|"
    r"TABLE|VIEW|FUNCTION|PROCEDURE|TRIGGER|INDEX)\b\s*(?:\([^)]*\)\s*|<[^>]*>\s*)?"
    r"([^\W\d][\w.$]*(?:::\w+)*)",
    re.IGNORECASE,
)
_ASSIGNED: Final = re.compile(
    rf"{_MODIFIERS}(?:const|let|var|val)\s+([^\W\d][\w$]*)[^=\n]*=\s*(?:async\s*)?"
    r"(?:function\b|\([^()]*\)\s*(?::[^=]+)?=>|[\w$]+\s*=>|class\b)"
)
_C_LIKE: Final = re.compile(
    r"(?!(?:if|for|while|switch|return|else|do|catch|case|new|throw|elif|with)\b)"
    rf"{_MODIFIERS}(?:[A-Za-z_][\w:<>,\[\].]*[\s*&]+)*~?([A-Za-z_][\w:~]*)\s*\([^;{{}}]*\)?[^;]*\Z"
)
_CALLED: Final = re.compile(r"([A-Za-z_][\w-]*)\s*\(\)\s*\{?")  # of a shell
_ABOVE: Final = re.compile(r"\s*(?:#(?!!)|//|/\*|\*|--|@|\[[A-Z]|;;|%|\"\"\")")
_BY_TYPE: Final = frozenset("c c++ java c# dart kotlin scala javascript typescript php".split())


@dataclass(frozen=True)
class _Line:
    start: int
    end: int
    text: str
    indent: int  # -1 of a blank line


def code_sections(source: TextSource, language: str) -> Iterator[Section]:
    """Definitions and what stands between them, in order; ``definition`` is the name of each.

    A definition above 2,000 characters is cut into its head and its parts, whose ``heading`` is the
    name of what they are part of. With the unit ``record`` the file is one section.
    """
    text = source.all_text()
    if source.options.unit == "record":
        yield _section(source, language, text, 0, len(text), "", ())
        return
    lines = [
        _Line(found.start(), found.end(), found[0].rstrip(), _indent(found[0]))
        for found in _LINE.finditer(text)
        if found.end() > found.start()
    ]
    yield from _sections(source, language, text, lines, ())


def _sections(
    source: TextSource, language: str, text: str, lines: list[_Line], within: tuple[str, ...]
) -> Iterator[Section]:
    for name, first, last in _groups(lines, language):
        start, end = lines[first].start, lines[last - 1].end
        if not text[start:end].strip():
            continue
        is_large = name and end - start > LARGE and len(within) < _DEEPEST
        inner = _inner(lines, first, last) if is_large else None
        if inner is None:
            yield _section(source, language, text, start, end, name, within)
            continue
        first_name, _, head = next(_groups(lines[inner:last], language))
        inner += 0 if first_name else head  # what stands before the first part goes with the head
        after = end if inner == last else lines[inner].start
        yield _section(source, language, text, start, after, name, within)
        yield from _sections(source, language, text, lines[inner:last], (*within, name))


def _groups(lines: list[_Line], language: str) -> Iterator[tuple[str, int, int]]:
    """Name and lines [first, last) of each definition, and of what lies between with name ""."""
    least = min((line.indent for line in lines if line.indent >= 0), default=0)
    starts: list[tuple[int, str]] = []
    for at, line in enumerate(lines):
        if line.indent != least:
            continue
        name = _defines(_head(line), language)
        if name:
            first = at
            while first > 0 and _belongs(lines[first - 1], least):
                first -= 1
            if starts and first < starts[-1][0]:
                first = at
            starts.append((first, name))
        elif starts and starts[-1][1] and _ends_before(lines, at, language):
            starts.append((at, ""))
    if not starts or starts[0][0] > 0:
        starts.insert(0, (0, ""))
    ends = [first for first, _ in starts[1:]] + [len(lines)]
    for (first, name), last in zip(starts, ends, strict=True):
        if last > first:
            yield name, first, last


def _belongs(line: _Line, least: int) -> bool:
    """Whether a line just above a definition is a comment, a decorator or the like."""
    return line.indent == least and _ABOVE.match(line.text) is not None


def _ends_before(lines: list[_Line], at: int, language: str) -> bool:
    """Whether a line as far out as a definition is no part of it: not its closing bracket."""
    text = lines[at].text.strip()
    if text[:1] in "})]" or text.rstrip(";").lower() in ("end", "done", "fi", "esac", "{", "begin"):
        return False
    return (at > 0 and lines[at - 1].indent == -1) or lines[at - 1].text.strip()[:1] in "})]"


def _defines(text: str, language: str) -> str:
    """The name that a line defines; "" where it defines none."""
    for pattern in (_DEFINITION, _ASSIGNED):
        if found := pattern.match(text):
            return found[1]
    if language == "shell" and (found := _CALLED.match(text)):
        return found[1]
    if language in _BY_TYPE and (found := _C_LIKE.match(text)) and not text.endswith(";"):
        return found[1]
    return ""


def _inner(lines: list[_Line], first: int, last: int) -> int | None:
    """The first line of the body of a definition that holds others; None without any."""
    head = lines[first].indent
    deeper = [line.indent for line in lines[first:last] if line.indent > head]
    if not deeper:
        return None
    least = min(deeper)
    body = next(at for at in range(first, last) if lines[at].indent >= least)
    inside = [at for at in range(body, last) if lines[at].indent == least]
    holds = [at for at in inside if _DEFINITION.match(_head(lines[at]))]
    holds = holds or [at for at in inside if _C_LIKE.match(_head(lines[at]))]
    return body if len(holds) > 0 else None


def _section(
    source: TextSource,
    language: str,
    text: str,
    start: int,
    end: int,
    name: str,
    within: tuple[str, ...],
) -> Section:
    meta = {"language": language}
    if name or within:
        meta["definition"] = ".".join((*within, name) if name else within)
    if within:
        meta["heading"] = ".".join(within)
    part = text[start:end]
    bare = part.strip("\r\n")
    offset = start + len(part) - len(part.lstrip("\r\n"))
    return Section(TextUnit(bare.rstrip(), source.name, offset, None, meta), "block")


def _head(line: _Line) -> str:
    """What a line begins with: enough to see what it defines."""
    return line.text.strip()[:_HEAD]


def _indent(line: str) -> int:
    bare = line.strip()
    return len(line.expandtabs(4)) - len(line.expandtabs(4).lstrip()) if bare else -1
