"""The memory in weights of Titans: its rule, and that it stays bounded for long chunks."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from memoria.experiments.rivals import build_rival
from memoria.experiments.rivals.config import RivalConfig
from memoria.experiments.rivals.titans import Titans


def made(segment: int, *, chunk: int | None = None, hidden: int = 64) -> Titans:
    config = RivalConfig(
        vocab_size=8, hidden=hidden, segment=segment, memory=64, settings={"chunk": chunk}
    )
    model = build_rival("titans", config).eval()
    assert isinstance(model, Titans)
    return model


@torch.no_grad()
def fix_gates(model: Titans, *logits: float) -> None:
    """Make theta, eta and alpha the sigmoids of ``logits``, whatever is read."""
    memory: Any
    for memory in model.memories:
        memory.rates.weight.zero_()
        bias = memory.rates.bias.view(3, -1)
        bias.copy_(torch.tensor(logits).unsqueeze(1).expand_as(bias))


@torch.no_grad()
def largest_weights(model: Titans, segment: Tensor, count: int) -> float:
    """Read ``segment`` ``count`` times; the largest norm that any layer's W had."""
    largest = 0.0
    for _ in range(count):
        assert torch.isfinite(model(segment).logits).all()
        carried = model.carried()
        assert all(bool(torch.isfinite(one).all()) for one in carried.values())
        norms = [one.norm().item() for name, one in carried.items() if "weights" in name]
        largest = max(largest, *norms)
    return largest


LIMITS = [*itertools.product((-30.0, 30.0), repeat=3), (30.0, 2.2, -30.0)]


@pytest.mark.parametrize(
    "logits", [*LIMITS[-2:], *(pytest.param(one, marks=pytest.mark.slow) for one in LIMITS[:-2])]
)
def test_one_repeated_token_keeps_weights_bounded_at_the_limits_of_the_gates(
    logits: tuple[float, float, float],
) -> None:
    model = made(1024)
    fix_gates(model, *logits)
    assert largest_weights(model, torch.full((1, 1024), 3), 50) < 1e3


def test_few_symbols_in_long_chunks_keep_weights_bounded() -> None:
    model = made(1024)
    fix_gates(model, 4.0, 2.0, -4.0)
    generator = torch.Generator().manual_seed(0)
    segment = torch.randint(8, (1, 1024), generator=generator)
    assert largest_weights(model, segment, 20) < 100


@pytest.mark.parametrize("chunk", [1, 3, 12])
@torch.no_grad()
def test_weights_follow_the_rule_of_the_docstring(chunk: int) -> None:
    model = made(12, chunk=chunk, hidden=16)
    memory: Any = model.memories[0]
    heads = model.memory_heads
    fix_gates(model, 1.0, 0.5, -2.0)
    theta, eta, alpha = torch.tensor([1.0, 0.5, -2.0]).sigmoid().tolist()
    tokens = torch.arange(12).remainder(8).view(1, -1)
    states = memory.norm(model.embed(tokens))
    split = [
        torch.nn.functional.silu(part(states)).view(12, heads, -1)
        for part in (memory.key, memory.value)
    ]
    for _ in range(2):
        model(tokens)
    learned = model.carried()["weights0"][0]
    for head in range(heads):
        keys, values = split[0][:, head], split[1][:, head]
        keys = keys / keys.norm(dim=1, keepdim=True)
        weights = moving = torch.zeros(keys.shape[1], keys.shape[1])
        for start in [*range(0, 12, chunk)] * 2:
            part = range(start, start + chunk)
            size = torch.stack([torch.outer(keys[t], keys[t]) for t in part]).sum(0).norm()
            errors = [torch.outer(weights @ keys[t] - values[t], keys[t]) for t in part]
            step = torch.stack(errors).sum(0)
            moving = eta * moving - model.settings.rate * theta * step / size
            weights = (1 - alpha) * weights + moving
        torch.testing.assert_close(learned[head], weights.T, rtol=1e-4, atol=1e-5)
