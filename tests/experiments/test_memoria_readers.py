"""Memoria as a rival: the forms in which its blocks read, and how far gradients go."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from memoria.errors import ConfigError
from memoria.experiments.rivals import build_rival
from memoria.experiments.rivals.config import RivalConfig
from memoria.experiments.rivals.memoria import MemoriaTransformer

LENGTH, VOCABULARY = 12, 40
FORMS: dict[str, dict[str, Any]] = {
    "paper": {"form": "paper"},
    "joint": {"form": "paper", "reader": "joint"},
    "light": {"form": "light"},
    "lighter": {"reader_width": 8, "reader_layers": "upper"},
    "shared": {"form": "paper", "share_keys": True},
}


def made(name: str = "memoria", **form: Any) -> Any:
    sizes: dict[str, Any] = {"hidden": 32, "layers": 2, "heads": 4, "inner": 192}
    settings = {"reader_zero": False, **form}
    config = RivalConfig(
        vocab_size=VOCABULARY, **sizes, segment=LENGTH, memory=32, seed=3, settings=settings
    )
    return build_rival(name, config)


def segments(count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(20, (2, LENGTH), generator=generator) for _ in range(count)]


def loss(model: Any, part: Tensor) -> Tensor:
    output = model(part)
    cross = torch.nn.functional.cross_entropy(output.logits.flatten(0, 1), part.flatten())
    total: Tensor = cross + output.extra_loss
    return total


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["memoria", "memoria-wm"])
def test_every_weight_learns_in_every_form(name: str, form: str) -> None:
    model = made(name, **FORMS[form])
    for part in segments(4)[:3]:
        model(part)
    loss(model, segments(4)[3]).backward()
    assert [key for key, one in model.named_parameters() if one.grad is None] == []
    assert all(one.grad.any() for one in model.parameters())


def test_readers_from_zero_read_nothing_at_first() -> None:
    zero, part = made(reader_zero=True), segments(3)
    first = zero(part[0]).logits
    zero(part[1])
    torch.testing.assert_close(zero(part[0]).logits, first, rtol=1e-5, atol=1e-5)
    other = made()
    assert torch.equal(other(part[0]).logits, first)
    other(part[1])
    assert not torch.allclose(other(part[0]).logits, first, rtol=1e-3)


@pytest.mark.parametrize("unroll", [1, 2, 3, 4])
def test_gradients_flow_through_the_engrams_of_so_many_segments(unroll: int) -> None:
    model, parts = made(unroll=unroll), segments(6)
    tokens = [20 + number for number in range(4)]  # each stands in one segment alone
    for number, token in enumerate(tokens):
        parts[2 + number] = parts[2 + number].clone()
        parts[2 + number][:, 3] = token
    for part in parts[:2]:
        model(part)
    model.detach()
    for part in parts[2:5]:
        model(part)
    output = model(parts[5])
    output.hidden.sum().backward()  # of the states: the embedding is the output layer too
    reached = [bool(model.embed.weight.grad[token].any()) for token in tokens]
    # cut after every `unroll` segments: 2..., so that of the last those of its own run are reached
    begun = 3 // unroll * unroll
    assert reached == [number >= begun for number in range(4)]


def test_engrams_that_come_back_carry_a_gradient_only_when_fresh() -> None:
    model, parts = made(unroll=4), segments(8)
    for part in parts[:4]:
        model(part)
    model.detach()
    for part in parts[4:8]:
        model(part)
    assert model._reminded.requires_grad
    model.eval()
    with torch.no_grad():
        model(parts[0])
    assert not model._reminded.requires_grad


def test_alike_engrams_cost() -> None:
    plain, model, part = made(), made(diversity=2.0), segments(3)
    for one in (plain, model):
        one(part[0])
    without, with_cost = plain(part[1]).extra_loss, model(part[1]).extra_loss
    assert without == 0
    assert 0 < with_cost <= 2


def test_forms_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"reader_layers = \[2\]: there are blocks 0 to 1"):
        made(reader_layers=[2])
    with pytest.raises(ConfigError, match="name at least one"):
        made(reader_layers=[])
    with pytest.raises(ConfigError, match="reader_layers"):
        made(reader_layers="lower")
    with pytest.raises(ConfigError, match="reader_width = 6"):
        made(reader_width=6)
    with pytest.raises(ConfigError, match="memoria-gpt2 has neither"):
        made("memoria-gpt2", unroll=2)
    assert isinstance(made(reader_layers=[-1]), MemoriaTransformer)
