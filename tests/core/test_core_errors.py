"""Bad calls: the right error, a message that says what was wrong, and a memory left as it was."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

from memoria import Memoria
from memoria.config import Layout
from memoria.errors import ConfigError, InputError, MemoriaError, ShapeError, StateError

LAYOUTS: tuple[Layout, ...] = ("dense", "sparse")
NAN, INF = float("nan"), float("inf")


def lived_in(layout: Layout) -> Memoria:
    """Two lanes of D=3 after four steps with unequal deaths, and a working memory waiting."""
    memoria = Memoria(2, 3, 2, 4, 2, True, True, layout=layout)
    generator = torch.Generator().manual_seed(0)
    for _ in range(4):
        memoria.add_working_memory(torch.randn(2, 2, 3, generator=generator))
        _, indices = memoria.remind()
        delta = torch.randint(-2, 4, indices.shape, generator=generator).float()
        memoria.adjust_lifespan_and_memories(indices, delta)
    memoria.add_working_memory(torch.randn(2, 2, 3, generator=generator))
    return memoria


def state(memoria: Memoria) -> list[Any]:
    e = memoria.engrams
    tensors = (e.data, e.induce_counts, e.engrams_types, e.lifespan, e.age, e.engram_ids)
    return [memoria.timestep, *(None if t is None else t.tolist() for t in tensors)]


def goes_on(memoria: Memoria) -> list[Any]:
    """What the memory does next, so that hidden state counts too."""
    out = []
    generator = torch.Generator().manual_seed(9)
    for _ in range(3):
        _, indices = memoria.remind()
        out.append(indices.tolist())
        memoria.adjust_lifespan_and_memories(indices, torch.ones(indices.shape))
        memoria.add_working_memory(torch.randn(2, 1, 3, generator=generator))
    return [*out, *state(memoria)]


def with_value(value: float, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    data = torch.zeros(2, 2, 3, dtype=dtype)
    data[1, 1, 2] = value
    return data


BAD_DATA: dict[str, tuple[Any, type[MemoriaError], str]] = {
    "two axes": (torch.zeros(2, 3), ShapeError, r"2\D+3"),
    "four axes": (torch.zeros(2, 1, 1, 3), ShapeError, r"2\D+1\D+1\D+3"),
    "no axes": (torch.tensor(1.0), ShapeError, r"received"),
    "more lanes": (torch.zeros(3, 2, 3), ShapeError, r"2.*received\D+3\D+2\D+3"),
    "one lane": (torch.zeros(1, 2, 3), ShapeError, r"2.*received\D+1\D+2\D+3"),
    "another D": (torch.zeros(2, 2, 4), ShapeError, r"3.*received\D+2\D+2\D+4"),
    "empty": (torch.zeros(2, 0, 3), ShapeError, r"2\D+0\D+3"),
    "nan": (with_value(NAN), InputError, r"(?i)nan|finite"),
    "inf": (with_value(INF), InputError, r"(?i)inf"),
    "minus inf": (with_value(-INF), InputError, r"(?i)inf"),
    "past float32": (with_value(1e39, torch.float64), InputError, r"(?i)float32|inf"),
    "int64": (torch.zeros(2, 2, 3, dtype=torch.int64), InputError, r"int64"),
    "uint8": (torch.zeros(2, 2, 3, dtype=torch.uint8), InputError, r"uint8"),
    "bool": (torch.zeros(2, 2, 3, dtype=torch.bool), InputError, r"bool"),
    "complex": (torch.zeros(2, 2, 3, dtype=torch.complex64), InputError, r"complex64"),
    "a list": ([[[0.0, 0.0, 0.0]]] * 2, InputError, r"list"),
    "none": (None, InputError, r"(?i)none"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", BAD_DATA)
def test_bad_data_is_refused(name: str, layout: Layout) -> None:
    data, error, pattern = BAD_DATA[name]
    memoria = lived_in(layout)
    before = state(memoria)
    with pytest.raises(error) as caught:
        memoria.add_working_memory(data)
    assert re.search(pattern, str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)
    assert state(memoria) == before
    assert goes_on(memoria) == goes_on(lived_in(layout))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "data",
    [torch.zeros(0, 2, 3), torch.zeros(2, 2, 0), torch.zeros(2, 0, 3), torch.zeros(2, 2, 3) + NAN],
    ids=["no lanes", "no numbers", "no engrams", "nan"],
)
def test_a_new_memory_refuses_too_and_stays_new(data: torch.Tensor, layout: Layout) -> None:
    memoria = Memoria(2, 3, 2, 4, 2, layout=layout)
    with pytest.raises(InputError):
        memoria.add_working_memory(data)
    assert len(memoria.engrams) == 0
    memoria.add_working_memory(torch.zeros(5, 1, 2))  # lanes and D are still free
    assert memoria.engrams.data.shape == (5, 1, 2)


def _pad(indices: torch.Tensor, value: int) -> torch.Tensor:
    out = indices.clone()
    out[0, 0] = value
    return out


Make = Callable[[Memoria, torch.Tensor], tuple[Any, Any]]


def _null_of_a_lane(memoria: Memoria, indices: torch.Tensor) -> tuple[Any, Any]:
    """The place of a null in the lane that has one."""
    types = memoria.engrams.engrams_types
    lane = int((types == 0).any(1).nonzero()[0, 0])
    out = torch.full((2, 1), -1)
    out[lane, 0] = types.shape[1] - 1
    return out, torch.zeros(2, 1)


BAD_ADJUST: dict[str, tuple[Make, type[MemoriaError], str]] = {
    "past the end": (
        lambda m, i: (_pad(i, m.engrams.data.shape[1]), torch.zeros(i.shape)),
        InputError,
        r"\d",
    ),
    "below -1": (lambda m, i: (_pad(i, -2), torch.zeros(i.shape)), InputError, r"-2"),
    "a null": (_null_of_a_lane, InputError, r"\d"),
    "float indices": (lambda m, i: (i.float(), torch.zeros(i.shape)), InputError, r"float32"),
    "bool indices": (lambda m, i: (i > 0, torch.zeros(i.shape)), InputError, r"bool"),
    "flat indices": (lambda m, i: (i[0], torch.zeros(i.shape[1])), ShapeError, r"received"),
    "one lane": (
        lambda m, i: (i[:1], torch.zeros(i[:1].shape)),
        ShapeError,
        r"2.*received\D+1\D+\d",
    ),
    "narrow delta": (lambda m, i: (i, torch.zeros(2, i.shape[1] - 1)), ShapeError, r"received"),
    "scalar delta": (lambda m, i: (i, torch.tensor(5.0)), ShapeError, r"received"),
    "number delta": (lambda m, i: (i, 5.0), InputError, r"float"),
    "nan delta": (lambda m, i: (i, torch.full(i.shape, NAN)), InputError, r"(?i)nan|finite"),
    "inf delta": (lambda m, i: (i, torch.full(i.shape, INF)), InputError, r"(?i)inf"),
    "complex delta": (
        lambda m, i: (i, torch.zeros(i.shape, dtype=torch.complex64)),
        InputError,
        r"complex64",
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", BAD_ADJUST)
def test_bad_adjustment_is_refused(name: str, layout: Layout) -> None:
    make, error, pattern = BAD_ADJUST[name]
    memoria, twin = lived_in(layout), lived_in(layout)
    _, indices = memoria.remind()
    _, twin_indices = twin.remind()
    before = state(memoria)
    bad_indices, bad_delta = make(memoria, indices)
    with pytest.raises(error) as caught:
        memoria.adjust_lifespan_and_memories(bad_indices, bad_delta)
    assert re.search(pattern, str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)
    assert state(memoria) == before
    for subject, its in ((memoria, indices), (twin, twin_indices)):
        subject.adjust_lifespan_and_memories(its, torch.ones(its.shape))
        subject.add_working_memory(torch.zeros(2, 1, 3))
    assert goes_on(memoria) == goes_on(twin)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32], ids=str)
def test_delta_at_minus_one_is_not_looked_at(dtype: torch.dtype, layout: Layout) -> None:
    memoria, twin = lived_in(layout), lived_in(layout)
    _, indices = memoria.remind()
    twin.remind()
    indices = torch.cat([indices, torch.full((2, 1), -1)], 1).to(dtype)
    delta = torch.where(indices < 0, NAN, 2.0)
    memoria.adjust_lifespan_and_memories(indices, delta)
    twin.adjust_lifespan_and_memories(indices, delta.nan_to_num(0.0))
    assert state(memoria) == state(twin)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_steps_in_the_wrong_order(layout: Layout) -> None:
    memoria = Memoria(2, 3, 2, 4, 2, layout=layout)
    nothing = torch.empty(2, 0, dtype=torch.int64)
    with pytest.raises(StateError, match="add_working_memory"):
        memoria.remind()
    with pytest.raises(StateError, match="add_working_memory"):
        memoria.adjust_lifespan_and_memories(nothing, nothing.float())
    assert memoria.timestep == 0
    memoria.add_working_memory(torch.zeros(2, 1, 3))
    memoria.adjust_lifespan_and_memories(nothing, nothing.float())
    with pytest.raises(StateError, match="add_working_memory"):
        memoria.remind()  # the working memory became short-term
    assert memoria.timestep == 1
    memoria.reset_memory()
    with pytest.raises(StateError, match="add_working_memory"):
        memoria.remind()


GOOD: dict[str, Any] = {
    "num_reminded_stm": 2,
    "stm_capacity": 3,
    "ltm_search_depth": 2,
    "initial_lifespan": 4,
    "num_final_ltms": 2,
}
BAD_SETTINGS: list[tuple[str, Any]] = [
    ("num_reminded_stm", -1),
    ("stm_capacity", -1),
    ("ltm_search_depth", -3),
    ("num_final_ltms", -1),
    ("num_final_ltms", 1.5),
    ("num_reminded_stm", "4"),
    ("initial_lifespan", 0),
    ("initial_lifespan", -1.0),
    ("initial_lifespan", NAN),
    ("initial_lifespan", INF),
    ("initial_lifespan", "long"),
    ("initial_lifespan", True),
    ("tie_break", "newest"),
    ("random_entries", -1),
    ("random_entries", "some"),
    ("layout", "csr"),
    ("seed", -1),
    ("seed", 2**64),
    ("seed", "abc"),
]


@pytest.mark.parametrize(("name", "value"), BAD_SETTINGS, ids=lambda x: str(x))
def test_settings_out_of_bounds(name: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        Memoria(**(GOOD | {name: value}))
    assert name in str(caught.value)
    assert str(value).lower() in str(caught.value).lower()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["num_reminded_stm", "stm_capacity", "num_final_ltms"])
def test_zero_is_within_bounds(name: str) -> None:
    memoria = Memoria(**(GOOD | {name: 0}))
    memoria.add_working_memory(torch.zeros(1, 2, 2))
    assert memoria.remind()[1].shape == (1, 0)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_lane_identities_must_be_one_a_lane(layout: Layout) -> None:
    memoria = Memoria(**GOOD, layout=layout, lane_ids=[1, 2, 3])
    with pytest.raises(MemoriaError, match=r"(?s)3.*2|2.*3"):
        memoria.add_working_memory(torch.zeros(2, 1, 2))
    assert len(memoria.engrams) == 0
    memoria.add_working_memory(torch.zeros(3, 1, 2))


@pytest.mark.parametrize("lane_ids", [3, ["a"], [0.5], [2**63]], ids=str)
def test_lane_identities_must_be_integers(lane_ids: Any) -> None:
    with pytest.raises(ConfigError, match="lane_ids"):
        Memoria(**GOOD, lane_ids=lane_ids).add_working_memory(torch.zeros(1, 1, 2))


def test_unknown_device() -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        Memoria(**GOOD, device="nowhere")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_absent_device() -> None:
    with pytest.raises(ConfigError, match="cuda"):
        Memoria(**GOOD, device="cuda").add_working_memory(torch.zeros(1, 1, 2))


def test_errors_are_also_the_usual_ones() -> None:
    """Code that catches ValueError or RuntimeError goes on working."""
    memoria = Memoria(**GOOD)
    with pytest.raises(ValueError, match="shape"):
        memoria.add_working_memory(torch.zeros(2))
    with pytest.raises(RuntimeError, match="add_working_memory"):
        memoria.remind()
    with pytest.raises(ValueError, match="stm_capacity"):
        Memoria(**(GOOD | {"stm_capacity": -1}))
