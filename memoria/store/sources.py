"""Readings of sources: what was read when, and which engram holds which unit of it.

Readings outlive the engrams that they name, so that a source can be compared with what it was when
it was read last (`memoria.store.held_units`). Torch-free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import time_ns
from typing import Any, Final, NamedTuple

import numpy as np

from memoria.errors import DamageError, InputError
from memoria.io.text_unit import HASH_BYTES
from memoria.store.memory_files import MemoryFiles
from memoria.store.schema import ReadingColumn
from memoria.store.texts import StoredTexts
from memoria.timeline.log import IntArray

ADDED: Final = bytes(32)  # content of a reading whose units come to those held before
RUN: Final = -2  # in place of an engram: the row stands for a run of earlier rows
GONE: Final = -1  # an offset: the unit is held, its source has it no more
GONE_RUN: Final = -(2**62)  # of a run: all of its units are gone
_HASH_BYTES: Final = 32


class Unit(NamedTuple):
    """A unit of a source.

    Attributes:
        engram: id of the engram that holds it; -1: none does.
        offset: characters before it; -1: the source has it no more.
        hash: of its text and what stands beside it, as `memoria.io.inputs.Piece.hash`.
    """

    engram: int
    offset: int
    hash: bytes


@dataclass(frozen=True)
class Reading:
    """One reading of a source.

    Attributes:
        source: the source's name as it was given.
        resolved: its name as it was resolved, such as an absolute path; "" if it was not.
        step, events: finished steps and events by then.
        time: milliseconds since 1970-01-01 UTC.
        content: sha256 of what was read, as `memoria.store.held_units.content_key`.
        units: its units, as rows [first, last) of ``sources/units``.
    """

    source: str
    resolved: str
    step: int
    events: int
    time: int
    content: bytes
    units: tuple[int, int]


@dataclass(frozen=True)
class UnitRows:
    """Units as arrays, in the order in which they were read.

    Attributes:
        rows: the row of ``sources/units`` that tells of each, int64 [n].
        engrams, offsets: as in `Unit`, int64 [n].
        hashes: as two big-endian words each, int64 [n, 2].
    """

    rows: IntArray
    engrams: IntArray
    offsets: IntArray
    hashes: IntArray

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, at: Any) -> UnitRows:
        """Those at these indices, or where a mask is True."""
        return UnitRows(self.rows[at], self.engrams[at], self.offsets[at], self.hashes[at])

    @classmethod
    def none(cls) -> UnitRows:
        """No unit."""
        empty = np.empty(0, np.int64)
        return cls(empty, empty, empty, np.empty((0, 2), np.int64))


def hash_words(hashes: bytes) -> IntArray:
    """Hashes, one behind the other, as words [n, 2]."""
    return np.frombuffer(hashes, ">i8").astype(np.int64).reshape(-1, 2)


def unit_rows(units: Sequence[Unit]) -> IntArray:
    """Rows of ``sources/units`` [n, 4]. Raises `InputError` for a hash of another length."""
    if any(len(unit.hash) != HASH_BYTES for unit in units):
        raise InputError("units: a unit's hash has 16 bytes")
    rows = np.empty((len(units), 4), np.int64)
    if units:
        engrams, offsets, hashes = zip(*units, strict=True)
        rows[:, 0], rows[:, 1], rows[:, 2:] = engrams, offsets, hash_words(b"".join(hashes))
    return rows


def stage_reading(
    files: MemoryFiles,
    stored_texts: StoredTexts,
    step: int,
    source: str | int,
    content: bytes,
    rows: IntArray,
) -> None:
    """Stage a reading of ``source`` after ``step`` finished steps; see `MemoryStore.read_source`.

    Raises:
        InputError: a hash has not its length, or an engram, offset or row cannot be one.
    """
    if len(content) != _HASH_BYTES:
        raise InputError(f"reading of {source!r}: sha256 has 32 bytes")
    first = files.rows("sources/units")
    if len(rows):
        plain = rows[rows[:, 0] != RUN]
        runs = rows[rows[:, 0] == RUN]
        engrams, offsets = plain[:, 0], plain[:, 1]
        odd = len(plain) and (
            engrams.min() < -1 or engrams.max() >= files.created or offsets.min() < GONE
        )
        if odd or (len(runs) and (runs[:, 2].min() < 0 or runs[:, 2:].sum(1).max() > first)):
            raise InputError(f"reading of {source!r}: a unit's engram or offset is not there")
    number = stored_texts.name_source(source) if isinstance(source, str) else source
    end, now = first + len(rows), time_ns() // 1_000_000
    head = np.array([number, step, files.events, now, end], np.int64)
    words = np.frombuffer(content, ">i8").astype(np.int64)
    files.append("sources/readings", np.concatenate((head, words))[None])
    files.append("sources/units", rows)


def read_readings(files: MemoryFiles, stored_texts: StoredTexts) -> list[Reading]:
    """All readings of what was read to its end, the oldest first."""
    table = files.read("sources/readings")
    ends = table[:, ReadingColumn.UNITS_END].tolist()
    names = stored_texts.named_sources()
    found = []
    for at, begin in enumerate([0, *ends][: len(table)]):
        number, step, events, time, end = map(int, table[at, : ReadingColumn.HASH])
        content = table[at, ReadingColumn.HASH :].astype(">i8").tobytes()
        if content != ADDED:
            found.append(Reading(*names[number], step, events, time, content, units=(begin, end)))
    return found


def read_units(files: MemoryFiles, reading: Reading) -> list[Unit]:
    """The units of a reading, in the order in which they were read."""
    units = read_unit_rows(files, *reading.units)
    hashes = units.hashes.astype(">i8").tobytes()
    return [
        Unit(engram, offset, hashes[HASH_BYTES * at : HASH_BYTES * (at + 1)])
        for at, (engram, offset) in enumerate(
            zip(units.engrams.tolist(), units.offsets.tolist(), strict=True)
        )
    ]


def read_unit_rows(files: MemoryFiles, first: int, last: int) -> UnitRows:
    """The units that rows [first, last) of ``sources/units`` stand for, runs followed.

    Raises:
        DamageError: a run is of rows that are not there, or of runs.
    """
    table: IntArray = files.read("sources/units", first, last)
    runs = np.flatnonzero(table[:, 0] == RUN)
    if len(runs) == 0:
        return UnitRows(np.arange(first, last), table[:, 0], table[:, 1], table[:, 2:])
    parts, done = [], 0
    for at in runs.tolist():
        if at > done:
            parts.append(_plain(first + done, table[done:at]))
        _, shift, start, count = table[at].tolist()
        if not (start >= 0 and count >= 0 and start + count <= first):
            raise DamageError(f"{files.name}: sources/units names rows that are not there")
        held = _plain(start, files.read("sources/units", start, start + count))
        if (held.engrams == RUN).any():
            raise DamageError(f"{files.name}: sources/units names a run of runs")
        offsets = np.full(count, GONE) if shift == GONE_RUN else held.offsets + shift
        parts.append(UnitRows(held.rows, held.engrams, offsets, held.hashes))
        done = at + 1
    if done < len(table):
        parts.append(_plain(first + done, table[done:]))
    return concatenate(parts)


def concatenate(parts: Sequence[UnitRows]) -> UnitRows:
    """The units of all parts, in order."""
    if len(parts) == 1:
        return parts[0]
    names = ("rows", "engrams", "offsets", "hashes")
    none = UnitRows.none()
    columns = [np.concatenate([getattr(p, name) for p in (none, *parts)]) for name in names]
    return UnitRows(*columns)


def encode_rows(files: MemoryFiles, units: UnitRows) -> IntArray:
    """Rows of ``sources/units`` that stand for ``units``, runs of rows in one row each.

    A unit whose row is -1 is new: it gets a row of its own.
    """
    rows, offsets = units.rows, units.offsets
    told = np.full(len(units), GONE, np.int64)
    old = rows >= 0
    told[old] = files.gather("sources/units", rows[old])[:, 1] if old.any() else told[old]
    shifts = np.where(offsets == GONE, GONE_RUN, offsets - told)
    # the offset told of a unit that was gone says nothing: its row is written anew
    fresh = ~old | ((told == GONE) & (offsets != GONE))
    follows = np.zeros(len(units), bool)
    follows[1:] = ~fresh[1:] & ~fresh[:-1] & (np.diff(rows) == 1) & (shifts[1:] == shifts[:-1])
    starts = np.flatnonzero(~follows)
    counts = np.diff(np.append(starts, len(units)))
    out = np.empty((len(starts), 4), np.int64)
    out[:, 0], out[:, 1], out[:, 2:] = units.engrams[starts], offsets[starts], units.hashes[starts]
    runs = counts > 1
    out[runs, 0], out[runs, 1] = RUN, shifts[starts[runs]]
    out[runs, 2], out[runs, 3] = rows[starts[runs]], counts[runs]
    return out


def _plain(first: int, table: IntArray) -> UnitRows:
    return UnitRows(np.arange(first, first + len(table)), table[:, 0], table[:, 1], table[:, 2:])
