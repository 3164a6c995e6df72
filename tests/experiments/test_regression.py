"""Memories that regress values on keys: their rules, token by token and in chunks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from memoria.errors import ConfigError
from memoria.experiments.rivals import build_rival
from memoria.experiments.rivals.config import RivalConfig
from memoria.experiments.rivals.feature_maps import taylor
from memoria.experiments.rivals.regression import Regression
from memoria.experiments.rivals.regression_rules import (
    DELTA,
    GATED_DELTA,
    LINEAR,
    MESA,
    Rule,
    State,
    Written,
    learn,
)

TOKENS, SIZE, WIDTH = 23, 5, 3
RULES = {"linear": LINEAR, "delta": DELTA, "gated-delta": GATED_DELTA, "mesa": MESA}
every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def unit(states: Tensor) -> Tensor:
    return torch.nn.functional.normalize(states, dim=-1)


def written(rule: Rule, lead: tuple[int, ...] = (2, 3)) -> Written:
    key, value = unit(drawn(*lead, TOKENS, SIZE, seed=1)), drawn(*lead, TOKENS, WIDTH, seed=2)
    weight, decay = drawn(*lead, TOKENS, seed=3).sigmoid(), -drawn(*lead, TOKENS, seed=4).abs()
    ones, zeros = torch.ones_like(weight), torch.zeros_like(decay)
    return Written(key, value, weight if rule.weighed else ones, decay if rule.fading else zeros)


def empty(rule: Rule, lead: tuple[int, ...] = (2, 3), seed: int | None = None) -> State:
    """A memory of zeros, or with ``seed`` of something."""
    if seed is None:
        values, products = torch.zeros(*lead, SIZE, WIDTH), torch.zeros(*lead, SIZE, SIZE)
    else:
        keys = drawn(*lead, 4, SIZE, seed=seed)
        values, products = drawn(*lead, SIZE, WIDTH, seed=seed), keys.transpose(-2, -1) @ keys
    return State(values, products if rule.solves else None)


def one_by_one(
    rule: Rule, state: State, query: Tensor, given: Written, ridge: Tensor
) -> tuple[Tensor, Tensor]:
    """The rules as they are written down."""
    memory, products, answers = state.values, state.products, []
    for token in range(query.shape[-2]):
        key, value = given.key[..., token, :], given.value[..., token, :]
        beta = given.weight[..., token, None]
        fade = given.decay[..., token, None, None].exp()
        memory = fade * memory
        if rule.corrects:
            value = value - torch.einsum("...fv,...f->...v", memory, key)
        memory = memory + torch.einsum("...f,...v->...fv", key, beta * value)
        asked = query[..., token, :]
        if products is not None:
            products = fade * products + torch.einsum("...f,...g->...fg", key, beta * key)
            asked = torch.linalg.solve(products + torch.diag_embed(ridge), asked)
        answers.append(torch.einsum("...fv,...f->...v", memory, asked))
    return torch.stack(answers, -2), memory


@every_rule
@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_chunks_are_what_token_by_token_gives(rule: Rule, chunk: int) -> None:
    query, given = drawn(2, 3, TOKENS, SIZE, seed=5), written(rule)
    ridge, before = torch.full((3, SIZE), 0.3), empty(rule, seed=6)
    answers, after = learn(rule, before, query, given, ridge, chunk)
    expected, memory = one_by_one(rule, before, query, given, ridge)
    torch.testing.assert_close(answers, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(after.values, memory, rtol=1e-5, atol=1e-5)


@every_rule
def test_a_memory_goes_on_where_it_stopped(rule: Rule) -> None:
    query, given, ridge = drawn(2, 3, TOKENS, SIZE, seed=5), written(rule), torch.full((3, 5), 0.3)
    whole, last = learn(rule, empty(rule), query, given, ridge, 64)
    first, second = slice(0, 9), slice(9, None)
    one, middle = learn(rule, empty(rule), query[..., first, :], given.part(first), ridge, 64)
    two, end = learn(rule, middle, query[..., second, :], given.part(second), ridge, 64)
    torch.testing.assert_close(torch.cat((one, two), -2), whole, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(end.values, last.values, rtol=1e-5, atol=1e-5)


def test_gated_delta_is_the_rule_of_qwen3_next() -> None:
    module = pytest.importorskip("transformers.models.qwen3_next.modeling_qwen3_next")
    query, given = drawn(2, 3, TOKENS, SIZE, seed=5), written(GATED_DELTA)
    before = empty(GATED_DELTA, seed=6)
    answers, after = learn(GATED_DELTA, before, query, given, torch.zeros(()), 64)
    swapped = [one.transpose(1, 2) for one in (query, given.key, given.value)]
    theirs, state = module.torch_recurrent_gated_delta_rule(
        *swapped,
        given.decay.transpose(1, 2),
        given.weight.transpose(1, 2),
        initial_state=before.values.clone(),
        output_final_state=True,
    )
    ours = (answers * SIZE**-0.5).transpose(1, 2)  # they scale queries, which is linear
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(after.values, state, rtol=1e-5, atol=1e-5)


def stored(rule: Rule, keys: Tensor, values: Tensor) -> Tensor:
    """What a memory answers to ``keys`` [N, F] after it has read them with ``values`` [N, V]."""
    count = len(keys)
    given = Written(keys, values, torch.ones(count), torch.zeros(count))
    state = State(torch.zeros(SIZE, WIDTH), torch.zeros(SIZE, SIZE) if rule.solves else None)
    ridge = torch.full((SIZE,), 1e-5)
    _, state = learn(rule, state, keys, given, ridge, 64)
    nothing = Written(keys, values, torch.zeros(count), torch.zeros(count))
    return learn(rule, state, keys, nothing, ridge, 64)[0]


@every_rule
def test_orthonormal_keys_give_back_their_values(rule: Rule) -> None:
    keys, values = torch.linalg.qr(drawn(SIZE, SIZE, seed=7))[0], drawn(SIZE, WIDTH, seed=8)
    torch.testing.assert_close(stored(rule, keys, values), values, rtol=1e-4, atol=1e-4)


def test_where_keys_are_alike_a_sum_mixes_delta_knows_the_last_and_mesa_all() -> None:
    keys = unit(1.0 + 0.5 * drawn(4, SIZE, seed=9))
    values = drawn(4, WIDTH, seed=10)
    wrong = {
        name: (stored(rule, keys, values) - values).norm(dim=1) for name, rule in RULES.items()
    }
    assert wrong["linear"].min() > 0.5
    assert wrong["delta"][-1] < 1e-4 < 0.5 < wrong["delta"][0]
    assert wrong["mesa"].max() < 0.01


@every_rule
def test_a_token_of_no_weight_writes_nothing(rule: Rule) -> None:
    given, before = written(rule), empty(rule, seed=6)
    none = Written(given.key, given.value, 0 * given.weight, 0 * given.decay)
    _, after = learn(rule, before, given.key, none, torch.full((3, SIZE), 0.3), 64)
    assert torch.equal(after.values, before.values)


def test_the_taylor_map_multiplies_to_the_series_of_exp() -> None:
    query, key = drawn(6, SIZE, seed=1), drawn(6, SIZE, seed=2)
    s = (query * key).sum(-1) / SIZE**0.5
    torch.testing.assert_close((taylor(query) * taylor(key)).sum(-1), 1 + s + s * s / 2)


def made(name: str, memory: int = 24, **settings: Any) -> Regression:
    config = RivalConfig(
        vocab_size=8, hidden=32, segment=12, memory=memory, inner=192, settings=settings
    )
    model = build_rival(name, config).eval()
    assert isinstance(model, Regression)
    return model


def segments(count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(8, (2, 12), generator=generator) for _ in range(count)]


@torch.no_grad()
def read(model: Regression, parts: list[Tensor]) -> Tensor:
    """The logits of all parts, one after the other."""
    return torch.cat([model(part).logits for part in parts], 1)


@pytest.mark.parametrize("name", ["linear", "based", "delta", "gated-delta", "mesa"])
def test_the_chunk_changes_nothing_but_rounding(name: str) -> None:
    parts = segments(3)
    whole, single = (read(made(name, chunk=chunk), parts) for chunk in (64, 1))
    torch.testing.assert_close(whole, single, rtol=1e-4, atol=1e-5)


def test_linear_attention_over_all_that_was_read() -> None:
    """With elu + 1 a memory answers the mean of all values, weighted by phi(q) . phi(k)."""
    model, parts = made("linear", features="elu"), segments(3)
    states = drawn(1, 36, 32, seed=3)
    real = torch.ones(1, 36, dtype=torch.bool)
    query, given = model._asked(model.memories[0], states, real)  # type: ignore[arg-type]
    weights = (query @ given.key.transpose(-2, -1)).tril()
    expected = weights / weights.sum(-1, keepdim=True) @ given.value[..., :-1]
    seen = learn(LINEAR, model._state(0, query, given), query, given, torch.zeros(()), 64)[0]
    torch.testing.assert_close(
        model._even(seen), expected.transpose(1, 2).flatten(2), rtol=1e-4, atol=1e-5
    )
    assert torch.isfinite(read(model, parts)).all()


@pytest.mark.parametrize(
    ("name", "memory", "vectors"),
    [("linear", 24, 16), ("linear", 64, 32), ("mesa", 24, 16), ("mesa", 64, 64), ("based", 24, 24)],
)
def test_the_memory_is_the_largest_that_fits(name: str, memory: int, vectors: int) -> None:
    assert made(name, memory=memory).memory_size().attended == vectors


def test_a_budget_that_is_too_small_is_told() -> None:
    with pytest.raises(ConfigError, match="memory = 2: too small for any Based"):
        made("based", memory=2)
