"""A memory carried from a store (numpy) into tensors (torch) lives on alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from memoria import load_memory
from memoria.config import MemoriaConfig
from memoria.core.torch_arrays import TorchOps
from memoria.store import MemoryStore

LANES, WIDTH, DIMENSION = 1, 4, 768


def _vectors(rng: np.random.Generator, topics: np.ndarray, steps: int) -> np.ndarray:
    """Unit vectors near some topics, [steps, 1, W, D]."""
    chosen = topics[rng.integers(0, len(topics), (steps, LANES, WIDTH))]
    near = chosen + rng.standard_normal(chosen.shape) * 0.8
    near /= np.linalg.norm(near, axis=3, keepdims=True)
    return near.astype(np.float32)


@pytest.mark.slow
def test_a_thousand_steps_in_a_store_and_two_hundred_more_in_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memoria.store.save_load.choose_ops", TorchOps)  # as on a GPU
    rng = np.random.default_rng(8)
    topics = rng.standard_normal((60, DIMENSION)) / DIMENSION**0.5
    config = MemoriaConfig(
        backbone="array",
        hidden_dim=DIMENSION,
        wm_length=WIDTH,
        num_reminded_stm=6,
        stm_capacity=40,
        num_final_ltms=8,
        ltm_search_depth=4,
        initial_lifespan=60.0,
        rule="correlation:4",
    )
    with MemoryStore.create(tmp_path / "s", config) as store:
        store.step_stream(_vectors(rng, topics, 1000))
    memory = load_memory(tmp_path / "s", track_id=True)
    near_ties = compared = 0
    with MemoryStore.open(tmp_path / "s", "r+") as store:
        for data in _vectors(rng, topics, 200):
            store.add(data)
            reminded = store.remind()
            store.adjust()
            memory.add_working_memory(torch.from_numpy(data))
            _, indices = memory.remind()
            # a near-tie may fall either way, where products round otherwise
            near_ties += indices.tolist() != reminded.indices.tolist()
            compared += reminded.ids.size
            gains = np.zeros(reminded.ids.shape)
            kept = reminded.ids[0] >= 0
            weight = np.exp(reminded.correlation[0, kept])
            gains[0, kept] = weight / weight.sum() * kept.sum() * 4.0
            memory.adjust_lifespan_and_memories(
                torch.from_numpy(reminded.indices), torch.from_numpy(gains)
            )
        assert near_ties <= 2
        assert compared > 1000
        ids = memory.engrams.engram_ids
        assert ids is not None
        core = store._memory.core
        positions = core.living_positions()
        assert core.state.at(core.state.ids, positions, -1).tolist() == ids.tolist()
        assert len(memory.engrams) > 200
        expiry = core.state.at(core.state.expiry, positions, -1)
        other = memory.core
        assert other is not None
        theirs = other.state.at(other.state.expiry, other.living_positions(), -1).numpy()
        np.testing.assert_allclose(theirs, expiry, rtol=0, atol=1e-9)
