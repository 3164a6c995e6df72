"""What stands beside the engrams: text, meta, source, offset, time. One row of an index each.

`TextColumn` names the columns of ``texts/index``. Rows may be fewer than engrams: the rest have
nothing. Torch-free.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import index
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.errors import DamageError, InputError
from memoria.store.memory_files import MemoryFiles, may_be_ends
from memoria.store.payloads import Meta, decode_meta, encode_meta, encode_text
from memoria.store.schema import TextColumn
from memoria.store.source_names import SourceNames
from memoria.timeline.log import IntArray

Place = tuple[str, int]

_NO_PLACE = (-1, -1)
_AT_ONCE: Final = 1 << 16  # engrams whose texts are taken together
_FEW: Final = 1 << 10  # engrams asked for at once whose texts are kept
_RECENT_CHARACTERS: Final = 1 << 23  # of the texts that are kept
_CHARACTERS_BESIDE: Final = 64  # what keeping a text costs besides


class StoredTexts:
    """Reads texts, places, times and meta of engrams, and stages new ones.

    What edits have made of a text or meta counts, unless a method says "at birth". Raises
    `DamageError` where the arrays are wrong.
    """

    def __init__(self, files: MemoryFiles) -> None:
        self._files = files
        self._sources = SourceNames(files)
        self._recent: dict[int, str | None] = {}  # texts at birth that came or were asked for
        self._room = _RECENT_CHARACTERS

    def stage(
        self,
        first: int,
        texts: Sequence[str | None],
        places: Sequence[Place | None],
        times: Sequence[int | None],
        meta: Sequence[Meta | None],
    ) -> None:
        """Stage what stands beside the engrams from id ``first`` on: nothing where all is None."""
        if all(one is None for values in (texts, places, times, meta) for one in values):
            return
        raw_texts = [b"" if text is None else encode_text(text) for text in texts]
        raw_meta = [encode_meta(one) for one in meta]
        moments = [-1 if time is None else _checked_time(time) for time in times]
        checked = [None if place is None else _checked(place) for place in places]
        start = self._files.rows("texts/bytes")
        parts = [part for pair in zip(raw_texts, raw_meta, strict=True) for part in pair]
        ends = start + np.cumsum([len(part) for part in parts]).reshape(-1, 2)
        where = [_NO_PLACE if place is None else self._numbered(place) for place in checked]
        missing = self._row(first) - self._files.rows("texts/index")
        gap = np.tile(np.array([[start, start, -1, -1, -1]], np.int64), (missing, 1))
        rows = np.column_stack((ends, np.array(where, np.int64), np.array(moments, np.int64)))
        self._files.append("texts/index", np.concatenate((gap, rows)))
        self._files.append("texts/bytes", np.frombuffer(b"".join(parts), np.uint8))
        self._keep(range(first, first + len(texts)), [text or None for text in texts])

    def texts(self, ids: IntArray) -> list[str | None]:
        """The text of each engram; None where there is none."""
        return self._revised(ids, "text", self.first_texts(ids))

    def first_texts(self, ids: IntArray) -> list[str | None]:
        """The text of each engram at birth; those of few engrams are kept."""
        if len(ids) > _FEW:
            return self._read_texts(ids)
        wanted, known = ids.tolist(), self._recent
        lacking = [engram for engram in wanted if engram not in known]
        if not lacking:
            return [known[engram] for engram in wanted]
        found = dict(zip(lacking, self._read_texts(np.array(lacking)), strict=True))
        texts = [found[one] if one in found else known[one] for one in wanted]
        self._keep(found, list(found.values()))
        return texts

    def _read_texts(self, ids: IntArray) -> list[str | None]:
        starts, ends, _, _ = self._rows(ids)
        return [None if raw is None else _decode(raw) for raw in self._bytes(starts, ends)]

    def _keep(self, ids: Iterable[int], texts: Sequence[str | None]) -> None:
        """Keep texts at birth, and drop all of before when they have become many."""
        size = sum(_CHARACTERS_BESIDE + len(text or "") for text in texts)
        if size > self._room:
            self._recent, self._room = {}, _RECENT_CHARACTERS
        if size <= self._room:
            self._room -= size
            self._recent.update(zip(ids, texts, strict=True))

    def meta(self, ids: IntArray) -> list[dict[str, Any] | None]:
        """The meta of each engram; None where there is none."""
        return self._revised(ids, "meta", self.first_meta(ids))

    def first_meta(self, ids: IntArray) -> list[dict[str, Any] | None]:
        """The meta of each engram at birth."""
        _, starts, ends, _ = self._rows(ids)
        return [None if raw is None else decode_meta(raw) for raw in self._bytes(starts, ends)]

    def times(self, ids: IntArray) -> list[int | None]:
        """Each engram's own time, milliseconds since 1970; None where there is none."""
        times = self._rows(ids)[3][:, 2]
        return [None if time < 0 else time for time in times.tolist()]

    def places(self, ids: IntArray) -> list[Place | None]:
        """The source and character offset of each engram; None where there is none."""
        where = self.where(ids)
        numbers = np.unique(where[:, 0])
        numbers = numbers[numbers >= 0]
        names = dict(zip(numbers.tolist(), self._sources.of(numbers), strict=True))
        return [None if n < 0 else (names[n][0], offset) for n, offset in where.tolist()]

    def where(self, ids: IntArray) -> IntArray:
        """(number in `sources`, character offset) of each engram, [n, 2]; -1: there is none."""
        where = self._rows(ids)[3][:, :2]
        self._check_sources(where)
        return where

    def _check_sources(self, where: IntArray) -> None:
        known = self._files.rows("sources/index")
        if len(where) and not -1 <= int(where[:, 0].min()) <= int(where[:, 0].max()) < known:
            raise DamageError("texts/index names a source that is not there")

    def sources(self) -> list[str]:
        """The names of all sources as they were given, in the order in which they came.

        Sources that resolve differently may have the same name.
        """
        return [name for name, _ in self._sources.all()]

    def last_offset(self, source: str) -> int | None:
        """The greatest offset remembered from ``source``, of engrams alive or forgotten."""
        number = self._sources.number(source)
        if number is None:
            return None
        last = int(self.last_offsets()[number])
        return last if last >= 0 else None

    def last_offsets(self) -> IntArray:
        """The greatest offset remembered of each source, [sources]; -1 where there is none."""
        places = np.full(self._files.rows("sources/index"), -1, np.int64)
        table = self._files.read("texts/index")
        before = self._files.kept_places(self._files.attributes.step)
        text_ends, meta_ends, sources, offsets, _ = table.T
        total = self._files.rows("texts/bytes")
        sound = may_be_ends(np.column_stack((text_ends, meta_ends)).ravel(), total)
        if not (sound and sources.max(initial=-1) < len(places) and len(before) <= len(places)):
            raise DamageError("texts/index points at what is not there")
        placed = sources >= 0
        np.maximum.at(places, sources[placed], offsets[placed])
        places[: len(before)] = np.maximum(places[: len(before)], before)
        return places

    def only(self, ids: IntArray) -> dict[str, Any]:
        """The rows of ``texts/index`` and ``texts/bytes`` of a memory with these engrams alone."""
        if self._files.rows("texts/index") == 0:
            index = np.empty((0, len(TextColumn)), np.int64)
            return {"texts/index": index, "texts/bytes": np.empty(0, np.uint8)}
        starts, middles, ends, where = self._rows(ids)
        parts = [
            b"".join(self._files.read_spans("texts/bytes", starts[part], ends[part]))
            for part in (slice(at, at + _AT_ONCE) for at in range(0, len(ids), _AT_ONCE))
        ]
        last = np.cumsum(ends - starts)
        return {
            "texts/index": np.column_stack((last - (ends - middles), last, where)),
            "texts/bytes": np.frombuffer(b"".join(parts), np.uint8),
        }

    def content(self, first: int, last: int) -> bytes:
        """What the digest takes of engrams [first, last) at birth; nothing if there is nothing.

        A row of int64 for each engram: bytes of its text, bytes of its source's name (-1: no
        place), offset (-1: no place), time (-1: none), bytes of its meta; then all texts, each
        with its meta behind it; then all names.
        """
        ids = np.arange(first, last)
        starts, middles, ends, where = self._rows(ids)
        nothing = len(ids) == 0 or int(ends[-1]) == int(starts[0])
        if nothing and (len(ids) == 0 or int(where[:, [0, 2]].max()) < 0):
            return b""
        self._check_sources(where)
        placed = where[:, 0] >= 0
        names = [encode_text(name) for name, _ in self._sources.of(where[placed, 0])]
        sizes = np.full(len(ids), -1)
        sizes[placed] = [len(name) for name in names]
        texts = self._files.read("texts/bytes", int(starts[0]), int(ends[-1])).tobytes()
        columns = (middles - starts, sizes, where[:, 1], where[:, 2], ends - middles)
        return _content(columns, texts + b"".join(names))

    def sources_before(self, row: int) -> int:
        """How many sources there must be for the first ``row`` rows of ``texts/index``."""
        table = self._files.read("texts/index", 0, row)
        named = int(table[:, TextColumn.SOURCE].max(initial=-1)) + 1
        if named > self._files.rows("sources/index"):
            raise DamageError("texts/index names a source that is not there")
        return named

    def has_more_than_texts(self) -> bool:
        """Whether any engram has a source, a time or meta."""
        table = self._files.read("texts/index")
        if table[:, [TextColumn.SOURCE, TextColumn.TIME]].max(initial=-1) >= 0:
            return True
        return bool((table[:, TextColumn.META_END] > table[:, TextColumn.TEXT_END]).any())

    def forget_staged(self) -> None:
        """What was staged has been dropped."""
        self._recent, self._room = {}, _RECENT_CHARACTERS
        self._sources.forget_staged()

    def _revised(self, ids: IntArray, name: str, first: list[Any]) -> list[Any]:
        revisions = self._files.revisions
        if not revisions:
            return first
        return [
            revisions.get(engram, {}).get(name, value)
            for engram, value in zip(ids.tolist(), first, strict=True)
        ]

    def _bytes(self, starts: IntArray, ends: IntArray) -> list[bytes | None]:
        """The bytes [start, end) of each; None where there are none."""
        return [raw or None for raw in self._files.read_spans("texts/bytes", starts, ends)]

    def _rows(self, ids: IntArray) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        """Where the text begins, where it ends and the meta begins, where that ends; the rest."""
        known = self._files.rows("texts/index")
        at = self._files.engram_rows(ids)
        inside = (at >= 0) & (at < known)
        total = self._files.rows("texts/bytes")
        if len(at) and inside.all() and (at[1:] - at[:-1] == 1).all():  # as in a step: one read
            block = self._files.read("texts/index", max(0, int(at[0]) - 1), int(at[-1]) + 1)
            rows = block[len(block) - len(at) :]
            starts = np.append(0, block[:-1, TextColumn.META_END])[-len(at) :]
        else:
            rows = np.full((len(ids), len(TextColumn)), -1, np.int64)
            starts = np.where(inside, 0, total)  # engrams without a row have their text at the end
            later = inside & (at > 0)
            before, mine = at[later] - 1, at[inside]
            found = self._files.gather("texts/index", np.concatenate((before, mine)))
            starts[later], rows[inside] = (
                found[: len(before), TextColumn.META_END],
                found[len(before) :],
            )
        middles = np.where(inside, rows[:, TextColumn.TEXT_END], starts)
        ends = np.where(inside, rows[:, TextColumn.META_END], starts)
        sound = (starts >= 0) & (starts <= middles) & (middles <= ends) & (ends <= total)
        if not sound.all():
            raise DamageError("texts/index points outside of texts/bytes")
        return starts, middles, ends, rows[:, TextColumn.SOURCE :]

    def _row(self, engram: int) -> int:
        return int(self._files.engram_rows(np.array([engram]))[0])

    def named_sources(self, numbers: IntArray | None = None) -> list[tuple[str, str]]:
        """The name of each source as it was given, and as it was resolved; "" if it was not.

        ``numbers`` are the sources asked for; None: all.
        """
        return self._sources.all() if numbers is None else self._sources.of(numbers)

    def resolved_name(self, source: str) -> str:
        """The name of a source as it was resolved; "" if it was not, or is not known."""
        number = self._sources.number(source)
        return "" if number is None else self._sources.of(np.array([number]))[0][1]

    def engrams_at(self, places: Sequence[Place]) -> list[int]:
        """The newest engram that came from each place; -1 where none did or compaction took it."""
        found = {source: self._sources.number(source) for source in {s for s, _ in places}}
        numbers = {source: number for source, number in found.items() if number is not None}
        if not numbers:
            return [-1] * len(places)
        table: IntArray = self._files.read("texts/index")
        rows = np.flatnonzero(np.isin(table[:, TextColumn.SOURCE], [*numbers.values()]))
        where = table[rows][:, [TextColumn.SOURCE, TextColumn.OFFSET]].tolist()
        ids = self._files.row_engrams(rows).tolist()
        known = {(source, offset): id for (source, offset), id in zip(where, ids, strict=True)}
        return [known.get((numbers.get(source, -1), offset), -1) for source, offset in places]

    def name_source(self, source: str, resolved: str = "") -> int:
        """The number of the source ``source``, which the name stands for from now on.

        A new one is staged where it is not known, or known to resolve to something else.
        """
        return self._sources.name(source, resolved)

    def _numbered(self, place: Place) -> tuple[int, int]:
        return self.name_source(place[0]), place[1]


