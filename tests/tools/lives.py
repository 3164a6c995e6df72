"""Random lives: the same steps for every memory, and for the oracle beside them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch
from hypothesis import strategies as st
from oracle import OracleMemoria

from memoria import Memoria
from memoria.config import Layout
from memoria.core.torch_arrays import TorchOps

torch.set_num_threads(1)  # tensors this small only lose by threads, much so on a busy machine

LAYOUTS: tuple[Layout, ...] = ("dense", "sparse")
WAYS = (*LAYOUTS, "torch")
DATA_KINDS = ("grid", "copies", "normal", "far", "offset", "large")

Settings = dict[str, Any]


def vectors(rng: random.Random, kind: str, lanes: int, width: int, dim: int) -> torch.Tensor:
    """[B, W, D] float32. ``grid`` and ``copies`` are full of exact ties."""
    copies = random.Random(17)
    pool = [[copies.gauss(0, 1) for _ in range(dim)] for _ in range(4)]

    def one() -> list[float]:
        if kind == "grid":
            return [float(rng.randrange(3)) for _ in range(dim)]
        if kind in ("copies", "large"):
            return [x * (1 if kind == "copies" else 1000) for x in rng.choice(pool)]
        scale, shift = {"normal": (1.0, 0.0), "far": (40.0, 0.0), "offset": (0.5, 64.0)}[kind]
        return [rng.gauss(shift, scale) for _ in range(dim)]

    return torch.tensor([[one() for _ in range(width)] for _ in range(lanes)]).reshape(
        lanes, width, dim
    )


def gains(rng: random.Random, kind: str, like: torch.Tensor) -> torch.Tensor:
    """Steps gained, in one of the number types that `adjust_lifespan_and_memories` takes."""
    rows, width = like.shape
    if kind == "real":
        values = [[rng.gauss(1.0, 2.0) for _ in range(width)] for _ in range(rows)]
        return torch.tensor(values, dtype=rng.choice([torch.float64, torch.float32])).reshape(
            rows, width
        )
    low, high = {"eighths": (-12, 30), "zero": (0, 0), "kind": (0, 48)}[kind]
    values = [[rng.randint(low, high) / 8 for _ in range(width)] for _ in range(rows)]
    dtype = rng.choice([torch.float32, torch.float64, torch.bfloat16])
    return torch.tensor(values, dtype=dtype).reshape(rows, width)


def ids_of(memoria: Memoria) -> torch.Tensor:
    """The engrams' ids [B, M] of a memory that tracks them."""
    ids = memoria.engrams.engram_ids
    assert ids is not None
    return ids


def ages_of(memoria: Memoria) -> torch.Tensor:
    """The engrams' ages [B, M] of a memory that tracks them."""
    age = memoria.engrams.age
    assert age is not None
    return age


def assert_same_state(memoria: Memoria, oracle: OracleMemoria) -> None:
    engrams, expected = memoria.engrams, oracle.state()
    dim = engrams.data.shape[2]
    zero = [0.0] * dim
    assert engrams.engrams_types.tolist() == expected["types"]
    assert engrams.data.tolist() == [[v or zero for v in lane] for lane in expected["data"]]
    assert engrams.lifespan.tolist() == expected["lifespan"]
    assert ages_of(memoria).tolist() == expected["age"]
    assert ids_of(memoria).tolist() == expected["ids"]
    assert memoria.pinned.tolist() == expected["pinned"]
    assert engrams.induce_counts.tolist() == expected["counts"]
    fires = [[row[i] for i, row in enumerate(lane)] for lane in expected["counts"]]
    assert engrams.fire_count.tolist() == fires
    assert memoria.timestep == oracle.timestep


