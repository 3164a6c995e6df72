"""The texts beside the engrams: one UTF-8 byte array, and an index row an engram.

``texts/index`` row r is (end of the text in ``texts/bytes``, number of the source or -1, character
offset in the source or -1). Rows may be fewer than engrams: the rest have no text. Torch-free.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import index
from typing import Any, Final

import numpy as np

from memoria.errors import DamageError, InputError
from memoria.store.memory_files import MemoryFiles
from memoria.timeline.log import IntArray

__all__ = ["Place", "TextShelf", "encoded_texts", "texts_content"]

Place = tuple[str, int]

_NO_PLACE = (-1, -1)
_READ: Final = 2**20  # bytes of text that one read brings, about
_GAP: Final = 2**16  # bytes between two texts that a read rather skips


class TextShelf:
    """Reads the texts of engrams and stages new ones. Raises `DamageError` where they are wrong."""

    def __init__(self, files: MemoryFiles) -> None:
        self._files = files
        self._sources: dict[str, int] | None = None  # numbers by name, in order

    def stage(
        self, first: int, texts: Sequence[str | None], places: Sequence[Place | None]
    ) -> None:
        """Stage the texts and places of the engrams from row ``first`` on."""
        if all(text is None for text in texts) and all(place is None for place in places):
            return
        encoded = [b"" if text is None else _encode(text) for text in texts]
        checked = [None if place is None else _checked(place) for place in places]
        start = self._files.rows("texts/bytes")
        ends = start + np.cumsum([len(text) for text in encoded])
        where = [_NO_PLACE if place is None else self._numbered(place) for place in checked]
        missing = self._row(first) - self._files.rows("texts/index")
        gap = np.tile(np.array([[start, -1, -1]], np.int64), (missing, 1))
        rows = np.column_stack((ends, np.array(where, np.int64)))
        self._files.append("texts/index", np.concatenate((gap, rows)))
        self._files.append("texts/bytes", np.frombuffer(b"".join(encoded), np.uint8))

    def texts(self, ids: IntArray) -> list[str | None]:
        """The text of each engram; None where there is none."""
        starts, ends, _ = self._rows(ids)
        out: list[str | None] = [None] * len(ids)
        present = np.flatnonzero(ends > starts)
        present = present[np.argsort(starts[present], kind="stable")]
        for group in _near(present, starts[present], ends[present]):
            first, last = int(starts[group[0]]), int(ends[group].max())
            raw = self._files.read("texts/bytes", first, last).tobytes()
            spans = zip(
                (starts[group] - first).tolist(), (ends[group] - first).tolist(), strict=True
            )
            for place, (start, end) in zip(group.tolist(), spans, strict=True):
                out[place] = _decode(raw[start:end])
        return out

    def places(self, ids: IntArray) -> list[Place | None]:
        """The source and character offset of each engram; None where there is none."""
        where, names = self.where(ids), self.sources()
        return [None if n < 0 else (names[n], offset) for n, offset in where.tolist()]

    def where(self, ids: IntArray) -> IntArray:
        """(place in `sources`, character offset) of each engram, [n, 2]; -1 where there is none."""
        _, _, where = self._rows(ids)
        if len(where) and not -1 <= int(where[:, 0].min()) <= int(where[:, 0].max()) < len(
            self._numbers()
        ):
            raise DamageError("texts/index names a source that is not there")
        return where

    def sources(self) -> list[str]:
        """The names of all sources, in the order in which they came."""
        return list(self._numbers())

    def last_place(self, source: str) -> int | None:
        """The greatest offset remembered from ``source``, of engrams alive or forgotten."""
        number = self._numbers().get(source)
        if number is None:
            return None
        last = int(self.last_places()[number])
        return last if last >= 0 else None

    def last_places(self) -> IntArray:
        """The greatest offset remembered of each source, [sources]; -1 where there is none."""
        places = np.full(len(self._numbers()), -1, np.int64)
        table = self._files.read("texts/index")
        before = self._files.kept_places(self._files.attributes.step)
        ends, sources, offsets = table.T
        sound = _ascends(ends, self._files.rows("texts/bytes"))
        if not (sound and sources.max(initial=-1) < len(places) and len(before) <= len(places)):
            raise DamageError("texts/index points at what is not there")
        placed = sources >= 0
        np.maximum.at(places, sources[placed], offsets[placed])
        places[: len(before)] = np.maximum(places[: len(before)], before)
        return places

    def only(self, ids: IntArray) -> dict[str, Any]:
        """The rows of ``texts/index`` and ``texts/bytes`` of a memory with these engrams alone."""
        if self._files.rows("texts/index") == 0:
            return {"texts/index": np.empty((0, 3), np.int64), "texts/bytes": np.empty(0, np.uint8)}
        starts, ends, where = self._rows(ids)
        sizes = ends - starts
        parts = [
            self._files.read("texts/bytes", start, end)
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
            if end > start
        ]
        table = np.column_stack((np.cumsum(sizes), where))
        return {
            "texts/index": table,
            "texts/bytes": np.concatenate([np.empty(0, np.uint8), *parts]),
        }

    def content(self, first: int, last: int) -> bytes:
        """Texts and places of rows [first, last) for the digest; nothing if there are none.

        A row of int64 for each engram: bytes of its text, bytes of its source's name (-1: no
        place), offset (-1: no place); then all texts, then all names.
        """
        ids = np.arange(first, last)
        starts, ends, where = self._rows(ids)
        if len(ids) == 0 or (int(ends[-1]) == int(starts[0]) and int(where[:, 0].max()) < 0):
            return b""
        names = [b"" if place is None else _encode(place[0]) for place in self.places(ids)]
        sizes = np.array([len(name) for name in names])
        sizes[where[:, 0] < 0] = -1
        texts = self._files.read("texts/bytes", int(starts[0]), int(ends[-1])).tobytes()
        return _content(ends - starts, sizes, where[:, 1], texts + b"".join(names))

    def sources_before(self, row: int) -> int:
        """How many sources the first ``row`` rows of ``texts/index`` name: the first so many."""
        table = self._files.read("texts/index", 0, row)
        named = int(table[:, 1].max(initial=-1)) + 1
        if named > self._files.rows("sources/ends"):
            raise DamageError("texts/index names a source that is not there")
        return named

    def forget_staged(self) -> None:
        """What was staged has been dropped."""
        self._sources = None

    def _rows(self, ids: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        known = self._files.rows("texts/index")
        at = self._files.engram_rows(ids)
        inside = (at >= 0) & (at < known)
        rows = np.full((len(ids), 3), -1, np.int64)
        rows[inside] = self._files.gather("texts/index", at[inside])
        total = self._files.rows("texts/bytes")
        starts = np.where(inside, 0, total)  # engrams without a row have their text at the end
        later = inside & (at > 0)
        starts[later] = self._files.gather("texts/index", at[later] - 1)[:, 0]
        ends = np.where(inside, rows[:, 0], starts)
        if not ((starts >= 0) & (starts <= ends) & (ends <= total)).all():
            raise DamageError("texts/index points outside of texts/bytes")
        return starts, ends, rows[:, 1:]

    def _row(self, engram: int) -> int:
        return int(self._files.engram_rows(np.array([engram]))[0])

    def _numbers(self) -> dict[str, int]:
        if self._sources is None:
            ends = self._files.read("sources/ends")
            if not _ascends(ends, self._files.rows("sources/bytes")):
                raise DamageError("sources/ends points outside of sources/bytes")
            raw = self._files.read("sources/bytes").tobytes()
            names = [_decode(raw[a:b]) for a, b in zip([0, *ends][:-1], ends, strict=True)]
            self._sources = {name: number for number, name in enumerate(names)}
        return self._sources

    def _numbered(self, place: Place) -> tuple[int, int]:
        source, offset = place
        numbers = self._numbers()
        if source not in numbers:
            raw = _encode(source)
            end = self._files.rows("sources/bytes") + len(raw)
            self._files.append("sources/bytes", np.frombuffer(raw, np.uint8))
            self._files.append("sources/ends", np.array([end]))
            numbers[source] = len(numbers)
        return numbers[source], offset


def encoded_texts(ids: IntArray, texts: Mapping[int, str]) -> list[bytes]:
    """The text of each engram in bytes, b"" where there is none. Raises `InputError`."""
    return [_encode(texts[i]) if i in texts else b"" for i in ids.tolist()]


def texts_content(texts: Sequence[bytes]) -> bytes:
    """What `TextShelf.content` says of engrams that have ``texts`` and no places."""
    if not any(texts):
        return b""
    none = np.full(len(texts), -1)
    return _content(np.array([len(text) for text in texts]), none, none, b"".join(texts))


def _content(sizes: IntArray, names: IntArray, offsets: IntArray, raw: bytes) -> bytes:
    return np.column_stack((sizes, names, offsets)).astype("<i8").tobytes() + raw


def _near(places: IntArray, starts: IntArray, ends: IntArray) -> list[IntArray]:
    """``places``, in the order of their texts, cut into groups whose texts one read brings."""
    if len(places) == 0:
        return []
    cut = (np.diff(starts // _READ) > 0) | (starts[1:] - ends[:-1] > _GAP)
    return np.split(places, np.flatnonzero(cut) + 1)


def _ascends(ends: IntArray, most: int) -> bool:
    """Whether ``ends`` ascend from 0 or more to at most ``most``."""
    return bool(
        len(ends) == 0 or (ends[0] >= 0 and ends[-1] <= most and (ends[1:] >= ends[:-1]).all())
    )


def _checked(place: Place) -> Place:
    """``place`` if it is (source, offset)."""
    try:
        source, offset = place
        offset = index(offset)
    except (TypeError, ValueError):
        raise InputError(f"place {place!r} is not (source, offset)") from None
    if not 0 <= offset < 2**63:
        raise InputError(f"place {place!r}: the offset is not within 0 and 2^63")
    _encode(source)
    return source, offset


def _encode(text: str) -> bytes:
    if not isinstance(text, str):
        raise InputError(f"{text!r} is {type(text).__name__}, not text")
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"text {text[:40]!r} is not Unicode: {error.reason}") from None


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise DamageError("the store holds a text that is not UTF-8") from None
