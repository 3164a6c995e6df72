"""The state of engrams after a step, from the firings and events of the log.

Engrams are named by *positions* 0 to N - 1 here: the caller says which engram stands where.
`Expiries` has every expiry that was ever set; `fold` has the last ones alone, and sorts only what
belongs to engrams with events.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from memoria.errors import DamageError
from memoria.timeline import rules
from memoria.timeline.log import ENDINGS, TURNS, BoolArray, Firings, FloatArray, IntArray


class Lifespans(NamedTuple):
    """N engrams after ``step`` steps and the events that followed.

    Attributes:
        step: finished steps; -1 before anything.
        expiry: step at whose end each is forgotten, float64 [N]; -1 for one not made yet.
        pinned: whether each is pinned, bool [N].
        fires: how often each fired, int64 [N].
        since: step in which each got its expiry, int64 [N]; ``step`` for a pinned one.
    """

    step: int
    expiry: FloatArray
    pinned: BoolArray
    fires: IntArray
    since: IntArray

    @classmethod
    def nothing(cls, count: int) -> Lifespans:
        """``count`` engrams before any step."""
        zeros = np.zeros(count, np.int64)
        return cls(-1, np.full(count, -1.0), np.zeros(count, np.bool_), zeros, zeros)

    def gone(self) -> IntArray:
        """The step at whose end each was forgotten, [N]; 0 while it lives, or if it never fired."""
        return np.where(self.fires > 0, rules.forgotten_in(self.expiry, self.since, self.step), 0)


def fold(start: Lifespans, firings: Firings, step: int, names: IntArray | None = None) -> Lifespans:
    """The engrams of ``start`` after the ``firings`` and their events, which came later.

    Args:
        start: the state that the log goes on from.
        firings: positions that fired after ``start.step``, of finished steps alone.
        step: finished steps by then.
        names: ids of the engrams, for messages, int64 [N].

    Returns:
        The state after ``step`` steps and all events.

    Raises:
        DamageError: an event happened to an engram that was not alive.
    """
    at, events = firings.ids, firings.events
    expiry, since, pinned = start.expiry.copy(), start.since.copy(), start.pinned.copy()
    expiry[at], since[at] = firings.expiry, firings.steps  # of repeats the last one stays
    fires = start.fires + np.bincount(at, minlength=len(expiry))
    turns = events.of_kind(*TURNS)
    is_turned = pinned.copy()
    is_turned[turns.ids] = True
    ends = events.of_kind(*ENDINGS)
    ends = ends.take(~is_turned[ends.ids])  # of others nothing but the end is to be found
    _check_alive(expiry[ends.ids], ends.steps, ends.ids, names)
    since[ends.ids] = ends.steps
    expiry[ends.ids], _ = rules.happen(
        ends.kinds, expiry[ends.ids], pinned[ends.ids], ends.steps, ends.values
    )
    turned = np.flatnonzero(is_turned)
    if len(turned):
        its = events.of_kind(*TURNS, *ENDINGS)
        of_turned = replace(firings.take(is_turned[at]), events=its.take(is_turned[its.ids]))
        settings = Expiries.of(of_turned, step, start, turned)
        before, event = settings.before, settings.by_hand
        _check_alive(before[event], settings.steps[event], settings.positions[event], names)
        last = np.searchsorted(settings.positions, turned, side="right") - 1
        pinned[turned] = settings.pinned[last]
        expiry[turned] = settings.moved(last, np.full(len(turned), step))
        since[turned] = np.where(pinned[turned], step, settings.steps[last])
    return Lifespans(step, expiry, pinned, fires, since)


def _check_alive(
    expiry: FloatArray, steps: IntArray, positions: IntArray, names: IntArray | None
) -> None:
    dead = positions[~rules.is_alive(expiry, steps)]
    if len(dead):
        engram = dead[0] if names is None else names[dead[0]]
        raise DamageError(f"an event names engram {engram}, which was not alive")


@dataclass(frozen=True, eq=False)
class Expiries:
    """Every setting of an expiry, by engram and in the order in which they happened. S settings.

    An engram that was set to expire at ``value`` in step s does so until it is set anew; a pinned
    one expires a step later with every step.

    Attributes:
        positions: engram of each setting, int64 [S], ascending.
        steps: step of each setting, int64 [S], counted from 1.
        value: the expiry, float64 [S].
        pinned: whether the engram is pinned from then on, bool [S].
        by_hand: whether an event set it, which comes after what the step itself set, bool [S].
        before: expiry before an event, NaN for a firing and where there was none, float64 [S].
        span: more than any step has moments.
    """

    positions: IntArray
    steps: IntArray
    value: FloatArray
    pinned: BoolArray
    by_hand: BoolArray
    before: FloatArray
    span: int

    @classmethod
    def of(
        cls,
        firings: Firings,
        steps: int,
        start: Lifespans | None = None,
        begun: IntArray | None = None,
    ) -> Expiries:
        """All settings by ``firings`` and their events, which name positions, in ``steps`` steps.

        Those of the engrams ``begun`` [K] go on from their settings in ``start``.
        """
        events = firings.events.of_kind(*TURNS, *ENDINGS)
        parts = [(firings.ids, firings.steps, firings.expiry.astype(np.float64))]
        if start is not None and begun is not None:
            head = begun, np.full(len(begun), start.step), start.expiry[begun]
            parts.insert(0, head)
        parts.append((events.ids, events.steps, events.values))
        positions, when, value = (np.concatenate(column) for column in zip(*parts, strict=True))
        kinds = np.zeros(len(positions), np.int8)
        kinds[len(kinds) - len(events) :] = events.kinds
        span = 2 * (steps + 2)
        order = np.argsort(positions * span + 2 * when + (kinds > 0), kind="stable")
        positions, kinds = positions[order], kinds[order]
        is_first = np.append(True, positions[1:] != positions[:-1])[: len(positions)]
        pinned = np.zeros(len(positions), np.bool_)
        if start is not None:
            pinned = start.pinned[positions]
        if len(events) or pinned.any():
            pinned = rules.pinned_through(kinds, pinned, is_first)
        before = np.broadcast_to(np.float64(np.nan), len(positions))  # takes no memory
        if len(events):
            before = before.copy()
        made = cls(positions, when[order], value[order], pinned, kinds > 0, before, span)
        if len(events):
            made._happen(kinds, is_first)
        return made

    def _happen(self, kinds: rules.KindArray, is_first: BoolArray) -> None:
        """Work out ``value`` and ``before`` of what events set."""
        event = np.flatnonzero(self.by_hand & ~is_first)
        owner = self.positions[event]
        rank = np.arange(len(event)) - np.searchsorted(owner, owner)
        for number in range(int(rank.max(initial=-1)) + 1):  # everyone's first, second, ...
            at = event[rank == number]
            now, steps = self.moved(at - 1, self.steps[at]), self.steps[at]
            self.before[at] = now
            self.value[at], _ = rules.happen(
                kinds[at], now, self.pinned[at - 1], steps, self.value[at]
            )

    def moved(self, settings: IntArray, steps: IntArray) -> FloatArray:
        """What each of ``settings`` has become after ``steps`` steps, if nothing else set it."""
        value = self.value[settings]
        carried = rules.carry(value, steps - self.steps[settings])
        return np.where(self.pinned[settings], carried, value)

    def at(self, positions: IntArray, step: int | IntArray) -> FloatArray:
        """The expiry of engrams after ``step`` and its events; NaN before they are made."""
        return self._looked_up(positions, np.asarray(step), 1)

    def fired(self, positions: IntArray, steps: IntArray) -> FloatArray:
        """The expiry that each of ``steps``, in which engrams fired, left them, before events."""
        return self._looked_up(positions, steps, 0)

    def gains(self, positions: IntArray, steps: IntArray, born: IntArray) -> FloatArray:
        """Lifespan that engrams made in ``born`` gained when they fired in ``steps``, [N].

        The first gain is the lifespan that the engram began with; 0 where nothing was set.
        """
        at = np.searchsorted(self._keys, positions * self.span + 2 * steps, side="right") - 1
        was = at - 1
        found = (at >= 0) & (self.positions[at] == positions) & (self.steps[at] == steps)
        before = found & (was >= 0) & (self.positions[was] == positions)
        old = np.where(before, self.moved(was, steps), born - 1.0)
        with np.errstate(invalid="ignore"):  # endless ones make no difference
            return np.where(found, self.value[at] - old, 0.0)

    def of_one(self, position: int) -> Expiries:
        """The settings of one engram."""
        first, last = np.searchsorted(self.positions, (position, position + 1))
        some = slice(int(first), int(last))
        columns = {one.name: getattr(self, one.name)[some] for one in fields(self)[:-1]}
        return Expiries(**columns, span=self.span)

    @cached_property
    def _keys(self) -> IntArray:
        return self.positions * self.span + 2 * self.steps + self.by_hand

    def _looked_up(self, positions: IntArray, steps: IntArray, by_hand: int) -> FloatArray:
        if len(self.positions) == 0:
            return np.full(len(positions), np.nan)
        wanted = positions * self.span + 2 * steps + by_hand
        at = np.searchsorted(self._keys, wanted, side="right") - 1
        there = (at >= 0) & (self.positions[at] == positions)
        return np.where(there, self.moved(at, steps), np.nan)
