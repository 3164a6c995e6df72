"""Chance: uniform, independent, decided by the seed alone, and nobody else's generator."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from lives import LAYOUTS

from memoria import Memoria
from memoria.config import Layout


def _chi_square(cells: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    expected = cells.sum() / cells.size
    return float(((cells - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_random_entries_are_uniform_and_independent(layout: Layout) -> None:
    """One draw a step among 16 long-term engrams, 128 lanes, 60 steps: chi-square at 0.999."""
    lanes, steps = 128, 60
    memoria = Memoria(0, 0, 0, 17, 1, seed=1, random_entries=1, layout=layout)
    cells, pairs = np.zeros(16), np.zeros((16, 16))
    neighbours, last = np.zeros((16, 16)), None
    data = torch.zeros(lanes, 1, 1)
    for step in range(steps + 16):
        memoria.add_working_memory(data)
        if step < 16:
            nothing = torch.empty(lanes, 0, dtype=torch.int64)
            memoria.adjust_lifespan_and_memories(nothing, nothing.float())
            continue
        _, indices = memoria.remind()
        drawn = indices[:, 0].numpy()
        assert indices.shape == (lanes, 1)
        np.add.at(cells, drawn, 1)
        np.add.at(neighbours, (drawn[:-1], drawn[1:]), 1)
        if last is not None:
            np.add.at(pairs, (last, drawn), 1)
        last = drawn
        memoria.adjust_lifespan_and_memories(indices, torch.zeros(indices.shape))
        assert memoria.engrams.data.shape[1] == 16
    assert _chi_square(cells) < 37.7  # 15 degrees of freedom
    assert _chi_square(pairs) < 330.5  # 255 degrees of freedom, step against step before
    assert _chi_square(neighbours) < 330.5  # lane against lane


@pytest.mark.parametrize("layout", LAYOUTS)
def test_hashed_ties_are_uniform(layout: Layout) -> None:
    """A reminded engram that never fired with any of 16 long-term ones: each wins as often."""
    lanes = 640
    memoria = Memoria(1, 1, 0, 99, 1, seed=4, random_entries=0, layout=layout)
    for _ in range(17):
        memoria.add_working_memory(torch.zeros(lanes, 1, 1))
        nothing = torch.empty(lanes, 0, dtype=torch.int64)
        memoria.adjust_lifespan_and_memories(nothing, nothing.float())
    memoria.add_working_memory(torch.zeros(lanes, 1, 1))
    _, indices = memoria.remind()
    assert (indices[:, 1] == 16).all()
    cells = np.bincount(indices[:, 0].numpy(), minlength=16).astype(np.float64)
    assert _chi_square(cells) < 37.7


def _short_life(layout: Layout, seed: int) -> list[Any]:
    memoria = Memoria(2, 5, 2, 9, 3, seed=seed, layout=layout)
    generator = torch.Generator().manual_seed(1)
    out: list[Any] = []
    for _ in range(40):
        memoria.add_working_memory(torch.randn(2, 3, 4, generator=generator))
        memories, indices = memoria.remind()
        delta = torch.rand(indices.shape, generator=generator) * 4
        memoria.adjust_lifespan_and_memories(indices, delta)
        out.append((indices.tolist(), memories.tolist(), memoria.engrams.lifespan.tolist()))
    out.append(memoria.engrams.induce_counts.tolist())
    return out


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_seed_decides_everything(layout: Layout) -> None:
    assert _short_life(layout, 3) == _short_life(layout, 3)
    assert _short_life(layout, 3) != _short_life(layout, 4)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_global_random_state_is_neither_read_nor_drawn(layout: Layout) -> None:
    torch.manual_seed(7)
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]
    first = _short_life(layout, 0)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.random.get_state()[1].tolist() == states[2]  # type: ignore[index]
    torch.manual_seed(8)
    assert _short_life(layout, 0) == first


def test_auto_layout_gives_the_same_life() -> None:
    assert _short_life("auto", 6) == _short_life("dense", 6) == _short_life("sparse", 6)
