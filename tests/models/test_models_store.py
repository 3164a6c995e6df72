"""What a model remembers, as a store, and back."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_tools import Cli
from hypothesis import given, settings
from hypothesis import strategies as st
from model_tools import BERT, GPT2, SMALL, drawn, texts
from torch import Tensor

from memoria.errors import InputError, MemoriaError, ShapeError, StateError, StoreExistsError
from memoria.models import (
    MemoriaBertConfig,
    MemoriaBertForMaskedLM,
    MemoriaGPT2Config,
    MemoriaGPT2LMHeadModel,
)
from memoria.store import MemoryStore


def gpt2(**changes: Any) -> MemoriaGPT2LMHeadModel:
    config = MemoriaGPT2Config(**{**GPT2, **SMALL, **changes})
    return drawn(lambda: MemoriaGPT2LMHeadModel(config))


def bert() -> MemoriaBertForMaskedLM:
    config = MemoriaBertConfig(**BERT, **SMALL, memory_layer=0)
    return drawn(lambda: MemoriaBertForMaskedLM(config))


def listed(cli: Cli, path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cli.ok("list", path, "--json").json["engrams"]
    return found


@torch.no_grad()
def read(model: Any, segments: list[Tensor], named: int | None = None) -> Tensor:
    """Logits; with ``named`` each segment has a text for each lane, counted from there."""
    found = []
    for number, segment in enumerate(segments):
        if named is not None:
            rows = range(segment.shape[0])
            model.memory.texts = [f"segment {named + number} of lane {row}" for row in rows]
        found.append(model(segment).logits)
    return torch.stack(found)


@pytest.mark.parametrize("make", [gpt2, bert])
def test_a_store_holds_what_the_model_remembers(make: Any, tmp_path: Path, cli: Cli) -> None:
    model = make()
    read(model, texts(7), named=0)
    engrams = model.memory.memoria.engrams
    model.memory.to_store(tmp_path / "store")
    with MemoryStore.open(tmp_path / "store", mode="r") as store:
        assert store.timestep == model.memory.timestep
        assert store.config.lanes == 2
        assert store.config.hidden_dim == 32
        assert store.config.rule == "correlation:8"
    life = {(one["lane"], one["id"] // 2): one for one in listed(cli, tmp_path / "store")}
    for lane in range(2):
        alive = engrams.engrams_types[lane] > 0
        ids = engrams.engram_ids[lane][alive].tolist()
        assert sorted(number for of, number in life if of == lane) == ids
        for number, lifespan in zip(ids, engrams.lifespan[lane][alive].tolist(), strict=True):
            found = life[lane, number]
            assert found["lifespan"] == pytest.approx(lifespan)
            assert found["text"] == f"segment {number // 4} of lane {lane}"


@pytest.mark.parametrize("make", [gpt2, bert])
def test_from_a_store_it_goes_on(make: Any, tmp_path: Path) -> None:
    first, second = make(), make()
    segments = texts(14)
    read(first, segments[:7], named=0)
    first.memory.to_store(tmp_path / "store")
    seen = first.memory.seen, first.memory.seen_mask
    read(second, texts(3))
    second.memory.from_store(tmp_path / "store")
    assert second.memory.timestep == first.memory.timestep
    assert second.memory.seen is None
    if seen[0] is not None:  # the segment read last is no engram yet
        second.memory.load_state({**second.memory.state(), "seen": seen[0]})
    assert torch.equal(read(second, segments[7:]), read(first, segments[7:]))
    assert second.memory.memoria.engrams == first.memory.memoria.engrams


def test_texts_come_through_a_checkpoint(tmp_path: Path, cli: Cli) -> None:
    first, second = gpt2(), gpt2()
    read(first, texts(5), named=0)
    file = io.BytesIO()
    torch.save(first.memory.state(), file)
    file.seek(0)
    second.memory.load_state(torch.load(file, weights_only=True))
    read(first, texts(3), named=5)
    read(second, texts(3), named=5)
    digests = []
    for number, model in enumerate((first, second)):
        model.memory.to_store(tmp_path / str(number))
        engrams = listed(cli, tmp_path / str(number))
        digests.append([(one["id"], one["text"], one["lifespan"]) for one in engrams])
    assert digests[0] == digests[1]
    assert all(text for _, text, _ in digests[0])


def test_texts_of_the_forgotten_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memoria.models.memory._SPARE", 10)
    model = gpt2(initial_lifespan=2, num_reminded_stm=0, num_final_ltms=0)
    memory = model.memory
    kept = []
    for segment in texts(40):
        memory.texts = ["a", "b"]
        read(model, [segment])
        kept.append(memory._texts.state().numel())
    assert max(kept[12:]) <= max(kept[:12]) * 3
    smallest = kept[3]
    memory.state()
    assert memory._texts.state().numel() <= smallest


@pytest.mark.parametrize("wrong", ["one string", ["a"], ["a", 3]])
def test_texts_that_are_not_one_for_each_row(wrong: Any) -> None:
    model = gpt2()
    read(model, texts(1))
    with pytest.raises(InputError, match="text"):
        model.memory.texts = wrong


def test_texts_for_another_batch_are_refused_when_it_comes() -> None:
    model = gpt2()
    model.memory.texts = ["a", "b", "c"]
    with pytest.raises(InputError, match="3 texts"):
        model(texts(1)[0])


def test_errors_leave_all_as_it_was(tmp_path: Path) -> None:
    model = gpt2()
    with pytest.raises(StateError):
        model.memory.to_store(tmp_path / "early")
    assert not (tmp_path / "early").exists()
    read(model, texts(4))
    model.memory.to_store(tmp_path / "store")
    with pytest.raises(StoreExistsError):
        model.memory.to_store(tmp_path / "store")
    before = model.memory.memoria.engrams
    with pytest.raises(MemoriaError):
        model.memory.from_store(tmp_path / "nowhere")
    wide = gpt2(n_embd=64)
    with pytest.raises(InputError, match="32"):
        wide.memory.from_store(tmp_path / "store")
    assert wide.memory.timestep == 0
    assert model.memory.memoria.engrams == before
    other = gpt2()
    other.memory.from_store(tmp_path / "store")
    with pytest.raises(ShapeError, match="batch"):
        read(other, texts(1, lanes=3))


WHAT = st.sampled_from(["read", "read", "read", "generate", "pause", "aside", "ask", "reset"])


@settings(max_examples=15, deadline=None)
@given(st.lists(WHAT, min_size=1, max_size=8), st.integers(0, 8))
def test_whatever_happens_a_state_goes_on_and_a_step_is_a_segment(
    happens: list[str], at: int
) -> None:
    """Two models live the same; one is begun anew from the other's state on the way."""
    first, second = gpt2(), gpt2()
    expected, seen = 0, False
    for number, what in enumerate(happens):
        if number == at:
            second = gpt2()
            second.memory.load_state(first.memory.state())
        found = [lived(model, what, number) for model in (first, second)]
        assert torch.equal(*found)
        if what == "reset":
            expected, seen = 0, False
        elif what in ("read", "generate"):
            expected, seen = expected + seen, True
        assert first.memory.timestep == second.memory.timestep == expected
    assert first.memory.memoria.engrams == second.memory.memoria.engrams


