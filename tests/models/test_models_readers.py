"""The forms in which layers read the memory: the authors', and lighter ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from model_tools import BERT, GPT2, SMALL, checkpoint_layers, drawn, plain_checkpoint, quiet, texts
from torch import Tensor

from memoria.errors import ConfigError
from memoria.models import (
    PAPER_READERS,
    MemoriaBertConfig,
    MemoriaBertForMaskedLM,
    MemoriaGPT2Config,
    MemoriaGPT2LMHeadModel,
)

SETTINGS = {"gpt2": {**GPT2, **SMALL}, "bert": {**BERT, **SMALL, "memory_layer": 0}}
CLASSES: dict[str, tuple[Any, Any]] = {
    "gpt2": (MemoriaGPT2Config, MemoriaGPT2LMHeadModel),
    "bert": (MemoriaBertConfig, MemoriaBertForMaskedLM),
}
NO_DROPOUT = {
    "gpt2": {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
    "bert": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
}
FORMS: dict[str, dict[str, Any]] = {
    "paper": dict(PAPER_READERS),
    "joint": {**PAPER_READERS, "reader": "joint"},
    "shared": {**PAPER_READERS, "share_keys": True, "reader_width": 16},
    "default": {},
}
every_form = pytest.mark.parametrize("form", FORMS)
every_family = pytest.mark.parametrize("family", CLASSES)


def model(family: str, **form: Any) -> Any:
    config, kind = CLASSES[family]
    settings = {**SETTINGS[family], **NO_DROPOUT[family], "reader_zero": False, **form}
    return drawn(lambda: kind(config(**settings)))


@torch.no_grad()
def read(reader: Any, segments: list[Tensor]) -> Tensor:
    return torch.stack([reader(segment).logits for segment in segments])


def gradients(ours: Any) -> dict[str, Tensor]:
    losses = [ours(segment, labels=segment).loss for segment in texts(4)]
    torch.stack(losses).sum().backward()
    return {name: p.grad for name, p in ours.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(
    ("family", "form"),
    [*(("gpt2", form) for form in FORMS), ("bert", "paper"), ("bert", "default")],
)
def test_every_weight_learns_and_checkpointing_gives_the_same(family: str, form: str) -> None:
    ours = model(family, **FORMS[form]).train()
    expected = gradients(ours)
    idle = {
        name
        for name, _ in ours.named_parameters()
        if name not in expected or not expected[name].any()
    }
    assert not {name for name in idle if ".reader." in name or ".abstractor." in name}
    gained = ours.memory.last.gains
    assert (gained[ours.memory.last.indices >= 0] > 0).all()
    assert gained.sum() > 0
    other = model(family, **FORMS[form]).train()
    checkpoint_layers(other)
    found = gradients(other)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, msg=name)


@every_form
def test_lanes_do_not_influence_each_other(form: str) -> None:
    segments = texts(6)
    both = read(model("gpt2", **FORMS[form]), segments)
    other = [torch.cat((one[:1], one[1:].flip(1))) for one in segments]
    found = read(model("gpt2", **FORMS[form]), other)
    torch.testing.assert_close(found[:, 0], both[:, 0], rtol=1e-2, atol=1e-2)  # rounding alone


@every_family
def test_readers_from_zero_give_what_the_plain_model_gives(family: str, tmp_path: Path) -> None:
    plain_class, plain_config, own = {
        "gpt2": (transformers.GPT2LMHeadModel, transformers.GPT2Config(**GPT2), {}),
        "bert": (
            transformers.BertForMaskedLM,
            transformers.BertConfig(**BERT),
            {"memory_layer": 0},
        ),
    }[family]
    plain = plain_checkpoint(plain_class, plain_config, tmp_path)
    with quiet():
        ours = CLASSES[family][1].from_pretrained(tmp_path, reader_zero=True, **SMALL, **own)
    ours, segments = ours.eval(), texts(4)
    torch.testing.assert_close(read(ours, segments), read(plain, segments), rtol=1e-5, atol=1e-5)
    assert ours.memory.timestep >= 3
    found = gradients(ours.train())
    learning = [name for name in found if name.endswith("attention.out.weight")]
    assert learning
    assert all(found[name].any() for name in learning)


def test_only_the_chosen_layers_read_and_a_saved_model_keeps_its_form(tmp_path: Path) -> None:
    form = {"reader_layers": [-1], "reader": "joint", "share_keys": True, "reader_width": 8}
    ours = model("gpt2", **form)
    assert [block.reader is None for block in ours.transformer.h] == [True, False]
    assert ours.transformer.reader.pair.weight.shape == (16, 32)
    with quiet():
        ours.save_pretrained(tmp_path)
        loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert loaded.config.reader_layers == [-1]
    assert torch.equal(read(loaded, texts(4)), read(ours, texts(4)))


def test_the_paper_form_has_the_weights_of_the_authors_models() -> None:
    ours = model("gpt2", **PAPER_READERS)
    shapes = {
        name: tuple(weight.shape)
        for name, weight in ours.transformer.h[1].reader.state_dict().items()
        if name.endswith("weight")
    }
    assert shapes == {
        "working_norm.weight": (32,),
        "reminded_norm.weight": (32,),
        "attention.query.weight": (32, 32),
        "attention.pair.weight": (64, 32),
        "attention.out.weight": (32, 32),
    }
    assert all(block.reader is not None for block in ours.transformer.h)


@pytest.mark.parametrize(
    ("family", "form", "message"),
    [
        ("gpt2", {"reader_layers": [2]}, r"reader_layers = \[2\]: those that can read are 0 to 1"),
        ("gpt2", {"reader_layers": []}, "name at least one"),
        ("gpt2", {"reader_layers": [1, -1]}, "each once"),
        ("bert", {"reader_layers": [0]}, "those that can read are 1 to 2"),
        ("gpt2", {"reader_layers": "lower"}, "choose 'upper' or 'all'"),
        ("gpt2", {"reader": "both"}, "choose 'joint' or 'separate'"),
        ("gpt2", {"reader_width": "wide"}, "choose 'full', 'half' or a number"),
        ("gpt2", {"reader_width": 6}, "must divide reader_width = 6"),
    ],
)
def test_forms_that_cannot_be_are_refused(family: str, form: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        model(family, **form)
