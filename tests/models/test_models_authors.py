"""Checkpoints and configurations of memoria-pytorch's models, as the authors' code writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from model_tools import BERT, GPT2, SMALL, drawn, quiet, texts
from torch import Tensor

from memoria.errors import ConfigError, InputError
from memoria.models import (
    PAPER_READERS,
    MemoriaBertConfig,
    MemoriaBertForSequenceClassification,
    MemoriaGPT2Config,
    MemoriaGPT2LMHeadModel,
    MemoriaGPT2Model,
    MemoriaRobertaConfig,
    MemoriaRobertaForSequenceClassification,
    import_checkpoint,
)

# The settings `SMALL` by the authors' names.
THEIRS = {
    "memoria_num_memories": 4,
    "memoria_num_reminded_stm": 4,
    "memoria_num_reminded_ltm": 4,
    "memoria_stm_capacity": 8,
    "memoria_ltm_search_depth": 3,
    "memoria_initial_lifespan": 5,
    "memoria_lifespan_extend_scale": 6.0,
    "memoria_reset_period": 70,
    "memoria_device": None,
}
OURS = {**SMALL, **PAPER_READERS, "lifespan_alpha": 6, "reset_period": 70}


def gpt2() -> tuple[Any, dict[str, Any], dict[str, Tensor]]:
    """A model, and the configuration and weights that the authors' code would have for it."""
    model = drawn(lambda: MemoriaGPT2LMHeadModel(MemoriaGPT2Config(**GPT2, **OURS)))
    weights = {}
    for name, weight in model.state_dict().items():
        before, _, after = name.partition(".reader.")
        match after.split("."):
            case ["working_norm" | "reminded_norm" as norm, part]:
                norms = {
                    "working_norm": "ln_working_memory_attn",
                    "reminded_norm": "ln_memory_attn",
                }
                weights[f"{before}.{norms[norm]}.{part}"] = weight
            case ["attention", layer, part]:
                new = {"query": "q_attn", "pair": "c_attn", "out": "c_proj"}[layer]
                weights[f"{before}.memory_attention.{new}.{part}"] = (
                    weight.mT.contiguous() if weight.dim() > 1 else weight
                )
            case _:
                weights[name.replace(".abstractor.", ".abs.")] = weight
    for layer in range(2):
        for attention in ("attn", "memory_attention"):
            mask = torch.ones(64, 64, dtype=torch.uint8).tril()[None, None]
            weights[f"transformer.h.{layer}.{attention}.bias"] = mask
            weights[f"transformer.h.{layer}.{attention}.masked_bias"] = torch.tensor(-1e4)
    config = {"model_type": "gpt2_with_memoria", **GPT2, **THEIRS, "n_ctx": 64, "n_inner": None}
    return model, config, weights


def encoder(prefix: str) -> tuple[Any, dict[str, Any], dict[str, Tensor]]:
    """As `gpt2`, for BERT and RoBERTa."""
    kind, config_class = {
        "bert": (MemoriaBertForSequenceClassification, MemoriaBertConfig),
        "roberta": (MemoriaRobertaForSequenceClassification, MemoriaRobertaConfig),
    }[prefix]
    theirs = {**THEIRS, "memory_layer_index": 0}
    settings = {**BERT, "num_labels": 3}
    ours: Any = {**OURS, "memory_layer": 0, "memory_hidden": BERT["intermediate_size"]}
    model = drawn(lambda: kind(config_class(**settings, **ours)))
    weights = {}
    for name, weight in model.state_dict().items():
        before, _, after = name.partition(".reader.")
        match after.split("."):
            case ["norm", part]:
                weights[f"{before}.memory_attention.output.LayerNorm.{part}"] = weight
            case ["attention", "pair", part]:
                key, value = weight.chunk(2)
                weights[f"{before}.memory_attention.self.key.{part}"] = key
                weights[f"{before}.memory_attention.self.value.{part}"] = value
            case ["attention", layer, part]:
                new = {"query": "self.query", "out": "output.dense"}[layer]
                weights[f"{before}.memory_attention.{new}.{part}"] = weight
            case _:
                new = f"{prefix}.encoder.abstractor."
                weights[name.replace(f"{prefix}.abstractor.", new)] = weight
    weights[f"{prefix}.embeddings.position_ids"] = torch.arange(64)[None]
    return model, {"model_type": f"memoria_{prefix}", **settings, **theirs}, weights


