"""Decoders of every family generate with a memory on them: one step a segment, nothing unread."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from model_tools import GPT2, SHAPE, SMALL, drawn, texts

from memoria.errors import MemoriaError
from memoria.models import MemoriaGPT2Config, MemoriaGPT2LMHeadModel, with_memory
from memoria.models.versions import untested_release

HEADS = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 4}
GROUPED = {**HEADS, "num_key_value_heads": 2, "intermediate_size": 64, "head_dim": 8}
FAMILIES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "gpt2": ("GPT2LMHeadModel", "GPT2Config", GPT2),
    "gpt_neox": ("GPTNeoXForCausalLM", "GPTNeoXConfig", {**HEADS, "intermediate_size": 64}),
    "llama": ("LlamaForCausalLM", "LlamaConfig", GROUPED),
    "mistral": ("MistralForCausalLM", "MistralConfig", GROUPED),
    "qwen2": ("Qwen2ForCausalLM", "Qwen2Config", GROUPED),
    "opt": ("OPTForCausalLM", "OPTConfig", {**HEADS, "ffn_dim": 64, "word_embed_proj_dim": 32}),
}
PROMPT, NEW = 12, 5


def decoder(family: str) -> Any:
    model_class, config_class, shape = FAMILIES[family]
    config = getattr(transformers, config_class)(**{**SHAPE, **shape})
    return drawn(lambda: getattr(transformers, model_class)(config))


def generate(model: Any, prompt: torch.Tensor, **how: Any) -> torch.Tensor:
    mask = torch.ones_like(prompt)
    found: torch.Tensor = model.generate(
        prompt, attention_mask=mask, max_new_tokens=NEW, min_new_tokens=NEW, do_sample=False, **how
    )
    return found


@pytest.mark.parametrize("by", ["adapter", "model"])
@pytest.mark.parametrize("family", FAMILIES)
def test_generation_is_one_segment_and_all_its_positions_are_remembered(
    family: str, by: str
) -> None:
    model, segments = decoder(family), texts(3)
    adapter = drawn(lambda: with_memory(model, **SMALL))
    memory = adapter.memory
    for number, prompt in enumerate(segments):
        generate(adapter if by == "adapter" else model, prompt)
        assert memory.timestep == number  # the first segment has nothing before it to remember
        assert memory.seen is not None
        assert memory.seen.shape[1] == PROMPT + NEW - 1  # the last token is not read any more


@pytest.mark.parametrize("use_cache", [True, False])
def test_gpt2_with_memory_generates_in_one_segment(use_cache: bool) -> None:
    config = MemoriaGPT2Config(**{**GPT2, **SMALL})
    model = drawn(lambda: MemoriaGPT2LMHeadModel(config))
    for number, prompt in enumerate(texts(3)):
        generate(model, prompt, use_cache=use_cache)
        assert model.memory.timestep == number
        assert model.memory.seen.shape[1] == PROMPT + NEW - 1


@pytest.mark.parametrize("family", FAMILIES)
def test_positions_read_with_a_cache_answer_as_positions_read_at_once(family: str) -> None:
    prompt = texts(1)[0]
    model = decoder(family)
    adapter = drawn(lambda: with_memory(model, **SMALL))
    with torch.no_grad():
        whole = model(prompt).logits
        adapter.memory.reset()
        first = model(prompt[:, :7], use_cache=True)
        cache = getattr(first, "cache", None) or first.past_key_values
        name = "cache" if getattr(first, "cache", None) is not None else "past_key_values"
        rest = model(prompt[:, 7:], **{name: cache}).logits
    torch.testing.assert_close(torch.cat((first.logits, rest), 1), whole, rtol=1e-3, atol=1e-3)
    assert adapter.memory.timestep == 0
    assert adapter.memory.seen is not None
    assert adapter.memory.seen.shape[1] == PROMPT


@pytest.mark.parametrize("version", ["5.23.0", "5.24.1", "5.24.0.dev0"])
def test_tested_releases_of_transformers_are_taken(version: str) -> None:
    assert untested_release(version) is None


@pytest.mark.parametrize("version", ["4.57.6", "5.22.2", "5.25.0", "6.0.0"])
def test_other_releases_of_transformers_say_what_to_install(version: str) -> None:
    error = untested_release(version)
    assert isinstance(error, MemoriaError)
    assert f"transformers {version}" in error.message
    bounds = str(error).split("'")[1]
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert any(line == bounds for line in project["optional-dependencies"]["hf"])
