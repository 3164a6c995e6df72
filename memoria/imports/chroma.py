"""The documents in the folder of a Chroma database, read from its SQLite file without chromadb.

Vectors are not taken: they are of another model than the store's, which encodes the documents.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from memoria.errors import InputError
from memoria.imports.texts import ImportedText, text_of
from memoria.io.forms.records import plain_fields
from memoria.io.times import read_time

DATABASE: Final = "chroma.sqlite3"
_DOCUMENT: Final = "chroma:document"
_OWN: Final = "chroma:"
_MOST_META: Final = 256  # keys beside a document
_QUERY: Final = """
SELECT collections.name, embeddings.id, embeddings.embedding_id, embeddings.created_at,
       embedding_metadata.key, embedding_metadata.string_value, embedding_metadata.int_value,
       embedding_metadata.float_value, embedding_metadata.bool_value
FROM embeddings
JOIN segments ON segments.id = embeddings.segment_id
JOIN collections ON collections.id = segments.collection
JOIN embedding_metadata ON embedding_metadata.id = embeddings.id
ORDER BY collections.name, embeddings.id
"""


def is_chroma(path: str | os.PathLike[str]) -> bool:
    """Whether it is the folder of a Chroma database."""
    return (Path(path) / DATABASE).is_file()


def read_chroma(path: str | os.PathLike[str]) -> Iterator[ImportedText]:
    """Every document of every collection, in the order in which they came.

    Raises:
        InputError: the database is not one of Chroma, or is damaged.
    """
    place = (Path(path) / DATABASE).absolute()
    try:
        address = f"file:{quote(str(place))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as database:
            database.text_factory = lambda raw: raw.decode("utf-8", "replace")
            rows = database.execute(_QUERY)
            for key, group in itertools.groupby(rows, lambda row: row[:4]):
                beside = {row[4]: row[5:] for row in itertools.islice(group, _MOST_META)}
                found = _document(key[0], key[2], key[3], beside)
                if found is not None:
                    yield found
    except sqlite3.Error as error:
        raise InputError(f"{place}: is not a database of Chroma: {error}") from None


def _document(
    collection: Any, id_: Any, created: Any, beside: dict[Any, tuple[Any, ...]]
) -> ImportedText | None:
    text = text_of(beside.get(_DOCUMENT, (None,))[0])
    if not text:
        return None
    meta: dict[str, Any] = {"collection": str(collection), "document": str(id_)}
    for key, (words, whole, real, truth) in beside.items():
        if isinstance(key, str) and not key.startswith(_OWN):
            value = bool(truth) if truth is not None else _first(words, whole, real)
            if isinstance(value, str):
                value = value.replace("\0", "")
            if value is not None:
                meta[key] = value
    return ImportedText(text, f"{collection}/{id_}", 0, read_time(created), plain_fields(meta))


def _first(*values: Any) -> Any:
    return next((value for value in values if isinstance(value, (str, int, float))), None)