def write_folder(path: Path, config: dict[str, Any], weights: dict[str, Tensor]) -> None:
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config))
    torch.save(weights, path / "pytorch_model.bin")


def write_lightning(path: Path, config: dict[str, Any], weights: dict[str, Tensor]) -> None:
    """As the authors' training saves a checkpoint."""
    whole = {
        "epoch": 3,
        "global_step": 99,
        "state_dict": {f"model.{name}": weight for name, weight in weights.items()},
        "model_config": config,
        "model_type": config["model_type"],
    }
    torch.save(whole, path)


@torch.no_grad()
def read(model: Any) -> Tensor:
    return torch.stack([model(segment).logits for segment in texts(5)])


@pytest.mark.parametrize("make", [gpt2, lambda: encoder("bert"), lambda: encoder("roberta")])
def test_a_checkpoint_gives_the_model_that_it_was(make: Any, tmp_path: Path) -> None:
    model, config, weights = make()
    write_folder(tmp_path / "folder", config, weights)
    write_lightning(tmp_path / "last.ckpt", config, weights)
    expected = read(model)
    with quiet():
        for path in (tmp_path / "folder", tmp_path / "last.ckpt"):
            found = import_checkpoint(path)
            assert type(found) is type(model)
            assert torch.equal(read(found), expected)
            assert found.config.to_diff_dict() == model.config.to_diff_dict()
        again = type(model).from_pretrained(tmp_path / "folder")
        again.save_pretrained(tmp_path / "ours")
        saved = type(model).from_pretrained(tmp_path / "ours")
    again.memory.reset()
    assert torch.equal(read(again), expected)
    assert torch.equal(read(saved), expected)


def test_a_base_model_and_other_settings(tmp_path: Path) -> None:
    model, config, weights = gpt2()
    base = {
        name.removeprefix("transformer."): weight
        for name, weight in weights.items()
        if name != "lm_head.weight"
    }
    write_folder(tmp_path / "base", config, base)
    found = import_checkpoint(tmp_path / "base", stm_capacity=9)
    assert type(found) is MemoriaGPT2Model
    assert found.config.stm_capacity == 9
    segment = texts(1)[0]
    assert torch.equal(found(segment)[0], model.transformer(segment)[0])


def test_settings_by_the_authors_names_are_settings(tmp_path: Path) -> None:
    config = MemoriaGPT2Config(**GPT2, **THEIRS)
    for name in (*SMALL, "lifespan_alpha", "reset_period"):
        assert getattr(config, name) == OURS[name], name
    assert not any(name.startswith("memoria_") for name in config.to_dict())
    assert MemoriaBertConfig(memory_layer_index=3).memory_layer == 3
    with pytest.raises(ConfigError, match="memoria_stm = 3: no such setting"):
        MemoriaGPT2Config(memoria_stm=3)
    with pytest.raises(ConfigError, match="memory_layer = 3: memoria-gpt2 has no such"):
        MemoriaGPT2Config(memory_layer_index=3)
    _, theirs, _ = gpt2()
    (tmp_path / "config.json").write_text(json.dumps(theirs))
    loaded = MemoriaGPT2Config.from_pretrained(tmp_path)
    assert (loaded.model_type, loaded.stm_capacity, loaded.n_embd) == ("memoria-gpt2", 8, 32)


def test_what_is_no_such_checkpoint_is_refused(tmp_path: Path) -> None:
    _, config, weights = gpt2()
    with pytest.raises(InputError, match="No such file"):
        import_checkpoint(tmp_path / "none.ckpt")
    torch.save([1], tmp_path / "list.ckpt")
    with pytest.raises(InputError, match="model_config"):
        import_checkpoint(tmp_path / "list.ckpt")
    torch.save({"state_dict": Path}, tmp_path / "code.ckpt")
    with pytest.raises(InputError, match="tensors and settings alone"):
        import_checkpoint(tmp_path / "code.ckpt")
    write_folder(tmp_path / "other", {**config, "model_type": "gpt2"}, weights)
    with pytest.raises(InputError, match="model_type = 'gpt2'"):
        import_checkpoint(tmp_path / "other")
    del weights["transformer.h.1.memory_attention.q_attn.weight"]
    write_lightning(tmp_path / "part.ckpt", config, weights)
    with pytest.raises(InputError, match=r"h\.1\.reader\.attention\.query\.weight does not fit"):
        import_checkpoint(tmp_path / "part.ckpt")
