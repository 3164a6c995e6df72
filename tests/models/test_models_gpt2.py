"""GPT-2 with memory: a plain model at first, then one that remembers."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from model_tools import (
    GPT2,
    PAD,
    SMALL,
    checkpoint_layers,
    drawn,
    plain_checkpoint,
    quiet,
    text,
    texts,
)
from torch import Tensor

from memoria import Memoria
from memoria.errors import ConfigError, InputError, ShapeError
from memoria.models import (
    PAPER_READERS,
    MemoriaGPT2Config,
    MemoriaGPT2ForSequenceClassification,
    MemoriaGPT2LMHeadModel,
    MemoriaGPT2Model,
)

NEAR = {"rtol": 1e-2, "atol": 1e-2}  # of logits around 20, each made from those before


def config(**changes: Any) -> MemoriaGPT2Config:
    return MemoriaGPT2Config(**{**GPT2, **SMALL, **PAPER_READERS, **changes})


def model(seed: int = 0, **changes: Any) -> MemoriaGPT2LMHeadModel:
    return drawn(lambda: MemoriaGPT2LMHeadModel(config(**changes)), seed)


@torch.no_grad()
def read(reader: Any, segments: list[Tensor], **kwargs: Any) -> list[Tensor]:
    """Logits of each segment."""
    return [reader(segment, **kwargs).logits for segment in segments]


def test_a_plain_checkpoint_gives_all_but_the_memory(tmp_path: Path) -> None:
    plain = plain_checkpoint(
        transformers.GPT2LMHeadModel, transformers.GPT2Config(**GPT2), tmp_path
    )
    with quiet():
        ours, info = MemoriaGPT2LMHeadModel.from_pretrained(
            tmp_path, output_loading_info=True, **SMALL
        )
    assert info["unexpected_keys"] == set()
    assert info["mismatched_keys"] == set()
    new = {name for name, _ in ours.named_parameters()} - set(plain.state_dict())
    assert info["missing_keys"] == new
    assert all(".reader." in name or ".abstractor." in name for name in new)
    assert ours.config.model_type == "memoria-gpt2"
    assert ours.config.num_memories == SMALL["num_memories"]


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("padding", ["none", "left", "right"])
def test_the_first_segment_is_that_of_plain_gpt2_bit_for_bit(
    tmp_path: Path, attention: str, padding: str
) -> None:
    plain_checkpoint(transformers.GPT2LMHeadModel, transformers.GPT2Config(**GPT2), tmp_path)
    with quiet():
        given = {"attn_implementation": attention}
        plain = transformers.GPT2LMHeadModel.from_pretrained(tmp_path, **given).eval()
        ours = MemoriaGPT2LMHeadModel.from_pretrained(
            tmp_path, **given, **SMALL, **PAPER_READERS
        ).eval()
    ids, mask = text(3), torch.ones(3, 12, dtype=torch.int64)
    if padding != "none":
        mask[1, :4] = 0
        mask = mask if padding == "left" else mask.flip(1)
        ids = ids.masked_fill(mask == 0, PAD)
    with torch.no_grad():
        expected = plain(ids, attention_mask=mask, labels=ids)
        found = ours(ids, attention_mask=mask, labels=ids)
        later = ours(ids, attention_mask=mask, labels=ids)
    assert torch.equal(found.logits, expected.logits)
    assert torch.equal(found.loss, expected.loss)
    assert ours.memory.timestep == 1
    assert not torch.allclose(later.logits, expected.logits)
    ours.memory.reset()
    with torch.no_grad():
        assert torch.equal(ours(ids, attention_mask=mask).logits, expected.logits)


def test_a_paused_memory_leaves_a_plain_model(tmp_path: Path) -> None:
    ours, segments = model(), texts(4)
    first = read(ours, segments[:1])[0]
    read(ours, segments)
    before = ours.memory.timestep
    with ours.memory.paused():
        assert torch.equal(read(ours, segments[:1])[0], first)
    assert ours.memory.timestep == before


def test_another_memory_aside_leaves_this_one_alone() -> None:
    ours, segments = model(), texts(8)
    expected = read(ours, segments)
    ours.memory.reset()
    read(ours, segments[:4])
    with ours.memory.aside():
        read(ours, texts(3, lanes=3))
        ours.memory.reset()
        assert torch.equal(read(ours, segments[:1])[0], expected[0])
    assert torch.equal(torch.stack(read(ours, segments[4:])), torch.stack(expected[4:]))


def test_saved_and_loaded_by_the_auto_classes(tmp_path: Path) -> None:
    ours, segments = model(), texts(5)
    with quiet():
        ours.save_pretrained(tmp_path)
        loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
        base = transformers.AutoModel.from_pretrained(tmp_path)
        known = transformers.AutoConfig.from_pretrained(tmp_path)
    assert type(loaded) is MemoriaGPT2LMHeadModel
    assert type(base) is MemoriaGPT2Model
    assert type(known) is MemoriaGPT2Config
    assert known.stm_capacity == SMALL["stm_capacity"]
    assert torch.equal(torch.stack(read(loaded, segments)), torch.stack(read(ours, segments)))
    for name, weight in base.state_dict().items():
        assert torch.equal(weight, ours.transformer.state_dict()[name]), name


def test_hidden_states_and_attentions_are_given() -> None:
    ours = model(attn_implementation="eager")
    read(ours, texts(3))
    output = ours(text(), output_hidden_states=True, output_attentions=True)
    assert [one.shape for one in output.hidden_states] == [(2, 12, 32)] * 3
    assert [one.shape for one in output.attentions] == [(2, 4, 12, 12)] * 2
    assert not any(isinstance(one, torch.Tensor) for one in output.cross_attentions or ())


def test_lanes_do_not_influence_each_other() -> None:
    segments = texts(10)
    together = read(model(), segments)
    for lane in range(2):
        alone = model()
        memory = alone.memory.memoria
        settings = {name: SMALL[name] for name in SMALL if name != "num_memories"}
        alone.memory.memoria = Memoria(**settings, seed=memory.config.seed, lane_ids=[lane])
        found = read(alone, [segment[lane : lane + 1] for segment in segments])
        for mine, both in zip(found, together, strict=True):
            torch.testing.assert_close(mine[0], both[lane], **NEAR)


def test_padding_is_neither_read_nor_remembered() -> None:
    segments = texts(6, lanes=1)
    expected = read(model(), segments)
    ours = model()
    for segment, logits in zip(segments, expected, strict=True):
        padded = torch.cat((segment, torch.full((1, 5), 7)), dim=1)
        mask = (torch.arange(17) < 12).long().unsqueeze(0)
        with torch.no_grad():
            found = ours(padded, attention_mask=mask).logits[:, :12]
        torch.testing.assert_close(found, logits, **NEAR)


def test_same_again() -> None:
    first, second = (torch.stack(read(model(), texts(8))) for _ in range(2))
    assert torch.equal(first, second)


def test_eager_and_sdpa_text_agree() -> None:
    eager = read(model(attn_implementation="eager"), texts(6))
    sdpa = read(model(attn_implementation="sdpa"), texts(6))
    torch.testing.assert_close(torch.stack(eager), torch.stack(sdpa), **NEAR)


def gradients(ours: Any, segments: list[Tensor]) -> dict[str, Tensor]:
    """Of the sum of all segments' losses: a backward pass after all forward passes."""
    losses = [ours(segment, labels=segment).loss for segment in segments]
    torch.stack(losses).sum().backward()
    return {name: p.grad for name, p in ours.named_parameters() if p.grad is not None}


