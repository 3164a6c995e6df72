"""The past step after step, as arrays that change in place: for replay, animation and verify.

`LifespanTracker` follows a fixed number of engrams. `LivingWalk` follows those that are alive: it
costs what is alive and what a step changes, however long the past is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from memoria.errors import DamageError
from memoria.timeline import rules
from memoria.timeline.cofiring import with_room
from memoria.timeline.engram_type import EngramType
from memoria.timeline.log import BoolArray, Events, FloatArray, IntArray


class LifespanTracker:
    """Expiry, pins and fire counts of the engrams at positions 0 to N - 1, as time goes on.

    Attributes:
        expiry: expiry as it was set last, float64 [N]; -inf for one not made yet.
        since: step that set it, int64 [N]; a pinned engram's expiry has moved on since.
        pinned: whether each is pinned, bool [N].
        fires: how often each fired, int64 [N].
    """

    def __init__(self, count: int) -> None:
        self.expiry: FloatArray = np.full(count, -np.inf)
        self.since: IntArray = np.zeros(count, np.int64)
        self.pinned: BoolArray = np.zeros(count, np.bool_)
        self.fires: IntArray = np.zeros(count, np.int64)

    def fire(self, at: IntArray, expiry: FloatArray, steps: IntArray) -> None:
        """Firings in ``steps`` left the engrams ``at`` with ``expiry``; all [n], oldest first."""
        self.expiry[at], self.since[at] = expiry, steps  # of repeats the last one stays
        if 16 * len(at) < len(self.fires):
            np.add.at(self.fires, at, 1)
        else:
            self.fires += np.bincount(at, minlength=len(self.fires))

    def happen(self, at: IntArray, events: Events) -> None:
        """``events`` happen to the distinct engrams ``at`` [n]."""
        now, pinned = self.after(events.steps, at), self.pinned[at]
        self.expiry[at], self.pinned[at] = rules.happen(
            events.kinds, now, pinned, events.steps, events.values
        )
        self.since[at] = events.steps

    def after(self, steps: int | IntArray, at: IntArray | slice = slice(None)) -> FloatArray:
        """Expiries, [n], after ``steps``, to which all has been folded in."""
        carried = rules.carry(self.expiry[at], steps - self.since[at])
        return np.where(self.pinned[at], carried, self.expiry[at])

    def is_alive(self, at: int, step: int) -> bool:
        """Whether the engram lives after ``step``."""
        return bool(self.pinned[at]) or bool(rules.is_alive(self.expiry[at], step))


class LivingWalk:
    """Engrams alive, ascending by id, after one finished step after another. A engrams, B lanes.

    Attributes:
        step: finished steps.
        created: engrams ever made, of all lanes.
        new: the first engram that the last step made.
        found_short: first short-term engram (lane-local) of each lane as the step began, [B].
        first_short: the same after the step.
    """

    def __init__(
        self,
        step: int,
        ids: IntArray,
        expiry: FloatArray,
        pinned: BoolArray,
        first_short: IntArray,
        created: int,
    ) -> None:
        self.step, self.created, self.new = step, created, created
        self.found_short = self.first_short = first_short
        self._count = len(ids)
        self._ids, self._expiry = ids.copy(), expiry.copy()
        self._pinned, self._fired = pinned.copy(), np.zeros(len(ids), np.bool_)
        self._pins = int(np.count_nonzero(pinned))

    @property
    def ids(self) -> IntArray:
        """Who is there during the step, those forgotten at its end too, [A]; a view."""
        return self._ids[: self._count]

    @property
    def expiry(self) -> FloatArray:
        """Their expiries after the step, [A]; a view."""
        return self._expiry[: self._count]

    @property
    def pinned(self) -> BoolArray:
        """Who is pinned, [A]; a view."""
        return self._pinned[: self._count]

    @property
    def fired(self) -> BoolArray:
        """Who has fired since `forget_firings`, [A]; a view."""
        return self._fired[: self._count]

    def forget_firings(self) -> None:
        """Nobody has fired."""
        self.fired[:] = False

    def advance(
        self,
        made: IntArray,
        created: int,
        first_short: IntArray,
        fired: IntArray,
        expiry: FloatArray,
    ) -> None:
        """One step: the ids ``made`` by it, and who fired with the expiry that it left them.

        Raises:
            DamageError: one fired that is not alive.
        """
        self.drop_forgotten()
        self.new, self.created = self.created, created
        self.found_short, self.first_short = self.first_short, first_short
        first, end = self._count, self._count + len(made)
        if end > len(self._ids):
            self._ids, self._expiry = with_room(self._ids, end), with_room(self._expiry, end)
            self._pinned, self._fired = with_room(self._pinned, end), with_room(self._fired, end)
        self._ids[first:end], self._expiry[first:end] = made, 0.0
        self._pinned[first:end] = self._fired[first:end] = False
        self._count = end
        if self._pins:
            held = np.flatnonzero(self.pinned)
            self._expiry[held] = rules.carry(self._expiry[held], 1)
        at = self._positions(fired)
        self._expiry[at], self._fired[at] = expiry, True
        self.step += 1

    def happen(self, events: Events) -> None:
        """``events`` [n] after the step, to distinct engrams."""
        self.drop_forgotten()
        at = self._positions(events.ids)
        self._expiry[at], self._pinned[at] = rules.happen(
            events.kinds, self._expiry[at], self._pinned[at], events.steps, events.values
        )
        self._pins = int(np.count_nonzero(self.pinned))
        self.drop_forgotten()

    def drop_forgotten(self) -> None:
        """Leave out those whose lifespan has run out."""
        alive = rules.is_alive(self.expiry, self.step)
        kept = np.flatnonzero(alive)
        if len(kept) < self._count:
            for array in (self._ids, self._expiry, self._pinned, self._fired):
                array[: len(kept)] = array[kept]
            self._count = len(kept)

    def types(self, lanes: int) -> npt.NDArray[np.uint8]:
        """The memory in which the step found each, [A]; those that it made are WORKING."""
        ids = self.ids
        types = rules.memory_of(ids // lanes, self.found_short[ids % lanes])
        types[ids >= self.new] = EngramType.WORKING
        return types

    def _positions(self, ids: IntArray) -> IntArray:
        at = np.searchsorted(self.ids, ids)
        if len(ids) and (int(at.max()) == self._count or (self._ids[at] != ids).any()):
            raise DamageError("the log names an engram that was not alive")
        return at
