"""Lanes do not see each other; layouts give the same; the state keeps its shape for ever."""

from __future__ import annotations

import functools
import random

import pytest
import torch
from lives import LAYOUTS, LONG, gains, ids_of, subjects_of, vectors

from memoria import EngramType, Memoria
from memoria.config import Layout


def _run_alone_and_together(layout: Layout, kind: str) -> None:
    lanes, identities = 4, [3, 0, 9, 5]
    setting = LONG | {"lanes": lanes, "lane_ids": identities, "data": kind}
    together = subjects_of(setting, (layout,))[0]
    alone = [subjects_of(setting | {"lane_ids": [i]}, (layout,))[0] for i in identities]
    order = [2, 0, 3, 1]
    permuted = subjects_of(setting | {"lane_ids": [identities[i] for i in order]}, (layout,))[0]
    rng = random.Random(3)
    for _ in range(45):
        data = vectors(rng, kind, lanes, rng.randint(1, 3), setting["dim"])
        together.add_working_memory(data)
        permuted.add_working_memory(data[order])
        memories, indices = together.remind()
        delta = gains(rng, "eighths", indices)

        permuted_memories, permuted_indices = permuted.remind()
        assert torch.equal(permuted_indices, indices[order])
        assert torch.equal(permuted_memories, memories[order])
        permuted.adjust_lifespan_and_memories(permuted_indices, delta[order])

        widths = []
        for lane, single in enumerate(alone):
            single.add_working_memory(data[lane : lane + 1])
            its_memories, its_indices = single.remind()
            width = its_indices.shape[1]
            widths.append(width)
            assert torch.equal(indices[lane, :width], its_indices[0])
            assert (indices[lane, width:] == -1).all()
            assert torch.equal(memories[lane, :width], its_memories[0])
            assert (memories[lane, width:] == 0).all()
            single.adjust_lifespan_and_memories(its_indices, delta[lane : lane + 1, :width])
        assert indices.shape[1] == max(widths)
        together.adjust_lifespan_and_memories(indices, delta)

        whole, shuffled = together.engrams, permuted.engrams
        assert torch.equal(ids_of(permuted), ids_of(together)[order])
        assert torch.equal(shuffled.lifespan, whole.lifespan[order])
        assert torch.equal(shuffled.induce_counts, whole.induce_counts[order])
        for lane, single in enumerate(alone):
            its = single.engrams
            size = its.data.shape[1]
            assert torch.equal(ids_of(together)[lane, :size], ids_of(single)[0])
            assert (whole.engrams_types[lane, size:] == EngramType.NULL).all()
            assert torch.equal(whole.engrams_types[lane, :size], its.engrams_types[0])
            assert torch.equal(whole.lifespan[lane, :size], its.lifespan[0])
            assert torch.equal(whole.data[lane, :size], its.data[0])
            assert torch.equal(whole.induce_counts[lane, :size, :size], its.induce_counts[0])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", ["normal", "copies"])
def test_lanes_together_equal_lanes_alone_in_any_order(layout: Layout, kind: str) -> None:
    _run_alone_and_together(layout, kind)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_twin_lanes_differ_by_identity_alone(layout: Layout) -> None:
    def run(lane_ids: list[int]) -> list[list[int]]:
        memoria = Memoria(1, 3, 1, 12, 2, layout=layout, lane_ids=lane_ids)
        generator = torch.Generator().manual_seed(2)
        rows = []
        for _ in range(30):
            data = torch.randn(1, 2, 4, generator=generator).expand(2, -1, -1)
            memoria.add_working_memory(data)
            _, indices = memoria.remind()
            memoria.adjust_lifespan_and_memories(indices, torch.ones_like(indices))
            rows.append(indices)
        return [[row for step in rows for row in step[lane].tolist()] for lane in (0, 1)]

    first, second = run([4, 4])
    assert first == second
    first, second = run([4, 5])
    assert first != second


# -- large memories: the layouts against each other -----------------------------------------------


