"""Number types, devices, gradients, aliases, long lifespans, dying out and beginning again."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from lives import LAYOUTS, LONG, ages_of, gains, ids_of, subjects_of, vectors

from memoria import Memoria
from memoria.config import Layout


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str
)
def test_every_float_type_is_stored_as_float32(dtype: torch.dtype, layout: Layout) -> None:
    memoria = Memoria(2, 8, 1, 5, 2, layout=layout)
    data = torch.tensor([[[0.1, -2.0], [3.3, 4.0]]], dtype=dtype)
    for _ in range(2):
        memoria.add_working_memory(data)
        memories, indices = memoria.remind()
        memoria.adjust_lifespan_and_memories(indices, torch.zeros(indices.shape))
    assert memoria.engrams.data.dtype == memories.dtype == torch.float32
    assert torch.equal(memories[0], data[0, [0, 1]].float())
    assert indices.tolist() == [[0, 1]]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_kept_or_returned_requires_gradients(layout: Layout) -> None:
    memoria = Memoria(2, 2, 1, 5, 2, layout=layout)
    source = torch.randn(1, 3, 4, requires_grad=True)
    delta = torch.ones(1, 1, requires_grad=True)
    for _ in range(3):
        memoria.add_working_memory(source * 2)
        memories, indices = memoria.remind()
        gain = delta.expand(indices.shape) * 2
        memoria.adjust_lifespan_and_memories(indices, gain)
        assert not memories.requires_grad
        engrams = memoria.engrams
        assert not engrams.data.requires_grad
        assert not engrams.lifespan.requires_grad
    assert memories.numel() > 0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_went_in_or_came_out_may_be_changed(layout: Layout) -> None:
    """The memory keeps copies: writing to the caller's tensors changes nothing inside."""
    memoria = Memoria(2, 2, 1, 9, 2, layout=layout)
    twin = Memoria(2, 2, 1, 9, 2, layout=layout)
    generator = torch.Generator().manual_seed(3)
    for _ in range(6):
        data = torch.randn(1, 2, 3, generator=generator)
        memoria.add_working_memory(data)
        twin.add_working_memory(data.clone())
        data.fill_(9.0)
        memories, indices = memoria.remind()
        _, twin_indices = twin.remind()
        kept = indices.clone()
        delta = torch.ones(indices.shape)
        memoria.adjust_lifespan_and_memories(indices, delta)
        twin.adjust_lifespan_and_memories(twin_indices, delta)
        assert torch.equal(indices, kept)
        assert torch.equal(delta, torch.ones(indices.shape))
        memories.fill_(-7.0)
        indices.fill_(-5)
        delta.fill_(float("nan"))
    assert memoria.engrams == twin.engrams


@pytest.mark.parametrize("layout", LAYOUTS)
def test_engrams_are_a_copy_of_the_moment(layout: Layout) -> None:
    """Later steps do not reach earlier engrams, and writing to a selection not the memory."""
    memoria, twin = (Memoria(2, 3, 1, 9, 2, layout=layout) for _ in range(2))
    generator = torch.Generator().manual_seed(3)
    kept = []
    for _ in range(8):
        data = torch.randn(2, 2, 3, generator=generator)
        for subject in (memoria, twin):
            subject.add_working_memory(data)
        moment = twin.engrams
        kept.append((moment, moment.select(torch.arange(moment.data.shape[1]))))
        scratch = memoria.engrams.select(torch.arange(moment.data.shape[1]))
        for values in (scratch.data, scratch.induce_counts, scratch.engrams_types):
            values.fill_(1)
        scratch.lifespan.fill_(-1.0)
        scratch.delete(torch.zeros(2, 1, dtype=torch.int64))
        indices = memoria.remind()[1]
        assert torch.equal(indices, twin.remind()[1])
        for subject in (memoria, twin):
            subject.adjust_lifespan_and_memories(indices, torch.ones(indices.shape))
    assert memoria.engrams == twin.engrams
    for moment, copy in kept:
        assert moment == copy


