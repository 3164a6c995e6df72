"""Directives that write reference pages from the program itself: ``{verbs}`` and ``{settings}``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Verbs(SphinxDirective):
    """A section a verb: what it does, how it is called, its options and its examples."""

    def run(self) -> list[nodes.Node]:
        from memoria_cli.app import VERBS, command

        families: dict[str, list[str]] = {}
        for name, verb in VERBS.items():
            families.setdefault(verb.place.partition(".")[0], []).append(name)
        lines: list[str] = []
        for family, names in families.items():
            lines += [f"## {family.capitalize()}", ""]
            for name in names:
                made = command().commands[name]
                for path, one in _leaves(name, made):
                    lines += [*_verb(path, one), ""]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


class Settings(SphinxDirective):
    """A table of the fields of `MemoriaConfig`."""

    def run(self) -> list[nodes.Node]:
        from memoria.config import MemoriaConfig

        lines = ["| setting | default | meaning |", "|---|---|---|"]
        for name, one in MemoriaConfig.model_fields.items():
            lines.append(f"| `{name}` | `{one.default!r}` | {_cell(one.description or '')} |")
        return self.parse_text_to_nodes("\n".join(lines))


def _leaves(path: str, made: Any) -> Iterator[tuple[str, Any]]:
    """A command, or in place of a group those below it."""
    below = getattr(made, "commands", None)
    if below is None:
        yield path, made
        return
    for name, one in below.items():
        yield from _leaves(f"{path} {name}", one)


def _verb(path: str, made: Any) -> list[str]:
    """The same page as ``--help``, without the options that every verb has."""
    from memoria_cli.help_page import GENERAL_PANEL, help_page

    page = help_page(made, f"memoria {path}")
    lines = [f"### {path}", ""]
    for paragraph in page.paragraphs:
        lines += [paragraph, ""]
    lines += ["```text", page.usage, "```", ""]
    if page.examples:
        lines += ["```sh", *page.examples, "```", ""]
    lines += ["| option | meaning |", "|---|---|"]
    for section in page.sections:
        if section.title != GENERAL_PANEL:
            for one in section.entries:
                term = one.term.strip().replace("|", "\\|")
                lines.append(f"| `{term}` | {_cell(one.text)} |")
    return lines


def _cell(text: str) -> str:
    """One line of a table. What is no code keeps its angle brackets and stars as they are."""
    one_line = " ".join(text.split())
    return re.sub(r"([|*<>\[\]])", r"\\\1", one_line)


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive("verbs", Verbs)
    app.add_directive("settings", Settings)
    return {"parallel_read_safe": True}
