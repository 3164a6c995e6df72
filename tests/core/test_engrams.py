"""`Engrams`: construction, masks, selection, equality, joining, the summary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from engram_example import FIELDS, LONG, NULL, SHORT, WORKING, assert_fields_equal, example, fields
from hypothesis import given, settings
from hypothesis import strategies as st

from memoria import Engrams, EngramType
from memoria.errors import ShapeError, StateError

# -- construction ---------------------------------------------------------------------------------


def test_defaults() -> None:
    engrams = Engrams(torch.rand(2, 3, 4))
    assert len(engrams) == 6
    assert torch.equal(engrams.induce_counts, torch.zeros(2, 3, 3, dtype=torch.int32))
    assert torch.equal(engrams.engrams_types, torch.full((2, 3), WORKING, dtype=torch.uint8))
    assert torch.equal(engrams.lifespan, torch.zeros(2, 3))
    assert engrams.age is None
    assert engrams.engram_ids is None
    assert torch.equal(engrams.fire_count, torch.zeros(2, 3, dtype=torch.int32))


def test_scalars_fill() -> None:
    engrams = Engrams(
        torch.rand(2, 3, 4),
        engrams_types=EngramType.LONGTERM,
        lifespan=7,
        engram_ids=10,
        track_age=True,
        track_engram_id=True,
    )
    assert engrams.age is not None
    assert engrams.engram_ids is not None
    assert engrams.engrams_types.tolist() == [[LONG] * 3] * 2
    assert engrams.lifespan.tolist() == [[7.0] * 3] * 2
    assert engrams.age.tolist() == [[0] * 3] * 2
    assert engrams.engram_ids.tolist() == [[10, 11, 12]] * 2


def test_number_types() -> None:
    engrams = example()
    assert engrams.age is not None
    assert engrams.engram_ids is not None
    assert engrams.data.dtype == torch.float32
    assert engrams.induce_counts.dtype == torch.int32
    assert engrams.engrams_types.dtype == torch.uint8
    assert engrams.lifespan.dtype == torch.float32
    assert engrams.age.dtype == torch.int32
    assert engrams.engram_ids.dtype == torch.int64
    assert Engrams(torch.rand(1, 1, 1, dtype=torch.float64)).data.dtype == torch.float32
    assert not Engrams(torch.rand(1, 1, 1, requires_grad=True)).data.requires_grad


def test_empty() -> None:
    empty = Engrams.empty()
    assert len(empty) == 0
    assert empty == Engrams.empty()
    assert list(empty) == []
    assert len(Engrams(torch.zeros(3, 0, 5))) == 0


@pytest.mark.parametrize("shape", [(3,), (2, 3), (1, 2, 3, 4)])
def test_data_must_have_three_axes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="data"):
        Engrams(torch.zeros(*shape))


@pytest.mark.parametrize(
    ("name", "shape"),
    [("induce_counts", (2, 3, 2)), ("engrams_types", (2, 2)), ("lifespan", (3, 3))],
)
def test_fields_must_fit_the_data(name: str, shape: tuple[int, ...]) -> None:
    arguments: dict[str, Any] = {name: torch.zeros(*shape)}
    with pytest.raises(ShapeError, match=name):
        Engrams(torch.zeros(2, 3, 4), **arguments)


# -- masks and indices ----------------------------------------------------------------------------


def test_masks_by_type() -> None:
    engrams = example()
    assert engrams.working_memory_mask.tolist() == [
        [False, False, False, True],
        [False, False, True, False],
    ]
    assert engrams.shortterm_memory_mask.tolist() == [
        [False, False, True, False],
        [False, True, False, False],
    ]
    assert engrams.longterm_memory_mask.tolist() == [
        [True, True, False, False],
        [True, False, False, False],
    ]


def test_fire_count_is_the_diagonal() -> None:
    assert example().fire_count.tolist() == [[4, 5, 3, 1], [2, 2, 1, -1]]


def test_indices_are_padded_on_the_right() -> None:
    engrams = example()
    indices = engrams.get_indices_with_mask(engrams.longterm_memory_mask)
    assert indices.tolist() == [[0, 1], [0, -1]]
    assert indices.dtype == torch.int64
    nothing = engrams.get_indices_with_mask(torch.zeros(2, 4, dtype=torch.bool))
    assert nothing.shape == (2, 0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=2, max_size=2),
)
def test_mask_and_indices_round_trip(rows: list[list[bool]]) -> None:
    engrams = example()
    mask = torch.tensor(rows)
    indices = engrams.get_indices_with_mask(mask)
    assert indices.shape == (2, int(mask.sum(1).max()))
    for row, chosen in zip(rows, indices.tolist(), strict=True):
        places = [i for i, yes in enumerate(row) if yes]
        assert chosen == places + [-1] * (len(chosen) - len(places))
    assert torch.equal(engrams.get_mask_with_indices(indices), mask)


def test_getters_return_the_part_and_its_places() -> None:
    engrams = example()
    cases: list[tuple[Callable[[], tuple[Engrams, torch.Tensor]], list[list[int]], int]] = [
        (engrams.get_working_memory, [[3], [2]], WORKING),
        (engrams.get_shortterm_memory, [[2], [1]], SHORT),
        (engrams.get_longterm_memory, [[0, 1], [0, -1]], LONG),
    ]
    for getter, places, kind in cases:
        part, indices = getter()
        assert indices.tolist() == places
        assert part == engrams.select(indices)
        assert torch.equal(part.engrams_types == kind, indices >= 0)


# -- selection ------------------------------------------------------------------------------------


def test_select_by_lane() -> None:
    engrams = example()
    part = engrams.select(torch.tensor([[3, 0], [1, -1]]))
    assert part.engram_ids is not None
    assert part.age is not None
    assert part.data[0].tolist() == engrams.data[0, [3, 0]].tolist()
    assert part.data[1].tolist() == [engrams.data[1, 1].tolist(), [0, 0, 0]]
    assert part.induce_counts.tolist() == [[[1, 0], [0, 4]], [[2, -1], [-1, -1]]]
    assert part.engrams_types.tolist() == [[WORKING, LONG], [SHORT, NULL]]
    assert part.lifespan.tolist() == [[3.0, 5.0], [0.5, -1.0]]
    assert part.age.tolist() == [[0, 7], [1, -1]]
    assert part.engram_ids.tolist() == [[6, 0], [4, -1]]


def test_select_the_same_places_in_every_lane() -> None:
    engrams = example()
    flat = engrams.select(torch.tensor([2, 0]))
    assert flat == engrams.select(torch.tensor([[2, 0], [2, 0]]))
    null = engrams.select(torch.tensor([1, -1]))
    assert null.engrams_types[:, 1].tolist() == [NULL, NULL]
    assert null.lifespan[:, 1].tolist() == [-1, -1]


def test_select_gives_copies() -> None:
    engrams = example()
    before = fields(engrams)
    part = engrams.select(torch.arange(4))
    part.data.fill_(9)
    part.lifespan.fill_(9)
    part.induce_counts.fill_(9)
    assert_fields_equal(fields(engrams), before)


def test_select_nothing() -> None:
    part = example().select(torch.empty(2, 0, dtype=torch.int64))
    assert part.data.shape == (2, 0, 3)
    assert len(part) == 0


def test_mask_select_pads_on_the_right() -> None:
    engrams = example()
    mask = engrams.lifespan > 2
    part = engrams.mask_select(mask)
    assert part.engram_ids is not None
    assert part.engram_ids.tolist() == [[0, 2, 6], [1, 8, -1]]
    assert part.lifespan.tolist() == [[5.0, 2.5, 3.0], [4.0, 3.0, -1.0]]
    assert part.induce_counts[1].tolist() == [[2, 0, -1], [0, 1, -1], [-1, -1, -1]]


# -- equality, joining, iteration -----------------------------------------------------------------


def test_equality() -> None:
    assert example() == example()
    assert (example() == 3) is False
    assert example() != Engrams(torch.zeros(2, 4, 3))
    assert Engrams(torch.zeros(1, 2, 3)) != Engrams(torch.zeros(1, 3, 2))
    for name in FIELDS:
        changed = example()
        values = getattr(changed, name)
        values[0, 0] = values[0, 0] + 1
        assert changed != example(), name


def test_joining() -> None:
    first, second = example(), example().select(torch.tensor([2]))
    joined = first + second
    assert joined.engram_ids is not None
    assert len(joined) == len(first) + len(second)
    assert torch.equal(joined.data, torch.cat([first.data, second.data], 1))
    assert torch.equal(joined.lifespan, torch.cat([first.lifespan, second.lifespan], 1))
    assert joined.engram_ids.tolist() == [[0, 2, 5, 6, 5], [1, 4, 8, -1, 8]]
    assert torch.equal(joined.induce_counts[:, :4, :4], first.induce_counts)
    assert torch.equal(joined.induce_counts[:, 4:, 4:], second.induce_counts)
    assert joined.induce_counts[0, :4, 4].tolist() == [0, 0, 0, 0]
    assert joined.induce_counts[0, 4, :4].tolist() == [0, 0, 0, 0]
    assert first == example()  # the parts stay as they were


def test_joining_with_nothing() -> None:
    tracked = Engrams.empty(track_age=True, track_engram_id=True)
    assert tracked + example() == example()
    assert example() + tracked == example()


@pytest.mark.parametrize("shape", [(1, 2, 3), (2, 2, 4)])
def test_joining_others_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError):
        example() + Engrams(torch.zeros(*shape))


def test_iteration_over_lanes() -> None:
    engrams = example()
    lanes = list(engrams)
    assert [tuple(lane.data.shape) for lane in lanes] == [(1, 4, 3), (1, 4, 3)]
    for b, lane in enumerate(lanes):
        assert_fields_equal(
            fields(lane), {name: v[b : b + 1] for name, v in fields(engrams).items()}
        )


# -- summary --------------------------------------------------------------------------------------


def test_status_summary() -> None:
    first, second = example().status_summary()
    assert first.working == (6,)
    assert first.shortterm == (5,)
    assert first.longterm == (0, 2)
    assert (second.working, second.shortterm, second.longterm) == ((8,), (4,), (1,))
    assert set(first.engrams) == {0, 2, 5, 6}
    assert set(second.engrams) == {1, 4, 8}  # no nulls

    engram = first.engrams[2]
    assert (engram.id, engram.type, engram.lifespan, engram.age) == (2, "LONGTERM", 2.5, 6)
    assert engram.fire_count == 5
    assert engram.cofire_counts == {0: 2, 5: 3}
    assert {(e.source_id, e.target_id, e.cofire_count) for e in engram.outgoings} == {
        (2, 0, 2),
        (2, 5, 3),
    }
    assert {(e.source_id, e.target_id, e.cofire_count) for e in engram.incoming} == {
        (0, 2, 2),
        (5, 2, 3),
    }

    assert set(first.edges) == {(0, 2), (2, 0), (0, 5), (5, 0), (2, 5), (5, 2), (5, 6), (6, 5)}
    assert first.edges[2, 0].weight == pytest.approx(2 / 5)  # of 5 firings of 2, 0 fired in 2
    assert first.edges[0, 2].weight == pytest.approx(2 / 4)
    assert first.edges[6, 5].weight == 1.0
    assert second.edges[1, 4].cofire_count == 1
    for info in (first, second):
        for (source, target), edge in info.edges.items():
            assert (edge.source_id, edge.target_id) == (source, target)
            assert 0 < edge.weight <= 1


def test_summary_of_engrams_that_never_fired() -> None:
    engrams = Engrams(torch.zeros(1, 2, 1), lifespan=3, track_engram_id=True)
    (info,) = engrams.status_summary()
    assert info.edges == {}
    assert info.engrams[0].fire_count == 0
    assert info.engrams[0].age is None
    assert info.engrams[1].outgoings == info.engrams[1].incoming == ()


def test_summary_needs_ids() -> None:
    with pytest.raises(StateError, match="track"):
        Engrams(torch.zeros(1, 2, 3)).status_summary()
