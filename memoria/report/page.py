"""The page: a template and what fills it in. Whatever comes from a memory is escaped here.

The files beside this module are the page's parts; nothing in them is changed but ``{{names}}``.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any, Final

from memoria.analysis.palette import FIRED, GROUND, INK, MEMORY_COLOURS
from memoria.report.packing import for_script

__all__ = ["data_block", "page", "table", "words"]

_SCRIPTS: Final = ("memory.js", "drawing.js", "controls.js", "plots.js", "theme.js")
_PLACE: Final = re.compile(r"\{\{(\w+)\}\}")
# Controls, and what turns the direction of writing: they have no place in a line of the page.
_UNSEEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def page(parts: Mapping[str, str], data: Iterable[str], library: str) -> str:
    """The whole document.

    ``parts``: title, name, lead, summary, shown, plots and footer, as HTML. ``data``: elements of
    `data_block`. ``library``: the plotting library's own script, which the page runs when it
    draws the first plot. Only these scripts run, known by their sha256, and nothing is fetched:
    the page itself forbids it.
    """
    scripts = [_part(name) for name in _SCRIPTS]
    return _filled(
        _part("page.html"),
        {
            **parts,
            "policy": _policy([library, *scripts]),
            "style": _filled(_part("page.css"), {"palette": _palette()}),
            "data": "\n".join(data),
            "library": f'<script type="text/plain" id="library">{library}</script>',
            "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
        },
    )


def data_block(name: str, document: object) -> str:
    """``document`` for the page's scripts, as the element ``name``."""
    return f'<script type="application/json" id="{escape(name)}">{for_script(document)}</script>'


def words(text: object) -> str:
    """A value from a memory as HTML, on one line, without control or direction characters."""
    return escape(_UNSEEN.sub("\ufffd", str(text)))


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table that scrolls by itself; the first cell of a row names it."""
    head = "".join(f'<th scope="col">{words(name)}</th>' for name in columns)
    body = "".join(
        f'<tr><th scope="row">{words(first)}</th>'
        + "".join(f"<td>{words(cell)}</td>" for cell in rest)
        + "</tr>"
        for first, *rest in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{words(caption)}"><table>'
        f"<caption>{words(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
        "</table></div>"
    )


def _filled(template: str, parts: Mapping[str, str]) -> str:
    """``template`` with its places filled in, once: what fills in is not looked at again."""
    return _PLACE.sub(lambda match: parts[match[1]], template)


def _part(name: str) -> str:
    return files("memoria.report").joinpath(name).read_text(encoding="utf-8")


def _policy(scripts: Sequence[str]) -> str:
    """Nothing may be fetched, and only ``scripts`` may run."""
    hashes = (base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts)
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _palette() -> str:
    colours: dict[str, Any] = {**MEMORY_COLOURS, "fired": FIRED}
    colours |= {f"ground-{name}": colour for name, colour in GROUND.items()}
    colours |= {f"ink-{name}": colour for name, colour in INK.items()}
    return ":root { " + " ".join(f"--{name}: {value};" for name, value in colours.items()) + " }"
