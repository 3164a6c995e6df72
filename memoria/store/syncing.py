"""Which units of files a memory has, which are new, and which their sources have no more.

A unit is known by its hash: as often as a source has it, it is held. What a source has no more may
stand in another one now: then it has moved, and stays the engram that it is. Only what is found
nowhere has vanished.
"""

from __future__ import annotations

import hashlib
import os
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from memoria.errors import InputError, MemoriaError, StorageError
from memoria.io.files import split_key
from memoria.io.folders import FoundInput, Listing
from memoria.io.inputs import Piece
from memoria.io.text_unit import HASH_BYTES
from memoria.store.earlier_places import find_earlier
from memoria.store.file_contents import FileContents
from memoria.store.held_units import HeldUnits, content_key
from memoria.store.sources import ADDED, GONE, UnitRows, concatenate, hash_words
from memoria.timeline.log import IntArray

if TYPE_CHECKING:
    from memoria.io.record_lines import RecordLines
    from memoria.store.kept_lines import KeptLines

NOTHING: Final = hashlib.sha256(b"").digest()  # the content of what is empty, or gone
_PARTLY: Final = hashlib.sha256(b"\0partly moved").digest()  # of no file

Target: TypeAlias = int | FoundInput  # a source by its number, or the file that becomes one
_Pool: TypeAlias = tuple[int, int]  # a source, and a lane


@dataclass
class SyncedFile:
    """A file that is read: what it holds, and what of it is known.

    Attributes:
        found: the file; or an input that is none, of which nothing is known.
        content: its sha256 before it was read; b"" of what has none.
        source: the source that it is; None: it is new.
        hashes: of its units, one behind the other; offsets: theirs.
        units: what is held of each unit; row -1: it is new. None: all are new.
        moved: which units are known from another source.
        has_all_lanes: its units are of all lanes of the memory.
        has_failed: it cannot be read.
        is_unchanged: it is only looked at for its units that repeat others.
    """

    found: FoundInput
    content: bytes = b""
    source: int | None = None
    hashes: bytearray = field(default_factory=bytearray)
    offsets: array[int] = field(default_factory=lambda: array("q"))
    units: UnitRows | None = None
    moved: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, bool))
    has_all_lanes: bool = False
    has_failed: bool = False
    is_unchanged: bool = False


@dataclass(frozen=True)
class Remembered:
    """New units of a file that engrams hold now.

    Attributes:
        numbers: of the units in the file.
        units: what holds them.
    """

    numbers: IntArray
    units: UnitRows

    @classmethod
    def nothing(cls) -> Remembered:
        """No unit."""
        return cls(np.empty(0, np.int64), UnitRows.none())


@dataclass
class Changes:
    """What is recorded and forgotten once what is new is remembered.

    Attributes:
        readings: (what was read, its content, its units).
        forgotten: engrams of what has vanished, and of the old form of what has changed.
        kept: how many units have vanished now and are kept.
    """

    readings: list[tuple[Target, bytes, UnitRows]] = field(default_factory=list)
    forgotten: list[int] = field(default_factory=list)
    kept: int = 0


