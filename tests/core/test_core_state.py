"""A memory's state as tensors: what goes on from it is what would have gone on."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from memoria import Memoria
from memoria.errors import InputError

SETTINGS: dict[str, Any] = {
    "num_reminded_stm": 4,
    "stm_capacity": 12,
    "ltm_search_depth": 3,
    "initial_lifespan": 3,
    "num_final_ltms": 4,
    "track_id": True,
    "track_age": True,
}


def life(memoria: Memoria, steps: range) -> list[tuple[Tensor, Tensor]]:
    """What each step was reminded of; gains differ from lane to lane, so lanes die differently."""
    found = []
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        memoria.add_working_memory(torch.rand(2, 5, 8, generator=generator))
        memories, indices = memoria.remind()
        delta = torch.rand(indices.shape, generator=generator) * torch.tensor([[6.0], [2.0]])
        memoria.adjust_lifespan_and_memories(indices, delta)
        found.append((memories, indices))
    return found


def same(mine: list[tuple[Tensor, Tensor]], theirs: list[tuple[Tensor, Tensor]]) -> bool:
    pairs = zip(mine, theirs, strict=True)
    return all(torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in pairs)


def through_a_file(state: dict[str, Tensor]) -> dict[str, Tensor]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Tensor] = torch.load(file, weights_only=True)
    return loaded


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 30), st.sampled_from(["dense", "sparse"]), st.integers(1, 4))
def test_going_on_is_as_if_it_had_not_stopped(at: int, layout: str, reminded: int) -> None:
    def new() -> Memoria:
        return Memoria(**{**SETTINGS, "layout": layout, "num_reminded_stm": reminded})

    first, second = new(), new()
    life(first, range(at))
    state = through_a_file(first.state())
    assert bool(state) == (at > 0)
    life(second, range(50, 53))  # has lived, and forgets it
    second.load_state(state)
    assert second.timestep == at
    assert same(life(second, range(at, at + 12)), life(first, range(at, at + 12)))
    assert second.engrams == first.engrams


@pytest.mark.parametrize("layout", ["dense", "sparse"])
def test_in_the_middle_of_a_step(layout: str) -> None:
    first, second = (Memoria(**SETTINGS, layout=layout) for _ in range(2))
    life(first, range(6))
    first.add_working_memory(torch.rand(2, 3, 8, generator=torch.Generator().manual_seed(9)))
    second.load_state(first.state())
    for one, other in zip(first.remind(), second.remind(), strict=True):
        assert torch.equal(one, other)


def test_asking_changes_nothing_and_the_answer_is_a_copy() -> None:
    first, second = Memoria(**SETTINGS), Memoria(**SETTINGS)
    life(first, range(8))
    life(second, range(8))
    for _ in range(3):
        for value in first.state().values():
            value.zero_()
    assert first.engrams == second.engrams
    assert same(life(first, range(8, 16)), life(second, range(8, 16)))


def test_of_a_memory_in_which_nothing_lives() -> None:
    short = {**SETTINGS, "initial_lifespan": 1, "stm_capacity": 0, "num_reminded_stm": 0}
    first, second = Memoria(**short), Memoria(**short)
    life(first, range(3))
    assert len(first.engrams) == 0
    second.load_state(first.state())
    assert second.timestep == 3
    life(first, range(3, 5))
    life(second, range(3, 5))
    assert second.engrams == first.engrams


def test_what_is_no_state_is_refused_and_changes_nothing() -> None:
    memoria = Memoria(**SETTINGS)
    life(memoria, range(4))
    before, state = memoria.engrams, memoria.state()
    sparse = Memoria(**SETTINGS, layout="sparse")
    with pytest.raises(InputError, match="no vectors"):
        memoria.load_state({"step": torch.tensor(1)})
    with pytest.raises(InputError, match="expiry"):
        memoria.load_state({name: value for name, value in state.items() if name != "expiry"})
    with pytest.raises(InputError, match="fit together"):
        memoria.load_state({**state, "data": state["data"][:, :3]})
    with pytest.raises(InputError, match="layout"):
        sparse.load_state(state)
    assert memoria.engrams == before
    assert sparse.timestep == 0


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_from_a_gpu_to_the_cpu() -> None:
    first, second = Memoria(**SETTINGS, device="cuda"), Memoria(**SETTINGS, device="cpu")
    life(first, range(6))
    second.load_state(first.state())
    assert second.device == torch.device("cpu")
    for one, other in zip(life(first, range(6, 9)), life(second, range(6, 9)), strict=True):
        assert torch.equal(one[1].cpu(), other[1])