def test_gradient_reaches_the_abstractor_and_no_stored_engram() -> None:
    ours = model().train()
    segments = texts(3)
    ours(segments[0])
    ours(segments[1])
    hidden = ours.memory.seen
    assert hidden is not None
    assert not hidden.requires_grad
    found = gradients(ours, segments[2:])
    for name in ("query_embeddings", "key_transform.weight", "output.weight"):
        assert found[f"transformer.abstractor.{name}"].abs().sum() > 0
    assert found["transformer.h.1.reader.attention.pair.weight"].abs().sum() > 0
    assert not any(value.requires_grad for value in ours.memory.state().values())
    assert ours.memory.last is not None
    assert ours.memory.last.working is not None
    assert not ours.memory.last.working.requires_grad


def test_checkpointing_gives_the_same_gradients() -> None:
    segments = texts(4)
    dropout = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    expected = gradients(model(**dropout).train(), segments)
    ours = model(**dropout).train()
    checkpoint_layers(ours)
    found = gradients(ours, segments)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, msg=name)
    other = model(**dropout).train()
    gradients(other, segments)
    state = ours.memory.state()
    assert all(torch.equal(state[name], value) for name, value in other.memory.state().items())


def test_reentrant_checkpointing_is_refused() -> None:
    with pytest.raises(ConfigError, match="use_reentrant"):
        checkpoint_layers(model(), use_reentrant=True)


