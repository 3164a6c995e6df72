"""Papers in PDF: the text of each page. Needs the extra ``read``."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any, Final

from memoria.errors import InputError, MissingExtraError, first_line
from memoria.io.files import printable
from memoria.io.forms.source import TextSource
from memoria.io.text_unit import Section, TextUnit
from memoria.io.times import read_time

_FIELDS: Final = {"/Title": "title", "/Author": "author", "/Subject": "subject"}
_MOST_FIELD: Final = 500
_GAP: Final = "\n\n"


def pdf_sections(source: TextSource) -> Iterator[Section]:
    """The text of each page, whose number is ``page``; pictures of text are not read.

    An offset counts in the texts of all pages, parted by a blank line. What the paper says of its
    title and author is meta, of when it was made its time.

    Raises:
        InputError: it is damaged or locked.
        MissingExtraError: without `pypdf`.
    """
    try:
        from pypdf import PdfReader
    except ImportError:
        raise MissingExtraError(f"{source.spoken}: reading PDF", "read") from None
    logging.getLogger("pypdf").setLevel(logging.ERROR)
    data = source.all_bytes()
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise InputError(f"{source.spoken}: is locked by a password", "unlock it first")
        time, meta = _about(reader)
        texts = [_clean(page.extract_text()) for page in reader.pages]
    except InputError:
        raise
    except Exception as error:  # of a damaged file, many kinds
        told = printable(first_line(error))
        raise InputError(f"{source.spoken}: not a readable PDF: {told}") from None
    if not any(texts):
        raise InputError(f"{source.spoken}: holds no text", "its pages may be pictures: not read")
    if source.options.unit == "record":
        yield Section(TextUnit(_GAP.join(texts), source.name, 0, time, meta or None))
        return
    offset = 0
    for number, text in enumerate(texts, 1):
        if text:
            yield Section(TextUnit(text, source.name, offset, time, {**meta, "page": number}))
        offset += len(text) + len(_GAP)


def _about(reader: Any) -> tuple[int | None, dict[str, Any]]:
    told = reader.metadata or {}
    meta: dict[str, Any] = {}
    for key, name in _FIELDS.items():
        value = told.get(key)
        if isinstance(value, str) and value.strip():
            meta[name] = _clean(" ".join(value.split()))[:_MOST_FIELD]
    try:
        return read_time(getattr(told, "creation_date", None)), meta
    except Exception:  # a date of another form
        return None, meta


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "").strip()
