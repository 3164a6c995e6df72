"""The Infinity-former: what its signal keeps, and where it is sampled."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from memoria.experiments.rivals import build_rival
from memoria.experiments.rivals.config import RivalConfig
from memoria.experiments.rivals.infinity import InfinityFormer

LENGTH = 12


def made(memory: int = 8, segment: int = LENGTH, **settings: object) -> InfinityFormer:
    config = RivalConfig(
        vocab_size=9, hidden=16, heads=2, segment=segment, memory=memory, settings=settings
    )
    model = build_rival("infinity", config)
    assert isinstance(model, InfinityFormer)
    return model


def tokens(lanes: int, length: int = LENGTH) -> Tensor:
    generator = torch.Generator().manual_seed(length)
    return torch.randint(9, (lanes, length), generator=generator)


def signal_at(model: InfinityFormer, at: Tensor) -> Tensor:
    """The first layer's signal as it was last read, at places [P]: [B, P, D]."""
    return model._density(at) @ model.carried()["layer0"]


@torch.no_grad()
@pytest.mark.parametrize("memory", [16, 64, 128])
def test_a_constant_signal_outlives_four_squeezes(memory: int) -> None:
    model = made(memory, memory).eval()
    constant = model.embed.weight[3]
    for _ in range(6):  # the first fit, four squeezes, and one more segment that reads them
        model(torch.full((1, memory), 3))
    for end in (1.0, model.settings.tau**4):  # all of it, and what is left of the first segment
        at = end * (torch.arange(200) + 0.5) / 200
        assert (signal_at(model, at)[0] @ constant / constant.square().sum()).mean() >= 0.95


@torch.no_grad()
def test_sticky_samples_lie_where_attention_went() -> None:
    model = made(memory=64, sticky=True).eval()
    mean, narrow = torch.full((2, 2, LENGTH), 0.3), torch.full((2, 2, LENGTH), 1e-4)
    real = torch.ones(2, LENGTH, dtype=torch.bool)
    places = model._places(mean, narrow, real)
    assert places.shape == (2, 64)
    assert bool((places.diff() >= 0).all())
    assert bool((places >= 0).all() and (places <= 1).all())
    assert (places - 0.3).abs().median() < 0.01
    # the quantiles of a normal distribution
    assert places.std(1).mean() == pytest.approx(0.01, rel=0.1)


@torch.no_grad()
def test_sticky_samples_of_even_attention_are_even() -> None:
    sticky, even = made(sticky=True), made()
    mean, wide = torch.full((1, 2, LENGTH), 0.5), torch.full((1, 2, LENGTH), 1e6)
    real = torch.ones(1, LENGTH, dtype=torch.bool)
    torch.testing.assert_close(
        sticky._places(mean, wide, real), even._places(mean, wide, real), rtol=0, atol=1e-3
    )


@torch.no_grad()
def test_padding_attracts_no_samples() -> None:
    model = made(sticky=True)
    mean, narrow = torch.full((1, 2, LENGTH), 0.2), torch.full((1, 2, LENGTH), 1e-4)
    real = torch.ones(1, LENGTH, dtype=torch.bool)
    wanted = model._places(mean, narrow, real)
    mean[..., 6:], real[:, 6:] = 0.9, False
    torch.testing.assert_close(model._places(mean, narrow, real), wanted, rtol=0, atol=1e-3)


def test_the_mask_learns_from_what_is_read_later() -> None:
    model = made(mask=True).train()
    model(tokens(2))
    torch.autograd.backward(model(tokens(2, 7)).logits.logsumexp(-1).sum())
    for one in model.mask.parameters():
        assert one.grad is not None
        assert bool(one.grad.any())


@torch.no_grad()
def test_an_open_mask_lets_everything_in_and_a_closed_one_nothing() -> None:
    plain = made().eval()
    for bias, share in ((40.0, 1.0), (-40.0, 0.0)):
        model = made(mask=True).eval()
        part: Any
        for part in model.mask:
            part.weight.zero_()
            part.bias.fill_(bias)
        states = torch.randn(2, LENGTH, 16, generator=torch.Generator().manual_seed(0))
        real = torch.ones(2, LENGTH, dtype=torch.bool)
        model.carry({"entering0": states, "real0": real})
        torch.testing.assert_close(model._signal(0), share * plain._fitted(states, real))


@torch.no_grad()
def test_the_mask_does_not_see_padding() -> None:
    model = made(mask=True).eval()
    first, second = tokens(1), tokens(1, 7)
    seen = torch.ones_like(first)
    seen[:, 5:] = 0
    logits = []
    for other in (0, 1):
        model.reset()
        changed = first.clone()
        changed[:, 5:] = (changed[:, 5:] + other) % 9
        model(changed, seen)
        logits.append(model(second).logits)
    assert torch.equal(*logits)


@torch.no_grad()
def test_sticky_and_masked_lanes_do_not_mix_and_go_on_elsewhere_bit_for_bit() -> None:
    both, alone, elsewhere = (made(sticky=True, mask=True).eval() for _ in range(3))
    for length in (12, 5, 9):
        both(tokens(2, length))
        alone(tokens(2, length)[:1])
    elsewhere.carry(both.carried())
    after = both(tokens(2, 8)).logits
    assert torch.equal(elsewhere(tokens(2, 8)).logits, after)
    torch.testing.assert_close(alone(tokens(2, 8)[:1]).logits, after[:1], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_segment_of_padding_leaves_the_signal() -> None:
    model = made(sticky=True).eval()
    for length in (12, 6):
        model(tokens(2, length))
    mask = torch.ones(2, 3)
    mask[1] = 0
    model(tokens(2, 3), mask)
    before = signal_at(model, torch.linspace(0, 1, 9))
    model(tokens(2, 4))
    after = signal_at(model, torch.linspace(0, 1, 9))
    assert torch.equal(after[1], before[1])
    assert not torch.equal(after[0], before[0])
