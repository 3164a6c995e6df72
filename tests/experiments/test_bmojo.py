"""Which tokens B'MOJO keeps, and what of the past its attention is given."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from memoria.errors import ConfigError
from memoria.experiments.rivals import build_rival
from memoria.experiments.rivals.bmojo import BMojo
from memoria.experiments.rivals.config import RivalConfig

LENGTH, VOCABULARY, HIDDEN = 8, 30, 32


def made(memory: int = 24, **settings: Any) -> BMojo:
    config = RivalConfig(
        vocab_size=VOCABULARY,
        hidden=HIDDEN,
        layers=1,
        segment=LENGTH,
        memory=memory,
        settings=settings,
    )
    model = build_rival("bmojo", config).eval()
    assert isinstance(model, BMojo)
    return model


def sharpen(model: BMojo) -> None:
    """Make keys the tokens' own, values never forgotten and learned at once."""
    state: Any = model.states[0]
    with torch.no_grad():
        for part in (state.key, state.value):
            part.weight.copy_(torch.eye(HIDDEN))
        for part in (state.weight, state.fading):
            part.weight.zero_()
        state.weight.bias.fill_(30.0)
        state.fading.bias.fill_(-30.0)


@torch.no_grad()
def test_rare_tokens_among_repeated_ones_are_kept_as_they_were() -> None:
    model = made(memory=HIDDEN + 4, eidetic=4, faded=0)
    model.embed.weight.copy_(torch.randn(VOCABULARY, HIDDEN) * 0.1)
    model.embed.weight[:28] += torch.eye(28, HIDDEN)
    sharpen(model)
    common, rare = [0, 1], [20, 21]
    generator = torch.Generator().manual_seed(0)
    for number in range(12):
        segment = torch.randint(2, (1, LENGTH), generator=generator)
        if number in (3, 7):
            segment[0, number // 2] = rare[number == 7]
        model(segment)
    kept = model.carried()["eidetic0"][0]
    wanted = model.embed.weight[[*common, *rare]]
    distances = torch.cdist(wanted, kept)
    torch.testing.assert_close(distances.min(1).values, torch.zeros(4), atol=1e-5, rtol=0)
    assert torch.equal(kept[2:], model.embed.weight[rare])  # in the order read


@torch.no_grad()
def test_surprise_is_what_the_state_does_not_answer_yet() -> None:
    model, chunked = made(eidetic=8), made(eidetic=8, chunk=3)
    state: Any = model.states[0]
    heads = model.state_heads
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(VOCABULARY, (2, 1, LENGTH), generator=generator)
    for part in tokens:
        model(part)
        chunked(part)
    matrices = torch.zeros(heads, HIDDEN // heads, HIDDEN // heads)
    surprises = []
    for token in tokens.flatten():
        normed = state.norm(model.embed.weight[token])
        key, value = (part(normed).view(heads, -1, 1) for part in (state.key, state.value))
        key = key / key.norm(dim=1, keepdim=True)
        missed = value - matrices.transpose(1, 2) @ key
        surprises.append(missed.square().sum())
        left = (-torch.nn.functional.softplus(state.fading(normed))).exp().view(-1, 1, 1)
        matrices = left * matrices
        error = value - matrices.transpose(1, 2) @ key
        beta = state.weight(normed).sigmoid().view(-1, 1, 1)
        matrices = matrices + beta * key @ error.transpose(1, 2)
    chosen = torch.stack(surprises).topk(8).indices.sort().values
    for one in (model.carried(), chunked.carried()):
        torch.testing.assert_close(one["state0"][0], matrices, rtol=1e-4, atol=1e-5)
        wanted = torch.stack(surprises)[chosen]
        torch.testing.assert_close(one["surprise0"][0], wanted, rtol=1e-4, atol=1e-5)
        inputs = model.embed.weight[tokens.flatten()[chosen]]
        assert torch.equal(one["eidetic0"][0], inputs)


@torch.no_grad()
def test_padding_is_not_kept() -> None:
    model = made()
    generator = torch.Generator().manual_seed(2)
    first, second = torch.randint(VOCABULARY, (2, 2, LENGTH), generator=generator)
    model(first)
    before = model.carried()
    mask = torch.ones_like(second)
    mask[1] = 0
    model(second, mask)
    after: dict[str, Tensor] = model.carried()
    for name in ("state0", "eidetic0", "surprise0", "faded0"):
        torch.testing.assert_close(after[name][1], before[name][1])
        assert not torch.equal(after[name][0], before[name][0])


def test_the_budget_is_shared() -> None:
    model = made(memory=24)
    assert (model.eidetic, model.faded, HIDDEN // model.state_heads) == (8, 8, 8)
    assert model.memory_size().attended == 24
    with pytest.raises(ConfigError, match="memory = 24: nothing is left"):
        made(memory=24, eidetic=20, faded=4)
