"""The Memorizing Transformer beside a Transformer-XL cache."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from memoria.errors import ConfigError
from memoria.experiments.rivals import build_rival
from memoria.experiments.rivals.config import RivalConfig
from memoria.experiments.rivals.segment_model import SegmentModel


def made(name: str, **settings: Any) -> SegmentModel:
    config = RivalConfig(
        vocab_size=9, hidden=32, segment=6, memory=8, inner=96, settings=settings, layers=2
    )
    return build_rival(name, config.replace(equal_parameters=False)).eval()


def parts(count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(9, (2, 6), generator=generator) for _ in range(count)]


@torch.no_grad()
def read(model: SegmentModel, segments: list[Tensor]) -> Tensor:
    return torch.cat([model(part).logits for part in segments], 1)


def test_with_a_closed_gate_it_is_a_transformer_xl() -> None:
    model, plain = made("knn", local=7), made("xl")
    plain.config = plain.config.replace(memory=7)
    for name, one in plain.named_parameters():
        one.data.copy_(model.get_parameter(name))
    model.get_parameter("gate").data.fill_(-1e9)
    torch.testing.assert_close(read(model, parts(4)), read(plain, parts(4)))


def test_without_local_nothing_of_it_is_carried() -> None:
    model = made("knn")
    read(model, parts(2))
    assert set(model.carried()) == {"pairs", "real"}


def test_local_inputs_take_their_part_of_the_budget() -> None:
    model = made("knn", local=3, capacity=20)
    read(model, parts(5))
    carried = model.carried()
    assert carried["layer0"].shape == carried["layer1"].shape == (2, 3, 32)
    size = model.memory_size()
    assert (size.attended, size.kept) == (8, 20 + 2 * 3)
    alone = made("knn", local=3, capacity=20)
    segments = parts(5)
    segments[0][1] = (segments[0][1] + 1) % 9
    assert torch.equal(
        read(alone, segments)[0], read(made("knn", local=3, capacity=20), parts(5))[0]
    )


def test_padding_is_not_kept() -> None:
    mask = torch.ones(2, 6)
    mask[1, 4:] = 0
    first, second = parts(2)
    other = first.clone()
    other[1, 4:] = (other[1, 4:] + 1) % 9
    logits = []
    for given in (first, other):
        model = made("knn", local=3)
        with torch.no_grad():
            model(given, mask)
        logits.append(read(model, [second]))
    torch.testing.assert_close(logits[0], logits[1])


def test_local_as_large_as_memory_is_refused() -> None:
    with pytest.raises(ConfigError, match="local = 8: no key is looked up with memory = 8"):
        made("knn", local=8)