def test_a_state_goes_on_bit_for_bit() -> None:
    ours, segments = model(), texts(12)
    read(ours, segments[:7])
    file = io.BytesIO()
    torch.save(ours.memory.state(), file)
    expected = torch.stack(read(ours, segments[7:]))
    other = model()
    read(other, texts(2, lanes=3))
    file.seek(0)
    other.memory.load_state(torch.load(file, weights_only=True))
    assert torch.equal(torch.stack(read(other, segments[7:])), expected)


def test_a_state_that_is_none_is_refused() -> None:
    ours = model()
    before = read(ours, texts(3))
    with pytest.raises(InputError, match="lanes"):
        ours.memory.load_state({"trained": torch.tensor(0)})
    broken = ours.memory.state()
    del broken["memoria.expiry"]
    with pytest.raises(InputError, match="expiry"):
        ours.memory.load_state(broken)
    assert ours.memory.timestep == 2
    assert len(before) == 3


@pytest.mark.parametrize("use_cache", [True, False])
def test_generating_is_one_segment(use_cache: bool) -> None:
    ours, segments = model(), texts(5)
    read(ours, segments[:4])
    step = ours.memory.timestep
    prompt = segments[4]
    made = ours.generate(prompt, max_new_tokens=6, min_new_tokens=6, use_cache=use_cache)
    assert made.shape == (2, 18)
    assert ours.memory.timestep == step + 1
    seen = ours.memory.seen
    assert seen is not None
    assert seen.shape[1] == 17  # the last token is made and never read
    again = model()
    read(again, segments[:4])
    expected = made[:, 12:]
    logits = read(again, [made[:, :-1]])[0][:, 11:]
    # the memory that a prompt brings back is what the whole would have brought back
    allowed = logits.clone()
    allowed[..., 2] = -torch.inf  # min_new_tokens: no end
    assert torch.equal(allowed.argmax(-1), expected)
    assert again.memory.seen is not None
    torch.testing.assert_close(again.memory.seen, seen, rtol=1e-4, atol=1e-5)


def test_generating_from_prompts_padded_on_the_left() -> None:
    ours = model()
    read(ours, texts(3, lanes=1))
    short = text(1, 8, seed=9)
    state = ours.memory.state()
    expected = ours.generate(short, max_new_tokens=4, min_new_tokens=4)[:, 8:]
    seen = ours.memory.seen
    ours.memory.load_state(state)
    padded = torch.cat((torch.full((1, 3), PAD), short), 1)
    mask = (padded != PAD).long()
    found = ours.generate(padded, attention_mask=mask, max_new_tokens=4, min_new_tokens=4)[:, 11:]
    assert torch.equal(found, expected)
    now, now_mask = ours.memory.seen, ours.memory.seen_mask
    assert seen is not None
    assert now is not None
    assert now_mask is not None
    assert now_mask.tolist() == [[False] * 3 + [True] * 11]
    torch.testing.assert_close(now[:, 3:], seen, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["num_beams", "num_return_sequences"])
