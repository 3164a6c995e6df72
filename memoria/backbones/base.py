"""The one shape that every backbone has, and the checks they share."""

from __future__ import annotations

import difflib
import hashlib
import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from memoria.errors import BackboneError
from memoria.io.bounds import open_regular

OptionValue: TypeAlias = str | bool | int | float
Vectors: TypeAlias = NDArray[np.float32]
Batch: TypeAlias = Sequence[Any] | NDArray[Any]  # items; of an array, its rows
_T = TypeVar("_T")
_D = TypeVar("_D")


class WordTable(Protocol):
    """Vectors of single words, as the backbone's own vocabulary knows them."""

    def word_vectors(self, words: Sequence[str]) -> Vectors:
        """Vectors [N, d] float32 of N words: the sum of the table's rows of each word's tokens.

        A word without a token has the zero vector. ``d`` need not be the backbone's dimension.
        """
        ...

    def is_word(self, word: str) -> bool:
        """Whether the word is one whole token of the vocabulary."""
        ...


@runtime_checkable
class Backbone(Protocol):
    """Items in, one vector of ``dimension`` numbers each out.

    ``name`` is the canonical string a store's config keeps (``"hash"``, ``"hf:ID_OR_PATH"``), and
    ``options`` the settings that change the vectors, kept there too. Speed settings (batch size,
    device) are not among them. ``fingerprint`` is a hash of the weights, "" where there are none
    or it is not known. A ``dimension`` of 0 means: that of the first batch.
    """

    name: str
    dimension: int
    options: dict[str, OptionValue]
    fingerprint: str

    def encode(self, batch: Batch) -> Vectors:
        """Vectors [N, D] float32 of N items, in their order. Raises `BackboneError`."""
        ...

    def encode_rows(self, batch: Batch) -> list[Vectors]:
        """For each item its rows [n_i, D]: one, unless the backbone gives several per item."""
        ...

    def notices(self) -> list[str]:
        """What the user should know of the work so far, one line each, such as split texts."""
        ...

    def word_table(self) -> WordTable | None:
        """Vectors of single words; None of a backbone that has none."""
        ...


class BackboneBase:
    """A start for a backbone: set the three attributes in ``__init__`` and write ``encode``."""

    def __init__(
        self, name: str, dimension: int, options: Mapping[str, OptionValue] | None = None
    ) -> None:
        self.name = name
        self.dimension = dimension
        self.options: dict[str, OptionValue] = dict(options or {})
        self.fingerprint = ""

    def __repr__(self) -> str:
        length = f"{self.dimension} numbers" if self.dimension else "vectors of any length"
        told = "".join(f", {name}={value!r}" for name, value in sorted(self.options.items()))
        return f"{type(self).__name__}({self.name!r}, {length}{told})"

    def encode(self, batch: Batch) -> Vectors:
        raise NotImplementedError(f"{type(self).__name__} must define encode(batch)")

    def encode_cues(self, batch: Batch) -> Vectors:
        """As `encode`, of what is asked rather than remembered."""
        return self.encode(batch)

    def encode_rows(self, batch: Batch) -> list[Vectors]:
        vectors = self.encode(batch)
        return [vectors[i : i + 1] for i in range(len(vectors))]

    def notices(self) -> list[str]:
        return []

    def word_table(self) -> WordTable | None:
        return None


def sum_token_rows(rows: NDArray[Any], tokens: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Sums [N, d] of a table's ``rows`` [V, d] over the tokens of each of N texts.

    Computed in float64: exact for rows in float16, so independent of the machine. A text without
    tokens has the zero vector.
    """
    counts = np.fromiter(map(len, tokens), dtype=np.int64, count=len(tokens))
    sums = np.zeros((len(tokens), rows.shape[1]), dtype=np.float64)
    filled = np.flatnonzero(counts)
    if len(filled):
        flat = np.fromiter(itertools.chain.from_iterable(tokens), dtype=np.int64)
        starts = np.cumsum(counts[filled]) - counts[filled]
        sums[filled] = np.add.reduceat(rows[flat].astype(np.float64), starts, axis=0)
    return sums


def encoder(backbone: Backbone, as_cue: bool) -> Callable[[Batch], Vectors]:
    """What encodes texts to remember, or cues where the backbone tells them apart."""
    chosen: Callable[[Batch], Vectors] = backbone.encode
    return getattr(backbone, "encode_cues", chosen) if as_cue else chosen


def hash_files(paths: Iterable[Path]) -> str:
    """The fingerprint of a model that these files hold: sha256 of their sha256, in hexadecimal."""
    digest = hashlib.sha256()
    for path in paths:
        with open(open_regular(path), "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def check_options(name: str, options: Mapping[str, object], allowed: Collection[str]) -> None:
    """Raise `BackboneError` for an option that the backbone does not have."""
    for key in options:
        if key not in allowed:
            close = difflib.get_close_matches(key, allowed, n=1)
            guess = f"did you mean {close[0]!r}? " if close else ""
            known = f"it takes {', '.join(sorted(allowed))}" if allowed else "it takes none"
            raise BackboneError(f"backbone {name!r} has no option {key!r}", guess + known)


def option(
    name: str, options: Mapping[str, object], key: str, kind: type[_T], default: _D
) -> _T | _D:
    """The value of one option; None stands for not given. Raises `BackboneError` on the type."""
    value = options.get(key)
    if value is None:
        return default
    if (kind is not bool and isinstance(value, bool)) or not isinstance(value, kind):
        raise BackboneError(
            f"backbone {name!r}: option {key} = {value!r} is of the wrong type",
            f"give {'true or false' if kind is bool else f'a value of type {kind.__name__}'}",
        )
    return value


def check_texts(name: str, batch: Batch) -> list[str]:
    """The batch as texts. Raises `BackboneError` when an item is none."""
    for item in batch:
        if not isinstance(item, str):
            raise BackboneError(
                f"backbone {name!r} encodes texts, and was given {type(item).__name__}",
                "for vectors as they are use the backbone 'array'",
            )
    return list(batch)
