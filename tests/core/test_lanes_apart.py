"""Lanes that start anew, and lanes that stand still while the others make a step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from memoria import EngramType, Memoria, MemoryStore, save_memory
from memoria.errors import InputError, ShapeError, StateError
from memoria.store.verify import verify

LANES, WIDTH, DIMENSION, STEPS = 3, 2, 4, 12
LAYOUTS = ("dense", "sparse")
# What depends on the number of a step or of an engram, and not only on what a lane has been told.
BY_NUMBER: dict[str, Any] = {"tie_break": "oldest", "random_entries": 0}


def memory(layout: str = "dense", **changes: Any) -> Memoria:
    return Memoria(2, 4, 3, 5, 2, track_id=True, layout=layout, **changes)


def data(step: int) -> Tensor:
    generator = torch.Generator().manual_seed(step)
    return torch.rand(LANES, WIDTH, DIMENSION, generator=generator)


def take_step(
    of: Memoria, given: Tensor, active: list[bool] | None = None
) -> tuple[Tensor, Tensor]:
    of.add_working_memory(given, None if active is None else torch.tensor(active))
    memories, indices = of.remind()
    of.adjust_lifespan_and_memories(indices, (indices % 3).float())
    return memories, indices


def lane_of(of: Memoria, lane: int) -> list[Tensor]:
    """All that a lane's engrams are, without the padding."""
    engrams = of.engrams
    living = engrams.engrams_types[lane] != EngramType.NULL
    fields = (engrams.data, engrams.lifespan, engrams.engrams_types)
    return [field[lane][living] for field in fields] + [
        engrams.induce_counts[lane][living][:, living]
    ]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(map(torch.equal, one, other))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_lane_starts_anew_and_the_others_go_on_bit_for_bit(layout: str) -> None:
    ours, undisturbed = memory(layout), memory(layout)
    anew = torch.tensor([False, True, False])
    for step in range(STEPS):
        found, expected = (take_step(one, data(step)) for one in (ours, undisturbed))
        for lane in (0, 2):
            width = min(found[1].shape[1], expected[1].shape[1])
            assert torch.equal(found[1][lane, :width], expected[1][lane, :width])
            assert same(lane_of(ours, lane), lane_of(undisturbed, lane))
        if step == 5:
            ours.reset_lanes(anew)
            assert (ours.engrams.engrams_types[1] == EngramType.NULL).all()
    ids = ours.engrams.engram_ids
    assert ids is not None
    assert int(ids[1][ids[1] >= 0].min()) >= 6 * WIDTH


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_lane_stands_still_as_if_the_step_had_not_been(layout: str) -> None:
    ours = memory(layout, **BY_NUMBER)
    alone = [memory(layout, **BY_NUMBER) for _ in range(LANES)]
    active = [
        [True, step % 3 != 1, not 4 <= step < 9] if step else [True] * LANES
        for step in range(STEPS)
    ]
    for step, goes_on in enumerate(active):
        memories, indices = take_step(ours, data(step), goes_on)
        for lane, single in enumerate(alone):
            if goes_on[lane]:
                its, at = take_step(single, data(step)[lane : lane + 1])
                width = at.shape[1]
                assert torch.equal(indices[lane, :width], at[0])
                assert torch.equal(memories[lane, :width], its[0])
                assert (indices[lane, width:] == -1).all()
            else:
                assert (indices[lane] == -1).all()
            assert same(lane_of(ours, lane), lane_of(single, 0))
    assert ours.timestep == STEPS


def test_pinned_engrams_of_a_lane_that_stands_still_keep_their_lifespan() -> None:
    ours = memory()
    take_step(ours, data(0))
    ours.pin(torch.tensor([[0], [0], [0]]))
    before = lane_of(ours, 2)
    take_step(ours, data(1), [True, True, False])
    assert same(lane_of(ours, 2), before)


def test_a_store_tells_what_became_of_every_lane(tmp_path: Path) -> None:
    ours = memory(keep_history=True)
    for step in range(STEPS):
        take_step(ours, data(step), [True, step % 4 != 3, step < 6 or step > 8])
        if step == 9:
            ours.reset_lanes(torch.tensor([False, True, False]))
    history = ours.history
    assert history is not None
    for lane in range(LANES):
        told = history[lane][-1].engrams
        assert [one.lifespan for one in told.values()] == lane_of(ours, lane)[1].tolist()
    save_memory(ours, tmp_path / "store")
    assert verify(tmp_path / "store").findings == ()
    with MemoryStore.open(tmp_path / "store", mode="r+") as store:
        for step in range(STEPS, STEPS + 3):
            given = data(step)
            store.add(given.numpy())
            store.remind()
            store.adjust("uniform:2")
            ours.add_working_memory(given)
            _, indices = ours.remind()
            ours.adjust_lifespan_and_memories(indices, (indices >= 0) * 2.0)
        ids = ours.engrams.engram_ids
        assert ids is not None
        expected = sorted((ids * LANES + torch.arange(LANES)[:, None])[ids >= 0].tolist())
        assert store.living(range((STEPS + 3) * WIDTH * LANES)).tolist() == expected


def test_masks_that_are_none() -> None:
    ours = memory()
    ours.reset_lanes(torch.tensor([True]))  # nothing is known of an empty memory's lanes
    take_step(ours, data(0))
    state = ours.state()
    with pytest.raises(ShapeError, match=r"\[3\]"):
        ours.reset_lanes(torch.tensor([True, False]))
    with pytest.raises(InputError, match="int64, not bool"):
        ours.add_working_memory(data(1), torch.tensor([1, 0, 1]))
    with pytest.raises(InputError, match="every lane stands still"):
        ours.add_working_memory(data(1), torch.zeros(LANES, dtype=torch.bool))
    assert all(torch.equal(value, state[name]) for name, value in ours.state().items())
    ours.add_working_memory(data(1), torch.tensor([True, True, False]))
    with pytest.raises(StateError, match="stand still"):
        ours.add_working_memory(data(1))
    with pytest.raises(StateError, match="reset_lanes: there is working memory"):
        ours.reset_lanes(torch.tensor([True, False, False]))
