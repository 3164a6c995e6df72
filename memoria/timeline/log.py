"""What a memory records of its past: steps, firings and events, as plain arrays.

Everything else about the past (who is alive, pinned, long-term or forgotten at a step) follows
from this record by the rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class EventKind(IntEnum):
    """What was done to an engram between two steps; the number stands in stores."""

    FORGET = 1
    PIN = 2
    UNPIN = 3
    DISPLACE = 4  # forgotten because a capacity was exceeded
    RECALL = 5  # gained `Events.values` steps of lifespan
    EDIT = 6  # got a new text, vector or meta
    CONFIRM = 7  # was confirmed as the answer to a cue


ENDINGS: Final = (EventKind.FORGET, EventKind.DISPLACE)  # an engram is forgotten by them
TURNS: Final = (EventKind.PIN, EventKind.UNPIN, EventKind.RECALL)  # it expires otherwise


@dataclass(frozen=True)
class Events:
    """What was done between steps, in the order in which it happened. E events.

    Attributes:
        steps: steps that were finished by then, int64 [E], ascending.
        kinds: `EventKind` of each event, int64 [E].
        ids: engram that it happened to, int64 [E].
        times: milliseconds since 1970-01-01 UTC, int64 [E].
        values: lifespan gained by a RECALL, 0 for the other kinds, float64 [E].
    """

    steps: IntArray
    kinds: IntArray
    ids: IntArray
    times: IntArray
    values: FloatArray

    @classmethod
    def empty(cls) -> Events:
        """No events."""
        none = np.empty(0, np.int64)
        return cls(none, none, none, none, np.empty(0))

    def __len__(self) -> int:
        return len(self.steps)

    def take(self, chosen: BoolArray | slice) -> Events:
        """Some of the events, by a mask [E] or a slice."""
        return Events(*(getattr(self, column.name)[chosen] for column in fields(self)))

    def of_kind(self, *kinds: EventKind) -> Events:
        """Events of some kinds."""
        return self.take(np.isin(self.kinds, kinds))


@dataclass(frozen=True)
class Firings:
    """Who fired in which step, oldest first, and the events between the steps. N firings.

    Attributes:
        ids: engram of each firing, int64 [N].
        steps: step of each firing, int64 [N], counted from 1; the running step is the last.
        expiry: expiry that the step left the engram with, float64 [N]; NaN in the running step.
        events: what was done between the steps.
    """

    ids: IntArray
    steps: IntArray
    expiry: FloatArray
    events: Events = field(default_factory=Events.empty)

    def take(self, chosen: BoolArray | slice) -> Firings:
        """Some of the firings, by a mask [N] or a slice, and all events."""
        return Firings(self.ids[chosen], self.steps[chosen], self.expiry[chosen], self.events)


@dataclass(frozen=True)
class FiringRecord:
    """Who of the living fired at which step, as flat arrays. E firings, T steps, V events, B lanes.

    Ids are those of a store: the engram ``local`` of lane b is ``local * B + b``. Times are
    milliseconds since 1970, 0 where nobody looked, since the same steps make the same record.

    Attributes:
        ids: engram of each firing, int64 [E]; step t (from 1) has ids[ends[t - 2]:ends[t - 1]].
        expiry: expiry that the step left the engram with, float64 [E].
        ends: running number of firings after each step, int64 [T].
        made: engrams ever made a lane after each step, int64 [T].
        counts: firings of each step, those of forgotten engrams too, int64 [T].
        first_short: first short-term engram (lane-local) after each step, int64 [T, B].
        events: finished steps, kind, engram and time of each event, int64 [V, 4].
        values: value of each event, float64 [V].
        times: when the first steps ended, which came from a store, int64 [up to T].
        digests: their digests from that of no steps on, int64 [up to 1 + T, 4].
        texts: texts of engrams by id.
    """

    ids: IntArray
    expiry: FloatArray
    ends: IntArray
    made: IntArray
    counts: IntArray
    first_short: IntArray
    events: IntArray
    values: FloatArray
    times: IntArray
    digests: IntArray
    texts: dict[int, str] = field(default_factory=dict)

    @classmethod
    def empty(cls, lanes: int) -> FiringRecord:
        """An empty record for ``lanes`` lanes."""
        none = np.empty(0, np.int64)
        shorts, events, digests = (np.empty((0, width), np.int64) for width in (lanes, 4, 4))
        return cls(none, np.empty(0), none, none, none, shorts, events, np.empty(0), none, digests)
