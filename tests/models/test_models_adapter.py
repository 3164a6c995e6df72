"""A memory on models that know nothing of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from model_tools import BERT, GPT2, PAD, SHAPE, SMALL, checkpoint_layers, drawn, text, texts
from torch import Tensor, nn

from memoria.errors import ConfigError, InputError, ShapeError
from memoria.models import MemoryAdapter, with_memory

WIDE = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 4}
MODELS = {
    "gpt2": (transformers.GPT2LMHeadModel, transformers.GPT2Config(**GPT2)),
    "llama": (
        transformers.LlamaForCausalLM,
        transformers.LlamaConfig(**SHAPE, **WIDE, intermediate_size=64),
    ),
    "opt": (
        transformers.OPTForCausalLM,
        transformers.OPTConfig(**SHAPE, **WIDE, ffn_dim=64, word_embed_proj_dim=32),
    ),
    "bert": (transformers.BertForMaskedLM, transformers.BertConfig(**BERT)),
}


def plain(name: str = "llama") -> Any:
    model_class, config = MODELS[name]
    return drawn(lambda: model_class(config))


def adapted(model: Any, awake: bool = False, **changes: Any) -> MemoryAdapter:
    """``awake``: as if it had learned to use what it reads."""
    adapter: MemoryAdapter = drawn(lambda: with_memory(model, **{**SMALL, **changes}))
    if awake:
        with torch.no_grad():
            for name, weight in adapter.named_parameters():
                if "attention.out" in name:
                    weight.copy_(torch.linspace(-0.2, 0.2, weight.numel()).view(weight.shape))
    return adapter


@torch.no_grad()
def read(model: Any, segments: list[Tensor], **kwargs: Any) -> Tensor:
    return torch.stack([model(segment, **kwargs).logits for segment in segments])


@pytest.mark.parametrize("source", ["previous", "same"])
@pytest.mark.parametrize("name", MODELS)
def test_nothing_changes_at_first_and_after_it_is_off(name: str, source: str) -> None:
    model, segments = plain(name), texts(4)
    keys = set(model.state_dict())
    expected = read(model, segments)
    adapter = adapted(model, source=source)
    assert torch.equal(read(model, segments), expected)
    assert adapter.memory.timestep == (4 if source == "same" else 3)
    other = adapted(model, awake=True, source=source)
    assert not torch.allclose(read(model, segments), expected)
    adapter.remove()
    other.remove()
    assert torch.equal(read(model, segments), expected)
    assert set(model.state_dict()) == keys
    assert not any(module._forward_hooks for module in model.modules())
    assert not any(module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("layers", [[1], [-1], ["layers.1"], None])
def test_layers_by_number_by_path_or_all(layers: list[int | str] | None) -> None:
    model = plain()
    adapter = adapted(model, layers=layers)
    wanted = ["layers/0", "layers/1"] if layers is None else ["layers/1"]
    assert list(adapter.readers) == wanted


def test_only_the_adapter_learns_and_its_abstractor_too() -> None:
    model = plain().train()
    for weight in model.parameters():
        weight.requires_grad_(False)
    adapter = adapted(model, layers=[0, 1]).train()
    optimizer = torch.optim.Adam(adapter.parameters(), lr=1e-2)
    segments = texts(3)
    losses = []
    for _ in range(12):
        adapter.memory.reset()
        optimizer.zero_grad()
        loss = torch.stack([adapter(one, labels=one).loss for one in segments]).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert adapter.abstractor.query_embeddings.grad is not None
    assert adapter.abstractor.query_embeddings.grad.abs().sum() > 0
    assert not any(weight.requires_grad for weight in model.parameters())


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_checkpointing_gives_the_same_gradients(name: str) -> None:
    found = []
    for checkpointing in (False, True):
        model = plain(name)
        for part in model.modules():
            if isinstance(part, nn.Dropout):
                part.p = 0.0
        model.train()
        if checkpointing:
            checkpoint_layers(model)
        adapter = adapted(model, awake=True)
        torch.stack([model(one, labels=one).loss for one in texts(3)]).sum().backward()
        found.append([weight.grad for weight in adapter.parameters()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_saved_and_loaded_with_its_own_weights_only(tmp_path: Path) -> None:
    model, segments, path = plain(), texts(4), tmp_path / "adapter.safetensors"
    adapter = adapted(model, awake=True, layers=[1], lifespan_alpha=5.0)
    expected = read(model, segments)
    adapter.save(path)
    adapter.remove()
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        assert set(file.keys()) == set(adapter.state_dict())
    loaded = MemoryAdapter.load(path, model)
    assert list(loaded.readers) == ["layers/1"]
    assert loaded.memory.alpha == 5.0
    assert torch.equal(read(model, segments), expected)


def test_generating_is_one_segment() -> None:
    model = plain()
    adapter = adapted(model, awake=True)
    segments = texts(4)
    read(model, segments[:3])
    state = adapter.memory.state()
    found = adapter.generate(segments[3], max_new_tokens=5, min_new_tokens=5)
    assert adapter.memory.timestep == 3
    assert adapter.memory.seen is not None
    assert adapter.memory.seen.shape[1] == 16
    adapter.memory.load_state(state)
    again = adapter.generate(segments[3], max_new_tokens=5, min_new_tokens=5, use_cache=False)
    assert torch.equal(found, again)
    assert adapter.memory.timestep == 3
    with pytest.raises(ConfigError, match="num_beams"):
        adapter.generate(segments[3], num_beams=2)


def test_padding_on_the_left_is_neither_read_nor_remembered() -> None:
    segments = texts(4, lanes=1)
    model = plain()
    adapter = adapted(model, awake=True)
    expected = read(model, segments)
    adapter.memory.reset()
    for segment, logits in zip(segments, expected, strict=True):
        padded = torch.cat((torch.full((1, 3), PAD), segment), 1)
        mask = (padded != PAD).long()
        places = (mask.cumsum(1) - 1).clamp_min(0)
        found = read(model, [padded], attention_mask=mask, position_ids=places)[0]
        torch.testing.assert_close(found[:, 3:], logits, rtol=1e-3, atol=1e-3)


def test_in_half_precision() -> None:
    model = plain().to(torch.bfloat16)
    expected = read(model, texts(3))
    adapter = adapted(model)
    found = read(model, texts(3))
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, expected)
    assert adapter.memory.timestep == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"layers": [2]}, "layer 2"),
        ({"layers": ["layers.7"]}, "layers.7"),
        ({"layers": []}, "at least one layer"),
        ({"layers": [1, "layers.1"]}, "twice"),
        ({"layers": [1.5]}, "1.5"),
        ({"source": "next"}, "source = 'next'"),
        ({"heads": 5}, "heads = 5"),
        ({"stm": 5}, "stm = 5: no such setting"),
        ({"stm_capacity": "many"}, "stm_capacity = 'many'"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, Any], said: str) -> None:
    model = plain()
    with pytest.raises(ConfigError, match=said):
        adapted(model, **changes)
    assert not any(module._forward_hooks for module in model.modules())


def test_models_that_do_not_say_enough() -> None:
    with pytest.raises(ConfigError, match="hidden_size"):
        with_memory(nn.Linear(3, 3))
    t5 = transformers.T5Config(
        vocab_size=64, d_model=32, d_kv=8, d_ff=32, num_layers=2, num_heads=4
    )
    model = drawn(lambda: transformers.T5Model(t5))
    with pytest.raises(ConfigError, match="dotted path"):
        with_memory(model, [0])


def test_files_that_are_no_adapter(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "other.safetensors"
    with pytest.raises(InputError, match=r"other\.safetensors"):
        MemoryAdapter.load(path, plain())
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(InputError, match="no memory adapter"):
        MemoryAdapter.load(path, plain())
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="no memory adapter"):
        MemoryAdapter.load(path, plain())


def test_another_batch_size_is_refused() -> None:
    model = plain()
    adapted(model)
    model(text(2))
    with pytest.raises(ShapeError, match=r"reset\(\)"):
        model(text(3))
