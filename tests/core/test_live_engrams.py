"""What is written into a memory's engrams takes effect."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from memoria import Engrams, EngramType, Memoria, save_memory
from memoria.errors import InputError, ShapeError, StateError


def lived(steps: int = 3, **settings: object) -> Memoria:
    memory = Memoria(2, 6, 3, 5, 2, track_age=True, track_id=True, **settings)  # type: ignore[arg-type]
    for _ in range(steps):
        step(memory)
    return memory


def step(memory: Memoria, data: torch.Tensor | None = None) -> torch.Tensor:
    """One step of two lanes; returns who was reminded."""
    generator = torch.Generator().manual_seed(memory.timestep)
    memory.add_working_memory(torch.rand(2, 3, 4, generator=generator) if data is None else data)
    _, indices = memory.remind()
    memory.adjust_lifespan_and_memories(indices, torch.ones(indices.shape))
    return indices


@pytest.mark.parametrize("layout", ["dense", "sparse"])
def test_lifespans(layout: str) -> None:
    plain, longer = lived(layout=layout), lived(layout=layout)
    longer.engrams.lifespan += 100
    assert torch.equal(step(plain), step(longer))
    old = plain.engrams.age > 1
    assert torch.equal(longer.engrams.lifespan, plain.engrams.lifespan + 100.0 * old)


def test_a_lifespan_that_has_run_out() -> None:
    memory = lived()
    memory.engrams.lifespan[0, 1] = 0.0
    gone = int(memory.engrams.engram_ids[0, 1])
    step(memory)
    assert gone not in memory.engrams.engram_ids[0].tolist()


@pytest.mark.parametrize("layout", ["dense", "sparse"])
def test_deleting_forgets(layout: str) -> None:
    memory = lived(layout=layout)
    engrams = memory.engrams
    engrams.delete(torch.tensor([[0, 3], [1, -1]]))
    engrams.lifespan += 1
    left = [lane[lane >= 0].tolist() for lane in engrams.engram_ids]
    assert [lane[lane >= 0].tolist() for lane in memory.engrams.engram_ids] == left
    living = engrams.engrams_types != EngramType.NULL
    assert torch.equal(memory.engrams.lifespan[living], engrams.lifespan[living])
    step(memory)
    assert 0 not in memory.engrams.engram_ids[0].tolist()


def test_vectors_decide_who_is_reminded() -> None:
    memory = lived()
    cue = torch.full((2, 3, 4), 9.0)
    short = memory.engrams.shortterm_memory_mask
    chosen = torch.stack([lane.nonzero()[-1] for lane in short])
    memory.engrams.data[torch.arange(2), chosen.squeeze(1)] = 9.0
    reminded = step(memory, cue)
    for lane in range(2):
        assert int(chosen[lane]) in reminded[lane].tolist()


def test_connections_and_types() -> None:
    memory = lived()
    memory.engrams.fire_together_wire_together(torch.tensor([[0, 4], [1, 2]]))
    counts = memory.engrams.induce_counts.clone()
    assert memory.core is not None  # takes what was written
    assert torch.equal(memory.engrams.induce_counts, counts)
    memory.engrams.engrams_types[:, :5] = EngramType.LONGTERM
    assert torch.equal(memory.engrams.induce_counts, counts)
    assert memory.engrams.longterm_memory_mask[:, :5].all()
    step(memory)


def test_engrams_may_be_replaced() -> None:
    memory, other = lived(), lived()
    kept = other.engrams.select(torch.tensor([2, 3, 5]))
    memory.engrams = kept
    assert memory.engrams == kept
    assert memory.timestep == 3
    step(memory)
    assert kept.engram_ids is not None
    assert memory.engrams.engram_ids[0, :3].tolist() == kept.engram_ids[0].tolist()
    state = memory.state()
    again = lived(0)
    again.load_state(state)
    assert torch.equal(step(memory), step(again))
    memory.engrams = Engrams.empty()
    assert memory.timestep == 0


def test_a_replacement_goes_on_as_the_original() -> None:
    memory, copied = lived(), lived()
    copied.engrams = memory.engrams + Engrams.empty()
    assert torch.equal(step(memory), step(copied))
    assert memory.engrams == copied.engrams


def test_what_a_memory_cannot_hold_is_refused_and_changes_nothing() -> None:
    memory = lived()
    before = memory.engrams.lifespan.clone()
    memory.engrams.lifespan[0, 0] = float("nan")
    with pytest.raises(InputError, match="lifespan holds NaN"):
        memory.remind()
    assert torch.equal(memory.engrams.lifespan, before)
    memory.engrams.data = torch.zeros(2, 9, 5)
    with pytest.raises(ShapeError, match="data"):
        memory.remind()
    memory.engrams.engrams_types[:, -1] = EngramType.LONGTERM
    with pytest.raises(InputError, match="order of creation"):
        memory.remind()
    memory.engrams.engram_ids = memory.engrams.engram_ids + 1
    with pytest.raises(InputError, match="keeps its id"):
        memory.remind()
    step(memory)


def test_a_log_of_firings_takes_no_counts() -> None:
    memory = lived(layout="sparse")
    memory.engrams.induce_counts += 1
    with pytest.raises(StateError, match="log of firings"):
        step(memory)
    with pytest.raises(StateError, match="log of firings"):
        memory.engrams = lived().engrams


def test_written_in_inference_mode() -> None:
    with torch.inference_mode():
        memory = lived()
        memory.engrams.lifespan += 7
        assert memory.engrams.lifespan.max() >= 7


def test_a_store_cannot_tell_what_was_written(tmp_path: Path) -> None:
    memory = lived()
    memory.engrams.lifespan += 50
    step(memory)
    with pytest.raises(StateError, match="not one of a store"):
        save_memory(memory, tmp_path / "written")
