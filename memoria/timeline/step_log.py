"""What the steps of one lane changed, as flat arrays that grow: the log behind a history.

A step costs 4 bytes for each engram that fired, 12 for each whose expiry was set, and 40 more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from memoria.timeline.cofiring import with_room
from memoria.timeline.log import IntArray

__all__ = ["StepLog"]

FloatArray = npt.NDArray[np.float64]


class _Growing:
    """Rows of one type, one behind the other."""

    def __init__(self, values: npt.NDArray[Any]) -> None:
        self._held, self._used = values, len(values)

    def __len__(self) -> int:
        return self._used

    @property
    def values(self) -> npt.NDArray[Any]:
        """What is there; a view."""
        return self._held[: self._used]

    def append(self, values: npt.ArrayLike) -> None:
        taken = np.asarray(values)
        end = self._used + len(taken)
        self._held = with_room(self._held, end)
        self._held[self._used : end] = taken
        self._used = end


class StepLog:
    """T steps, time t from 0. Ids below ``bounds[t, 0]`` are long-term memory after it, and
    ``bounds[t, 1]`` is the next id.
    """

    def __init__(self, parts: Mapping[str, npt.NDArray[Any]] | None = None) -> None:
        """``parts`` as of `arrays`."""
        none, given = np.empty(0, np.int64), parts or {}
        self._fired = _Growing(given.get("fired", none).astype(np.int32))
        self._fired_ends = _Growing(given.get("fired_ends", none))
        self._firing_ends = _Growing(given.get("firing_ends", none))
        self._set_ids = _Growing(given.get("set_ids", none).astype(np.int32))
        self._set_ends = _Growing(given.get("set_ends", none))
        self._expiry = _Growing(given.get("expiry", np.empty(0)))
        bounds = given.get("bounds", np.empty((0, 2), np.int64))
        self._known: tuple[int, tuple[IntArray, IntArray, IntArray]] | None = None
        self._short, self._made = _Growing(bounds[:, 0].copy()), _Growing(bounds[:, 1].copy())

    def __len__(self) -> int:
        return len(self._made)

    def record(
        self, firings: Sequence[IntArray], ids: IntArray, expiry: FloatArray, short: int, made: int
    ) -> None:
        """Append a step."""
        for one in firings:
            self._fired.append(one)
            self._fired_ends.append([len(self._fired)])
        self._firing_ends.append([len(self._fired_ends)])
        self._set_ids.append(ids)
        self._expiry.append(expiry)
        self._set_ends.append([len(self._set_ids)])
        self._short.append([short])
        self._made.append([made])

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All of it, for files: int64 but for ``expiry``."""
        return {
            "fired": self._fired.values.astype(np.int64),
            "fired_ends": self._fired_ends.values.copy(),
            "firing_ends": self._firing_ends.values.copy(),
            "set_ids": self._set_ids.values.astype(np.int64),
            "set_ends": self._set_ends.values.copy(),
            "expiry": self._expiry.values.copy(),
            "bounds": np.column_stack((self._short.values, self._made.values)),
        }

    def first_short(self, time: int) -> int:
        """Engrams before this one are long-term memory after the step."""
        return int(self._short.values[time])

    def made(self) -> IntArray:
        """Engrams ever made, after each step."""
        return self._made.values

    def lives(self) -> tuple[IntArray, IntArray, IntArray]:
        """(id, time made, time forgotten or T) of all that outlived the step they were made in."""
        steps = len(self)
        if steps == 0:
            return (np.empty(0, np.int64),) * 3
        if self._known is not None and self._known[0] == steps:
            return self._known[1]
        born = np.repeat(np.arange(steps), np.diff(self._made.values, prepend=0))
        end = np.zeros(len(born), np.int64)
        # dead at the first step whose number its expiry does not exceed
        due = np.ceil(np.clip(self._expiry.values, -1.0, 2.0**62)).astype(np.int64) - 1
        end[self._set_ids.values] = np.maximum(due, self._set_times())  # the last one stays
        end = np.minimum(end, steps)
        ids = np.flatnonzero(end > born)
        self._known = steps, (ids, born[ids], end[ids])
        return self._known[1]

    def living(self, time: int) -> tuple[IntArray, FloatArray, IntArray]:
        """(id, expiry, time made) of who lives after a step."""
        last, made = int(self._set_ends.values[time]), self._made.values[: time + 1]
        expiry = np.zeros(int(made[-1]))
        expiry[self._set_ids.values[:last]] = self._expiry.values[:last]
        ids = np.flatnonzero(expiry > time + 1)
        return ids, expiry[ids], np.searchsorted(made, ids, side="right")

    def log(self, time: int, living: IntArray) -> tuple[IntArray, IntArray]:
        """Entries and starts, in ranks of the ``living``, of all firings up to a step."""
        firings = int(self._firing_ends.values[time])
        ends = np.append(0, self._fired_ends.values[:firings])
        rank = np.full(int(self._made.values[time]) + 1, -1)
        rank[living] = np.arange(len(living))
        entries = rank[self._fired.values[: int(ends[-1])]]
        alive = entries >= 0
        return entries[alive], np.append(0, np.cumsum(alive))[ends[:-1]]

    def firings(self, engram: int | None = None) -> tuple[IntArray, IntArray, FloatArray]:
        """(time, id, gain) of every firing after the one an engram is made with, by time and id.

        Once a step. With ``engram`` of this one alone.
        """
        ids, born, end = self.lives()
        fired, times = self._fired.values, self._fired_times()
        set_ids, set_times, expiry = self._set_ids.values, self._set_times(), self._expiry.values
        if engram is not None:
            mine, set_mine = fired == engram, set_ids == engram
            fired, times = fired[mine], times[mine]
            set_ids, set_times, expiry = set_ids[set_mine], set_times[set_mine], expiry[set_mine]
        at = np.minimum(np.searchsorted(ids, fired), max(0, len(ids) - 1))
        told = np.zeros(len(fired), np.bool_)
        if len(ids):
            told = (ids[at] == fired) & (born[at] < times) & (end[at] > times)
        steps = max(1, len(self))
        keys = np.unique(times[told] * (int(fired.max(initial=0)) + 1) + fired[told])
        times, who = np.divmod(keys, int(fired.max(initial=0)) + 1)
        order = np.argsort(set_ids, kind="stable")
        set_keys = set_ids[order].astype(np.int64) * steps + set_times[order]
        now, before = expiry[order], np.zeros(len(order))
        again = np.flatnonzero(np.diff(set_ids[order]) == 0) + 1
        before[again] = now[again - 1]
        place = np.searchsorted(set_keys, who * steps + times, side="right") - 1
        found = (place >= 0) & (np.append(set_keys, -1)[place] == who * steps + times)
        gains = np.zeros(len(who))
        gains[found] = (now - before)[place[found]]
        return times, who, gains

    def _fired_times(self) -> IntArray:
        ends = np.append(0, self._fired_ends.values)[self._firing_ends.values]
        return np.repeat(np.arange(len(self)), np.diff(ends, prepend=0))

    def _set_times(self) -> IntArray:
        return np.repeat(np.arange(len(self)), np.diff(self._set_ends.values, prepend=0))
