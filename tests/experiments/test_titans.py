"""The memory in weights of Titans: its rule, and that it stays bounded for long chunks."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from memoria.errors import ConfigError
from memoria.experiments.rivals import build_rival
from memoria.experiments.rivals.config import RivalConfig
from memoria.experiments.rivals.titans import Titans

VARIANTS = ("mac", "mag", "mal")


def made(
    segment: int, *, chunk: int | None = None, hidden: int = 64, memory: int = 64, **settings: Any
) -> Titans:
    config = RivalConfig(
        vocab_size=8,
        hidden=hidden,
        inner=4 * hidden + 64,
        segment=segment,
        memory=memory,
        settings={"chunk": chunk, **settings},
    )
    model = build_rival("titans", config).eval()
    assert isinstance(model, Titans)
    return model


@torch.no_grad()
def fix_gates(model: Titans, *logits: float) -> None:
    """Make theta, eta and alpha the sigmoids of ``logits``, whatever is read."""
    layer: Any
    for layer in model.memories:
        memory = getattr(layer, "memory", layer)
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


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    "logits",
    [LIMITS[-1], *(pytest.param(one, marks=pytest.mark.slow) for one in LIMITS if one[0] > 0)],
)
def test_deep_memories_stay_bounded_too(
    variant: str, logits: tuple[float, float, float], request: pytest.FixtureRequest
) -> None:
    slow = request.node.get_closest_marker("slow") is not None
    model = made(1024, variant=variant) if slow else made(256, variant=variant, hidden=32)
    fix_gates(model, *logits)
    segment = torch.full((1, model.config.segment), 3)
    assert largest_weights(model, segment, 50 if slow else 10) < 1e3


@pytest.mark.parametrize("chunk", [1, 5, 12])
@pytest.mark.parametrize("depth", [1, 2])
@torch.no_grad()
def test_deep_memories_follow_the_rule_token_by_token(chunk: int, depth: int) -> None:
    """M and S of each token by autograd's gradients at the chunk's start; steps bounded as told."""
    model = made(12, chunk=chunk, hidden=16, variant="mag", depth=depth, memory=48)
    layer: Any = model.memories[0]
    memory, rate = layer.memory, model.settings.rate
    tokens = torch.arange(12).remainder(8).view(1, -1)
    block: Any = model.blocks[0]
    real = torch.ones(1, 12, dtype=torch.bool)
    lesson = memory.lesson(block.attention_norm(model.embed(tokens)), real, rate)
    model(tokens)
    carried = model.carried()
    for head in range(model.memory_heads):
        start = memory.start[head]
        weights, momentum = start, torch.zeros_like(start)
        for first in range(0, 12, chunk):
            places = range(first, min(first + chunk, 12))
            weights, momentum = _learned(lesson, head, places, weights, momentum)
        got = carried["weights0"][0, head] + start
        torch.testing.assert_close(got, weights, rtol=1e-3, atol=1e-4)
        got = carried["momentum0"][0, head]
        torch.testing.assert_close(got, momentum, rtol=1e-3, atol=1e-4)


def _learned(
    lesson: Any, head: int, places: range, weights: Tensor, momentum: Tensor
) -> tuple[Tensor, Tensor]:
    gradients, rows, counted, steps = [], [], [], []
    for place in places:
        key, value = (one[0, head, place] for one in (lesson.key, lesson.value))
        with torch.enable_grad():
            parts = weights.clone().requires_grad_()
            inputs, output = [key], key @ parts[0]
            for one in parts[1:]:
                inputs.append(torch.nn.functional.silu(output))
                output = inputs[-1] @ one
            loss = (output - value).square().sum() / 2
        gradients.append(torch.autograd.grad(loss, parts)[0])
        rows.append([one.detach() for one in inputs])
        steps.append(lesson.step[0, head, place])
        rest = [*places][[*places].index(place) :]
        share, total = torch.ones(()), torch.zeros(())
        for later in rest:  # S at `later`, and what of that is left of M at the end
            if later != place:
                share = share * lesson.log_momentum[0, head, later].exp()
            after = [lesson.log_kept[0, head, one].exp() for one in rest if one > later]
            total = total + share * torch.tensor(after).prod()
        counted.append(total)
    size, bounds = len(weights), [torch.ones(())]
    for one in weights.flip(0)[: size - 1]:
        bounds.append(bounds[-1] * 1.1 * one.norm())
    gram = torch.stack(
        [
            torch.stack(
                [
                    sum(
                        (one @ other).abs() * bound**2
                        for one, other, bound in zip(left, right, bounds[::-1], strict=True)
                    )
                    for right in rows
                ]
            )
            for left in rows
        ]
    )
    roots = torch.stack(counted).sqrt()
    norm = (gram * torch.outer(roots, roots)).norm().clamp_min(1.0)
    carried = torch.zeros(())
    share = torch.ones(())
    for place in places:
        share = share * lesson.log_momentum[0, head, place].exp()
        after = [lesson.log_kept[0, head, one].exp() for one in places if one > place]
        carried = carried + share * torch.tensor(after).prod()
    limit = weights.shape[-1] ** 0.5 / (carried * momentum.norm()).clamp_min(1e-12)
    momentum = momentum * limit.clamp(max=1.0)
    for place, gradient, step in zip(places, gradients, steps, strict=True):
        momentum = lesson.log_momentum[0, head, place].exp() * momentum - step / norm * gradient
        weights = lesson.log_kept[0, head, place].exp() * weights + momentum
    return weights, momentum


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_part_of_a_variant_learns_and_what_comes_later_is_not_seen(variant: str) -> None:
    model = made(8, hidden=16, variant=variant, memory=24)
    assert model.memory_size().attended <= 24
    generator = torch.Generator().manual_seed(0)
    parts = torch.randint(8, (6, 2, 8), generator=generator)
    with torch.no_grad():  # longer ago than gradients reach
        for part in parts[:4]:
            model(part)
    state = model.carried()
    logits = model(parts[4]).logits
    model(parts[5]).logits.square().sum().backward()
    idle = [
        name
        for name, one in model.named_parameters()
        if one.grad is None or not bool(one.grad.any())
    ]
    assert idle == []
    for place in (1, 7):
        model.carry(state)
        other = parts[4].clone()
        other[:, place] = (other[:, place] + 1) % 8
        after = model(other).logits
        torch.testing.assert_close(after[:, :place], logits[:, :place], rtol=1e-5, atol=1e-5)
        assert not torch.equal(after[:, place], logits[:, place])
    model.carry(state)
    mask = torch.ones_like(parts[4])
    mask[1] = 0
    model(parts[4], mask)
    for name, one in model.carried().items():
        torch.testing.assert_close(one[1], state[name][1])
        assert not torch.equal(one[0], state[name][0])


def test_a_budget_too_small_for_a_deep_memory_is_refused() -> None:
    with pytest.raises(ConfigError, match="memory = 3: too small for Titans; use at least 4"):
        made(8, hidden=16, variant="mal", memory=3)
