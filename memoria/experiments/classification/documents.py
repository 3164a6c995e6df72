"""Labelled documents: a data set of the hub, JSON lines, or what every Python brings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from memoria.errors import InputError, StorageError
from memoria.experiments.classification.hyperpartisan import read_hyperpartisan
from memoria.experiments.config import check_paths
from memoria.experiments.demo_texts import help_topics
from memoria.experiments.texts import SPLITS, hub_rows
from memoria.io.bounds import open_regular, parse_json

_HYPERPARTISAN: Final = ("SemEvalWorkshop/hyperpartisan_news_detection", "byarticle")
_NAMED: Final = ("pydoc", "hyperpartisan")
_SHARES: Final = (0.8, 0.9)  # where validation and test begin
_PIECE: Final = 800  # characters of a document of Python's help
_KINDS: Final = {
    "statements": (
        "assert assignment augassign break class continue del for function global if import"
        " nonlocal pass raise return try while with compound async"
    ).split(),
    "values": (
        "bltin-null-object booleans dict integers lists numbers strings string-methods truth"
        " typesmapping typesseq typesseq-mutable formatstrings slicings subscriptions"
        " attribute-access numeric-types sequence-types"
    ).split(),
}
_NAMES: Final = {"train": SPLITS[0], "training": SPLITS[0], "validation": SPLITS[1]} | {
    "valid": SPLITS[1],
    "dev": SPLITS[1],
    "test": SPLITS[2],
}


class Document(NamedTuple):
    """A text and what it is."""

    text: str
    label: str


def labelled_documents(data: str, seed: int) -> dict[str, list[Document]]:
    """The documents of "training", "validation" and "test".

    "pydoc": pieces of Python's language reference, about statements or about values.
    "hyperpartisan": news through `datasets`. Else a path: a folder with the XML files of the same
    news as published, or a file of JSON lines with "text" and "label", and perhaps "split" (train,
    valid, test). Without splits they are drawn 80 : 10 : 10 by ``seed``, each label by itself.
    Raises `InputError`, `StorageError`, `MissingExtraError`.
    """
    if data == "pydoc":
        return _drawn([Document(*one) for one in _help_pieces()], seed)
    if data == "hyperpartisan":
        rows = hub_rows(_HYPERPARTISAN[0], _HYPERPARTISAN[1], "refs/convert/parquet", "train")
        found = [Document(str(row["text"]), str(row["hyperpartisan"]).lower()) for row in rows]
        return _drawn(found, seed)
    check_documents(data)
    path = Path(data)
    if path.is_dir():
        return _drawn([Document(*one) for one in read_hyperpartisan(path)], seed)
    return _of_lines(path, seed)


def check_documents(data: str) -> None:
    """Raise `InputError` for what `labelled_documents` does not know and what is no path."""
    if data not in _NAMED:
        check_paths("data", [data], f"known by name are {', '.join(_NAMED)}")


def _of_lines(path: Path, seed: int) -> dict[str, list[Document]]:
    free: list[Document] = []
    placed: dict[str, list[Document]] = {split: [] for split in SPLITS}
    for number, row in enumerate(_rows(path), 1):
        text, label, split = (row.get(key) for key in ("text", "label", "split"))
        if not isinstance(text, str) or not isinstance(label, str | int):
            raise InputError(f"{path}, line {number}: no text and label", "both are needed")
        one = Document(text, str(label))
        if split is None:
            free.append(one)
        elif split in _NAMES:
            placed[_NAMES[str(split)]].append(one)
        else:
            raise InputError(f"{path}, line {number}: split = {split!r}", "train, valid or test")
    if free and any(placed.values()):
        raise InputError(f"{path}: some lines have a split, some have none", "give all or none")
    return _drawn(free, seed) if free else _checked(placed, str(path))


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with open(open_regular(path), "rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    row = parse_json(line)
                except ValueError as error:
                    raise InputError(f"{path}, line {number}: not JSON: {error}") from None
                if not isinstance(row, dict):
                    raise InputError(f"{path}, line {number}: not a JSON object")
                yield row
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror or error}") from None
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None


def _drawn(documents: Sequence[Document], seed: int) -> dict[str, list[Document]]:
    """Shuffled, and every label divided in the same shares."""
    found: dict[str, list[Document]] = {split: [] for split in SPLITS}
    generator = np.random.default_rng(seed)
    for label in sorted({one.label for one in documents}):
        own = [one for one in documents if one.label == label]
        own = [own[at] for at in generator.permutation(len(own))]
        first, second = (round(share * len(own)) for share in _SHARES)
        parts = (own[:first], own[first:second], own[second:])
        for split, part in zip(SPLITS, parts, strict=True):
            found[split] += part
    return _checked(found, "data")


def _checked(found: dict[str, list[Document]], name: str) -> dict[str, list[Document]]:
    for split, documents in found.items():
        if not documents:
            raise InputError(f"{name}: no document for {split}", "give more of them")
    known = {one.label for one in found[SPLITS[0]]}
    if len(known) < 2:
        raise InputError(f"{name}: one label alone, {min(known)!r}", "there must be two or more")
    for split in SPLITS[1:]:
        strange = next((one.label for one in found[split] if one.label not in known), None)
        if strange is not None:
            raise InputError(f"{name}: label {strange!r} is not in the training split")
    return found


def _help_pieces() -> Iterable[tuple[str, str]]:
    topics = help_topics()
    for label, names in _KINDS.items():
        for name in names:
            text = topics.get(name, "")
            for at in range(0, len(text) - _PIECE // 2, _PIECE):
                yield text[at : at + _PIECE], label
