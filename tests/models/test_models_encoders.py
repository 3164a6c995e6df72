"""BERT and RoBERTa with memory: each segment reads what it remembers of itself and of others."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from model_tools import (
    BERT,
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

import memoria.models
from memoria import Memoria
from memoria.errors import ConfigError

NEAR = {"rtol": 1e-3, "atol": 1e-3}
FAMILIES = ["Bert", "Roberta"]
SETTINGS = {**BERT, **SMALL, **memoria.models.PAPER_READERS, "memory_layer": 0}


def ours(family: str, what: str = "ForMaskedLM", seed: int = 0, **changes: Any) -> Any:
    config = getattr(memoria.models, f"Memoria{family}Config")(**{**SETTINGS, **changes})
    return drawn(lambda: getattr(memoria.models, f"Memoria{family}{what}")(config), seed)


@torch.no_grad()
def read(model: Any, segments: list[Tensor], **kwargs: Any) -> list[Tensor]:
    return [model(segment, **kwargs).logits for segment in segments]


@pytest.mark.parametrize("what", ["ForMaskedLM", "ForSequenceClassification"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_plain_checkpoint_gives_all_but_the_memory(
    family: str, what: str, tmp_path: Path
) -> None:
    plain_class = getattr(transformers, f"{family}{what}")
    plain_config = getattr(transformers, f"{family}Config")(**BERT)
    plain = plain_checkpoint(plain_class, plain_config, tmp_path)
    model_class = getattr(memoria.models, f"Memoria{family}{what}")
    with quiet():
        model, info = model_class.from_pretrained(
            tmp_path, output_loading_info=True, memory_layer=0, **SMALL
        )
    assert info["unexpected_keys"] == info["mismatched_keys"] == set()
    new = {name for name, _ in model.named_parameters()} - set(plain.state_dict())
    assert info["missing_keys"] == new
    assert all(".reader." in name or ".abstractor." in name for name in new)
    model.eval()
    with torch.no_grad(), model.memory.paused():
        assert torch.equal(model(text()).logits, plain(text()).logits)
    assert model.memory.timestep == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_saved_and_loaded_by_the_auto_classes(family: str, tmp_path: Path) -> None:
    model, segments = ours(family), texts(4)
    with quiet():
        model.save_pretrained(tmp_path)
        loaded = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path).eval()
    assert type(loaded) is type(model)
    assert loaded.config.memory_layer == 0
    assert torch.equal(torch.stack(read(loaded, segments)), torch.stack(read(model, segments)))
    assert model.memory.timestep == 4


def test_only_the_layers_above_read() -> None:
    layers = ours("Bert", memory_layer=1).bert.encoder.layer
    assert [layer.reader is not None for layer in layers] == [False, False, True]


def test_what_was_read_before_changes_what_is_read_now() -> None:
    model, segments = ours("Bert"), texts(6)
    fresh = read(model, segments[5:])[0]
    model.memory.reset()
    later = read(model, segments)[5]
    assert not torch.allclose(fresh, later, **NEAR)


@pytest.mark.parametrize("family", FAMILIES)
def test_hidden_states_and_attentions_are_given(family: str) -> None:
    model = ours(family, attn_implementation="eager")
    output = model(text(), output_hidden_states=True, output_attentions=True)
    assert [one.shape for one in output.hidden_states] == [(2, 12, 32)] * 4
    assert [one.shape for one in output.attentions] == [(2, 4, 12, 12)] * 3


@pytest.mark.parametrize("family", FAMILIES)
def test_lanes_do_not_influence_each_other(family: str) -> None:
    segments = texts(6)
    together = read(ours(family), segments)
    for lane in range(2):
        alone = ours(family)
        settings = {name: SMALL[name] for name in SMALL if name != "num_memories"}
        alone.memory.memoria = Memoria(**settings, lane_ids=[lane])
        found = read(alone, [segment[lane : lane + 1] for segment in segments])
        for mine, both in zip(found, together, strict=True):
            torch.testing.assert_close(mine[0], both[lane], **NEAR)


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_is_neither_read_nor_remembered(family: str) -> None:
    segments = texts(5, lanes=1)
    expected = read(ours(family), segments)
    model = ours(family)
    for segment, logits in zip(segments, expected, strict=True):
        padded = torch.cat((segment, torch.full((1, 5), PAD)), dim=1)
        found = read(model, [padded], attention_mask=(padded != PAD).long())[0]
        torch.testing.assert_close(found[:, :12], logits, **NEAR)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_checkpointing_gives_the_same_gradients(attention: str) -> None:
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    found = []
    for checkpointing in (False, True):
        model = ours("Bert", attn_implementation=attention, **still).train()
        if checkpointing:
            checkpoint_layers(model)
        losses = [model(segment, labels=segment).loss for segment in texts(3)]
        torch.stack(losses).sum().backward()
        assert model.memory.timestep == 3
        found.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    plain, checkpointed = found
    assert plain.keys() == checkpointed.keys()
    assert plain["bert.abstractor.query_embeddings"].abs().sum() > 0
    for name, gradient in plain.items():
        torch.testing.assert_close(checkpointed[name], gradient, msg=name)


def test_a_state_goes_on_bit_for_bit() -> None:
    model, segments = ours("Roberta"), texts(9)
    read(model, segments[:5])
    file = io.BytesIO()
    torch.save(model.memory.state(), file)
    expected = torch.stack(read(model, segments[5:]))
    file.seek(0)
    other = ours("Roberta")
    other.memory.load_state(torch.load(file, weights_only=True))
    assert torch.equal(torch.stack(read(other, segments[5:])), expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_classifier_learns(family: str) -> None:
    model = ours(family, "ForSequenceClassification", num_labels=3).train()
    output = model(text(), labels=torch.tensor([0, 2]))
    output.loss.backward()
    assert output.logits.shape == (2, 3)
    base = model.base_model
    assert base.abstractor.query_embeddings.grad.abs().sum() > 0
    assert base.encoder.layer[0].output.dense.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"memory_layer": 2}, "memory_layer = 2"),
        ({"memory_layer": -1}, "memory_layer = -1"),
        ({"is_decoder": True}, "is_decoder"),
    ],
)
def test_settings_out_of_bounds(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ours("Bert", **changes)


def test_nothing_to_read() -> None:
    with pytest.raises(ValueError, match="input_ids"):
        ours("Bert", "Model")()