class Syncing:
    """Compares what inputs hold with what a memory holds of them: a `UnitChoice`.

    Args:
        held: what the memory holds.
        listing: the inputs.
        options: `ReadOptions.key` of how they are read.
        keeps: what vanishes is kept, not forgotten.
        contents: tells the content of a file.
        places: where the memory lay when it was synced last, and where it lies now. Where these
            differ, what its sources resolve to may be paths of another machine.
        lanes: of the memory. With several, input i is of lane i, and files that have not changed
            are read too.
        knows_text: whether a text that is no file is known; None: none is.
        omits_repeats: of what is new here, units that repeat others are not taken. They are
            recorded as held by no engram, and are new whenever their file is read: even if it is
            unchanged, once what they repeat may have been forgotten.
        kept_lines: what the lines of large files of records became before; None: nothing is kept.

    Attributes:
        held: as given.
        files: what is to be read, in order.
        unchanged: files that have not changed, and the source that each is.
        moved: how many units have moved to another file.
        faults: what cannot be read, by its name.

    Raises:
        InputError: what was named itself cannot be read.
    """

    def __init__(
        self,
        held: HeldUnits,
        listing: Listing,
        options: str,
        keeps: bool,
        contents: FileContents,
        *,
        places: tuple[str | None, str] = (None, ""),
        lanes: int = 1,
        knows_text: Callable[[Piece], bool] | None = None,
        omits_repeats: bool = False,
        kept_lines: KeptLines | None = None,
    ) -> None:
        self._kept_lines = kept_lines if lanes == 1 else None
        self._lines: dict[str, RecordLines] = {}  # of files, by what they resolve to
        self._omits_repeats = omits_repeats
        self.held, self._options, self._keeps = held, options, keeps
        self._knows_text, self._lanes = knows_text, lanes
        self.files: list[SyncedFile] = []
        self.unchanged: list[tuple[str, int]] = []
        self.moved = 0
        self.faults: dict[str, MemoriaError] = {}
        self._whole: list[tuple[FoundInput, bytes, int]] = []  # what another source was, unread
        self._emptied: set[int] = set()  # sources of which no unit is there any more
        self._claimable: set[int] = set()  # those whose units may have moved, and vanish not
        self._texts: dict[int, list[bool]] = {}  # of inputs behind the files: what is new
        self._left: dict[_Pool, UnitRows] = {}  # of each source what is not found any more
        self._superseded: set[int] = set()
        self._continued: dict[tuple[int, int], int] = {}
        self._sort(listing, contents, places, lanes > 1)
        known = any(file.source is not None for file in self.files)
        self._may_match = bool(known or self._emptied or self._claimable or omits_repeats)

    @property
    def passed_over(self) -> int:
        """How many units are held of files that were not read, as they have not changed."""
        return self.held.count_units([source for _, source in self.unchanged])

    @property
    def vanished(self) -> list[str]:
        """The names of sources of which nothing is there any more."""
        moved = {source for _, _, source in self._whole}
        return sorted(map(self.held.name, self._emptied - moved))

    @property
    def renamed(self) -> list[tuple[str, str]]:
        """The files that were found unchanged under another name: that, and their name now."""
        return [(self.held.name(source), found.name) for found, _, source in self._whole]

    def _sort(
        self,
        listing: Listing,
        contents: FileContents,
        places: tuple[str | None, str],
        reads_all: bool,
    ) -> None:
        """Say what is read, and of which sources nothing is there any more."""
        held, named = self.held, {one.resolved for one in listing.inputs}
        repeating: list[SyncedFile] = []  # unchanged, with units that repeat others
        for one in listing.inputs:
            known = held.find(one.resolved) if one.path else None
            if one.path and not os.path.lexists(one.path):
                if known is None or self._keeps:
                    raise InputError(f"{one.name}: no such file")
                self._empty(known)
                continue
            try:
                content = contents.of(one.path) if one.path else b""
            except (InputError, StorageError) as error:
                if not one.listed:
                    raise
                self.faults[one.name] = error
                continue
            if content == NOTHING and (one.listed or known is not None):
                self._empty(known)
            elif (
                known is not None
                and not reads_all
                and held.content(known) in self.content_keys(content)
            ):
                self.unchanged.append((one.name, known))
                if held.content(known) in self._keys(content, has_repeats=True):
                    repeating.append(SyncedFile(one, content, known, is_unchanged=True))
            else:
                self.files.append(SyncedFile(one, content, known))
        for path, source in held.paths():
            if path not in named:
                place, key = split_key(path)
                if listing.holds(place) and not (key and os.path.exists(place)):
                    self._empty(source)
        fresh = {
            file.found: file.content
            for file in self.files
            if file.found.path and not (file.source is not None and held.count_rows(file.source))
        }
        if (fresh or places[0] != places[1]) and not reads_all:
            earlier = find_earlier(self, held, listing, fresh, self._emptied, places)
            self._emptied |= earlier.emptied
            self._claimable = earlier.claimable
            self._whole = [
                (file.found, file.content, earlier.whole[file.found])
                for file in self.files
                if file.found in earlier.whole
            ]
            self.files = [file for file in self.files if file.found not in earlier.whole]
        if self._omits_repeats:
            self._look_again(repeating, listing)

    def _look_again(self, repeating: Sequence[SyncedFile], listing: Listing) -> None:
        """Read also those of the unchanged files whose units repeat what may be gone."""
        renamed = {source for _, _, source in self._whole}
        is_known = any(file.source is not None for file in self.files)
        may_leave = is_known or bool(self._claimable or self._emptied - renamed)

        def is_due(source: int) -> bool:
            return may_leave or self.held.is_before_an_event(source)

        due = [file for file in repeating if file.source is not None and is_due(file.source)]
        sources = {file.source for file in due}
        self.unchanged = [one for one in self.unchanged if one[1] not in sources]
        for one in list(self._whole):
            found, content, source = one
            if self.held.content(source) in self._keys(content, True) and is_due(source):
                self._whole.remove(one)
                due.append(SyncedFile(found, content, self.held.find(found.resolved)))
        if due:
            order = {found: at for at, found in enumerate(listing.inputs)}
            self.files = sorted([*self.files, *due], key=lambda file: order[file.found])

    def content_keys(self, content: bytes) -> set[bytes]:
        """The contents of sources of which a file of this content has all units, and no others."""
        keys = self._keys(content, has_repeats=False)
        return keys | self._keys(content, has_repeats=True) if self._omits_repeats else keys

    def _keys(self, content: bytes, has_repeats: bool) -> set[bytes]:
        if not content:
            return set()
        gone = {False, self._keeps}
        return {content_key(content, self._options, keeps, has_repeats) for keeps in gone}

    def _empty(self, source: int | None) -> None:
        """Nothing of the source is there any more; it may have been so before."""
        if source is None or self.held.count_rows(source) == 0:
            return
        if not (self._keeps and self.held.content(source) == content_key(NOTHING, "", True)):
            self._emptied.add(source)

    # The choice of units.

    def see(self, number: int, piece: Piece) -> None:
        """Look at the next unit of input ``number``."""
        if number >= len(self.files):
            if self._knows_text is not None:
                self._texts.setdefault(number, []).append(not self._knows_text(piece))
        elif self._may_match and self.files[number].found.path:
            file = self.files[number]
            file.hashes += piece.hash
            file.offsets.append(piece.place[1])
            file.has_all_lanes = bool(piece.step_hash)

    def known_lines(self, number: int) -> RecordLines | None:
        """What is known of the lines of input ``number``; None: each unit is to be seen."""
        if self._kept_lines is None or number >= len(self.files):
            return None
        return self._kept_lines.of(self.files[number].found.resolved)

    def see_lines(self, number: int, lines: RecordLines) -> None:
        """Look at all units of input ``number``, a large file of records."""
        file = self.files[number]
        self._lines[file.found.resolved] = lines
        if self._may_match:
            file.hashes = bytearray(lines.hashes)
            file.offsets = array("q", lines.offsets.tobytes())

    def taken_of_lines(self, number: int) -> Sequence[int]:
        """Which units of input ``number``, a large file of records, are new."""
        file = self.files[number]
        if file.units is None:
            return range(len(self._lines[file.found.resolved].offsets))
        new: list[int] = np.flatnonzero(file.units.rows < 0).tolist()
        return new

    def keep_lines(self) -> None:
        """Keep what the lines of large files of records are for the next time."""
        for resolved, lines in self._lines.items():
            if self._kept_lines is not None:
                self._kept_lines.keep(resolved, lines)

    def fail(self, number: int) -> None:
        """File ``number`` cannot be read to its end: it stays as it is known."""
        if number < len(self.files):
            self.files[number].has_failed = True

    def decide(self) -> None:
        """Tell known units from new ones."""
        if not self._may_match:
            return
        pools: dict[_Pool, UnitRows] = {}
        for number, file in enumerate(self.files):
            if file.has_failed or not file.found.path:
                continue
            file.units = _new_units(file)
            file.moved = np.zeros(len(file.units), bool)
            if file.source is not None:
                units = self._held_in(file.source, self._lane(number))
                left = _match(units, file.units)
                if self._keeps:
                    self._find_changed(units, left, number)
                file.units.rows[file.units.engrams < 0] = -1  # what repeats others is new again
                pools[file.source, self._lane(number)] = units.take(left & (units.engrams >= 0))
        moved = {source for _, _, source in self._whole}
        for source in sorted((self._emptied | self._claimable) - moved):
            for lane in range(self._lanes):
                units = self._held_in(source, lane)
                pools[source, lane] = units.take(units.engrams >= 0)
        self._left = self._move(self._without_shared(pools))

    def _without_shared(self, pools: Mapping[_Pool, UnitRows]) -> dict[_Pool, UnitRows]:
        """What is left of sources, each engram once, but for those that hold another unit too.

        They do after a sync that has moved them, and was stopped before it came to where they were.
        """
        if not any(map(len, pools.values())):
            return dict(pools)
        engrams = np.concatenate([units.engrams for units in pools.values()])
        compared = {source for source, _ in pools}
        parts = [file.units.engrams for file in self.files if file.units is not None]
        shared = np.concatenate([self.held.engrams(without=compared), *parts])
        wanted = np.array(sorted(self._superseded), np.int64)
        self._superseded = set(wanted[np.isin(wanted, shared, invert=True)].tolist())
        stays = np.zeros(len(engrams), bool)
        stays[np.unique(engrams, return_index=True)[1]] = True
        stays &= np.isin(engrams, shared, invert=True)
        parts = np.split(stays, np.cumsum([len(units) for units in pools.values()])[:-1])
        taken = zip(pools.items(), parts, strict=True)
        return {pool: units.take(part) for (pool, units), part in taken}

    def _lane(self, number: int) -> int:
        """The lane that a file is of; -1: of all."""
        if self._lanes == 1:
            return 0
        return -1 if self.files[number].has_all_lanes else number

    def _held_in(self, source: int, lane: int) -> UnitRows:
        """What is held of a source in a lane."""
        units = self.held.units(source)
        if self._lanes == 1 or lane < 0:
            return units
        return units.take((units.engrams < 0) | (units.engrams % self._lanes == lane))

    def count(self, number: int, units: int) -> int:
        """How many of the ``units`` of input ``number`` are new."""
        if number in self._texts:
            return sum(self._texts[number])
        known = self.files[number].units if number < len(self.files) else None
        return units if known is None else int((known.rows < 0).sum())

    def takes(self, number: int, unit: int) -> bool:
        """Whether a unit is new."""
        if number in self._texts:
            return self._texts[number][unit]
        known = self.files[number].units if number < len(self.files) else None
        return known is None or (unit < len(known) and bool(known.rows[unit] < 0))

    def is_as_seen(self, piece: Piece, hash: bytes) -> bool:
        """Whether a unit is still the one that was looked at."""
        if not 0 <= piece.input < len(self.files):
            return True
        seen = self.files[piece.input].hashes
        begin = HASH_BYTES * piece.unit
        return not seen or seen[begin : begin + HASH_BYTES] == hash

    def continued(self, piece: Piece) -> int | None:
        """The engram of the unit that this one may be, grown; None: of none."""
        return self._continued.get((piece.input, piece.unit))

    def supersede(self, engram: int) -> None:
        """The unit of this engram has gone on: it is not kept beside what it has become."""
        self._superseded.add(engram)

    def _move(self, pools: Mapping[_Pool, UnitRows]) -> dict[_Pool, UnitRows]:
        """Let new units be those that other sources have no more; returns what is left of these."""
        places: dict[tuple[int, bytes], list[tuple[_Pool, int]]] = {}
        for pool, units in pools.items():
            hashes = units.hashes.astype(">i8").tobytes()
            for at in reversed(range(len(units))):
                key = hashes[HASH_BYTES * at : HASH_BYTES * (at + 1)]
                places.setdefault((pool[1], key), []).append((pool, at))
        left = {pool: np.ones(len(units), bool) for pool, units in pools.items()}
        claims = Counter[int]()
        for number, file in enumerate(self.files):
            if file.units is None or not places:
                continue
            for at in np.flatnonzero(file.units.rows < 0).tolist():
                key = bytes(file.hashes[HASH_BYTES * at : HASH_BYTES * (at + 1)])
                if waiting := places.get((self._lane(number), key)):
                    pool, place = waiting.pop()
                    left[pool][place] = False
                    claims[pool[0]] += 1
                    self.moved += 1
                    file.moved[at] = True
                    file.units.rows[at] = pools[pool].rows[place]
                    file.units.engrams[at] = pools[pool].engrams[place]
        for source in sorted(self._claimable):
            size = sum(len(units) for pool, units in pools.items() if pool[0] == source)
            if 2 * claims[source] > size:  # most of it is elsewhere now
                self._claimable.remove(source)
                self._emptied.add(source)
        return {pool: units.take(left[pool]) for pool, units in pools.items()}

    def _find_changed(self, held: UnitRows, left: NDArray[np.bool_], number: int) -> None:
        """Find units that stand changed where they stood: their old form is not kept.

        One is where as many others are between the same neighbours. One that goes on where it
        broke off is only told by its text: see `continued`.
        """
        units = self.files[number].units
        assert units is not None
        new = units.rows < 0
        at_row = {row: at for at, row in enumerate(units.rows.tolist()) if row >= 0}
        gone = left & (held.offsets != GONE)
        begins = np.flatnonzero(gone & ~np.append(False, gone[:-1])).tolist()
        ends = (np.flatnonzero(gone & ~np.append(gone[1:], False)) + 1).tolist()
        for begin, end in zip(begins, ends, strict=True):
            before = -1 if begin == 0 else at_row.get(int(held.rows[begin - 1]))
            after = None if end == len(held) else at_row.get(int(held.rows[end]))
            if before is None:
                continue
            if before + 1 < len(new) and new[before + 1] and held.engrams[begin] >= 0:
                self._continued[number, before + 1] = int(held.engrams[begin])
            if after is None or begin == 0 or after - before != end - begin + 1:
                continue
            if new[before + 1 : after].all():
                self._superseded |= set(held.engrams[begin:end].tolist()) - {-1}

    def leaving(self) -> set[int]:
        """Engrams of what is there no more, once it is decided: they will be forgotten."""
        if self._keeps:
            return set(self._superseded)
        left = [units.engrams for units in self._left.values()]
        return {engram for part in left for engram in part.tolist() if engram >= 0}

    # What becomes of everything in the end.

    def changes(self, remembered: Mapping[int, Remembered], totals: Mapping[int, int]) -> Changes:
        """What is recorded and forgotten, now that new units are remembered.

        Args:
            remembered: of each file the new units that are, and what holds them.
            totals: how many new units there are of each file that was read to its end. Of another
                nothing is forgotten yet.
        """
        done = Changes()
        for number, file in enumerate(self.files):
            if file.has_failed or not file.found.path:
                continue
            fresh = remembered.get(number, Remembered.nothing())
            target = file.found if file.source is None else file.source
            units = fresh.units
            if file.units is not None:
                units = file.units
                units.rows[fresh.numbers] = fresh.units.rows
                units.engrams[fresh.numbers] = fresh.units.engrams
            if totals.get(number) == len(fresh.units):
                left = UnitRows.none()
                if file.source is not None:
                    left = self._left[file.source, self._lane(number)]
                self._record(done, target, file.content, units, left)
            elif file.moved.any():
                done.readings.append((target, ADDED, units.take(file.moved)))
        for found, content, source in self._whole:
            units = self.held.units(source)
            there = units.offsets != GONE
            self._record(done, source, NOTHING, UnitRows.none(), UnitRows.none())
            known = self.held.find(found.resolved)
            target = found if known is None else known
            self._record(done, target, content, units.take(there), units.take(~there))
        for source in sorted(self._emptied - {source for _, _, source in self._whole}):
            self._record(done, source, NOTHING, UnitRows.none(), self._left_of(source))
        for source in sorted(self._claimable):
            left = self._left_of(source)
            if len(left) < int((self.held.units(source).engrams >= 0).sum()):
                done.readings.append((source, _PARTLY, left))
        done.readings = _merged(done.readings)
        return done

    def _left_of(self, source: int) -> UnitRows:
        return concatenate([self._left[source, lane] for lane in range(self._lanes)])

    def _record(
        self, done: Changes, target: Target, content: bytes, units: UnitRows, left: UnitRows
    ) -> None:
        """A source has ``units``, and no more what is ``left`` of those that it had."""
        stays = np.zeros(len(left), bool)
        if self._keeps:
            stays = ~np.isin(left.engrams, list(self._superseded))
            done.kept += int((left.offsets[stays] != GONE).sum())
        done.forgotten += left.engrams[~stays].tolist()
        kept = left.take(stays)
        options = "" if content == NOTHING else self._options
        parts = [units, replace(kept, offsets=np.full(len(kept), GONE))]
        key = content_key(content, options, len(kept) > 0, bool((units.engrams < 0).any()))
        done.readings.append((target, key, concatenate(parts)))


