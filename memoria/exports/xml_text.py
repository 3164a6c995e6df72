"""Text and numbers as XML can hold them."""

from __future__ import annotations

import re
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

__all__ = ["ATTRIBUTES", "attribute", "element", "values"]

# What becomes an attribute of a node: the field, and its type.
ATTRIBUTES: Final = {
    "lane": "long",
    "index": "long",
    "type": "string",
    "lifespan": "double",
    "age": "long",
    "fire_count": "long",
    "pinned": "boolean",
    "created_step": "long",
    "created_time": "string",
    "forgotten_step": "long",
    "text": "string",
    "source": "string",
    "offset": "long",
}
# XML 1.0 has no way to write these, not even as references.
_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_KEPT: Final = {"\r": "&#13;"}  # a parser would make a line feed of it


def values(document: dict[str, Any]) -> list[tuple[str, str]]:
    """(field, value) of every field of `ATTRIBUTES` that an engram has."""
    held = {name: document[name] for name in ATTRIBUTES if document.get(name) is not None}
    return [
        (name, str(value).lower() if isinstance(value, bool) else str(value))
        for name, value in held.items()
    ]


def element(text: str) -> str:
    """As the text of an element; what XML cannot hold becomes U+FFFD."""
    return escape(_FORBIDDEN.sub("\ufffd", text), _KEPT)


def attribute(text: str) -> str:
    """As the value of an attribute, in quotes; what XML cannot hold becomes U+FFFD."""
    return quoteattr(_FORBIDDEN.sub("\ufffd", text))