def test_several_pasts_of_one_lane_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} = 2"):
        model().generate(text(), max_new_tokens=2, do_sample=name != "num_beams", **{name: 2})


def test_another_batch_size_is_refused_until_reset() -> None:
    ours = model()
    read(ours, texts(2))
    with pytest.raises(ShapeError, match=r"reset\(\)"):
        ours(text(3))
    assert ours.memory.timestep == 1
    ours.memory.reset()
    assert ours(text(3)).logits.shape[0] == 3


def test_a_batch_that_failed_leaves_no_lanes_behind() -> None:
    ours = model()
    with pytest.raises(IndexError):
        ours(text(3) + 1000)
    read(ours, texts(2))
    assert ours.memory.lanes == 2


def test_the_memory_is_reset_every_so_many_training_steps() -> None:
    ours = model(reset_period=3).train()
    steps = []
    for segment in texts(7):
        ours(segment)
        steps.append(ours.memory.timestep)
    assert steps == [0, 1, 2, 0, 1, 2, 0]
    ours.eval()
    read(ours, texts(5))
    assert ours.memory.timestep == 5


def test_gains_are_the_share_of_attention() -> None:
    """By hand, from what the readers' attention says of the reminded."""
    ours, segments = model(lifespan_alpha=3.0), texts(6)
    read(ours, segments[:5])
    weights = []
    for block in ours.transformer.h:
        attention = block.reader.attention

        def noted(*args: Any, whole: Any = attention.weighted, **kwargs: Any) -> Any:
            result = whole(*args, **kwargs)
            weights.append(result[1])
            return result

        attention.weighted = noted
    mask = torch.ones(2, 12)
    mask[0, :5] = 0
    read(ours, segments[5:], attention_mask=mask)
    last = ours.memory.last
    assert last is not None
    assert last.gains is not None
    assert len(weights) == 2
    for lane, first in ((0, 5), (1, 0)):
        received = torch.stack(weights)[:, lane, first:].mean((0, 1))
        valid = last.valid[lane]
        assert (received[~valid] == 0).all()
        expected = received / received.sum() * int(valid.sum()) * 3.0
        torch.testing.assert_close(last.gains[lane].float(), expected)
        assert float(last.gains[lane].std()) > 0


def test_a_step_broken_off_is_ended_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = model()
    read(ours, texts(4))
    with monkeypatch.context() as patch:
        patch.setattr(ours.transformer.h[1].mlp, "forward", lambda x: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ours(text())
    read(ours, texts(1))
    assert ours.memory.timestep == 5
    assert not ours.memory.memoria.engrams.working_memory_mask.any()


def test_no_reminding_at_all() -> None:
    ours = model(num_reminded_stm=0, num_final_ltms=0, random_entries=0)
    found = read(ours, texts(6))
    assert all(bool(logits.isfinite().all()) for logits in found)
    assert ours.memory.last is not None
    assert not ours.memory.last.valid.any()


def test_a_classifier() -> None:
    ours = drawn(lambda: MemoriaGPT2ForSequenceClassification(config(num_labels=3))).train()
    labels = torch.tensor([0, 2])
    for segment in texts(4):
        output = ours(segment, labels=labels)
        output.loss.backward()
    assert output.logits.shape == (2, 3)
    assert ours.memory.timestep == 3
    assert ours.transformer.abstractor.query_embeddings.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_memories": 0}, "num_memories = 0"),
        ({"stm_capacity": -1}, "stm_capacity = -1"),
        ({"reset_period": 0}, "reset_period = 0"),
        ({"tie_break": "never"}, "tie_break"),
        ({"add_cross_attention": True}, "cross-attention"),
    ],
)
def test_settings_out_of_bounds(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        model(**changes)


def test_a_wrong_setting_is_told_in_one_short_line() -> None:
    settings = (*SMALL, "memory_hidden", "reset_period", "lifespan_alpha", "memory_layout")
    for name in settings:
        with pytest.raises(ConfigError, match=f"{name.removeprefix('memory_')}.*many") as caught:
            model(**{name: "many"})
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 160
