"""The tutorial's numbers, as printed in DESIGN 3."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from oracle import OracleMemoria

from memoria import EngramType, Memoria
from memoria.config import Layout

SETTINGS: dict[str, Any] = {
    "num_reminded_stm": 4,
    "stm_capacity": 16,
    "ltm_search_depth": 5,
    "initial_lifespan": 3,
    "num_final_ltms": 4,
}


@pytest.mark.parametrize("layout", ["dense", "sparse", "auto"])
def test_tutorial(layout: Layout) -> None:
    torch.manual_seed(42)
    memoria = Memoria(**SETTINGS, layout=layout)
    oracle = OracleMemoria(**SETTINGS)

    # 3. the first working memory
    data = torch.rand(2, 8, 64)
    memoria.add_working_memory(data)
    oracle.add_working_memory(data.tolist())
    assert len(memoria.engrams) == 16
    assert memoria.engrams.data.shape == torch.Size([2, 8, 64])
    assert torch.equal(memoria.engrams.lifespan, torch.full((2, 8), 3.0))

    # 4. nothing to remind yet
    memories, indices = memoria.remind()
    oracle.remind()
    assert memories.shape == torch.Size([2, 0, 64])
    assert indices.shape == torch.Size([2, 0])
    assert indices.dtype == torch.int64

    # 5. one step passes
    memoria.adjust_lifespan_and_memories(indices, torch.zeros_like(indices))
    oracle.adjust([[], []], [[], []])
    assert torch.equal(memoria.engrams.lifespan, torch.full((2, 8), 2.0))
    assert torch.equal(memoria.engrams.engrams_types, torch.full((2, 8), 2, dtype=torch.uint8))
    assert int(EngramType.SHORTTERM) == 2

    # 6. once more
    data = torch.rand(2, 8, 64)
    memoria.add_working_memory(data)
    oracle.add_working_memory(data.tolist())
    assert len(memoria.engrams) == 32
    assert memoria.engrams.lifespan.tolist() == [[2.0] * 8 + [3.0] * 8] * 2
    memories, indices = memoria.remind()
    assert memories.shape == torch.Size([2, 6, 64])
    assert indices.tolist() == [[0, 6, 4, 3, 2, -1], [0, 7, 6, 5, 4, -1]]
    assert oracle.remind()[1] == indices.tolist()
    assert (memories[:, -1] == 0).all()
    memoria.adjust_lifespan_and_memories(indices, torch.full_like(indices, 5))
    oracle.adjust(indices.tolist(), [[5.0] * 6] * 2)
    assert memoria.engrams.lifespan.tolist() == [
        [6, 1, 6, 6, 6, 1, 6, 1, 2, 2, 2, 2, 2, 2, 2, 2],
        [6, 1, 1, 1, 6, 6, 6, 6, 2, 2, 2, 2, 2, 2, 2, 2],
    ]

    # 7. ten times more
    for _ in range(10):
        data = torch.rand(2, 8, 64)
        memoria.add_working_memory(data)
        memories, indices = memoria.remind()
        delta = torch.randint_like(indices, 0, 6).float()
        memoria.adjust_lifespan_and_memories(indices, delta)
        oracle.add_working_memory(data.tolist())
        assert oracle.remind()[1] == indices.tolist()
        oracle.adjust(indices.tolist(), delta.tolist())

    engrams = memoria.engrams
    assert set(engrams.engrams_types.flatten().tolist()) == {
        int(EngramType.NULL),
        int(EngramType.SHORTTERM),
        int(EngramType.LONGTERM),
    }
    null = engrams.engrams_types == EngramType.NULL
    assert (engrams.lifespan[null] == -1).all()
    assert (engrams.lifespan[~null] > 0).all()
    assert (engrams.data[null] == 0).all()
    assert (engrams.fire_count[null] == -1).all()
    assert len(engrams) == 2 * engrams.data.shape[1]
    assert engrams.lifespan.tolist() == oracle.state()["lifespan"]
    assert engrams.engrams_types.tolist() == oracle.state()["types"]
    assert memoria.timestep == 12


def test_tutorial_settings_by_position() -> None:
    """The positional order and the attributes that users of `memoria-pytorch` rely on."""
    memoria = Memoria(4, 16, 5, 3, 4, True, True)
    assert len(memoria.engrams) == 0
    assert memoria.timestep == 0
    memoria.add_working_memory(torch.rand(2, 8, 64))
    memoria.remind()
    memoria.adjust_lifespan_and_memories(torch.empty(2, 0).long(), torch.empty(2, 0))
    assert memoria.engrams.age is not None
    assert memoria.engrams.engram_ids is not None
    assert memoria.engrams.age.tolist() == [[1] * 8] * 2
    assert memoria.engrams.engram_ids.tolist() == [list(range(8))] * 2
    assert memoria.timestep == 1

    plain = Memoria(4, 16, 5, 3, 4)
    plain.add_working_memory(torch.rand(1, 1, 2))
    assert plain.engrams.age is None
    assert plain.engrams.engram_ids is None
