"""The matrices of the Associative Recurrent Memory Transformer hold what the paper says."""

from __future__ import annotations

import itertools

import pytest
import torch

from memoria.errors import ConfigError
from memoria.experiments.rivals import build_rival
from memoria.experiments.rivals.armt import Association, AssociativeMemory, dpfp
from memoria.experiments.rivals.config import RivalConfig

SIZE, NU = 5, 3
COUNT = 2 * NU * SIZE


def one_hot_inputs() -> torch.Tensor:
    """For each number of a key, a vector [d] whose key is 1 there and 0 elsewhere."""
    found = {}
    for one, other in itertools.combinations(range(SIZE), 2):
        for signs in itertools.product((-1.0, 1.0), repeat=2):
            vector = torch.zeros(SIZE)
            vector[one], vector[other] = signs
            key = dpfp(vector, NU)
            if int(key.count_nonzero()) == 1:
                found[int(key.argmax())] = vector
    return torch.stack([found[place] for place in range(COUNT)])


@torch.no_grad()
def test_as_many_orthogonal_pairs_as_a_key_has_numbers_come_back_exactly() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = one_hot_inputs()
    torch.testing.assert_close(dpfp(inputs, NU), torch.eye(COUNT))
    hidden = SIZE + COUNT
    association = Association(hidden, SIZE, NU)
    for part in (association.query, association.key):
        part.weight.copy_(torch.eye(SIZE, hidden))
    wanted = torch.randn(COUNT, hidden, generator=generator)
    # token i is [input i, the i-th unit vector], and W_v turns the latter into value i
    association.value.weight.copy_(torch.cat((torch.zeros(hidden, SIZE), wanted.T), 1))
    association.weight.weight.zero_()
    association.weight.bias.fill_(30.0)
    tokens = torch.cat((inputs, torch.eye(COUNT)), 1).unsqueeze(0)
    empty = torch.zeros(1, COUNT, hidden), torch.zeros(1, COUNT)
    at_once = association.written(tokens, *empty)
    in_turn = empty
    for token in tokens.unbind(1):
        in_turn = association.written(token.unsqueeze(1), *in_turn)
    for values, sums in (at_once, in_turn):
        answer = association.answer(tokens, values, sums)[0]
        torch.testing.assert_close(answer, wanted, rtol=1e-4, atol=1e-4)
    again = association.written(tokens, *at_once)  # what is known already changes nothing
    torch.testing.assert_close(again[0], at_once[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(again[1], at_once[1], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_key_that_comes_again_gets_its_new_value() -> None:
    association = Association(6, 4, NU)
    association.weight.weight.zero_()
    association.weight.bias.fill_(30.0)
    token = torch.randn(1, 1, 6, generator=torch.Generator().manual_seed(1))
    state = torch.zeros(1, 24, 6), torch.zeros(1, 24)
    association.query.weight.copy_(association.key.weight)
    for factor in (1.0, -3.0):
        association.value.weight.mul_(factor)
        state = association.written(token, *state)
        got, wanted = association.answer(token, *state), association.value(token)
        torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-4)


def test_the_budget_chooses_the_size_of_keys() -> None:
    def keys(memory: int, hidden: int = 64) -> int:
        model = build_rival("armt", RivalConfig(vocab_size=5, hidden=hidden, memory=memory))
        assert isinstance(model, AssociativeMemory)
        assert model.memory_size().attended <= memory
        return model.keys

    assert keys(64) == 60  # nu = 3, d = 10
    assert keys(24) == 20  # nu = 2, d = 5
    assert keys(8) == 6  # nu = 1, d = 3
    with pytest.raises(ConfigError, match="memory = 4: too small for AssociativeMemory"):
        keys(4)
