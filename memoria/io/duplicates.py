"""Texts that repeat others: the same when normalised, or nearly the same."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from memoria.errors import MissingExtraError
from memoria.io.units import flatten, fold

NEAR: Final = 0.8  # Jaccard similarity of two texts' shingles from which on they are near
_SHINGLE: Final = 5  # characters
_LEAST: Final = 40  # characters of a text below which it is only compared as a whole
_PERMUTATIONS: Final = 128
_SEED: Final = 1


class Duplicates:
    """Texts that are known, each by a key, and which of them a new one repeats.

    Two texts are the same when they are after NFKC, case folding and joining of white space. They
    are ``near`` when the sets of their pieces of 5 characters have a Jaccard similarity of about
    0.8 or more, as MinHash estimates it with 128 permutations; shorter than 40 characters they have
    to be the same. The first text that was added is the one that is repeated.

    Raises:
        MissingExtraError: ``near`` without `datasketch`.
    """

    def __init__(self, near: bool = False) -> None:
        self._exact: dict[bytes, int] = {}
        self._near: Any = None
        self._hashes: dict[int, Any] = {}
        if near:
            try:
                from datasketch import MinHashLSH
            except ImportError:
                raise MissingExtraError("finding near duplicates", "read") from None
            self._near = MinHashLSH(threshold=NEAR, num_perm=_PERMUTATIONS)

    def find(self, text: str) -> int | None:
        """The key of the text that this one repeats; None where none is known."""
        return self._find(_normal(text))

    def add(self, key: int, text: str) -> int | None:
        """As `find`; a text that repeats none is known from now on, by ``key``."""
        normal = _normal(text)
        found = self._find(normal)
        if found is not None:
            return found
        self._exact[_digest(normal)] = key
        if self._near is not None and len(normal) >= _LEAST:
            self._hashes[key] = _min_hash(normal)
            self._near.insert(key, self._hashes[key])
        return None

    def _find(self, normal: str) -> int | None:
        found = self._exact.get(_digest(normal))
        if found is not None or self._near is None or len(normal) < _LEAST:
            return found
        own = _min_hash(normal)
        near = [key for key in self._near.query(own) if own.jaccard(self._hashes[key]) >= NEAR]
        return min(near, default=None)


def _normal(text: str) -> str:
    return flatten(fold(text))


def _digest(normal: str) -> bytes:
    return hashlib.sha256(normal.encode("utf-8", "surrogatepass")).digest()[:16]


def _min_hash(normal: str) -> Any:
    from datasketch import MinHash

    pieces = {
        normal[at : at + _SHINGLE].encode("utf-8", "surrogatepass")
        for at in range(max(1, len(normal) - _SHINGLE + 1))
    }
    made = MinHash(num_perm=_PERMUTATIONS, seed=_SEED)
    made.update_batch(sorted(pieces))
    return made
