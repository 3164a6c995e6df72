"""Real text: data sets of the hub, files of one's own, and what every Python brings."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memoria.errors import ConfigError, InputError, MissingExtraError, StorageError, first_line
from memoria.experiments.config import check_paths
from memoria.experiments.demo_texts import help_text

SPLITS: Final = ("training", "validation", "test")


class _HubData(NamedTuple):
    """A data set of the hub, and which of its splits are training, validation and test."""

    repository: str
    name: str | None
    revision: str | None
    splits: Sequence[str]


_PARQUET: Final = "refs/convert/parquet"
_HUB: Final = {
    "wikitext-2": _HubData(
        "Salesforce/wikitext", "wikitext-2-raw-v1", None, ("train", "validation", "test")
    ),
    "wikitext-103": _HubData(
        "Salesforce/wikitext", "wikitext-103-raw-v1", None, ("train", "validation", "test")
    ),
    # the authors took 7 % of PG-19
    "pg19": _HubData("deepmind/pg19", None, _PARQUET, ("train[:7%]", "validation", "test")),
    "enwik8": _HubData("LTCB/enwik8", "enwik8", _PARQUET, ("train",)),
}
_NAMES: Final = {"training": "train", "validation": "valid", "test": "test"}
_SHARES: Final = (0.9, 0.95)  # where validation and test begin in a text without splits
_ENWIK8: Final = (90_000_000, 95_000_000, 100_000_000)  # where its splits end, bytes
_HALVES: Final = "surrogateescape"
_LONGEST_LINE: Final = 2**16
_MOST_BYTES: Final = 2**33


def text_splits(data: str) -> dict[str, str]:
    """The texts "training", "validation" and "test" of ``data``.

    "pydoc" is the language reference that Python's help shows; "wikitext-103", "pg19" and "enwik8"
    come through `datasets`; anything else is a path: a text file, cut 90 : 5 : 5, a folder with
    files named train*, valid* and test* (WikiText's wiki.train.tokens too), or files joined by
    commas: TRAIN,VALID,TEST, or TRAIN,VALID, of which the second is validated with up to its middle
    and tested with from there. "enwik8", and a file of that name and size, is cut where
    publications cut it, after 90 and 95 million bytes. Raises `InputError`, `StorageError`,
    `MissingExtraError`.
    """
    if data == "pydoc":
        return _cut(help_text())
    if data in _HUB:
        parts = ["".join(row) for row in _hub_texts(data)]
        if data == "enwik8":
            return _cut_enwik8(parts[0])
        return _cut(parts[0]) if len(parts) == 1 else dict(zip(SPLITS, parts, strict=True))
    path = Path(data)
    if path.is_dir():
        return {split: _read(_named(path, name)) for split, name in _NAMES.items()}
    if not path.exists() and "," in data:
        return _joined(data)
    check_text(data)
    text = _read(path)
    whole = path.name == "enwik8" and os.path.getsize(path) == _ENWIK8[-1]
    return _cut_enwik8(text) if whole else _cut(text)


def check_text(data: str) -> None:
    """Raise `InputError` for what `text_splits` does not know and what is no path."""
    if data == "pydoc" or data in _HUB or Path(data).exists():
        return
    paths = data.split(",") if "," in data else [data]
    check_paths("data", map(str.strip, paths), f"known by name are {_known()}")


def _known() -> str:
    return ", ".join(["pydoc", *_HUB])


def hub_rows(repository: str, name: str | None, revision: str | None, split: str) -> Iterator[Any]:
    """The rows of a data set of the hub. Raises `InputError` when it cannot be had."""
    try:
        from datasets import load_dataset
    except ImportError:
        raise MissingExtraError(f"the data set {repository}", "train") from None
    try:
        loaded = load_dataset(repository, name, split=split, revision=revision)
    except Exception as error:  # of the network, of the hub, of the format
        hint = "give files of your own: data=PATH"
        raise InputError(f"{repository}: {first_line(error)}", hint) from None
    yield from loaded


def _hub_texts(data: str) -> Iterator[Iterator[str]]:
    found = _HUB[data]
    for split in found.splits:
        loaded = hub_rows(found.repository, found.name, found.revision, split)
        rows = (str(row["text"]) for row in loaded)
        yield (row if row.endswith("\n") else row + "\n" for row in rows)


def _cut_enwik8(text: str) -> dict[str, str]:
    """The published split, by bytes; `_ByteTokens` knows halves of a character again."""
    data = text.encode("utf-8", _HALVES)
    bounds = zip(SPLITS, pairwise([0, *_ENWIK8]), strict=True)
    return {split: data[first:end].decode("utf-8", _HALVES) for split, (first, end) in bounds}


def _joined(data: str) -> dict[str, str]:
    """The texts of ``TRAIN,VALID`` or ``TRAIN,VALID,TEST``."""
    names = [one.strip() for one in data.split(",")]
    if len(names) not in (2, 3):
        hint = "TRAIN,VALID or TRAIN,VALID,TEST"
        raise InputError(f"data = {data!r}: {len(names)} files joined by commas", hint)
    check_paths("data", names)
    training, *others = (_read(Path(one)) for one in names)
    if len(others) == 1:
        others = list(_parts(others[0], (0.5,)))
    return dict(zip(SPLITS, (training, *others), strict=True))


def _cut(text: str) -> dict[str, str]:
    """One text as three."""
    return dict(zip(SPLITS, _parts(text, _SHARES), strict=True))


def _parts(text: str, shares: Sequence[float]) -> Iterator[str]:
    """The text in parts that begin at ``shares`` of it, at ends of lines where there are such."""
    ends = [0]
    for share in shares:
        place = int(share * len(text))
        line = text.find("\n", place, place + _LONGEST_LINE)
        ends.append(place if line < 0 else line + 1)
    ends.append(len(text))
    yield from (text[start:end] for start, end in pairwise(ends))


def _named(folder: Path, name: str) -> Path:
    found = sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and (path.name.startswith(name) or f".{name}." in path.name)
    )
    if not found:
        hint = "it needs train*, valid* and test*; or name the files: data=TRAIN,VALID"
        raise InputError(f"{folder}: no file {name}*", hint)
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


_BYTES: Final = 256
_PIECE: Final = 2**20

Ints = NDArray[np.int64]


class Tokens(ABC):
    """Numbers 0..``size`` - 1 for texts; ``start`` is what a model wants before them, if any."""

    size: int
    start: int | None = None

    @abstractmethod
    def encode(self, text: str) -> Ints:
        """The numbers [N] of a text."""


class _ByteTokens(Tokens):
    size = _BYTES

    def encode(self, text: str) -> Ints:
        return np.frombuffer(text.encode("utf-8", _HALVES), dtype=np.uint8).astype(np.int64)


class _Characters(Tokens):
    """The characters of a text by number, most frequent ones of it at most; 0 is any other."""

    def __init__(self, text: str, most: int) -> None:
        codes, count = np.unique(_codes(text), return_counts=True)
        kept = codes[np.lexsort((codes, -count))][: most - 1]
        self._known = np.sort(kept)
        self.size = len(self._known) + 1

    def encode(self, text: str) -> Ints:
        codes = _codes(text)
        if not len(self._known):
            return np.zeros(len(codes), dtype=np.int64)
        place = np.searchsorted(self._known, codes).clip(max=len(self._known) - 1)
        return np.where(self._known[place] == codes, place + 1, 0).astype(np.int64)


class _Words(Tokens):
    """What stands between white space by number, the most frequent words of a text; 0 is any other.

    WikiText is published this way. The end of a line is a word, as its published figures count it.
    """

    def __init__(self, text: str, most: int) -> None:
        found = Counter(_words(text)).most_common(most - 1)
        self._numbers = {word: number for number, (word, _) in enumerate(found, 1)}
        self.size = len(self._numbers) + 1

    def encode(self, text: str) -> Ints:
        numbers = (self._numbers.get(word, 0) for word in _words(text))
        return np.fromiter(numbers, dtype=np.int64)


def _words(text: str) -> Iterator[str]:
    for line in text.splitlines(keepends=True):
        yield from line.split()
        if line.endswith("\n"):
            yield "\n"


class _Given(Tokens):
    """The tokenizer of a model of transformers, by a path or a name of the hub."""

    def __init__(self, name: str) -> None:
        try:
            from transformers import AutoTokenizer
        except ImportError:
            raise MissingExtraError(f"tokenizer {name!r}", "train") from None
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(name)
        except (OSError, ValueError) as error:
            hint = "byte, char, or a tokenizer of transformers"
            raise ConfigError(f"tokenizer {name!r}: {first_line(error)}", hint) from None
        self.size = len(self._tokenizer)
        self.start = self._tokenizer.cls_token_id

    def encode(self, text: str) -> Ints:
        parts = [
            np.asarray(
                self._tokenizer(part, add_special_tokens=False, verbose=False)["input_ids"],
                dtype=np.int64,
            )
            for part in _pieces(text)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def make_tokens(name: str, text: str, most: int = 4096) -> Tokens:
    """ "byte", "char" or "word" (the ``most`` - 1 of them that come most often in ``text``), or a
    tokenizer of transformers by path or name. Raises `ConfigError`, `MissingExtraError`.
    """
    if name == "byte":
        return _ByteTokens()
    if name == "word":
        return _Words(text, most)
    return _Characters(text, most) if name == "char" else _Given(name)


def _pieces(text: str) -> Iterator[str]:
    """Pieces that end with a line where they can: a tokenizer takes memory for all it is given."""
    start = 0
    while start < len(text):
        line = text.rfind("\n", start, start + _PIECE) if len(text) - start > _PIECE else -1
        end = start + _PIECE if line < 0 else line + 1
        yield text[start:end]
        start = end


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "replace"), dtype=np.uint32)
