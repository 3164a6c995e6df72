"""List a store's engrams: filter, sort, limit.

Columns of numbers are filtered first, all at once; texts are read only of what is left, block by
block, so a list of a million engrams fits in memory. numpy only.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from memoria.errors import InputError
from memoria.io.times import parse_date
from memoria.io.units import fold
from memoria.query.engram_table import TYPE_NAMES, EngramTable
from memoria.store.meta_matching import has_meta
from memoria.store.source_lines import matching_sources
from memoria.store.texts import StoredTexts
from memoria.timeline.log import IntArray

Kind = Literal["living", "working", "shortterm", "longterm", "forgotten", "all"]
Order = Literal["id", "age", "lifespan", "fires"]

Mask = npt.NDArray[np.bool_]

_BLOCK: Final = 8192  # engrams whose texts are in memory at a time
_MOST: Final = 2**63 - 1
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


@dataclass(frozen=True)
class NumberRange:
    """The numbers from ``low`` to ``high``, both included."""

    low: float = -math.inf
    high: float = math.inf

    @classmethod
    def parse(cls, name: str, text: str) -> NumberRange:
        """``3..10``, ``3..``, ``..10``, or one number. Raises `InputError` naming the filter."""
        low, dots, high = text.partition("..")
        try:
            ends = [_number(low, -math.inf), _number(high if dots else low, math.inf)]
        except ValueError:
            ends = []
        if not ends or not (low or high):
            hint = "write it like 3..10, 3.. or ..10"
            raise InputError(f"{name} = {text!r}: not a range of numbers", hint)
        if ends[0] > ends[1]:
            raise InputError(f"{name} = {text!r}: no number is within", "the least comes first")
        return cls(*ends)

    def holds(self, values: npt.NDArray[Any]) -> Mask:
        """Which of ``values`` lie within."""
        inside: Mask = (values >= self.low) & (values <= self.high)
        return inside


@dataclass(frozen=True)
class EngramFilter:
    """Engram filter; None is unconstrained.

    Attributes:
        kind: its memory; ``all`` is ``living`` and ``forgotten``.
        lane: its lane.
        ids: prefixes of the decimal id (``"12"``) or ranges (``"10..20"``), one of which fits.
        age, lifespan: in steps.
        fired: its fire count.
        since, until: milliseconds since 1970 between which, both included, its own time lies, or
            where it has none the time at which it was remembered.
        text: part of its text, ignoring case and how letters are composed.
        source: pattern of its source's name, with ``*`` and ``?``.
        meta: values of its meta.
        pinned: whether it is pinned.

    Raises:
        InputError: an unknown kind, or ids that are neither a prefix nor a range.
    """

    kind: Kind = "living"
    lane: int | None = None
    ids: tuple[str, ...] = ()
    age: NumberRange | None = None
    lifespan: NumberRange | None = None
    fired: NumberRange | None = None
    since: int | None = None
    until: int | None = None
    text: str | None = None
    source: str | None = None
    pinned: bool | None = None
    meta: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise InputError(
                f"type = {self.kind!r}: unknown", f"one of {', '.join(get_args(Kind))}"
            )
        for one in self.ids:
            _id_filter(one)

    def matching_rows(self, table: EngramTable, stored_texts: StoredTexts) -> IntArray:
        """Rows of ``table`` that pass, ascending."""
        rows = np.flatnonzero(self._by_numbers(table))
        rows = self._by_time(table, stored_texts, rows)
        if self.source is not None:
            rows = rows[_from_source(stored_texts, table.ids[rows], self.source)]
        if self.meta is not None:
            rows = rows[_with_meta(stored_texts, table.ids[rows], self.meta)]
        if self.text is not None:
            rows = rows[_with_text(stored_texts, table.ids[rows], self.text)]
        return rows

    def _by_numbers(self, table: EngramTable) -> Mask:
        mask = np.ones(len(table), np.bool_)
        if self.kind in TYPE_NAMES:
            mask &= table.types == TYPE_NAMES.index(self.kind)
        elif self.kind == "living":
            mask &= table.types > 0
        if self.lane is not None:
            mask &= table.lanes == self.lane
        if self.ids:
            mask &= np.logical_or.reduce([_id_filter(one)(table.ids) for one in self.ids])
        for span, column in (
            (self.age, table.age),
            (self.lifespan, table.lifespan),
            (self.fired, table.fires),
        ):
            if span is not None:
                mask &= span.holds(column)
        if self.pinned is not None:
            mask &= table.pinned == self.pinned
        return mask

    def _by_time(self, table: EngramTable, stored_texts: StoredTexts, rows: IntArray) -> IntArray:
        """Those of ``rows`` whose time lies within."""
        if self.since is None and self.until is None:
            return rows
        told = stored_texts.times(table.ids[rows])
        own = np.array([-1 if time is None else time for time in told], np.int64)
        times = np.where(own < 0, table.created_time[rows], own)
        running = times < 0
        mask = np.ones(len(rows), np.bool_)
        if self.since is not None:
            mask &= running | (times >= self.since)
        if self.until is not None:
            mask &= ~running & (times <= self.until)
        return rows[mask]


@dataclass(frozen=True)
class Listing:
    """The engrams that passed a filter, in order; ``count`` of them before the limit."""

    table: EngramTable
    count: int
    step: int
    stored_texts: StoredTexts

    def documents(self) -> Iterator[dict[str, Any]]:
        """One record of `FIELDS` an engram, read block by block."""
        for first in range(0, len(self.table), _BLOCK):
            yield from self.table.take(slice(first, first + _BLOCK)).documents(self.stored_texts)


def list_engrams(
    table: EngramTable,
    stored_texts: StoredTexts,
    step: int,
    matching: EngramFilter,
    order: Order = "id",
    reverse: bool = False,
    limit: int | None = None,
) -> Listing:
    """The engrams of ``table`` that pass a filter, by ``order``, then the oldest first.

    Raises:
        InputError: an unknown order.
    """
    if order not in get_args(Order):
        raise InputError(f"sort = {order!r}: unknown", f"one of {', '.join(get_args(Order))}")
    found = table.take(matching.matching_rows(table, stored_texts))
    keys = {"id": found.ids, "age": found.age, "lifespan": found.lifespan, "fires": found.fires}
    key = -keys[order] if reverse else keys[order]
    ranked = np.lexsort((found.ids, key))
    return Listing(found.take(ranked[:limit]), len(found), step, stored_texts)


def parse_time(name: str, text: str, now: float | None = None, end: bool = False) -> int:
    """Milliseconds since 1970 of a date, a date and time, or a time ago such as ``30d``.

    Args:
        name: the option, for the error.
        text: ISO 8601, UTC unless it has an offset; or a number with s, m, h, d or w.
        now: seconds since 1970; None reads the clock.
        end: a date alone means its last millisecond, not its first.

    Raises:
        InputError: neither a date nor a time ago.
    """
    ago = re.fullmatch(r"([0-9]{1,12})([smhdw])", text)
    if ago:
        seconds = time.time() if now is None else now
        return int(seconds * 1000) - int(ago[1]) * _UNITS[ago[2]] * 1000
    try:
        milliseconds = parse_date(text)
    except ValueError:
        hint = "write it like 2025-01-31, 2025-01-31T12:00 or 30d (s, m, h, d, w)"
        raise InputError(f"{name} = {text!r}: neither a date nor a time ago", hint) from None
    day_alone = re.fullmatch(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}", text) is not None
    return milliseconds + (_UNITS["d"] * 1000 - 1 if end and day_alone else 0)


def _number(text: str, missing: float) -> float:
    if not text:
        return missing
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _id_filter(text: str) -> Callable[[IntArray], Mask]:
    """Filter of ids that start with these digits, or lie within a range like ``10..20``."""
    low, dots, high = text.partition("..")
    ends = [part for part in (low, high) if part]
    if not ends or not all(re.fullmatch("[0-9]{1,19}", part) for part in ends):
        hint = "write the first digits of an id, or a range like 10..20"
        raise InputError(f"id = {text!r}: no ids", hint)
    if dots:
        first, last = min(int(low or 0), _MOST), min(int(high or _MOST), _MOST)
        if first > last:
            raise InputError(f"id = {text!r}: no id is within", "the least comes first")
        return lambda ids: (ids >= first) & (ids <= last)
    return lambda ids: _starting(ids, int(low) if str(int(low)) == low else -1)


def _starting(ids: IntArray, prefix: int) -> Mask:
    """Mask of ids that begin with the decimal digits of ``prefix``; -1 begins none."""
    mask = np.zeros(len(ids), np.bool_)
    power = 1
    while prefix > 0 and prefix * power <= _MOST:
        mask |= (ids >= prefix * power) & (ids <= min((prefix + 1) * power - 1, _MOST))
        power *= 10
    return mask if prefix else ids == 0


def _from_source(stored_texts: StoredTexts, ids: IntArray, pattern: str) -> Mask:
    fits = matching_sources(stored_texts, [pattern])
    return fits[stored_texts.where(ids)[:, 0]]  # -1, no source, is the last


def _with_meta(stored_texts: StoredTexts, ids: IntArray, wanted: Mapping[str, Any]) -> Mask:
    mask = np.zeros(len(ids), np.bool_)
    for first in range(0, len(ids), _BLOCK):
        part = slice(first, first + _BLOCK)
        mask[part] = [has_meta(one, wanted) for one in stored_texts.meta(ids[part])]
    return mask


def _with_text(stored_texts: StoredTexts, ids: IntArray, part: str) -> Mask:
    wanted = fold(part)
    mask = np.zeros(len(ids), np.bool_)
    for first in range(0, len(ids), _BLOCK):
        texts: Sequence[str | None] = stored_texts.texts(ids[first : first + _BLOCK])
        mask[first : first + len(texts)] = [
            text is not None and wanted in fold(text) for text in texts
        ]
    return mask
