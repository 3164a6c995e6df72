"""When engrams expire, at every step of their lives: the expiry as it was set, again and again.

An engram set to expire at ``value`` by step s does so until it is set anew; a pinned one expires
a step later with every step. Torch-free.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from memoria.store.events import Entries, pinned_expiry
from memoria.store.life import FloatArray
from memoria.timeline.firing_log import IntArray
from memoria.timeline.log import EventKind, Events

__all__ = ["Expiries"]


@dataclass(frozen=True, eq=False)
class Expiries:
    """Every setting of an expiry, by engram and in the order in which they happened; all [S].

    ``places`` say whose it is, ``steps`` (from 1) when; ``slope`` is 1 where the engram is pinned
    from then on. What was done by hand after a step comes after what the step itself set.
    """

    places: IntArray
    steps: IntArray
    value: FloatArray
    slope: npt.NDArray[np.int8]
    by_hand: npt.NDArray[np.bool_]
    span: int  # above every moment of every step

    @classmethod
    def of(cls, entries: Entries, steps: int, events: Events | None = None) -> Expiries:
        """From settings in order, whose ``ids`` are places, and ``events``, which name places too.

        ``steps``: how many there are.
        """
        places, when, value = entries.ids, entries.steps, entries.expiry
        kinds = np.zeros(len(places), np.int8)
        if events is not None and len(events):
            places = np.concatenate((places, events.ids))
            when = np.concatenate((when, events.steps))
            value = np.concatenate((value, np.zeros(len(events))))
            kinds = np.concatenate((kinds, events.kinds.astype(np.int8)))
        by_hand = kinds > 0
        span = 2 * (steps + 2)
        order = np.argsort(places * span + 2 * when + by_hand, kind="stable")
        places, when, value = places[order], when[order], value[order].astype(np.float64)
        slope = np.zeros(len(places), np.int8)
        if events is not None and len(events):
            _happen(places, when, value, slope, kinds[order], np.unique(events.ids))
        return cls(places, when, value, slope, by_hand[order], span)

    def at(self, places: IntArray, step: int | IntArray) -> FloatArray:
        """The expiry of engrams after ``step`` and what was done by hand then; NaN before birth."""
        return self._looked_up(places, np.asarray(step), 1)

    def fired(self, places: IntArray, steps: IntArray) -> FloatArray:
        """What a step that engrams fired in made of their expiries, before anything by hand."""
        return self._looked_up(places, steps, 0)

    def gains(self, places: IntArray, steps: IntArray, born: IntArray) -> FloatArray:
        """What engrams born in ``born`` gained when they fired in ``steps``.

        The first gain is the lifespan that the engram began with.
        """
        at = np.searchsorted(self._keys, places * self.span + 2 * steps, side="right") - 1
        was = at - 1
        found = (at >= 0) & (self.places[at] == places) & (self.steps[at] == steps)
        before = found & (was >= 0) & (self.places[was] == places)
        old = np.where(
            before,
            self.value[was] + self.slope[was] * (steps - self.steps[was]),
            born - 1.0,
        )
        with np.errstate(invalid="ignore"):  # endless ones make no difference
            return np.where(found, self.value[at] - old, 0.0)

    def of_one(self, place: int) -> Expiries:
        """The settings of one engram."""
        first, last = np.searchsorted(self.places, (place, place + 1))
        part = slice(int(first), int(last))
        return Expiries(
            self.places[part],
            self.steps[part],
            self.value[part],
            self.slope[part],
            self.by_hand[part],
            self.span,
        )

    @cached_property
    def _keys(self) -> IntArray:
        return self.places * self.span + 2 * self.steps + self.by_hand

    def _looked_up(self, places: IntArray, steps: IntArray, by_hand: int) -> FloatArray:
        if len(self.places) == 0:
            return np.full(len(places), np.nan)
        wanted = places * self.span + 2 * steps + by_hand
        at = np.searchsorted(self._keys, wanted, side="right") - 1
        there = (at >= 0) & (self.places[at] == places)
        value = self.value[at] + self.slope[at] * (steps - self.steps[at])
        return np.where(there, value, np.nan)


def _happen(
    places: IntArray,
    steps: IntArray,
    value: FloatArray,
    slope: npt.NDArray[np.int8],
    kinds: npt.NDArray[np.int8],
    who: IntArray,
) -> None:
    """Work out ``value`` and ``slope`` of the engrams ``who`` to whom something was done."""
    last, now, since, held = -1, 0.0, 0, 0
    for at in np.flatnonzero(np.isin(places, who)).tolist():
        place, step, kind = int(places[at]), int(steps[at]), int(kinds[at])
        if place != last:
            last, now, since, held = place, 0.0, step, 0
        if kind == 0:
            now = float(value[at])
        else:
            now += (step - since) * held
            held = 1 if kind == EventKind.PIN else 0
            if kind == EventKind.PIN:
                now = float(pinned_expiry(now, step))
            elif kind == EventKind.FORGET:
                now = float(step)
        since = step
        value[at], slope[at] = now, held
