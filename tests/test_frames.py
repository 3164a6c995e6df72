"""A walk through a life against what `Inspection` tells of every single step."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from past_lives import PastLife, live

from memoria.engram_type import EngramType
from memoria.errors import InputError
from memoria.replay.frames import Frame, Walk, walk
from memoria.store import MemoryStore
from memoria.store.compacting import compact
from memoria.store.inspection import Inspection

KINDS = {"working": 1, "shortterm": 2, "longterm": 3}
STEPS = 25


def told(path: Path, step: int, lane: int | None = None) -> dict[int, tuple[str, float]]:
    """(type, lifespan) of everyone alive after ``step``, by what a store opened there says."""
    with Inspection.open(path, step) as view:
        listed = view.engram_list(lane=lane)
    return {one["id"]: (one["type"], one["lifespan"]) for one in listed}


def check(path: Path, frame: Frame, lane: int | None = None) -> None:
    """Everything of a frame that comes one step after the one before."""
    before, after = told(path, frame.step - 1, lane), told(path, frame.step, lane)
    alive = dict(zip(frame.ids.tolist(), frame.lifespan.tolist(), strict=True))
    kept = {id_: left for id_, left in alive.items() if left > 0}
    assert kept == {id_: left for id_, (_, left) in after.items()}
    assert frame.forgotten.tolist() == [left <= 0 for left in alive.values()]
    assert frame.ids.tolist() == sorted(frame.ids.tolist())
    for id_, kind in zip(frame.ids.tolist(), frame.types.tolist(), strict=True):
        if id_ in before:
            assert kind == KINDS[before[id_][0]]
        else:
            assert kind == EngramType.WORKING
    assert frame.created - frame.gone == len(after)
    with Inspection.open(path) as view:
        fired = set(view.firings.ids[view.firings.steps == frame.step].tolist())
        mine = {id_ for id_ in fired if lane is None or id_ % view.config.lanes == lane}
    assert set(frame.ids[frame.fired].tolist()) == mine
    made = set(frame.ids[frame.types == EngramType.WORKING].tolist())
    assert set(frame.reminded.tolist()) == mine - made


@pytest.fixture(params=[1, 2, 3, 4, 5, 8])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    live(PastLife(request.param), tmp_path / "store", STEPS, random.Random(request.param))
    return tmp_path / "store"


def test_every_frame_is_what_the_store_was(path: Path) -> None:
    with walk(path) as course:
        assert (course.first, course.last) == (1, STEPS)
        for step in range(1, STEPS + 1):
            frame = course.go(step)
            assert frame.step == step
            check(path, frame)


def test_of_one_lane_and_from_any_step(path: Path) -> None:
    with Inspection.open(path) as view:
        lanes = view.config.lanes
    for lane in range(lanes):
        with walk(path, 7, 12, lane) as course:
            for step in range(7, 13):
                frame = course.go(step)
                check(path, frame, lane)
                assert set((frame.ids % lanes).tolist()) <= {lane}
            with pytest.raises(InputError):
                course.go(13)
            with pytest.raises(InputError):
                course.go(11)


def test_a_leap_is_many_steps(path: Path) -> None:
    with walk(path) as slow, walk(path) as fast:
        frames = {step: slow.go(step) for step in range(1, STEPS + 1)}
        last = 0
        for step in (1, 4, 5, 19, STEPS):
            frame, same = fast.go(step), frames[step]
            for name in ("ids", "types", "lifespan", "forgotten", "reminded"):
                assert np.array_equal(getattr(frame, name), getattr(same, name)), name
            assert (frame.created, frame.gone) == (same.created, same.gone)
            leapt = [frames[k] for k in range(last + 1, step + 1)]
            fired = {id_ for one in leapt for id_ in one.ids[one.fired].tolist()}
            assert set(frame.ids[frame.fired].tolist()) == fired & set(frame.ids.tolist())
            last = step
        assert not fast.go(STEPS).fired.any()  # nothing happened since


def test_it_stops_when_that_is_enough(path: Path) -> None:
    with walk(path) as course:
        assert course.go(STEPS, enough=lambda: True).step == 1
        asked = iter([False, False, True])
        assert course.go(STEPS, enough=lambda: next(asked)).step == 4


def test_of_the_past(path: Path) -> None:
    with walk(path, at=9) as course:
        assert (course.first, course.last) == (1, 9)
        check(path, course.go(1))


def test_after_compaction_from_there_on(tmp_path: Path) -> None:
    life, store = PastLife(4), tmp_path / "store"
    live(life, store, 15, random.Random(0))
    compact(store, snapshots=[])
    life.go_on(store, 10)
    with walk(store) as course:
        assert (course.first, course.last) == (16, 25)
        for step in range(16, 26):
            check(store, course.go(step))
    with pytest.raises(InputError, match="compaction has removed"), walk(store, 3):
        pass


def test_a_writer_is_followed_before_it_commits(tmp_path: Path) -> None:
    life, path = PastLife(5), tmp_path / "store"
    live(life, path, 6, random.Random(1))
    frames = []
    with MemoryStore.open(path, "r+") as store:
        course = Walk(store.files, store.timestep + 1, None)
        for step in range(7, 15):
            life.step(store, step)
            if step == 10:
                store.commit()
            if step % 2:
                frames.append(course.go(course.last))
        assert [frame.step for frame in frames] == [7, 9, 11, 13]
    with walk(path, 7) as course:
        for frame in frames:
            same = course.go(frame.step)
            for name in ("ids", "types", "lifespan", "fired", "forgotten", "reminded"):
                assert np.array_equal(getattr(frame, name), getattr(same, name)), name


def test_what_is_not_there(path: Path) -> None:
    for arguments in ((0, 3), (5, 4), (1, STEPS + 1)):
        with pytest.raises(InputError), walk(path, *arguments):
            pass
    with pytest.raises(InputError, match="lane = 9"), walk(path, lane=9):
        pass
