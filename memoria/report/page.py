"""The page: a template and what fills it in. Whatever comes from a memory is escaped here.

The files beside this module are the page's parts; nothing in them is changed but ``{{names}}``.
Numbers go as columns in base64, texts as JSON that cannot end its element.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.analysis.excerpts import UNSEEN
from memoria.report.style import house_style

_SCRIPTS: Final = ("memory.js", "drawing.js", "plots.js", "controls.js")
_NAME: Final = re.compile(r"\{\{(\w+)\}\}")
_WHOLE: Final = (("u1", 2**8), ("u2", 2**16), ("u4", 2**32))
# In JSON these three are only in texts, where their escapes mean the same.
_MARKUP: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
_ESCAPES: Final = str.maketrans(_MARKUP)


def page(parts: Mapping[str, str], data: Iterable[str], library: str) -> str:
    """The whole document. Nothing is fetched, and only its scripts run: the page itself says so.

    Args:
        parts: title, name, lead, summary, shown, plots and footer, as HTML.
        data: elements of `data_block`.
        library: the plotting library's script, which the page runs when it draws the first plot.
    """
    scripts = [_part(name) for name in _SCRIPTS]
    return _filled(
        _part("page.html"),
        {
            **parts,
            "policy": _policy([library, *scripts]),
            "style": house_style() + _part("page.css"),
            "data": "\n".join(data),
            "library": f'<script type="text/plain" id="library">{library}</script>',
            "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
        },
    )


def data_block(name: str, document: object) -> str:
    """``document`` for the page's scripts, as the element ``name``."""
    return (
        f'<script type="application/json" id="{escape(name)}">{json_for_script(document)}</script>'
    )


def words(text: object) -> str:
    """A value from a memory as HTML, on one line, without control or direction characters."""
    return escape(UNSEEN.sub("\ufffd", str(text)))


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


def packed(values: npt.NDArray[Any]) -> dict[str, str]:
    """A column as ``{"type", "base64"}``, little-endian: the smallest of u1 u2 u4 that holds it.

    Real numbers are f4, whole ones that are negative or beyond 2^32 are f8.
    """
    kind = "f4"
    if values.dtype.kind in "iub":
        low, high = int(values.min(initial=0)), int(values.max(initial=0))
        kind = next((name for name, end in _WHOLE if low >= 0 and high < end), "f8")
    raw = np.ascontiguousarray(values, f"<{kind}").tobytes()
    return {"type": kind, "base64": base64.b64encode(raw).decode("ascii")}


def excerpt(text: str | None, most: int) -> tuple[str, int]:
    """(its first ``most`` characters, how many it has); lone surrogates become U+FFFD."""
    if text is None:
        return "", 0
    first = text[:most].encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return first[:most], len(text)


def json_for_script(document: object) -> str:
    """JSON for a ``<script>`` of data: no ``<`` in it, so that nothing can end the element."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(_ESCAPES).encode("utf-8", "replace").decode("utf-8")


def _filled(template: str, parts: Mapping[str, str]) -> str:
    """``template`` with its names filled in, once: what fills in is not looked at again."""
    return _NAME.sub(lambda match: parts[match[1]], template)


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
