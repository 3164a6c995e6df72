"""Man pages from the help: ``python -m memoria_cli.manual FOLDER`` writes one a verb."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from memoria_cli.app import VERBS, command
from memoria_cli.help_page import HelpPage, help_page, is_group


def write(folder: Path) -> list[Path]:
    """Write the pages of the program and of every verb; return them."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for path, one in _commands():
        page = help_page(one, path)
        place = folder / f"{path.replace(' ', '-')}.1"
        place.write_text("\n".join([*_lines(page), ""]), encoding="utf-8")
        written.append(place)
    return written


def _commands() -> Iterator[tuple[str, Any]]:
    """Every command by how it is typed."""
    root = command()
    yield "memoria", root
    for name in VERBS:
        made = root.commands[name]
        yield f"memoria {name}", made
        if is_group(made):
            yield from ((f"memoria {name} {below}", one) for below, one in made.commands.items())


def _lines(page: HelpPage) -> Iterator[str]:
    from memoria import __version__

    name = page.name.replace(" ", "-")
    yield f'.TH "{name.upper()}" 1 "" "memoria {__version__}"'
    yield ".SH NAME"
    yield _escaped(f"{name} - {page.summary.removesuffix('.')}")
    yield ".SH SYNOPSIS"
    yield f".B {_escaped(page.usage)}"
    yield ".SH DESCRIPTION"
    for paragraph in page.paragraphs:
        yield ".PP"
        yield _escaped(paragraph)
    for section in page.sections:
        yield f'.SH "{_escaped(section.title.upper())}"'
        for entry in section.entries:
            yield ".TP"
            yield f".B {_escaped(entry.term.strip())}"
            yield _escaped(entry.text)
    if page.examples:
        yield ".SH EXAMPLES"
        yield ".nf"
        yield from (_escaped(example) for example in page.examples)
        yield ".fi"
    if page.end:
        yield ".SH NOTES"
        yield _escaped(page.end)


def _escaped(text: str) -> str:
    """Text that roff prints as it is."""
    plain = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain


if __name__ == "__main__":
    write(Path(sys.argv[1]))