def live(
    rng: random.Random, subjects: list[Memoria], oracle: OracleMemoria, setting: Settings
) -> None:
    """One step of everything that may happen in a step; each number compared with the oracle."""
    for _ in range(rng.choice((1, 1, 1, 1, 2))):
        width = rng.randint(1, setting["wmax"])
        data = vectors(rng, setting["data"], setting["lanes"], width, setting["dim"])
        oracle.add_working_memory(data.tolist())
        for memoria in subjects:
            memoria.add_working_memory(data)

    indices = None
    for _ in range(rng.choice((1, 1, 1, 1, 1, 1, 1, 0, 2))):
        expected_memories, expected = oracle.remind()
        for memoria in subjects:
            memories, indices = memoria.remind()
            assert indices.dtype == torch.int64
            assert indices.tolist() == expected
            assert memories.tolist() == expected_memories
            assert memories.shape == (*indices.shape, setting["dim"])
    delta_kind = setting["delta"]
    if indices is None:  # a step that only lives on, or touches whatever it likes, even twice
        width = rng.randint(0, 4)
        picks = [[rng.randrange(-1, len(ln.traces)) for _ in range(width)] for ln in oracle.lanes]
        indices = torch.tensor(picks, dtype=torch.int64).reshape(len(oracle.lanes), width)
        delta_kind = "eighths"  # sums of these are exact in any order
    delta = gains(rng, delta_kind, indices)

    oracle.adjust(indices.tolist(), delta.tolist())
    for memoria in subjects:
        memoria.adjust_lifespan_and_memories(indices, delta)
        assert_same_state(memoria, oracle)


HYPER = (
    *("num_reminded_stm", "stm_capacity", "ltm_search_depth", "initial_lifespan"),
    *("num_final_ltms", "seed", "tie_break", "random_entries", "lane_ids"),
)


class TorchMemoria(Memoria):
    """A memory that runs on torch's operations on the CPU too, as it does on a GPU."""

    choose_ops = staticmethod(TorchOps)


def subjects_of(setting: Settings, ways: Sequence[str]) -> list[Memoria]:
    """A memory of each layout; ``"torch"`` is the dense one on torch's operations."""
    hyper = {**{name: setting[name] for name in HYPER}, "track_age": True, "track_id": True}
    return [
        TorchMemoria(**hyper, layout="dense") if way == "torch" else Memoria(**hyper, layout=way)
        for way in ways
    ]


def oracle_of(setting: Settings) -> OracleMemoria:
    return OracleMemoria(**{name: setting[name] for name in HYPER})


@st.composite
def any_setting(draw: st.DrawFn) -> Settings:
    lanes = draw(st.integers(1, 3))
    return {
        "num_reminded_stm": draw(st.integers(0, 5)),
        "stm_capacity": draw(st.integers(0, 8)),
        "ltm_search_depth": draw(st.integers(0, 4)),
        "initial_lifespan": draw(st.sampled_from([0.5, 1, 2.5, 4, 9])),
        "num_final_ltms": draw(st.integers(0, 5)),
        "seed": draw(st.integers(0, 2**63 - 1)),
        "tie_break": draw(st.sampled_from(["hash", "oldest"])),
        "random_entries": draw(st.sampled_from(["unreminded", 0, 1, 3])),
        "lane_ids": draw(
            st.none()
            | st.lists(st.integers(0, 2**31 - 1), min_size=lanes, max_size=lanes, unique=True)
        ),
        "lanes": lanes,
        "dim": draw(st.integers(1, 4)),
        "wmax": draw(st.integers(1, 3)),
        "data": draw(st.sampled_from(DATA_KINDS)),
        "delta": draw(st.sampled_from(["eighths", "real", "zero", "kind"])),
    }


LONG: Settings = {
    "num_reminded_stm": 3,
    "stm_capacity": 6,
    "ltm_search_depth": 3,
    "initial_lifespan": 6,
    "num_final_ltms": 4,
    "seed": 11,
    "tie_break": "hash",
    "random_entries": "unreminded",
    "lane_ids": None,
    "lanes": 2,
    "dim": 3,
    "wmax": 2,
    "data": "normal",
    "delta": "eighths",
}
