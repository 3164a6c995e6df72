"""Memoria's ablations, as memories of vectors."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from memoria.core.connections.dense import DenseConnections
from memoria.core.memoria import Memoria
from memoria.core.recall import SearchContext
from memoria.core.torch_arrays import TorchOps
from memoria.errors import ConfigError
from memoria.experiments.variants import VARIANTS, RandomLinks, make_memoria

SETTINGS = {
    "num_reminded_stm": 3,
    "stm_capacity": 8,
    "ltm_search_depth": 3,
    "initial_lifespan": 9.0,
    "num_final_ltms": 4,
    "track_id": True,
}
every = pytest.mark.parametrize("variant", sorted(VARIANTS))
longterm = pytest.mark.parametrize("variant", sorted(set(VARIANTS) - {"memoria-wm", "memoria-stm"}))


def live(memoria: Memoria, steps: int, lanes: int = 2, first: int = 0) -> list[Tensor]:
    """The ids [B, R] reminded at each step; what is reminded lives four steps longer."""
    reminded = []
    for step in range(first, first + steps):
        generator = torch.Generator().manual_seed(step)
        memoria.add_working_memory(torch.rand((2, 4, 6), generator=generator)[:lanes])
        _, indices = memoria.remind()
        ids = memoria.engrams.engram_ids
        assert ids is not None
        reminded.append(ids.gather(1, indices.clamp_min(0)).masked_fill(indices < 0, -1))
        memoria.adjust_lifespan_and_memories(indices, torch.full(indices.shape, 4.0))
    return reminded


def searched(memoria: Memoria, variant: str) -> set[int]:
    """Positions that the variant's search would find in lane 0 at this moment."""
    core = memoria._core
    assert core is not None
    context = SearchContext(
        core.state,
        core.connections,
        memoria.config,
        core.step,
        core.lane_ids,
        reminded=core.state.shortterm()[:, -2:],
        unreminded=core.ops.full((core.state.lanes,), 2, "int64"),
    )
    result = make_memoria(variant, **SETTINGS).search(context)
    assert ((result[:, 1:] - result[:, :-1])[result[:, 1:] >= 0] > 0).all()
    return set(result[0].tolist()) - {-1}


@every
def test_every_variant_lives_and_repeats_itself(variant: str) -> None:
    one = live(make_memoria(variant, **SETTINGS), 14)
    other = live(make_memoria(variant, **SETTINGS), 14)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@every
def test_a_lane_alone_does_the_same(variant: str) -> None:
    both = live(make_memoria(variant, **SETTINGS), 14)
    alone = live(make_memoria(variant, **SETTINGS), 14, lanes=1)
    for here, there in zip(both, alone, strict=True):
        assert set(here[0].tolist()) - {-1} == set(there[0].tolist()) - {-1}


@longterm
def test_long_term_memory_is_reminded(variant: str) -> None:
    memoria = make_memoria(variant, **SETTINGS)
    live(memoria, 10)
    assert memoria.engrams.longterm_memory_mask.any()
    oldest = int(live(memoria, 1, first=10)[0][0].clamp_min(0)[0])
    assert oldest < 4 * (10 - 2)


def test_without_variant_it_is_the_memory_itself() -> None:
    plain = live(Memoria(**SETTINGS), 14)
    assert all(
        torch.equal(a, b)
        for a, b in zip(plain, live(make_memoria("memoria", **SETTINGS), 14), strict=True)
    )


@pytest.mark.parametrize("variant", ["memoria-random", "memoria-sample", "memoria-worded"])
def test_a_variant_reminds_of_something_else(variant: str) -> None:
    settings = {**SETTINGS, "initial_lifespan": 40.0, "ltm_search_depth": 1}
    plain, other = (live(make_memoria(name, **settings), 30) for name in ("memoria", variant))
    assert any(not torch.equal(a, b) for a, b in zip(plain, other, strict=True))


