"""Code written for memoria-pytorch 1.1.0: its modules, names and parameters are here."""

from __future__ import annotations

import gzip
import importlib
import inspect
import json
from pathlib import Path
from typing import Any

import pytest
import torch

import memoria
from memoria import EngramType, HistoryManager, Memoria, SparseTensor
from memoria.errors import DamageError

# Of each module the classes with their members (the parameters of a method), and the functions.
PUBLIC: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "memoria_pytorch_1_1_0.json").read_text("utf-8")
)
SETTINGS = {
    "num_reminded_stm": 4,
    "stm_capacity": 16,
    "ltm_search_depth": 5,
    "initial_lifespan": 3,
    "num_final_ltms": 4,
}


def parameters(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


def found_in(whole: object, name: str) -> bool:
    return hasattr(whole, name) or name in getattr(whole, "__annotations__", {})


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_where_it_was(module: str) -> None:
    here = importlib.import_module(f"memoria.{module}")
    for name, members in PUBLIC[module].items():
        one = getattr(here, name)
        if isinstance(members, list):
            assert parameters(one)[: len(members)] == members, name
            continue
        for member, wanted in members.items():
            assert found_in(one, member), f"{name}.{member}"
            if wanted is None or (member.startswith("__") and member != "__init__"):
                continue
            assert len(parameters(getattr(one, member))) >= len(wanted), f"{name}.{member}"
            if name in ("Memoria", "Engrams", "Abstractor", "SparseTensor"):
                assert parameters(getattr(one, member))[: len(wanted)] == wanted, f"{name}.{member}"


def test_the_package_itself_has_them() -> None:
    assert {"Abstractor", "Engrams", "EngramType", "HistoryManager", "Memoria", "SparseTensor"} <= {
        name for name in dir(memoria) if getattr(memoria, name) is not None
    }
    from memoria import utils

    assert utils.super_unique(torch.tensor([[3, 1, 3], [2, 2, 2]]), 1).tolist() == [[1, 3], [2, -1]]


def test_settings_of_a_memory_may_be_set() -> None:
    memory = Memoria(**SETTINGS)
    for name, value in SETTINGS.items():
        assert getattr(memory, name) == value
    data = torch.rand(3, 1, 8, 4, generator=torch.Generator().manual_seed(0))
    memory.add_working_memory(data[0])
    memory.adjust_lifespan_and_memories(*_nothing(memory))
    memory.num_reminded_stm = 1
    memory.add_working_memory(data[1])
    assert int((memory.remind()[1] >= 0).sum()) == 2  # one of short-term, one of a cold start
    with pytest.raises(memoria.MemoriaError, match="stm_capacity = -1"):
        memory.stm_capacity = -1
    assert memory.stm_capacity == 16


def _nothing(memory: Memoria) -> tuple[torch.Tensor, torch.Tensor]:
    _, indices = memory.remind()
    return indices, torch.zeros(indices.shape)


def test_ids_and_device() -> None:
    memory = Memoria(**SETTINGS)
    assert (memory.next_engram_id, memory.ext_device) == (None, None)
    memory.add_working_memory(torch.rand(2, 3, 4))
    assert (memory.next_engram_id, memory.ext_device) == (3, torch.device("cpu"))


def test_null_engrams_are_in_no_summary() -> None:
    memory = Memoria(**SETTINGS, track_id=True)
    memory.add_working_memory(torch.rand(2, 3, 4))
    memory.engrams.delete(torch.tensor([[0, 1], [-1, -1]]))
    assert [sorted(one.engrams) for one in memory.engrams.status_summary()] == [[2], [0, 1, 2]]


def test_negative_steps_of_a_history_count_from_its_end() -> None:
    memory = Memoria(**SETTINGS, keep_history=True)
    for _ in range(3):
        memory.add_working_memory(torch.rand(1, 2, 4))
        memory.adjust_lifespan_and_memories(*_nothing(memory))
    assert memory.history is not None
    history = memory.history[0]
    assert history[-1] == history[2]
    assert history.firings_per_time[-1] == history.firings_per_time[2]


def test_a_history_file_of_it_is_refused_with_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "lane0.hist"
    path.write_bytes(gzip.compress(b"\x80\x04cos\nsystem\n"))
    with pytest.raises(DamageError, match="pickle of memoria-pytorch"):
        HistoryManager.load(path)


def test_local_ranks_of_global_indices() -> None:
    memory = Memoria(**SETTINGS)
    memory.add_working_memory(torch.rand(1, 6, 4))
    engrams = memory.engrams
    mask = torch.tensor([[False, True, True, False, True, True]])
    wanted = torch.tensor([[5, 2, 0, -1, 5]])
    assert engrams.get_local_indices_from_global_indices(mask, wanted).tolist() == [[1, 3]]


class TestSparseTensor:
    DENSE = torch.tensor([[0, 5, 0], [7, 0, 0], [0, 0, 9]])

    def test_is_the_tensor_that_it_was_made_of(self) -> None:
        sparse = SparseTensor.from_tensor(self.DENSE)
        assert len(sparse.values) == 3
        assert torch.equal(sparse.to_dense(), self.DENSE)
        assert sparse == self.DENSE
        assert sparse.tolist() == self.DENSE.tolist()

    @pytest.mark.parametrize(
        "key",
        [1, -1, slice(1, 3), (slice(None), 1), (1, 0), [0, 2], (torch.tensor([0, 1]), 1)],
        ids=repr,
    )
    def test_is_indexed_as_a_tensor(self, key: Any) -> None:
        found = SparseTensor.from_tensor(self.DENSE)[key]
        dense = found.to_dense() if isinstance(found, SparseTensor) else found
        assert torch.equal(dense, self.DENSE[key])

    def test_takes_values(self) -> None:
        sparse, dense = SparseTensor.empty((3, 3)), torch.zeros(3, 3, dtype=torch.int32)
        for key, value in (
            ((0, 1), 4),
            (slice(1, 3), 2),
            ((2, [0, 2]), torch.tensor([8, 0], dtype=torch.int32)),
        ):
            sparse[key], dense[key] = value, value  # type: ignore[index]
            assert torch.equal(sparse.to_dense(), dense)

    def test_sums_and_shapes(self) -> None:
        sparse = SparseTensor.from_tensor(self.DENSE)
        assert sparse + sparse == self.DENSE * 2
        assert sparse + 1 == self.DENSE + 1
        assert torch.equal(sparse.diagonal().to_dense(), self.DENSE.diagonal())
        assert torch.equal(sparse.unsqueeze(0).to_dense(), self.DENSE.unsqueeze(0))
        assert sparse.type(torch.float32).values.dtype == torch.float32
        with pytest.raises(memoria.MemoriaError, match="shape"):
            sparse + SparseTensor.empty((2, 2))


def test_engram_types_have_their_numbers() -> None:
    assert [int(kind) for kind in EngramType] == [0, 1, 2, 3]
