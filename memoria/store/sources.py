"""Readings of sources: what was read when, and which engram holds which unit of it.

Readings outlive the engrams that they name, so that a source can be compared with what it was when
it was read last. Torch-free.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from time import time_ns
from typing import Final, NamedTuple

import numpy as np

from memoria.errors import InputError
from memoria.store.memory_files import MemoryFiles
from memoria.store.schema import ReadingColumn
from memoria.store.texts import StoredTexts
from memoria.timeline.log import IntArray

_HASH_BYTES: Final = 32
_UNIT_BYTES: Final = 16


class Unit(NamedTuple):
    """A unit of a source.

    Attributes:
        engram: id of the engram that holds it; -1: none does.
        offset: characters before it.
        hash: `hash_unit` of its text.
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
        content: sha256 of what was read.
        units: its units, as rows [first, last) of ``sources/units``.
    """

    source: str
    resolved: str
    step: int
    events: int
    time: int
    content: bytes
    units: tuple[int, int]


def hash_unit(text: str) -> bytes:
    """The first 16 bytes of the sha256 of a unit's text in UTF-8."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:_UNIT_BYTES]


def stage_reading(
    files: MemoryFiles,
    stored_texts: StoredTexts,
    step: int,
    source: str,
    content: bytes,
    units: Sequence[Unit],
) -> None:
    """Stage a reading of ``source`` after ``step`` finished steps; see `MemoryStore.read_source`.

    Raises:
        InputError: a hash has not its length, or an engram or offset cannot be one.
    """
    if len(content) != _HASH_BYTES or any(len(unit.hash) != _UNIT_BYTES for unit in units):
        raise InputError(f"reading of {source!r}: sha256 has 32 bytes, a unit's hash 16")
    rows = np.empty((len(units), 4), np.int64)
    if units:
        engrams, offsets, hashes = zip(*units, strict=True)
        rows[:, 0], rows[:, 1] = engrams, offsets
        rows[:, 2:] = np.frombuffer(b"".join(hashes), ">i8").reshape(-1, 2)
        if rows[:, 0].min() < -1 or rows[:, 0].max() >= files.created or rows[:, 1].min() < 0:
            raise InputError(f"reading of {source!r}: a unit's engram or offset is not there")
    number = stored_texts.name_source(source)
    end, now = files.rows("sources/units") + len(rows), time_ns() // 1_000_000
    head = np.array([number, step, files.events, now, end], np.int64)
    words = np.frombuffer(content, ">i8").astype(np.int64)
    files.append("sources/readings", np.concatenate((head, words))[None])
    files.append("sources/units", rows)


def read_readings(files: MemoryFiles, stored_texts: StoredTexts) -> list[Reading]:
    """All readings, the oldest first."""
    table = files.read("sources/readings")
    ends = table[:, ReadingColumn.UNITS_END].tolist()
    names = stored_texts.named_sources()
    found = []
    for at, begin in enumerate([0, *ends][: len(table)]):
        number, step, events, time, end = map(int, table[at, : ReadingColumn.HASH])
        content = table[at, ReadingColumn.HASH :].astype(">i8").tobytes()
        found.append(Reading(*names[number], step, events, time, content, units=(begin, end)))
    return found


def read_units(files: MemoryFiles, reading: Reading) -> list[Unit]:
    """The units of a reading, in the order in which they were read."""
    rows: IntArray = files.read("sources/units", *reading.units)
    hashes = rows[:, 2:].astype(">i8").tobytes()
    return [
        Unit(engram, offset, hashes[_UNIT_BYTES * at : _UNIT_BYTES * (at + 1)])
        for at, (engram, offset) in enumerate(rows[:, :2].tolist())
    ]
