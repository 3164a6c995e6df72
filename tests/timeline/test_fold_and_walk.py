"""The fold and the walk of a random log against a life told engram by engram."""

from __future__ import annotations

import math

import numpy as np
import pytest

from memoria.errors import DamageError
from memoria.timeline.engram_type import EngramType
from memoria.timeline.fold import Expiries, Lifespans, fold
from memoria.timeline.log import EventKind, Events, Firings
from memoria.timeline.rules import LONGEST, pinned_after
from memoria.timeline.walk import LifespanTracker, LivingWalk

STEPS = 60


class PlainLife:
    """Engrams as numbers; what happens to them is written down as a log on the way."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.expiry: dict[int, float] = {}
        self.pinned: set[int] = set()
        self.gone: dict[int, int] = {}
        self.made: list[int] = []  # engrams there were after each step
        self.firings: list[tuple[int, int, float]] = []
        self.events: list[tuple[int, int, int, float]] = []
        self.after: list[dict[int, float]] = [{}]  # expiry of the living after each step

    def live(self, step: int) -> None:
        for id_ in self.random.permutation(sorted(self.expiry))[:3].tolist():
            self.happen(step - 1, id_, EventKind(int(self.random.integers(1, 8))))
        fired = self.random.permutation(sorted(self.expiry))[:4].tolist()
        gains = dict(zip(fired, (self.random.integers(-4, 20, 4) / 4).tolist(), strict=False))
        new = len(self.gone) + len(self.expiry)
        self.made.append(new + 2)
        for id_ in (new, new + 1):
            self.expiry[id_] = step - 1 + 6.0
        for id_ in self.expiry:
            gain = gains.get(id_, 0.0)
            if id_ in self.pinned:
                self.expiry[id_] = math.ceil(self.expiry[id_] + max(0.0, gain)) + 1.0
            else:
                self.expiry[id_] += gain
        for id_ in (new, new + 1, *fired):
            self.firings.append((id_, step, self.expiry[id_]))
        for id_ in [i for i, expiry in self.expiry.items() if expiry <= step]:
            self.end(id_, step)
        self.after.append(dict(self.expiry))

    def happen(self, step: int, id_: int, kind: EventKind) -> None:
        if (kind == EventKind.PIN) == (id_ in self.pinned) and kind in (2, 3):
            return  # pinned already, or not pinned
        gain = float(self.random.integers(0, 9) / 4) if kind == EventKind.RECALL else 0.0
        self.events.append((step, kind, id_, gain))
        if kind in (EventKind.FORGET, EventKind.DISPLACE):
            self.end(id_, step)
        elif kind == EventKind.RECALL:
            self.expiry[id_] += gain
            if id_ in self.pinned:
                self.expiry[id_] = math.ceil(self.expiry[id_])
        elif kind == EventKind.PIN:
            self.pinned.add(id_)
            self.expiry[id_] = math.ceil(self.expiry[id_])
        elif kind == EventKind.UNPIN:
            self.pinned.remove(id_)

    def end(self, id_: int, step: int) -> None:
        del self.expiry[id_]
        self.pinned.discard(id_)
        self.gone[id_] = step

    def log(self, first: int = 0, last: int = STEPS) -> Firings:
        """The firings of the steps ``first`` + 1 to ``last``, and the events in between."""
        mine = [one for one in self.firings if first < one[1] <= last]
        ids, steps, expiry = zip(*mine, strict=True)
        events = [one for one in self.events if first <= one[0] < last or one[0] == last == STEPS]
        columns = np.array(events, np.float64).reshape(-1, 4).T
        when, kinds, who = columns[:3].astype(np.int64)
        made = Events(when, kinds, who, np.zeros(len(when), np.int64), columns[3])
        return Firings(np.array(ids), np.array(steps), np.array(expiry), made)


@pytest.fixture(params=range(6))
def life(request: pytest.FixtureRequest) -> PlainLife:
    made = PlainLife(request.param)
    for step in range(1, STEPS + 1):
        made.live(step)
    return made


def living(state: Lifespans) -> dict[int, float]:
    alive = np.flatnonzero(state.expiry > state.step)
    return dict(zip(alive.tolist(), state.expiry[alive].tolist(), strict=True))


def test_the_fold_is_the_life(life: PlainLife) -> None:
    count = life.made[-1]
    state = fold(Lifespans.nothing(count), life.log(), STEPS)
    assert living(state) == life.expiry
    assert set(np.flatnonzero(state.pinned)) == life.pinned
    assert {i: int(step) for i, step in enumerate(state.gone()) if step} == life.gone
    ids = [id_ for id_, _, _ in life.firings]
    assert state.fires.tolist() == np.bincount(ids, minlength=count).tolist()


@pytest.mark.parametrize("middle", [1, 20, 41])
def test_a_fold_goes_on_from_any_state(life: PlainLife, middle: int) -> None:
    count = life.made[-1]
    half = fold(Lifespans.nothing(count), life.log(0, middle), middle)
    assert living(half) == life.after[middle]
    whole = fold(half, life.log(middle), STEPS)
    assert living(whole) == life.expiry
    assert set(np.flatnonzero(whole.pinned)) == life.pinned
    assert set(pinned_after(life.log().events)) == life.pinned


def test_every_expiry_at_every_step(life: PlainLife) -> None:
    expiries = Expiries.of(life.log(), STEPS)
    before = {step: [one for one in life.events if one[0] == step] for step in range(STEPS + 1)}
    for step in range(1, STEPS + 1):
        untouched = {i for i in life.after[step] if i not in {one[2] for one in before[step]}}
        ids = np.array(sorted(untouched))
        expected = [life.after[step][i] for i in ids.tolist()]
        assert expiries.at(ids, step).tolist() == expected


def test_the_walk_is_the_fold_after_every_step(life: PlainLife) -> None:
    log, none = life.log(), np.empty(0, np.int64)
    walk = LivingWalk(0, none, np.empty(0), np.empty(0, np.bool_), np.zeros(1, np.int64), 0)
    tracker = LifespanTracker(life.made[-1])
    for step in range(1, STEPS + 1):
        for at in np.flatnonzero(log.events.steps == step - 1):
            event = log.events.take(slice(at, at + 1))
            walk.happen(event)
            tracker.happen(event.ids, event)
        mine = log.steps == step
        short = np.array([max(0, life.made[step - 1] - 10)])
        made = np.arange(walk.created, life.made[step - 1])
        walk.advance(made, life.made[step - 1], short, log.ids[mine], log.expiry[mine])
        tracker.fire(log.ids[mine], log.expiry[mine], log.steps[mine])
        alive = walk.expiry > step
        found = dict(zip(walk.ids[alive].tolist(), walk.expiry[alive].tolist(), strict=True))
        assert found == life.after[step]
        assert set(walk.ids[walk.types(1) == EngramType.WORKING]) == set(made.tolist())
        followed = tracker.after(step)
        assert {i: followed[i] for i in life.after[step]} == life.after[step]
        assert all(tracker.is_alive(i, step) == (i in found) for i in range(life.made[step - 1]))


def test_an_event_on_a_forgotten_engram_is_damage() -> None:
    firings = Firings(np.array([0, 1]), np.array([1, 1]), np.array([1.0, 9.0]))
    for kind in (EventKind.FORGET, EventKind.PIN, EventKind.RECALL):
        one = np.array([1])
        events = Events(one, one * kind, one * 0, one, np.zeros(1))
        log = Firings(firings.ids, firings.steps, firings.expiry, events)
        with pytest.raises(DamageError, match="engram 7, which was not alive"):
            fold(Lifespans.nothing(2), log, 1, names=np.array([7, 8]))
    walk = LivingWalk(1, np.array([5]), np.array([3.0]), np.zeros(1, bool), np.zeros(1, int), 6)
    with pytest.raises(DamageError, match="not alive"):
        walk.advance(np.array([6]), 7, np.zeros(1, int), np.array([4]), np.array([9.0]))


def test_an_endless_engram_is_pinned_within_bounds() -> None:
    one = np.array([1])
    events = Events(one, one * EventKind.PIN, one * 0, one, np.zeros(1))
    state = fold(Lifespans.nothing(1), Firings(one * 0, one, np.array([np.inf]), events), 5)
    assert state.expiry.tolist() == [LONGEST + 5]
