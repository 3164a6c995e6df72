"""One text of another program, and the documents that hold them."""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from memoria.errors import InputError
from memoria.io.bounds import open_regular

MOST_BYTES: Final = 2**30  # of one document
CONVERSATIONS: Final = "conversations.json"
_HALF: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class ImportedText:
    """A text with what stood beside it.

    Attributes:
        text: the text, never blank.
        source: what it belongs to, such as a conversation.
        offset: first character of it there.
        time: milliseconds since 1970-01-01 UTC; None where it has none.
        meta: JSON values beside it.
    """

    text: str
    source: str
    offset: int
    time: int | None
    meta: dict[str, Any]


def read_document(path: str | os.PathLike[str]) -> Any:
    """The JSON document of an export: a file, or ``conversations.json`` in a folder or a zip.

    Raises:
        InputError: there is none, it is too large, or it is not JSON.
    """
    place = Path(path)
    try:
        if place.is_dir():
            return _parse(_read(place / CONVERSATIONS), str(place / CONVERSATIONS))
        if zipfile.is_zipfile(place):
            return _parse(_unzip(place), f"{place}: {CONVERSATIONS}")
        return _parse(_read(place), str(place))
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise InputError(f"{place}: cannot be read: {error}") from None


def member(place: Path, name: str) -> str | None:
    """The path in the zip at ``place`` that ends with ``name``; None if there is none."""
    with zipfile.ZipFile(place) as archive:
        found = [one for one in archive.namelist() if one.rpartition("/")[2] == name]
    return min(found, key=len, default=None)


def text_of(value: Any) -> str:
    """A text without blanks around it, NULs and half characters; "" for anything else."""
    if not isinstance(value, str):
        return ""
    return _HALF.sub("\ufffd", value.replace("\0", "")).strip()


def objects(values: Any) -> Iterator[dict[str, Any]]:
    """The objects in a list; nothing of anything else."""
    for one in values if isinstance(values, list) else ():
        if isinstance(one, dict):
            yield one


def _read(place: Path) -> bytes:
    with open(open_regular(place), "rb") as file:
        return _bounded(file.read(MOST_BYTES + 1), place)


def _unzip(place: Path) -> bytes:
    name = member(place, CONVERSATIONS)
    if name is None:
        raise InputError(f"{place}: holds no {CONVERSATIONS}", "is it an export of chats?")
    with zipfile.ZipFile(place) as archive, archive.open(name) as file:
        return _bounded(file.read(MOST_BYTES + 1), place)


def _bounded(raw: bytes, place: Path) -> bytes:
    if len(raw) > MOST_BYTES:
        raise InputError(f"{place}: more than {MOST_BYTES} bytes")
    return raw


def _parse(raw: bytes, name: str) -> Any:
    try:
        return json.loads(raw.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: is not JSON: {error}") from None