def test_working_memory_only_keeps_and_reminds_of_nothing() -> None:
    memoria = make_memoria("memoria-wm", **SETTINGS)
    assert all((ids < 0).all() for ids in live(memoria, 5))
    assert len(memoria.engrams) == 0


def test_short_term_only_reminds_of_the_recent() -> None:
    for step, ids in enumerate(live(make_memoria("memoria-stm", **SETTINGS), 12)):
        assert (ids >= 0).sum(1).max() <= 3
        recent = ids[ids >= 0]
        assert (recent >= 4 * (step - 2)).all()


def test_full_search_finds_all_and_a_sample_as_many_as_the_walk() -> None:
    memoria = make_memoria(**{**SETTINGS, "initial_lifespan": 40.0})
    live(memoria, 20)
    core = memoria._core
    assert core is not None
    everyone = set(core.ops.columns(core.state.types[:1] == 3)[0].tolist())
    walked, sample = searched(memoria, "memoria"), searched(memoria, "memoria-sample")
    assert walked < everyone
    assert sample < everyone
    assert sample != walked
    assert len(sample) == len(walked)
    assert searched(memoria, "memoria-full") == everyone


def test_a_sample_is_drawn_anew_at_every_step_and_reaches_everybody() -> None:
    memoria = make_memoria("memoria-sample", **{**SETTINGS, "initial_lifespan": 400.0})
    live(memoria, 10)
    core = memoria._core
    assert core is not None
    seen = []
    for _ in range(40):
        seen.append(frozenset(searched(memoria, "memoria-sample")))
        core.step += 1
    everyone = set(core.ops.columns(core.state.types[:1] == 3)[0].tolist())
    assert len(set(seen)) > 20
    assert set().union(*seen) == everyone


def test_random_links_hold_in_both_directions_and_ignore_what_fired() -> None:
    lanes = torch.tensor([0, 1])
    ids = torch.arange(7).repeat(2, 1)
    closed = torch.zeros((2, 7), dtype=torch.bool)
    links = RandomLinks(5, lanes, TorchOps())
    best = links.strongest(ids, closed, ids, None)
    assert (best != ids).all()
    assert not torch.equal(best[0], best[1])
    shut = closed.clone()
    shut[0, best[0, 2]] = True
    second = links.strongest(ids, shut, ids, None)
    assert second[0, 2] != best[0, 2]
    assert torch.equal(second[1], best[1])
    # the strongest link of all is each end's strongest
    assert any(int(best[0, int(best[0, i])]) == i for i in range(7))
    nobody = torch.ones_like(closed)
    assert (links.strongest(ids, nobody, ids, None) == -1).all()
    assert links.strongest(torch.tensor([[-1], [2]]), closed, ids, None)[0, 0] == -1


def test_packing_does_not_change_random_links() -> None:
    links = RandomLinks(1, torch.tensor([0]), TorchOps())
    ids = torch.tensor([[2, 3, 5, 9]])
    closed = torch.zeros((1, 4), dtype=torch.bool)
    wide_ids = torch.tensor([[0, 2, 3, 4, 5, 9, -1]])
    wide_closed = torch.tensor([[True, False, False, True, False, False, True]])
    narrow = links.strongest(torch.arange(4).view(1, -1), closed, ids, None)
    wide = links.strongest(torch.tensor([[1, 2, 4, 5]]), wide_closed, wide_ids, None)
    assert torch.equal(ids.gather(1, narrow), wide_ids.gather(1, wide))


def test_unknown_variants_are_refused() -> None:
    with pytest.raises(ConfigError, match="variant = 'nothing': unknown; choose one of memoria"):
        make_memoria("nothing", **SETTINGS)
    with pytest.raises(ConfigError, match="num_reminded_stm"):
        make_memoria("memoria", **{**SETTINGS, "num_reminded_stm": -1})


def test_the_walk_of_the_memory_itself_follows_what_fired() -> None:
    memoria = make_memoria("memoria", **SETTINGS)
    live(memoria, 3)
    core = memoria._core
    assert core is not None
    assert isinstance(core.connections, DenseConnections)
    assert core.connections.counts().any()
