"""The Compressive Transformer: what its compressor is taught, and that nothing gets lost."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from memoria.experiments.rivals import build_rival
from memoria.experiments.rivals.compressive import CompressiveTransformer
from memoria.experiments.rivals.config import RivalConfig

RATIO, HIDDEN = 4, 16


def made(**changes: object) -> CompressiveTransformer:
    sizes = {"vocab_size": 9, "hidden": HIDDEN, "layers": 1, "heads": 2, "memory": 16}
    config = RivalConfig(**{**sizes, "segment": 8, "settings": {"ratio": RATIO}, **changes})
    model = build_rival("compressive", config)
    assert isinstance(model, CompressiveTransformer)
    return model


@torch.no_grad()
def average(model: CompressiveTransformer) -> None:
    """Let the compressor give the mean of each group."""
    layer: Any
    for layer in model.compress:
        layer.bias.zero_()
        layer.weight.copy_(torch.eye(HIDDEN).repeat(1, RATIO) / RATIO)


def tokens(*shape: int) -> Tensor:
    return torch.randint(9, shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_averaging_groups_of_equal_vectors_costs_nothing() -> None:
    model = made(memory=8).train()
    average(model)
    segment = tokens(2, 8 // RATIO).repeat_interleave(RATIO, 1)
    losses = [model(segment).extra_loss.item() for _ in range(3)]
    assert losses == pytest.approx([0.0] * 3, abs=1e-12)
    model(torch.arange(16).remainder(9).view(2, 8))  # groups of unequal ones, displaced by the next
    assert model(segment).extra_loss > 1e-9


def test_the_loss_sees_what_the_layer_sees() -> None:
    """A scale of the embedding that the layer's norm takes out again does not change the loss."""
    segments = tokens(2, 32).chunk(4, 1)
    losses = []
    for scale in (1.0, 50.0):
        model = made(memory=8).train()
        with torch.no_grad():
            model.embed.weight.mul_(scale)
            block: Any
            for block in model.blocks:
                block.attention_norm.eps = 1e-12
        losses.append([model(segment).extra_loss.item() for segment in segments])
    assert losses[0][-1] > 0
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


def test_the_loss_teaches_the_compressor_alone() -> None:
    model = made(memory=8).train()
    loss = sum(model(segment).extra_loss for segment in tokens(2, 24).chunk(3, 1))
    assert isinstance(loss, Tensor)
    torch.autograd.backward(loss)
    taught = {name for name, one in model.named_parameters() if one.grad is not None}
    assert taught == {"compress.0.weight", "compress.0.bias"}


@torch.no_grad()
@pytest.mark.parametrize("length", [1, 3, 5, 6, 7])
def test_displaced_vectors_wait_until_they_fill_a_group(length: int) -> None:
    """Segments of any length leave the same compressed past as segments of whole groups."""
    text = tokens(2, 40)

    def compressed(step: int) -> Tensor:
        model = made(memory=20).eval()
        average(model)
        for start in range(0, 40, step):
            model(text[:, start : start + step])
        return model.carried()["compressed0"]

    # one layer: what it remembers are embeddings, which do not depend on the segments
    torch.testing.assert_close(compressed(length), compressed(8))


@torch.no_grad()
def test_what_waits_is_less_than_a_group_and_counted() -> None:
    model = made(memory=8, layers=2).eval()
    assert model.memory_size().kept == 2 * (8 + RATIO - 1)
    for length in (5, 3, 7, 2, 8, 1):
        model(tokens(1, length))
        waiting = model.carried().get("waiting1")
        assert waiting is None or waiting.shape[1] < RATIO


@torch.no_grad()
def test_padding_does_not_push_out_what_waits() -> None:
    model = made(memory=8).eval()
    for length in (8, 3):
        model(tokens(1, length))
    before = model.carried()
    assert before["waiting0"].shape[1] == 3
    model(torch.zeros(1, 4, dtype=torch.int64), torch.zeros(1, 4))
    after = model.carried()
    for name in ("waiting0", "recent0", "compressed0"):
        real = after[f"{name}_real"][0]
        torch.testing.assert_close(after[name][0, real], before[name][0])
