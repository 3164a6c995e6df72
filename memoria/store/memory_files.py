"""`MemoryFiles`: the arrays of a memory by meaning, whatever era they lie in, now or in the past.

`StoreFiles` knows arrays and nothing of memories. Here ``vectors`` are found by engram id though
compaction has moved them, the log begins where it still goes back to, and a view of an earlier
step ends there: `fold`, `Inspection` and all other readers need not know.

Torch-free.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.chunkstore.codec import rows_bytes
from memoria.chunkstore.files import StoreFiles
from memoria.chunkstore.spec import ArraySpec
from memoria.config import MemoriaConfig
from memoria.errors import DamageError, InputError
from memoria.store.attributes import StoreAttributes
from memoria.store.payloads import decode_revision
from memoria.store.schema import STATE_GROUP, CommandColumn, EventColumn, era_prefix
from memoria.store.vector_codec import decode_vectors
from memoria.timeline.log import EventKind, IntArray

_AT_ONCE: Final = 2**24  # bytes of texts read together, about
_GAP: Final = 2**13  # bytes between two stretches that a read rather skips


@dataclass(frozen=True)
class Cut:
    """Where a view of the past ends: the attributes of then, and the rows of each array.

    ``created`` engrams and ``log_end`` log entries had ever been.
    """

    attributes: StoreAttributes
    rows: Mapping[str, int]
    created: int
    log_end: int


class MemoryFiles:
    """The arrays of one memory, by their names in the first era (``"log/ids"``).

    Rows are those on disk; `engram_rows` says in which an engram lies. With ``cut`` it is a view
    of the past.
    """

    def __init__(self, files: StoreFiles, cut: Cut | None = None) -> None:
        self.store = files
        self._cut = cut
        self._raw: dict[str, Any] = {}
        self._now: StoreAttributes | None = None
        self._revisions: dict[int, dict[str, Any]] = {}
        self._edited_to = 0  # events up to which the revisions are known
        self.rollbacks = 0  # with equal numbers, rows that were read are what they were
        self._load()

    @property
    def path(self) -> Path:
        """The store's directory."""
        return self.store.path

    @property
    def name(self) -> str:
        """The store as messages name it: its path, or where it lies elsewhere."""
        return self.store.name

    @property
    def mode(self) -> str:
        """``"r"`` or ``"r+"``."""
        return self.store.mode

    @property
    def is_past(self) -> bool:
        """Whether this is a view of an earlier step."""
        return self._cut is not None

    @property
    def attributes(self) -> StoreAttributes:
        """The committed attributes, or those of the past that this is a view of."""
        if self._cut is not None:
            return self._cut.attributes
        if self._now is None:
            self._now = StoreAttributes.parse(self._raw)
        return self._now

    def rows(self, name: str) -> int:
        """Rows of an array, staged ones too."""
        rows = self.store.rows(self._name(name))
        return rows if self._cut is None else min(rows, self._cut.rows.get(name, rows))

    def read(self, name: str, start: int = 0, stop: int | None = None) -> npt.NDArray[Any]:
        """Rows [start, stop) of an array."""
        rows = self.rows(name)
        stop = rows if stop is None else stop
        if stop > rows:
            raise InputError(f"rows {start}:{stop} of '{name}': it has {rows}")
        return self.store.read(self._name(name), start, stop)

    def gather(self, name: str, rows: IntArray) -> npt.NDArray[Any]:
        """The rows asked for, in any order."""
        return self.store.gather(self._name(name), rows)

    def read_spans(self, name: str, starts: IntArray, ends: IntArray) -> list[bytes]:
        """The bytes [start, end) of an array of bytes, of each; near ones with one read."""
        out = [b""] * len(starts)
        present = np.flatnonzero(ends > starts)
        if len(present) and int(ends.max()) > self.rows(name):
            raise InputError(f"bytes to {int(ends.max())} of '{name}': it has {self.rows(name)}")
        present = present[np.argsort(starts[present], kind="stable")]
        for part in _at_once(starts[present], ends[present]):
            places, begin, end = present[part], starts[present[part]], ends[present[part]]
            first = _firsts_of_groups(begin, end)
            low, high = begin[first], np.maximum.reduceat(end, first)
            spans = list(zip(low.tolist(), high.tolist(), strict=True))
            raw = self.store.read_spans(self._name(name), spans).tobytes()
            sizes = high - low
            shift = np.repeat(sizes.cumsum() - sizes - low, np.diff(first, append=len(begin)))
            each = zip(
                places.tolist(), (begin + shift).tolist(), (end + shift).tolist(), strict=True
            )
            for place, here, behind in each:
                out[place] = raw[here:behind]
        return out

    def append(self, name: str, values: npt.ArrayLike) -> None:
        """Stage rows."""
        self.store.append(self._name(name), values)

    def replace_state(self, generation: int, arrays: Sequence[tuple[ArraySpec, object]]) -> None:
        """Stage a new generation of the state."""
        self.store.replace_group(f"{STATE_GROUP}/{generation}", arrays)

    def commit(self, changed: Mapping[str, Any], checked: StoreAttributes | None = None) -> None:
        """Commit what is staged with ``changed`` attributes; the others stay.

        ``checked``: all of them as they are then, if the caller has them.
        """
        attributes = {**self._raw, **changed}
        try:
            self.store.commit(attributes)
        except BaseException:
            self._load()
            raise
        moved = any(attributes.get(key) != self._raw.get(key) for key in ("era", "settings"))
        self._raw, self._now = attributes, checked
        if moved:
            self._load()

    def rollback(self) -> None:
        """Drop what is staged."""
        self.rollbacks += 1
        self.store.rollback()
        self._load()

    def close(self) -> None:
        """Release the store."""
        self.store.close()

    @property
    def prefix(self) -> str:
        """What stands before the names of the append-only arrays in the store: its era."""
        return self._prefix

    @property
    def created(self) -> int:
        """Engrams ever created: their ids are 0 to this less one."""
        if self._cut is not None:
            return self._cut.created
        return self.rows("vectors") + self._era.rows - self._era.kept

    @property
    def events(self) -> int:
        """Events that have happened."""
        return self.rows("events/index")

    def event_rows(self, first: int = 0, last: int | None = None) -> IntArray:
        """Rows [first, last) of ``events/index``, [E, 5]: see `EventColumn`."""
        rows: IntArray = self.read("events/index", first, last)
        return rows

    def event_values(self, first: int = 0, last: int | None = None) -> npt.NDArray[np.float64]:
        """The values of the events [first, last), [E]."""
        values: npt.NDArray[np.float64] = self.read("events/values", first, last)
        return values

    def event_payload(self, number: int) -> bytes:
        """What event ``number`` carries; b"" for nothing."""
        return self.event_payloads(number, number + 1)[0]

    def event_payloads(self, first: int, last: int) -> list[bytes]:
        """What each of the events [first, last) carries; b"" for nothing."""
        ends = self.read("events/index", max(0, first - 1), last)[:, EventColumn.END]
        if first == 0:
            ends = np.append(0, ends)
        if not may_be_ends(ends, self.rows("events/bytes")):
            raise DamageError(f"{self.name}: events/index points outside of events/bytes")
        start = int(ends[0])
        if start == ends[-1]:
            return [b""] * (last - first)
        raw = self.read("events/bytes", start, int(ends[-1])).tobytes()
        spans = pairwise((ends - start).tolist())
        return [raw[begin:end] for begin, end in spans]

    def command(self, number: int) -> str:
        """The words of command ``number``."""
        ends = self.read("commands/index", max(0, number - 1), number + 1)[:, CommandColumn.END]
        start, stop = (0, *ends.tolist())[-2:]
        if not 0 <= start <= stop <= self.rows("commands/bytes"):
            raise DamageError(f"{self.name}: commands/index points outside of commands/bytes")
        raw: bytes = self.read("commands/bytes", start, stop).tobytes()
        return raw.decode("utf-8", "replace")

    @property
    def revisions(self) -> dict[int, dict[str, Any]]:
        """What edits have made of engrams by now: ``text``, ``vector``, ``meta``, by id."""
        if self._edited_to != self.events:
            first = self._edited_to if self._edited_to < self.events else 0
            known = self._revisions if first else {}
            rows = self.event_rows(first)
            edits = np.flatnonzero(rows[:, EventColumn.KIND] == EventKind.EDIT)
            for at in edits.tolist():
                engram = int(rows[at, EventColumn.ENGRAM])
                changed = decode_revision(self.event_payload(first + at), self.config)
                known[engram] = known.get(engram, {}) | changed
            self._revisions, self._edited_to = known, self.events
        return self._revisions

    @property
    def log_end(self) -> int:
        """Log entries ever written, also those that compaction dropped."""
        if self._cut is not None:
            return self._cut.log_end
        return self.rows("log/ids") + self._era.log_end - self._era.log_kept

    def log_row(self, entry: int) -> int:
        """The row of ``log/ids`` at which entry number ``entry`` lies, of the last era on."""
        row = entry - self._era.log_end + self._era.log_kept
        if entry < self._era.log_end:
            raise DamageError(f"{self.name}: what compaction dropped is counted on")
        return row

    def log_rows(self, ends: IntArray) -> IntArray:
        """The rows of ``log/ids`` at which steps end, from the entry numbers of log/steps [T]."""
        era = self._era
        rows = ends - era.log_end + era.log_kept
        if era.generation is not None:
            before = min(era.step, len(ends))
            rows[:before] = self.kept_ends[:before]
        return rows

    def engram_rows(self, ids: IntArray) -> IntArray:
        """The row in ``vectors`` and ``texts/index`` of each engram; -1 where compacted away."""
        era = self._era
        if era.generation is None:
            return ids
        rows = ids - era.rows + era.kept
        old = ids < era.rows
        at = np.searchsorted(self.kept, ids[old])
        there = np.append(self.kept, -1)[at] == ids[old]
        rows[old] = np.where(there, at, -1)
        return rows

    def row_engrams(self, rows: IntArray) -> IntArray:
        """The engram in each of these rows of ``vectors`` and ``texts/index``."""
        era = self._era
        ids = rows - era.kept + era.rows
        old = rows < era.kept
        ids[old] = self.kept[rows[old]] if old.any() else 0
        return ids

    def ids_from(self, engram: int) -> tuple[IntArray, int]:
        """Ids of the engrams not below ``engram`` that are there, ascending.

        From the second value on they are there without a gap.
        """
        era = self._era
        if era.generation is None or engram >= era.rows:
            return np.arange(engram, self.created), engram
        old = self.kept[np.searchsorted(self.kept, engram) : self.rows_before(self.created)]
        new = min(era.rows, self.created)
        return np.concatenate((old, np.arange(new, self.created))), new

    def rows_before(self, engram: int) -> int:
        """How many rows of ``vectors`` are of engrams below ``engram``."""
        era = self._era
        if era.generation is None or engram >= era.rows:
            return engram - era.rows + era.kept
        return int(np.searchsorted(self.kept, engram))

    def vectors(self, ids: IntArray) -> npt.NDArray[np.float32]:
        """The vectors [n, D] of engrams; `InputError` for one that compaction took."""
        rows = self.engram_rows(ids)
        if len(rows) and int(rows.min()) < 0:
            gone = int(ids[int(rows.argmin())])
            raise InputError(f"engram {gone}: compaction has removed its vector")
        scales = self.gather("scales", rows) if self.has_scales else None
        found = decode_vectors(self.gather("vectors", rows), scales)  # an array of its own
        if not np.isfinite(found).all():
            raise DamageError(f"{self.name}: vectors hold NaN or Inf")
        if self.revisions:
            for at in np.flatnonzero(np.isin(ids, list(self.revisions))).tolist():
                found[at] = self.revisions[int(ids[at])].get("vector", found[at])
        return found

    def stored_vectors(self, name: str, ids: IntArray) -> npt.NDArray[Any]:
        """The rows of ``vectors`` or ``scales`` of engrams that are there, as they are stored."""
        return self.gather(name, self.engram_rows(ids))

    def new_vectors(self, first: int, last: int) -> npt.NDArray[np.float32]:
        """The vectors of the engrams [first, last) at birth, none of them from before the era."""
        scales = self.new_stored("scales", first, last) if self.has_scales else None
        return decode_vectors(self.new_stored("vectors", first, last), scales)

    def new_stored(self, name: str, first: int, last: int) -> npt.NDArray[Any]:
        """The rows of ``vectors`` or ``scales`` of the engrams [first, last), as `new_vectors`."""
        shift = self._era.rows - self._era.kept
        return self.read(name, first - shift, last - shift)

    @property
    def has_scales(self) -> bool:
        """Whether vectors are int8, each with a scale."""
        return self.config.vector_dtype == "int8"

    @cached_property
    def kept(self) -> IntArray:
        """Ids of the engrams that the last compaction kept, ascending; all, if there was none."""
        era = self._era
        if era.generation is None:
            return np.arange(0)
        ids: IntArray = self.store.read(self._name("kept/ids"))
        if len(ids) != era.kept or not may_be_ids(ids, era.rows):
            raise DamageError(f"{self.name}: kept/ids are not the {era.kept} engrams kept")
        return ids

    @cached_property
    def kept_ends(self) -> IntArray:
        """The entry of the kept log at which each step before the era ends."""
        era = self._era
        ends: IntArray = self.store.read(self._name("kept/ends"))
        if len(ends) != era.step or not may_be_ends(ends, era.log_kept):
            raise DamageError(f"{self.name}: kept/ends are not those of {era.step} steps")
        return ends

    def stored_bytes(self) -> int:
        """What the rows of all arrays take in the store's files."""
        state = self.attributes.state.generation is not None
        return sum(
            rows_bytes(self.store.spec(name), self.rows(name.removeprefix(self._prefix)))
            for name in self.store.names()
            if state or not name.startswith(f"{STATE_GROUP}/")
        )

    @cached_property
    def all_kept_places(self) -> IntArray:
        """The greatest offset remembered of each source, [steps, sources]; -1: not known yet.

        After the steps of ``era.steps``, and last when the era began.
        """
        states = len(self._era.steps) + 1
        if self._era.generation is None:
            return np.empty((states, 0), np.int64)
        places: IntArray = self.store.read(self._name("kept/places"))
        if len(places) % states or (len(places) and int(places.min()) < -1):
            raise DamageError(f"{self.path}: kept/places are not those of {states} states")
        return places.reshape(states, -1)

    def kept_places(self, step: int) -> IntArray:
        """The greatest offset remembered by ``step`` of each source that the era knew then.

        From the era's own step on, those it began with.
        """
        era = self._era
        earlier = step < era.step and step in era.steps
        row: IntArray = self.all_kept_places[era.steps.index(step) if earlier else -1]
        known = int(np.flatnonzero(row >= 0).max(initial=-1)) + 1
        if known > self.rows("sources/index"):
            raise DamageError(f"{self.path}: kept/places tells of sources that are not there")
        return row[:known]

    def _name(self, name: str) -> str:
        return name if name.startswith(f"{STATE_GROUP}/") else self._prefix + name

    def _load(self) -> None:
        """Take over the committed attributes."""
        self._raw = self.store.attributes
        self._now = None
        self.config: MemoriaConfig = self.attributes.memory_config()
        self._era = self.attributes.era
        self._prefix = era_prefix(self._era)
        self._revisions, self._edited_to = {}, 0
        for name in ("kept", "kept_ends", "all_kept_places"):
            self.__dict__.pop(name, None)
        names = ("vectors", "log/ids", "log/expiry", "log/steps", "texts/index", "events/index")
        rows, log, expiry, steps, texts, events = (self.store.rows(self._name(n)) for n in names)
        scales = self.store.rows(self._name("scales")) if self.has_scales else rows
        values = self.store.rows(self._name("events/values"))
        if rows < self._era.kept or log < self._era.log_kept:
            raise DamageError(f"{self.name}: the arrays of the era are shorter than what it kept")
        odd = expiry != log or texts > rows or scales != rows or values != events
        if odd or (not self.is_past and steps != self.attributes.step):
            raise DamageError(f"{self.name}: the arrays are not of one length")


