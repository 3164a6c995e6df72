"""What is read of a text: a section before it is cut, and the unit that becomes one engram."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final, Literal, NamedTuple

HASH_BYTES: Final = 16


class TextUnit(NamedTuple):
    """One unit of a text, verbatim, with where it came from.

    Attributes:
        text: the unit.
        source: the file; ``FILE:LINE`` for a record without a source of its own, and
            ``FILE:LINE:FIELD`` for another field of it than is read by default; ``text:N`` for a
            text given directly.
        offset: characters from the start of the source: of the file (a byte order mark not
            counted), of the text that is taken from it where it is no plain text, of the record's
            field, of the given text.
        time: its own time, milliseconds since 1970; None where it has none.
        meta: what stands beside it, a JSON object; None where nothing does. ``heading``, ``title``
            and ``subject`` are what it stands under.
    """

    text: str
    source: str
    offset: int
    time: int | None = None
    meta: dict[str, Any] | None = None

    @property
    def hash(self) -> bytes:
        """`hash_unit` of it."""
        return hash_unit(self.text, self.time, self.meta)


class Section(NamedTuple):
    """A text before it is cut.

    Attributes:
        unit: all of the text as if it were one unit.
        whole: ``"block"``: cut by none but the units ``line`` and ``window:N``; ``"always"``: by
            none.
    """

    unit: TextUnit
    whole: Literal["", "block", "always"] = ""


def hash_unit(text: str, time: int | None = None, meta: dict[str, Any] | None = None) -> bytes:
    """The first 16 bytes of a sha256 that tells whether a unit has changed.

    That of the text in UTF-8; where it has a time or meta, of ``[text, time, meta]`` as JSON with
    sorted keys and no spaces.
    """
    if time is not None or meta is not None:
        text = json.dumps([text, time, meta], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:HASH_BYTES]