def encoded_texts(ids: IntArray, texts: Mapping[int, str]) -> list[bytes]:
    """The text of each engram in bytes, b"" where there is none. Raises `InputError`."""
    return [encode_text(texts[i]) if i in texts else b"" for i in ids.tolist()]


def texts_content(texts: Sequence[bytes]) -> bytes:
    """What `StoredTexts.content` says of engrams that have ``texts`` and nothing else."""
    if not any(texts):
        return b""
    none = np.full(len(texts), -1)
    sizes = np.array([len(text) for text in texts])
    return _content((sizes, none, none, none, np.zeros(len(texts))), b"".join(texts))


def _content(columns: Sequence[npt.NDArray[Any]], raw: bytes) -> bytes:
    return np.column_stack(columns).astype("<i8").tobytes() + raw


def _checked(place: Place) -> Place:
    """``place`` if it is (source, offset)."""
    try:
        source, offset = place
        offset = index(offset)
    except (TypeError, ValueError):
        raise InputError(f"place {place!r} is not (source, offset)") from None
    if not 0 <= offset < 2**63:
        raise InputError(f"place {place!r}: the offset is not within 0 and 2^63")
    encode_text(source)
    return source, offset


def _checked_time(time: int) -> int:
    try:
        moment = index(time)
    except TypeError:
        raise InputError(f"time {time!r} is not a whole number of milliseconds") from None
    if not 0 <= moment < 2**62:
        raise InputError(f"time {moment} is not within 0 and 2^62 milliseconds since 1970")
    return moment


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise DamageError("the store holds a text that is not UTF-8") from None
