"""Texts that repeat others: the same when normalised, or nearly the same."""

from __future__ import annotations

import hashlib
from typing import Any, Final, NamedTuple

from memoria.errors import MissingExtraError
from memoria.io.units import flatten, fold

NEAR: Final = 0.8  # Jaccard similarity of two texts' shingles from which on they are near
_SHINGLE: Final = 5  # characters
_LEAST: Final = 40  # characters of a text below which it is only compared as a whole
_PERMUTATIONS: Final = 128
_SEED: Final = 1


class Fingerprint(NamedTuple):
    """What a text is compared by: a hash of it when normalised, and its MinHash if that counts."""

    digest: bytes
    min_hash: Any = None


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
                from datasketch import MinHashLSH  # type: ignore[import-untyped]
            except ImportError:
                raise MissingExtraError("finding near duplicates", "read") from None
            self._near = MinHashLSH(threshold=NEAR, num_perm=_PERMUTATIONS)

    def fingerprint(self, text: str) -> Fingerprint:
        """What a text is compared by."""
        normal = flatten(fold(text))
        digest = hashlib.sha256(normal.encode("utf-8", "surrogatepass")).digest()[:16]
        is_long = self._near is not None and len(normal) >= _LEAST
        return Fingerprint(digest, _min_hash(normal) if is_long else None)

    def find(self, text: str | Fingerprint) -> int | None:
        """The key of the text that this one repeats; None where none is known."""
        one = self.fingerprint(text) if isinstance(text, str) else text
        found = self._exact.get(one.digest)
        if found is not None or one.min_hash is None:
            return found
        near = (
            key
            for key in self._near.query(one.min_hash)
            if one.min_hash.jaccard(self._hashes[key]) >= NEAR
        )
        return min(near, default=None)

    def add(self, key: int, text: str | Fingerprint) -> int | None:
        """As `find`; a text that repeats none is known from now on, by ``key``."""
        one = self.fingerprint(text) if isinstance(text, str) else text
        found = self.find(one)
        if found is None:
            self._exact[one.digest] = key
            if one.min_hash is not None:
                self._hashes[key] = one.min_hash
                self._near.insert(key, one.min_hash)
        return found


def _min_hash(normal: str) -> Any:
    from datasketch import MinHash

    pieces = {
        normal[at : at + _SHINGLE].encode("utf-8", "surrogatepass")
        for at in range(max(1, len(normal) - _SHINGLE + 1))
    }
    made = MinHash(num_perm=_PERMUTATIONS, seed=_SEED)
    made.update_batch(sorted(pieces))
    return made
