"""The news articles of SemEval 2019 task 4, hyperpartisan or not, from the XML files as published.

A folder holds ``articles-*.xml``, with an ``<article id="...">`` for each text, and
``ground-truth-*.xml``, with an ``<article id="..." hyperpartisan="true|false"/>`` for each label
(Kiesel et al. 2019, doi:10.5281/zenodo.1489920; CC BY 4.0).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from xml.parsers import expat

from memoria.errors import InputError, StorageError
from memoria.io.bounds import open_regular

_ARTICLES, _TRUTH = "articles", "ground-truth"  # how the names of the two files begin
_KNOWN: Final = ("true", "false")
_MOST_BYTES: Final = 2**32

Found = Callable[[Mapping[str, str], str], None]  # attributes and text of an article


def read_hyperpartisan(folder: Path) -> list[tuple[str, str]]:
    """The articles as (text, label) in the order of the file, the label "true" or "false".

    A text is all characters of its article, without the mark-up and the title; runs of white space
    are one space.

    Args:
        folder: holds one file ``articles*.xml`` and one ``ground-truth*.xml``.

    Raises:
        InputError: a file is missing, is no such XML, or an article has no label.
        StorageError: a file cannot be read.
    """
    labels: dict[str, str] = {}
    texts: dict[str, str] = {}
    truth, articles = _file(folder, _TRUTH), _file(folder, _ARTICLES)

    def keep_label(attributes: Mapping[str, str], _: str) -> None:
        name, label = _id(truth, attributes), attributes.get("hyperpartisan", "")
        if label not in _KNOWN:
            raise InputError(f"{truth}: article {name}: hyperpartisan = {label!r}", "true or false")
        labels[name] = label

    def keep_text(attributes: Mapping[str, str], text: str) -> None:
        name = _id(articles, attributes)
        if name in texts:
            raise InputError(f"{articles}: article {name} stands there twice")
        texts[name] = " ".join(text.split())

    _each_article(truth, keep_label)
    _each_article(articles, keep_text)
    unlabelled = next((name for name in texts if name not in labels), None)
    if unlabelled is not None:
        raise InputError(f"{articles}: article {unlabelled} has no label in {truth.name}")
    return [(text, labels[name]) for name, text in texts.items() if text]


def _file(folder: Path, start: str) -> Path:
    found = sorted(one for one in folder.glob(f"{start}*.xml") if one.is_file())
    if len(found) != 1:
        what = f"{len(found)} files" if found else "no file"
        raise InputError(
            f"{folder}: {what} {start}*.xml",
            f"it needs one {_ARTICLES}*.xml and one {_TRUTH}*.xml, as published",
        )
    return found[0]


def _id(path: Path, attributes: Mapping[str, str]) -> str:
    if "id" not in attributes:
        raise InputError(f"{path}: an article has no id")
    return attributes["id"]


def _each_article(path: Path, found: Found) -> None:
    """Call ``found`` with each element ``article``; no entity of the document is expanded."""
    inside: list[dict[str, str]] = []  # attributes of the article that is read
    pieces: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if name == "article":
            if inside:
                raise InputError(f"{path}: an article within another")
            inside.append(attributes)
            pieces.clear()

    def end(name: str) -> None:
        if name == "article":
            found(inside.pop(), "".join(pieces))
        pieces.append(" ")  # paragraphs are words apart

    def characters(text: str) -> None:
        if inside:
            pieces.append(text)

    def refuse(*_: object) -> None:
        raise InputError(f"{path}: defines a document type", "the published files have none")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = refuse
    try:
        with open(open_regular(path), "rb") as file:
            if os.fstat(file.fileno()).st_size > _MOST_BYTES:
                raise InputError(f"{path}: more than {_MOST_BYTES >> 30} GiB")
            parser.ParseFile(file)
    except expat.ExpatError as error:
        raise InputError(f"{path}: no XML: {error}") from None
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"{path}: {error.strerror or error}") from None