@pytest.mark.parametrize("layout", LAYOUTS)
def test_lifespans_past_float32_integers_go_on_ageing(layout: Layout) -> None:
    """2^24 + 4 - 1 is no float32: a float32 counter would stand still for ever."""
    start = 2.0**24 + 4
    memoria = Memoria(0, 2, 0, start, 0, layout=layout, track_age=True)
    memoria.add_working_memory(torch.zeros(1, 1, 2))
    memoria.adjust_lifespan_and_memories(torch.zeros(1, 1).long(), torch.zeros(1, 1))
    for _ in range(7):
        memoria.add_working_memory(torch.zeros(1, 1, 2))
        nothing = torch.empty(1, 0, dtype=torch.int64)
        memoria.adjust_lifespan_and_memories(nothing, nothing)
    assert memoria.engrams.lifespan[0, 0].item() == 2.0**24 - 4
    assert ages_of(memoria)[0].tolist() == [8, 7, 6, 5, 4, 3, 2, 1]
    memoria.add_working_memory(torch.zeros(1, 1, 2))
    taken = torch.tensor([[-(2.0**24) + 5.5]], dtype=torch.float64)
    memoria.adjust_lifespan_and_memories(torch.tensor([[0]]), taken)
    assert memoria.engrams.lifespan[0, 0].item() == 0.5
    memoria.add_working_memory(torch.zeros(1, 1, 2))
    memoria.adjust_lifespan_and_memories(nothing, nothing)
    assert ages_of(memoria)[0].tolist() == [9, 8, 7, 6, 5, 4, 3, 2, 1]  # the first is gone


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_lane_may_die_out_while_others_live(layout: Layout) -> None:
    memoria = Memoria(2, 3, 2, 1.5, 2, layout=layout, track_id=True)
    memoria.add_working_memory(torch.zeros(2, 2, 2))
    _, indices = memoria.remind()
    memoria.adjust_lifespan_and_memories(indices, indices.float())
    memoria.add_working_memory(torch.ones(2, 1, 2))
    _, indices = memoria.remind()
    assert indices.tolist() == [[0, 1], [0, 1]]
    # lane 0 loses everything, its working memory too; lane 1 gains
    everything = torch.tensor([[0, 1, 2], [0, 1, 2]])
    memoria.adjust_lifespan_and_memories(
        everything, torch.tensor([[-9.0, -9.0, -9.0], [2.0, 2.0, 2.0]])
    )
    assert ids_of(memoria).tolist() == [[-1, -1, -1], [0, 1, 2]]
    assert memoria.engrams.lifespan.tolist() == [[-1.0, -1.0, -1.0], [1.5, 1.5, 2.5]]
    memoria.add_working_memory(torch.ones(2, 1, 2))
    assert ids_of(memoria).tolist() == [[3, -1, -1, -1], [0, 1, 2, 3]]
    assert memoria.engrams.engrams_types.tolist() == [[1, 0, 0, 0], [2, 2, 2, 1]]
    memories, indices = memoria.remind()
    assert indices.tolist() == [[-1, -1, -1], [0, 2, -1]]
    assert memories.tolist() == [[[0, 0]] * 3, [[0, 0], [1, 1], [0, 0]]]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_reset_begins_a_new_life(layout: Layout) -> None:
    memoria = Memoria(2, 3, 2, 9, 2, layout=layout, track_id=True)

    def life() -> list[Any]:
        generator = torch.Generator().manual_seed(1)
        out: list[Any] = []
        for _ in range(15):
            memoria.add_working_memory(torch.randn(2, 2, 3, generator=generator))
            memories, indices = memoria.remind()
            memoria.adjust_lifespan_and_memories(indices, torch.ones(indices.shape))
            out.append((memories.tolist(), indices.tolist()))
        return [*out, ids_of(memoria).tolist(), memoria.engrams.induce_counts.tolist()]

    first = life()
    memoria.reset_memory()
    assert len(memoria.engrams) == 0
    assert memoria.timestep == 0
    assert life() == first
    memoria.reset_memory()
    memoria.add_working_memory(torch.zeros(3, 1, 7))  # other lanes, other width: a new memory
    assert memoria.engrams.data.shape == (3, 1, 7)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", ["normal", "copies"])
def test_cuda_equals_cpu(layout: Layout, kind: str) -> None:
    setting = LONG | {"lanes": 3, "data": kind, "delta": "real"}
    cpu, cuda = subjects_of(setting, (layout, layout))
    rng = random.Random(2)
    for _ in range(80):
        data = vectors(rng, kind, 3, 2, setting["dim"])
        cpu.add_working_memory(data)
        cuda.add_working_memory(data.cuda())
        memories, indices = cpu.remind()
        cuda_memories, cuda_indices = cuda.remind()
        assert cuda_memories.is_cuda
        assert torch.equal(indices, cuda_indices.cpu())
        assert torch.equal(memories, cuda_memories.cpu())
        delta = gains(rng, "real", indices)
        cpu.adjust_lifespan_and_memories(indices, delta)
        cuda.adjust_lifespan_and_memories(cuda_indices, delta.cuda())
    here, there = cpu.engrams, cuda.engrams
    for name in ("data", "engrams_types", "lifespan", "age", "engram_ids", "induce_counts"):
        assert torch.equal(getattr(here, name), getattr(there, name).cpu()), name


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_all_vectors_share_costs_no_digits(layout: Layout) -> None:
    """A copy of the cue is found among near copies, however far from the origin they all are."""
    generator = torch.Generator().manual_seed(3)
    cue = torch.rand(1, 1, 8, generator=generator) + 2.0**14
    others = cue + torch.randint(1, 5, (1, 20, 8), generator=generator) / 64
    others[0, 7] = cue[0, 0]
    memoria = Memoria(1, 30, 0, 9, 0, layout=layout)
    memoria.add_working_memory(others)
    memoria.adjust_lifespan_and_memories(torch.zeros(1, 0, dtype=torch.int64), torch.zeros(1, 0))
    memoria.add_working_memory(cue)
    assert memoria.remind()[1].tolist() == [[7, -1]]