def may_be_ends(ends: IntArray, most: int) -> bool:
    """Whether ``ends`` ascend from 0 or more to at most ``most``."""
    # compared, not subtracted: a difference may overflow
    ascends = bool((ends[1:] >= ends[:-1]).all())
    return len(ends) == 0 or bool(ascends and ends[0] >= 0 and ends[-1] <= most)


def may_be_ids(ids: IntArray, created: int) -> bool:
    """Whether ``ids`` are of engrams below ``created``, each once, ascending."""
    return may_be_ends(ids, created - 1) and bool((ids[1:] != ids[:-1]).all())


def _at_once(starts: IntArray, ends: IntArray) -> list[slice]:
    """The spans of bytes [start, end), by ascending start, cut so that memory stays bounded."""
    if len(starts) == 0:
        return []
    reads = np.cumsum(ends - starts + _GAP) // _AT_ONCE
    cuts = (np.flatnonzero(np.diff(reads)) + 1).tolist()
    return [slice(*cut) for cut in pairwise([0, *cuts, len(starts)])]


def _firsts_of_groups(starts: IntArray, ends: IntArray) -> IntArray:
    """The first span of each group of spans that one read brings; all by ascending start."""
    far = starts[1:] - ends[:-1] > _GAP
    return np.concatenate(([0], np.flatnonzero(far) + 1))
