"""Documents that end in the middle of a batch, and batches smaller than the memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from model_tools import BERT, GPT2, SMALL, drawn, text, texts
from torch import Tensor

from memoria import EngramType, MemoryStore
from memoria.errors import InputError, ShapeError
from memoria.models import (
    MemoriaBertConfig,
    MemoriaBertForMaskedLM,
    MemoriaGPT2Config,
    MemoriaGPT2LMHeadModel,
    with_memory,
)

LANES = 3
# What depends on the number of a step or of an engram, and not only on what a lane has read.
BY_NUMBER = {"tie_break": "oldest", "random_entries": 0}
SETTINGS = {**SMALL, **BY_NUMBER}
ANEW = torch.tensor([False, True, False])


def gpt2() -> Any:
    return drawn(
        lambda: MemoriaGPT2LMHeadModel(MemoriaGPT2Config(**GPT2, **SETTINGS, reader_zero=False))
    )


def bert() -> Any:
    config = MemoriaBertConfig(**BERT, **SETTINGS, memory_layer=0, reader_zero=False)
    return drawn(lambda: MemoriaBertForMaskedLM(config))


def adapted() -> Any:
    """Plain GPT-2 under an adapter that reads as if it had learned to."""
    from transformers import GPT2Config, GPT2LMHeadModel

    model = drawn(lambda: GPT2LMHeadModel(GPT2Config(**GPT2)))
    adapter = drawn(lambda: with_memory(model, **SETTINGS))
    with torch.no_grad():
        for name, weight in adapter.named_parameters():
            if "attention.out" in name:
                weight.copy_(torch.linspace(-0.2, 0.2, weight.numel()).view(weight.shape))
    return adapter


MODELS = [gpt2, bert, adapted]


@torch.no_grad()
def read(model: Any, segments: list[Tensor]) -> list[Tensor]:
    return [model(segment).logits for segment in segments]


def near(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("make", MODELS)
def test_a_lane_that_starts_anew_knows_nothing_of_before(make: Any) -> None:
    ours, undisturbed, alone = make(), make(), make()
    segments = texts(10, LANES)
    read(ours, segments[:5])
    ours.memory.reset_lanes(ANEW)
    found = read(ours, segments[5:])
    expected = read(undisturbed, segments)[5:]
    fresh = read(alone, [segment[1:2] for segment in segments[5:]])
    for mine, all_along, new in zip(found, expected, fresh, strict=True):
        assert torch.equal(mine[[0, 2]], all_along[[0, 2]])
        near(mine[1:2], new)
    assert not torch.allclose(found[0][1], expected[0][1])


@pytest.mark.parametrize("make", MODELS)
def test_lanes_beyond_a_smaller_batch_stand_still(make: Any) -> None:
    ours, alone = make(), [make() for _ in range(LANES)]
    sizes = [3, 3, 3, 2, 3, 1, 3, 3]
    for segment, rows in zip(texts(len(sizes), LANES), sizes, strict=True):
        (found,) = read(ours, [segment[:rows]])
        for lane in range(rows):
            near(found[lane : lane + 1], read(alone[lane], [segment[lane : lane + 1]])[0])
    engrams = ours.memory.memoria.engrams
    for lane, single in enumerate(alone):
        living = engrams.engrams_types[lane] != EngramType.NULL
        near(engrams.lifespan[lane][living], single.memory.memoria.engrams.lifespan[0])


def test_a_smaller_batch_may_be_shorter_and_is_remembered() -> None:
    ours = gpt2()
    read(ours, [text(LANES), text(2, 7)])
    seen, mask = ours.memory.seen, ours.memory.seen_mask
    assert seen.shape == (LANES, 12, 32)
    assert mask.sum(1).tolist() == [7, 7, 12]
    whole = gpt2()
    read(whole, [text(LANES)])
    assert torch.equal(seen[2], whole.memory.seen[2])


def test_a_state_between_documents_goes_on_bit_for_bit() -> None:
    ours, segments = gpt2(), texts(8, LANES)
    read(ours, segments[:4])
    ours.memory.reset_lanes(ANEW)
    read(ours, [segments[4][:1]])
    state = {name: value.clone() for name, value in ours.memory.state_dict().items()}
    expected = torch.stack(read(ours, segments[5:]))
    other = gpt2()
    other.memory.load_state_dict(state)
    assert torch.equal(torch.stack(read(other, segments[5:])), expected)


def test_gradients_pass_where_some_lanes_read_nothing() -> None:
    ours = gpt2().train()
    read(ours, texts(3, LANES))
    ours.memory.reset_lanes(ANEW)
    ours(text(LANES), labels=text(LANES)).loss.backward()
    gradient = ours.transformer.abstractor.query_embeddings.grad
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0


def test_all_lanes_anew_read_as_at_first() -> None:
    ours, segments = gpt2(), texts(4, LANES)
    expected = read(ours, segments)
    ours.memory.reset_lanes(torch.ones(LANES, dtype=torch.bool))
    for mine, first in zip(read(ours, segments), expected, strict=True):
        near(mine, first)


def test_such_a_memory_is_a_store_with_its_texts(tmp_path: Path) -> None:
    ours = gpt2()
    for number, segment in enumerate(texts(7, LANES)):
        if number == 4:
            ours.memory.reset_lanes(ANEW)
        rows = 2 if number == 5 else LANES
        ours.memory.texts = [f"segment {number} of lane {lane}" for lane in range(LANES)]
        read(ours, [segment[:rows]])
    ours.memory.to_store(tmp_path / "store")
    with MemoryStore.open(tmp_path / "store", mode="r") as store:
        for lane in range(LANES):
            own = {f"segment {number} of lane {lane}" for number in range(7)}
            ids = store.living(range(lane, 7 * LANES * SMALL["num_memories"], LANES)).tolist()
            told = {store.first_text(id) for id in ids}
            assert told <= own
            assert len(told) == {0: 6, 1: 2, 2: 5}[lane]


def test_what_is_no_mask_of_lanes() -> None:
    ours = gpt2()
    ours.memory.reset_lanes(ANEW)
    read(ours, texts(2, LANES))
    with pytest.raises(ShapeError, match=r"\[3\]"):
        ours.memory.reset_lanes(torch.tensor([True]))
    with pytest.raises(InputError, match="not bool"):
        ours.memory.reset_lanes(torch.tensor([1, 0, 0]))


def test_a_reset_by_the_period_keeps_the_lanes_of_a_smaller_batch() -> None:
    config = MemoriaGPT2Config(**GPT2, **SETTINGS, reset_period=2)
    ours = drawn(lambda: MemoriaGPT2LMHeadModel(config)).train()
    for rows in (3, 3, 2, 3, 3):
        ours(text(rows))
    assert ours.memory.lanes == LANES


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_overflow_says_so_in_one_line(dtype: torch.dtype) -> None:
    ours = gpt2()
    read(ours, texts(2))
    with torch.no_grad():
        ours.transformer.abstractor.output.bias.fill_(torch.finfo(dtype).max)
        ours.transformer.abstractor.output.weight.fill_(torch.finfo(dtype).max)
    ours.to(dtype)
    said = "float16 overflowed" if dtype == torch.float16 else r"hold -?(inf|nan) \(float32\)"
    with pytest.raises(InputError, match=said) as caught:
        read(ours, texts(1))
    assert "\n" not in str(caught.value)
    ours.memory.reset()
    read(ours, texts(1))
