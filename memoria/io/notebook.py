"""Small tables for notebooks. Whatever comes from a memory is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

SHOWN_ROWS: Final = 20
_SHOWN_TEXT: Final = 200  # characters of a cell


def shorten(text: str | None, most: int) -> str:
    """A text on one line, cut to ``most`` characters."""
    line = " ".join((text if text is not None else "(no text)").split())
    return line if len(line) <= most else line[: most - 1] + "…"


def html_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], more: int = 0
) -> str:
    """A table as HTML; ``more`` rows are only counted below it."""
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    rest = f"<p>and {more:,} more</p>" if more > 0 else ""
    header = f"<thead><tr>{head}</tr></thead>" if columns else ""
    return f"<p>{escape(title)}</p><table>{header}<tbody>{body}</tbody></table>{rest}"


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    shown = text if len(text) <= _SHOWN_TEXT else text[: _SHOWN_TEXT - 1] + "…"
    return f'<td style="text-align: left">{escape(shown)}</td>'
