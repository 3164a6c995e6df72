"""The abstractor: its formula, its parameters, its gradients and its refusals."""

from __future__ import annotations

import pytest
import torch

from memoria import Abstractor
from memoria.errors import ConfigError, InputError, ShapeError


def make(memories: int = 3, hidden: int = 4, feedforward: int = 7) -> Abstractor:
    torch.manual_seed(0)
    return Abstractor(memories, hidden, feedforward)


def test_parameters() -> None:
    shapes = {name: tuple(p.shape) for name, p in make().named_parameters()}
    assert shapes == {
        "query_embeddings": (1, 3, 4),
        "key_transform.weight": (4, 4),
        "key_transform.bias": (4,),
        "value_transform.weight": (4, 4),
        "value_transform.bias": (4,),
        "feedforward.weight": (7, 4),
        "feedforward.bias": (7,),
        "output.weight": (4, 7),
        "output.bias": (4,),
    }


def test_queries_start_small() -> None:
    torch.manual_seed(0)
    queries = Abstractor(100, 200, 8).query_embeddings
    assert queries.mean().abs().item() < 0.001
    assert queries.std().item() == pytest.approx(0.02, rel=0.03)


def test_formula_by_loops() -> None:
    """No 1/sqrt(d), no activation between the two last layers, one head."""
    module = make()
    with torch.no_grad():
        module.query_embeddings.mul_(50)  # so that scaling or its absence shows
    hidden = torch.randn(2, 5, 4)
    result = module(hidden)
    assert result.shape == (2, 3, 4)
    for b in range(2):
        keys = [module.key_transform(hidden[b, n]) for n in range(5)]
        values = [module.value_transform(hidden[b, n]) for n in range(5)]
        for m in range(3):
            query = module.query_embeddings[0, m]
            weights = torch.stack([(query * key).sum() for key in keys]).exp()
            weights = weights / weights.sum()
            mixed = sum((w * v for w, v in zip(weights, values, strict=True)), torch.zeros(4))
            wide = module.feedforward.weight @ mixed + module.feedforward.bias
            expected = module.output.weight @ wide + module.output.bias
            assert torch.allclose(result[b, m], expected, atol=1e-5)


def test_one_memory_is_a_batch_of_itself() -> None:
    module = make()
    hidden = torch.randn(3, 6, 4)
    together = module(hidden)
    for b in range(3):
        assert torch.allclose(module(hidden[b : b + 1])[0], together[b], atol=1e-6)
    order = torch.randperm(6)
    assert torch.allclose(module(hidden[:, order]), together, atol=1e-6)  # order does not matter


def test_every_parameter_learns() -> None:
    module = make()
    hidden = torch.randn(2, 5, 4, requires_grad=True)
    module(hidden).pow(2).sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        if name != "key_transform.bias":  # shifts every score alike, and softmax forgets it
            assert parameter.grad.abs().sum() > 0, name
    assert hidden.grad is not None
    assert hidden.grad.abs().sum() > 0


def test_state_dict_round_trip() -> None:
    first = make()
    torch.manual_seed(1)
    second = Abstractor(3, 4, 7)
    hidden = torch.randn(1, 2, 4)
    assert not torch.allclose(first(hidden), second(hidden))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(hidden), second(hidden))


@pytest.mark.parametrize("shape", [(5, 4), (2, 5, 3), (4,), (1, 2, 5, 4)])
def test_wrong_shapes_are_refused_by_name(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError) as caught:
        make()(torch.randn(*shape))
    text = str(caught.value)
    assert "4" in text.split("received")[0]  # the dimension it wants
    received = text.split("received")[1]
    assert all(str(size) in received for size in shape)
    assert "\n" not in text


@pytest.mark.parametrize("sizes", [(0, 4, 7), (3, 0, 7), (3, 4, 0), (-1, 4, 7)])
def test_impossible_sizes_are_refused(sizes: tuple[int, int, int]) -> None:
    with pytest.raises((ConfigError, InputError)):
        Abstractor(*sizes)