@functools.cache
def _large_life(layout: Layout) -> dict[str, list[torch.Tensor]]:
    memoria = Memoria(
        40, 400, 6, 24, 60, track_age=True, track_id=True, seed=5, layout=layout
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    out: dict[str, list[torch.Tensor]] = {"indices": [], "ids": [], "reminded": []}
    for step in range(36):
        data = torch.randn(2, 50, 8, generator=generator)
        data[:, ::7] = data[:, :1]  # exact ties
        memoria.add_working_memory(data)
        before = ids_of(memoria) if step % 5 == 0 else None
        _, indices = memoria.remind()
        if before is not None:
            out["reminded"].append(before.gather(1, indices.clamp(min=0))[indices >= 0])
        out["indices"].append(indices)
        delta = torch.rand(indices.shape, generator=generator) * 9 - 3
        memoria.adjust_lifespan_and_memories(indices, delta)
        if step % 5 == 0:
            out["ids"].append(ids_of(memoria))
    engrams = memoria.engrams
    for name in ("data", "engrams_types", "lifespan", "age", "engram_ids", "induce_counts"):
        out[name] = [getattr(engrams, name)]
    return out


def test_dense_equals_sparse_on_a_large_memory() -> None:
    dense, sparse = _large_life("dense"), _large_life("sparse")
    assert dense["data"][0].shape[1] > 1000
    for name, tensors in dense.items():
        assert len(tensors) == len(sparse[name])
        for step, (a, b) in enumerate(zip(tensors, sparse[name], strict=True)):
            assert torch.equal(a, b), (name, step)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_cofire_counts_are_a_gram_matrix(layout: Layout) -> None:
    """Symmetric, the diagonal counts the firings, no pair fired more often than one of it."""
    life = _large_life(layout)
    counts, types = life["induce_counts"][0], life["engrams_types"][0]
    assert counts.dtype == torch.int32
    assert torch.equal(counts, counts.transpose(1, 2))
    for lane in range(counts.shape[0]):
        living = types[lane] != EngramType.NULL
        matrix = counts[lane][living][:, living]
        fires = matrix.diagonal()
        assert (fires >= 1).all()  # every engram was working memory once
        assert (matrix <= torch.minimum(fires[:, None], fires[None, :])).all()
        assert (matrix >= 0).all()
        assert (counts[lane][~living] == -1).all()
        assert (counts[lane][:, ~living] == -1).all()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_types_stand_in_order_and_nulls_last(layout: Layout) -> None:
    order = {int(EngramType.LONGTERM): 0, int(EngramType.SHORTTERM): 1, int(EngramType.WORKING): 2}
    memoria = subjects_of(LONG | {"lanes": 3}, (layout,))[0]
    rng = random.Random(1)
    seen = set()
    for _ in range(40):
        memoria.add_working_memory(vectors(rng, "normal", 3, 2, 3))
        engrams = memoria.engrams
        for row, ids in zip(engrams.engrams_types.tolist(), ids_of(memoria).tolist(), strict=True):
            ranks = [order.get(kind, 3) for kind in row]
            assert ranks == sorted(ranks)
            seen |= set(row)
            living = [i for i in ids if i >= 0]
            assert living == sorted(set(living))
            assert len(living) == sum(kind != EngramType.NULL for kind in row)
        _, indices = memoria.remind()
        memoria.adjust_lifespan_and_memories(indices, gains(rng, "eighths", indices))
    assert seen == {0, 1, 2, 3}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_forgotten_never_return(layout: Layout) -> None:
    memoria = subjects_of(LONG | {"lanes": 2}, (layout,))[0]
    rng = random.Random(8)
    gone: list[set[int]] = [set(), set()]
    newest, before = [-1, -1], [set[int](), set[int]()]
    for _ in range(80):
        memoria.add_working_memory(vectors(rng, "normal", 2, 2, 3))
        ids = ids_of(memoria)
        alive = [set(row) - {-1} for row in ids.tolist()]
        _, indices = memoria.remind()
        for lane in (0, 1):
            created = alive[lane] - before[lane]
            assert created == {newest[lane] + 1, newest[lane] + 2}
            newest[lane] += 2
            gone[lane] |= before[lane] - alive[lane]
            assert not gone[lane] & alive[lane]
            reminded = [int(ids[lane, i]) for i in indices[lane].tolist() if i >= 0]
            assert set(reminded) <= before[lane]  # never working memory, never forgotten
            assert len(reminded) == len(set(reminded))
        memoria.adjust_lifespan_and_memories(indices, gains(rng, "eighths", indices))
        before = [set(row) - {-1} for row in ids_of(memoria).tolist()]
        for lane in (0, 1):
            gone[lane] |= alive[lane] - before[lane]
    assert all(len(lane) > 40 for lane in gone)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("capacity", [2, 0], ids=["short-term", "long-term"])
def test_of_equal_correlations_the_older(capacity: int, layout: Layout) -> None:
    """Mirror images before a symmetric cue: the same distances, summed in another order."""
    generator = torch.Generator().manual_seed(6)
    lanes = 300
    point = torch.randn(lanes, 1, 3, generator=generator)
    half = torch.randn(lanes, 4, 3, generator=generator)
    cue = torch.cat([half, -half.flip(1)], 1)
    kept = 1 - capacity // 2
    memoria = Memoria(1 - kept, capacity, 1, 9, kept, random_entries=9, layout=layout)
    for data in (point, -point):
        memoria.add_working_memory(data)
        memoria.adjust_lifespan_and_memories(torch.empty(lanes, 0).long(), torch.empty(lanes, 0))
    memoria.add_working_memory(cue)
    _, indices = memoria.remind()
    assert (indices[:, 0] == 0).all()
