"""`Engrams` changed in place: deleting, firing, ageing; and calls that must change nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from engram_example import NULL, SHORT, WORKING, assert_fields_equal, example, fields
from hypothesis import given, settings
from hypothesis import strategies as st

from memoria import Engrams
from memoria.errors import InputError, ShapeError


def test_delete() -> None:
    engrams = example()
    engrams.delete(torch.tensor([[1, 1], [0, -1]]))
    assert engrams.engram_ids is not None
    living = [[i for i in row if i >= 0] for row in engrams.engram_ids.tolist()]
    assert living == [[0, 5, 6], [4, 8]]
    assert engrams.data.shape[1] == engrams.lifespan.shape[1] == 3
    assert engrams.induce_counts[0].tolist() == [[4, 1, 0], [1, 3, 1], [0, 1, 1]]
    assert engrams.engrams_types[1].tolist() == [SHORT, WORKING, NULL]
    assert engrams.lifespan[1].tolist() == [0.5, 3.0, -1.0]
    assert len(engrams) == 6


def test_delete_nothing_and_everything() -> None:
    engrams = example()
    before = fields(engrams)
    engrams.delete(torch.full((2, 2), -1))
    assert_fields_equal(fields(engrams), before)
    engrams.delete(torch.tensor([[0, 1, 2, 3], [2, 1, 0, -1]]))
    assert (engrams.engrams_types == NULL).all()
    assert not engrams.longterm_memory_mask.any()


def test_fire_together_wire_together() -> None:
    engrams = example()
    before = engrams.induce_counts.clone()
    engrams.fire_together_wire_together(torch.tensor([[0, 3, 3, -1], [1, 1, -1, -1]]))
    change = engrams.induce_counts - before
    expected = torch.zeros(2, 4, 4, dtype=torch.int32)
    for i in (0, 3):
        for j in (0, 3):
            expected[0, i, j] = 1
    expected[1, 1, 1] = 1
    assert torch.equal(change, expected)
    assert engrams.fire_count.tolist() == [[5, 5, 3, 2], [2, 3, 1, -1]]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(-1, 4), max_size=6), max_size=12))
def test_firing_is_a_gram_matrix(steps: list[list[int]]) -> None:
    engrams = Engrams(torch.zeros(1, 5, 1))
    incidence = torch.zeros(len(steps), 5)
    for row, fired in enumerate(steps):
        engrams.fire_together_wire_together(torch.tensor([fired], dtype=torch.int64))
        incidence[row, [i for i in fired if i >= 0]] = 1
    assert torch.equal(engrams.induce_counts[0], (incidence.T @ incidence).int())


def test_extend_lifespan() -> None:
    engrams = example()
    delta = torch.tensor([[1.5, 2.0, 0.25], [-3.0, float("nan"), float("nan")]])
    engrams.extend_lifespan(torch.tensor([[0, 2, 2], [0, -1, -1]]), delta)
    assert engrams.lifespan.tolist() == [[6.5, 2.5, 3.25, 3.0], [1.0, 0.5, 3.0, -1.0]]


def test_ageing_passes_over_nulls() -> None:
    engrams = example()
    engrams.decrease_lifespan()
    engrams.increase_age()
    assert engrams.age is not None
    assert engrams.lifespan.tolist() == [[4.0, 1.5, 0.0, 2.0], [3.0, -0.5, 2.0, -1.0]]
    assert engrams.age.tolist() == [[8, 7, 3, 1], [6, 2, 1, -1]]


def test_age_untracked_stays_none() -> None:
    engrams = Engrams(torch.zeros(1, 2, 3))
    engrams.increase_age()
    assert engrams.age is None


def test_arguments_are_left_alone() -> None:
    indices = torch.tensor([[0, -1], [1, -1]])
    delta = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    mask = torch.tensor([[True, False, False, True], [False, True, False, False]])
    kept = indices.clone(), delta.clone(), mask.clone()
    engrams = example()
    engrams.get_mask_with_indices(indices)
    engrams.get_indices_with_mask(mask)
    engrams.select(indices)
    engrams.mask_select(mask)
    engrams.fire_together_wire_together(indices)
    engrams.extend_lifespan(indices, delta)
    engrams.delete(indices)
    for value, copy in zip((indices, delta, mask), kept, strict=True):
        assert torch.equal(value, copy)


def test_the_given_tensors_are_left_alone() -> None:
    lifespan, types = torch.full((1, 2), 3.0), torch.full((1, 2), 2, dtype=torch.uint8)
    counts, age = torch.zeros(1, 2, 2, dtype=torch.int32), torch.zeros(1, 2, dtype=torch.int32)
    engrams = Engrams(torch.zeros(1, 2, 1), counts, types, lifespan, age, track_age=True)
    engrams.decrease_lifespan()
    engrams.increase_age()
    engrams.extend_lifespan(torch.tensor([[0]]), torch.tensor([[4.0]]))
    engrams.fire_together_wire_together(torch.tensor([[0, 1]]))
    assert lifespan.tolist() == [[3.0, 3.0]]
    assert counts.sum() == 0
    assert age.tolist() == [[0, 0]]
    assert engrams.lifespan.tolist() == [[6.0, 2.0]]


BAD_CALLS: dict[str, tuple[Callable[[Engrams], object], type[InputError]]] = {
    "select past the end": (lambda e: e.select(torch.tensor([[0], [4]])), InputError),
    "select below -1": (lambda e: e.select(torch.tensor([[0], [-2]])), InputError),
    "select by floats": (lambda e: e.select(torch.tensor([[0.0], [1.0]])), InputError),
    "select in three lanes": (lambda e: e.select(torch.zeros(3, 1).long()), ShapeError),
    "select by a cube": (lambda e: e.select(torch.zeros(2, 1, 1).long()), ShapeError),
    "delete past the end": (lambda e: e.delete(torch.tensor([[0], [9]])), InputError),
    "fire past the end": (
        lambda e: e.fire_together_wire_together(torch.tensor([[0], [9]])),
        InputError,
    ),
    "extend past the end": (
        lambda e: e.extend_lifespan(torch.tensor([[0], [9]]), torch.zeros(2, 1)),
        InputError,
    ),
    "extend by another shape": (
        lambda e: e.extend_lifespan(torch.tensor([[0], [1]]), torch.zeros(2, 2)),
        ShapeError,
    ),
    "extend by nan": (
        lambda e: e.extend_lifespan(torch.tensor([[0], [1]]), torch.full((2, 1), float("nan"))),
        InputError,
    ),
    "mask of another shape": (
        lambda e: e.mask_select(torch.zeros(2, 3, dtype=torch.bool)),
        ShapeError,
    ),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_calls_change_nothing(name: str) -> None:
    call, error = BAD_CALLS[name]
    engrams = example()
    before = fields(engrams)
    with pytest.raises(error) as caught:
        call(engrams)
    assert "\n" not in str(caught.value)
    assert_fields_equal(fields(engrams), before)
