"""Mamba-2 of transformers: its state goes on over segments exactly, with gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from memoria.errors import ConfigError
from memoria.experiments.rivals import build_rival
from memoria.experiments.rivals.config import RivalConfig
from memoria.experiments.rivals.mamba2 import Mamba2

WHOLE, VOCABULARY = 12, 7


def made(segment: int = WHOLE, **settings: Any) -> Mamba2:
    config = RivalConfig(
        vocab_size=VOCABULARY,
        hidden=16,
        heads=2,
        inner=64,
        equal_parameters=False,
        segment=segment,
        memory=12,
        settings={"unroll": WHOLE, **settings},
    )
    model = build_rival("mamba2", config).eval()
    assert isinstance(model, Mamba2)
    return model


def tokens(lanes: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(VOCABULARY, (lanes, WHOLE), generator=generator)


def parts_of(whole: Tensor, lengths: tuple[int, ...]) -> list[Tensor]:
    return list(torch.split(whole, [*lengths], 1))


def gradients(model: Mamba2, parts: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Logits of all parts; of the last one's sum the gradient at the embedding; what is carried."""
    logits = torch.cat([model(part).logits for part in parts], 1)
    gradient = torch.autograd.grad(logits[:, -1].square().sum(), model.embed.weight)[0]
    return logits, gradient, list(model.carried().values())


@pytest.mark.parametrize("lengths", [(5, 7), (1, 1, 4, 1, 5)])
@pytest.mark.parametrize("chunk", [3, 64])
def test_segments_give_what_the_whole_gives(lengths: tuple[int, ...], chunk: int) -> None:
    whole = gradients(made(), [tokens()])
    parts = gradients(made(chunk=chunk), parts_of(tokens(), lengths))
    for one, other in zip((*whole[:2], *whole[2]), (*parts[:2], *parts[2]), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_whole_is_what_the_package_gives() -> None:
    """The mixers with transformers' own cache."""
    from transformers import Mamba2Model

    model = made()
    mixers: list[Any] = [block.attention for block in model.blocks]
    config = mixers[0]
    reference = Mamba2Model.config_class(
        hidden_size=16,
        num_heads=2,
        head_dim=8,
        expand=1,
        state_size=config.ssm_state_size,
        n_groups=1,
        conv_kernel=4,
        num_hidden_layers=2,
        vocab_size=VOCABULARY,
    )
    package: Any = Mamba2Model(reference).eval()
    package.embeddings.weight.copy_(model.embed.weight)
    for layer, mixer in zip(package.layers, mixers, strict=True):
        layer.mixer.load_state_dict(mixer.state_dict())
    for block in model.blocks:  # as the package has none
        block.feed[2].weight.zero_()  # type: ignore[union-attr,index]
        block.attention_norm = torch.nn.RMSNorm(16, eps=1e-5)
    model.norm = torch.nn.RMSNorm(16, eps=1e-5)  # type: ignore[assignment]
    hidden = model(tokens()).hidden
    torch.testing.assert_close(hidden, package(tokens()).last_hidden_state, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_padding_does_not_let_the_state_fade() -> None:
    model, other = made(), made()
    first, second = parts_of(tokens(), (6, 6))
    mask = torch.ones_like(first)
    mask[1, 2:] = 0
    model(first, mask)
    after = model(second).logits
    other(first[1:, :2])
    torch.testing.assert_close(other(second[1:]).logits, after[1:], rtol=1e-4, atol=1e-5)
    before = model.carried()
    mask[1] = 0
    model(second, mask)
    assert all(torch.equal(one[1], before[name][1]) for name, one in model.carried().items())


def test_a_budget_for_less_than_one_number_is_refused() -> None:
    config = RivalConfig(vocab_size=3, hidden=16, heads=2, memory=4)
    with pytest.raises(ConfigError, match="memory = 4: too small for Mamba2"):
        build_rival("mamba2", config)
