"""What the Hierarchical Memory Transformer recalls, and who sees it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from memoria.experiments.rivals import build_rival
from memoria.experiments.rivals.config import RivalConfig
from memoria.experiments.rivals.hmt import HierarchicalMemory

LENGTH, KEPT, HIDDEN = 6, 5, 32


def made(**settings: Any) -> HierarchicalMemory:
    config = RivalConfig(
        vocab_size=7, hidden=HIDDEN, segment=LENGTH, memory=KEPT, settings=settings
    )
    model = build_rival("hmt", config).eval()
    assert isinstance(model, HierarchicalMemory)
    return model


def tokens(count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return list(torch.randint(7, (count, 2, LENGTH), generator=generator))


@torch.no_grad()
def test_a_sharp_recall_returns_the_planted_segment() -> None:
    model = made()
    parts = tokens(KEPT)
    asked: list[Tensor] = []
    seen: list[Tensor] = []
    model.wanted.register_forward_hook(lambda *call: asked.append(call[1][0]))
    recall = model.recalled

    def watched(*args: Tensor) -> Tensor:
        seen.append(recall(*args))
        return seen[-1]

    model.recalled = watched  # type: ignore[method-assign,assignment]
    for part in parts:
        model(part)
    summary, state = asked[-1], model.carried()
    memories = torch.eye(KEPT, HIDDEN).repeat(2, 1, 1)
    planted = [3, 1]  # of each lane
    for lane, place in enumerate(planted):
        memories[lane, place] = summary[lane, 0] / summary[lane, 0].norm()
    model.carry({**state, "memories": memories})
    for linear in (model.wanted, model.offered):
        linear.weight.copy_(50.0 * torch.eye(HIDDEN))
    model(parts[-1])
    for lane, place in enumerate(planted):
        torch.testing.assert_close(seen[-1][lane, 0], memories[lane, place])


@torch.no_grad()
def test_the_last_segments_are_kept_in_order() -> None:
    model = made()
    latest = []
    for part in tokens(KEPT + 2):
        model(part)
        latest.append(model.carried()["memories"][:, -1])
    torch.testing.assert_close(model.carried()["memories"], torch.stack(latest[2:], 1))


@torch.no_grad()
def test_a_lane_of_padding_keeps_what_it_had() -> None:
    model = made()
    first, second = tokens(2)
    model(first)
    before = model.carried()
    mask = torch.ones_like(second)
    mask[1] = 0
    model(second, mask)
    for name, one in model.carried().items():
        assert torch.equal(one[1], before[name][1])
        assert not torch.equal(one[0], before[name][0])


@pytest.mark.parametrize("early", [False, True])
@torch.no_grad()
def test_only_if_told_the_summed_part_sees_what_is_recalled(early: bool) -> None:
    model = made(early=early)
    *before, last = tokens(3)
    for part in before:
        model(part)
    state = model.carried()
    logits = model(last).logits
    model.carry({**state, "memories": state["memories"].flip(2)})
    other = model(last).logits
    half = LENGTH // 2
    assert torch.equal(other[:, :half], logits[:, :half]) is not early
    assert not torch.equal(other[:, half:], logits[:, half:])
