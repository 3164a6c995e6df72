"""Texts as numbers: bytes, characters, or the tokens of a tokenizer of transformers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from memoria.errors import ConfigError, MissingExtraError

__all__ = ["Tokens", "make_tokens"]

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
        return np.frombuffer(text.encode("utf-8"), dtype=np.uint8).astype(np.int64)


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
            reason = str(error).splitlines()[0]
            hint = "byte, char, or a tokenizer of transformers"
            raise ConfigError(f"tokenizer {name!r}: {reason}", hint) from None
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
    """ "byte", "char" (the ``most`` - 1 characters that come most often in ``text``), or a
    tokenizer of transformers by path or name. Raises `ConfigError`, `MissingExtraError`.
    """
    if name == "byte":
        return _ByteTokens()
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
