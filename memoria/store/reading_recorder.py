"""What a stream has read of files, told to the store that steps through it.

Before each commit the units that are new in it are recorded as held: whatever ends the stream,
what is remembered is known. Once a file is read to its end, it is recorded as a whole.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from memoria.io.folders import FoundInput, find_input
from memoria.io.inputs import Piece, Place, WorkingMemory
from memoria.store.file_contents import FileContents
from memoria.store.held_units import content_key
from memoria.store.sources import ADDED, UnitRows, concatenate, hash_words, read_unit_rows
from memoria.store.syncing import Remembered, Syncing, Target

if TYPE_CHECKING:
    from memoria.backbones.streams import InputStream
    from memoria.store.distinct_units import DistinctUnits
    from memoria.store.store import MemoryStore


@dataclass
class _Recorded:
    """Units of an input that engrams hold now: the numbers of all, the rest of those not staged.

    ``rows`` are the stretches of ``sources/units`` that tell of staged ones: first, behind last.
    """

    numbers: array[int] = field(default_factory=lambda: array("q"))
    engrams: array[int] = field(default_factory=lambda: array("q"))
    offsets: array[int] = field(default_factory=lambda: array("q"))
    hashes: bytearray = field(default_factory=bytearray)
    rows: list[int] = field(default_factory=list)


class ReadingRecorder:
    """Records in a store what a stream of working memories has come from.

    To be made before the stream is read: a file that changes meanwhile has the content of before,
    so that it is found changed.

    Args:
        store: the store that is stepped.
        stream: what is read.
        options: `ReadOptions.key` of how.
        syncing: the choice of units that the stream follows; None: it takes all.
        distinct: what leaves out units that repeat others; None: nothing does.

    Attributes:
        forgotten: how many engrams were forgotten in the end.
    """

    def __init__(
        self,
        store: MemoryStore,
        stream: InputStream,
        options: str = "",
        syncing: Syncing | None = None,
        distinct: DistinctUnits | None = None,
    ) -> None:
        self._distinct = distinct
        self._store, self._stream, self._syncing = store, stream, syncing
        self._options = options
        self._begun, self._created = store.timestep, store.files.created
        self.forgotten = 0
        self._passed_over = 0 if syncing is None else syncing.passed_over
        self._changed: set[int] = set()  # files that were others when they were looked at
        self._last: tuple[WorkingMemory, int] | None = None
        self._recorded: dict[int, _Recorded] = {}
        self._contents: dict[int, bytes] = {}
        if syncing is None:
            self._held = store.held_units()
            contents = FileContents()
            specs = (spec for spec in stream.specs if spec.kind != "literal")
            self._found = [find_input(spec.name) for spec in specs]
            for number, one in enumerate(self._found):
                if one.path:
                    self._contents[number] = contents.of(one.path)
        else:
            self._held = syncing.held
            self._found = [file.found for file in syncing.files]
        self._sources: dict[int, tuple[int, str]] = {}  # number in the store, and name, by input
        for number, one in enumerate(self._found):
            if one.path:
                self._sources[number] = self._source(one)

    def __iter__(self) -> Iterator[WorkingMemory]:
        """The working memories of the stream, each to be stepped through before the next."""
        for memory in self._stream:
            self._name(memory)
            self._last = memory, self._store.files.created
            yield memory
            self._take_last()

    def before_commit(self) -> None:
        """Stage what has been remembered since the last commit: see `MemoryStore.step_stream`."""
        self._take_last()
        for number, new in self._recorded.items():
            if new.engrams:
                first = self._store.files.rows("sources/units")
                rows = np.empty((len(new.engrams), 4), np.int64)
                rows[:, 0], rows[:, 1] = new.engrams, new.offsets
                rows[:, 2:] = hash_words(bytes(new.hashes))
                self._store.record_units(self._sources[number][0], ADDED, rows)
                new.rows += [first, first + len(rows)]
                new.engrams, new.offsets, new.hashes = array("q"), array("q"), bytearray()

    def document(self) -> dict[str, Any]:
        """What has come of the stream so far, as JSON tells it."""
        return {
            "path": str(self._store.path),
            "steps": self._store.timestep - self._begun,
            "timestep": self._store.timestep,
            "engrams_added": self._store.files.created - self._created,
            "skipped": self._stream.skipped + self._passed_over,
            "digest": self._store.digest(),
        }

    def finish(self) -> None:
        """Stage what was read to its end, and forget what is there no more."""
        self.before_commit()
        totals = {n: t for n, t in self._stream.totals.items() if n not in self._changed}
        for number in sorted(self._changed):
            name = self._found[number].name
            self._stream.notices.append(f"{name} changed while it was read: read it again")
        if self._syncing is None:
            known = [source for source, _ in self._sources.values()]
            for number, new in self._recorded.items():
                source = self._sources[number][0]
                is_whole = totals.get(number) == len(new.numbers) and known.count(source) == 1
                if self._distinct is not None and self._distinct.omits_of(number):
                    continue  # a sync is to look at what was left out
                if is_whole and not self._held.count_rows(source):
                    key = content_key(self._content(number, new), self._options)
                    self._store.record_units(source, key, self._units(new))
            return
        remembered = {
            number: Remembered(np.array(new.numbers), self._units(new))
            for number, new in self._recorded.items()
        }
        changes = self._syncing.changes(remembered, totals)
        gone = self._store.living(changes.forgotten)
        if len(gone):
            self._store.forget(gone)
        for target, content, units in changes.readings:
            self._store.record_units(self._number(target), content, units)
        self.forgotten = len(gone)

    def _take_last(self) -> None:
        """Record what the step through the last working memory has made engrams of."""
        if self._last is None:
            return
        memory, first = self._last
        if self._store.files.created == first:  # it has not been stepped through
            return
        self._last = None
        lanes = len(memory.pieces)
        for lane, pieces in enumerate(memory.pieces):
            for at, piece in enumerate(pieces):
                if piece.input in self._sources:
                    self._take(piece, first + at * lanes + lane)

    def _take(self, piece: Piece, engram: int) -> None:
        new, hash = self._recorded.setdefault(piece.input, _Recorded()), piece.hash
        new.numbers.append(piece.unit)
        new.engrams.append(engram)
        new.offsets.append(piece.place[1])
        new.hashes += hash
        if self._syncing is None:
            return
        if not self._syncing.is_as_seen(piece, hash):
            self._changed.add(piece.input)
        earlier = self._syncing.continued(piece)
        if earlier is not None and piece.text is not None:
            before = self._store.first_text(earlier)
            if before is not None and piece.text.startswith(before):
                self._syncing.supersede(earlier)

    def _name(self, memory: WorkingMemory) -> None:
        """Let the places of a working memory name sources as the store knows them."""
        numbers = {piece.input for lane in memory.pieces for piece in lane}
        for number in numbers & self._sources.keys():
            one, (_, name) = self._found[number], self._sources[number]
            self._store.name_source(name, one.resolved)
            if name != one.name:
                for places, pieces in zip(memory.places, memory.pieces, strict=True):
                    for at, piece in enumerate(pieces):
                        if piece.input == number:
                            places[at] = _renamed(places[at], one.name, name)

    def _units(self, new: _Recorded) -> UnitRows:
        """The units recorded of an input, all of them staged."""
        spans = zip(new.rows[::2], new.rows[1::2], strict=True)
        parts = [read_unit_rows(self._store.files, first, last) for first, last in spans]
        return concatenate(parts) if parts else UnitRows.none()

    def _content(self, number: int, new: _Recorded) -> bytes:
        """The sha256 of a file; of a folder that of its units."""
        raw = self._units(new).hashes.astype(">i8").tobytes()
        return self._contents[number] or hashlib.sha256(raw).digest()

    def _number(self, target: Target) -> int:
        return target if isinstance(target, int) else self._source(target)[0]

    def _source(self, found: FoundInput) -> tuple[int, str]:
        """The number of the source that a file is, and its name in the store."""
        known = self._held.find(found.resolved)
        if known is not None:
            return known, self._held.name(known)
        return self._store.name_source(found.name, found.resolved), found.name


def _renamed(place: Place, given: str, known: str) -> Place:
    """A place in a file as its source is known; a record's source begins with the file's name."""
    source, offset = place
    if source == given or source.startswith(f"{given}:"):
        return known + source.removeprefix(given), offset
    return place
