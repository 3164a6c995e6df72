"""Real text: data sets of the hub, files of one's own, and what every Python brings."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from memoria.errors import InputError, MissingExtraError, StorageError
from memoria.experiments.demo_texts import help_text

__all__ = ["HUB", "SPLITS", "hub_rows", "text_splits"]

SPLITS: Final = ("training", "validation", "test")
# name: (repository, configuration, revision, split of each, field). The authors took 7 % of PG-19.
HUB: Final[Mapping[str, tuple[str, str | None, str | None, tuple[str, ...], str]]] = {
    "wikitext-103": (
        "Salesforce/wikitext",
        "wikitext-103-raw-v1",
        None,
        ("train", "validation", "test"),
        "text",
    ),
    "pg19": (
        "deepmind/pg19",
        None,
        "refs/convert/parquet",
        ("train[:7%]", "validation", "test"),
        "text",
    ),
    "enwik8": ("LTCB/enwik8", "enwik8", "refs/convert/parquet", ("train",), "text"),
}
_NAMES: Final = {"training": "train", "validation": "valid", "test": "test"}
_SHARES: Final = (0.9, 0.95)  # where validation and test begin in a text without splits
_LONGEST_LINE: Final = 2**16
_MOST_BYTES: Final = 2**33


def text_splits(data: str) -> dict[str, str]:
    """The texts "training", "validation" and "test" of ``data``.

    "pydoc" is the language reference that Python's help shows; "wikitext-103", "pg19" and "enwik8"
    come through `datasets`; anything else is a path: a text file, cut 90 : 5 : 5, or a folder with
    files named train*, valid* and test*. Raises `InputError`, `StorageError`, `MissingExtraError`.
    """
    if data == "pydoc":
        return _cut(help_text())
    if data in HUB:
        parts = ["".join(row) for row in _hub_texts(data)]
        return _cut(parts[0]) if len(parts) == 1 else dict(zip(SPLITS, parts, strict=True))
    path = Path(data)
    if path.is_dir():
        return {split: _read(_named(path, name)) for split, name in _NAMES.items()}
    if not path.exists():
        known = ", ".join(["pydoc", *HUB])
        raise InputError(f"data = {data!r}: no such file", f"known by name are {known}")
    return _cut(_read(path))


def hub_rows(repository: str, name: str | None, revision: str | None, split: str) -> Iterator[Any]:
    """The rows of a data set of the hub. Raises `InputError` when it cannot be had."""
    try:
        from datasets import load_dataset
    except ImportError:
        raise MissingExtraError(f"the data set {repository}", "train") from None
    try:
        loaded = load_dataset(repository, name, split=split, revision=revision)
    except Exception as error:  # of the network, of the hub, of the format
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{repository}: {reason}", "give files of your own: data=PATH") from None
    yield from loaded


def _hub_texts(data: str) -> Iterator[Iterator[str]]:
    repository, name, revision, splits, field = HUB[data]
    for split in splits:
        rows = (str(row[field]) for row in hub_rows(repository, name, revision, split))
        yield (row if row.endswith("\n") else row + "\n" for row in rows)


def _cut(text: str) -> dict[str, str]:
    """One text as three, cut at the ends of lines where there are such."""
    places = [0]
    for share in _SHARES:
        place = int(share * len(text))
        line = text.find("\n", place, place + _LONGEST_LINE)
        places.append(place if line < 0 else line + 1)
    places.append(len(text))
    return {split: text[places[at] : places[at + 1]] for at, split in enumerate(SPLITS)}


def _named(folder: Path, name: str) -> Path:
    found = sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and (path.name.startswith(name) or f".{name}." in path.name)
    )
    if not found:
        raise InputError(f"{folder}: no file {name}*", "it needs train*, valid* and test*")
    return found[0]


def _read(path: Path) -> str:
    try:
        if os.path.getsize(path) > _MOST_BYTES:
            raise InputError(f"{path}: more than {_MOST_BYTES >> 30} GiB")
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"{path}: {error.strerror or error}") from None