@torch.no_grad()
def lived(model: Any, what: str, number: int) -> Tensor:
    memory, segment = model.memory, texts(number + 1)[number]
    if what == "generate":
        made: Tensor = model.generate(segment, max_new_tokens=3)
        return made
    if what == "reset":
        memory.reset()
    if what == "ask":
        memory.state()
    if what in ("pause", "aside"):
        with memory.paused() if what == "pause" else memory.aside():
            return read(model, [segment])
    return read(model, [segment]) if what == "read" else segment


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("make", [gpt2, bert])
def test_on_a_gpu(make: Any, tmp_path: Path) -> None:
    model = make().to("cuda")
    segments = [segment.to("cuda") for segment in texts(8)]
    read(model, segments[:5])
    memory = model.memory
    assert memory.memoria.device.type == "cuda"
    memory.to_store(tmp_path / "store")
    state = {name: value.cpu() for name, value in memory.state().items()}
    expected = read(model, segments[5:])
    memory.reset()
    memory.load_state(state)
    torch.testing.assert_close(read(model, segments[5:]), expected, rtol=1e-2, atol=1e-2)
    assert memory.memoria.device.type == "cuda"
    memory.from_store(tmp_path / "store")
    assert memory.memoria.device.type == "cuda"
    read(model, segments[5:])