def _merged(
    readings: Sequence[tuple[Target, bytes, UnitRows]],
) -> list[tuple[Target, bytes, UnitRows]]:
    """The readings, those of one source in several lanes as one."""
    found: dict[Target, tuple[bytes, UnitRows]] = {}
    for target, content, units in readings:
        if target in found:
            before, held = found[target]
            content = ADDED if ADDED in (content, before) else _PARTLY
            units = concatenate([held, units])
        found[target] = content, units
    return [(target, content, units) for target, (content, units) in found.items()]


def _new_units(file: SyncedFile) -> UnitRows:
    """The units that were seen of a file, of which none is known yet."""
    hashes = hash_words(bytes(file.hashes))
    none = np.full(len(hashes), -1, np.int64)
    return UnitRows(none, none.copy(), np.array(file.offsets, np.int64), hashes)


def _match(held: UnitRows, found: UnitRows) -> NDArray[np.bool_]:
    """Let the found units be those that are held and alike; returns which of these are left.

    The first are the first and the last are the last; between them the n-th of a hash is the n-th.
    """
    most = min(len(held), len(found))
    alike = (held.hashes[:most] == found.hashes[:most]).all(1)
    first = most if alike.all() else int(alike.argmin())
    tails = held.hashes[len(held) - most :], found.hashes[len(found) - most :]
    alike = (tails[0] == tails[1]).all(1)[::-1]
    last = min(most - first, most if alike.all() else int(alike.argmin()))
    of_held = [np.arange(first), np.arange(len(held) - last, len(held))]
    of_found = [np.arange(first), np.arange(len(found) - last, len(found))]
    middle = slice(first, len(held) - last), slice(first, len(found) - last)
    hashes = np.concatenate((held.hashes[middle[0]], found.hashes[middle[1]]))
    if len(hashes):
        size = middle[0].stop - first
        _, kinds = np.unique(hashes, axis=0, return_inverse=True)
        kinds = kinds.ravel()
        old, new = _numbered(kinds[:size]), _numbered(kinds[size:])
        _, mine, theirs = np.intersect1d(old, new, assume_unique=True, return_indices=True)
        of_held.append(first + mine)
        of_found.append(first + theirs)
    old, new = np.concatenate(of_held), np.concatenate(of_found)
    found.rows[new], found.engrams[new] = held.rows[old], held.engrams[old]
    left = np.ones(len(held), bool)
    left[old] = False
    return left


def _numbered(kinds: IntArray) -> IntArray:
    """Each kind as a number that says also the how-manieth of its kind it is."""
    order = np.argsort(kinds, kind="stable")
    sorted_kinds = kinds[order]
    starts = np.flatnonzero(np.append(True, sorted_kinds[1:] != sorted_kinds[:-1]))
    begins = np.repeat(starts, np.diff(np.append(starts, len(kinds))))
    ranks = np.empty(len(kinds), np.int64)
    ranks[order] = np.arange(len(kinds)) - begins
    return kinds.astype(np.int64) * (1 << 31) + ranks
