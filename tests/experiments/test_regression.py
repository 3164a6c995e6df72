"""Memories that regress values on keys: their rules, token by token and in chunks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from memoria.errors import ConfigError
from memoria.experiments.rivals import build_rival
from memoria.experiments.rivals.config import RivalConfig
from memoria.experiments.rivals.feature_maps import Hash, taylor
from memoria.experiments.rivals.memory_caching import SegmentGate
from memoria.experiments.rivals.mixture import Router
from memoria.experiments.rivals.regression import Regression
from memoria.experiments.rivals.regression_rules import (
    DELTA,
    GATED_DELTA,
    LINEAR,
    MAMBA2,
    MESA,
    Rule,
    State,
    Written,
    learn,
)

TOKENS, SIZE, WIDTH = 23, 5, 3
RULES = {
    "linear": LINEAR,
    "mamba2": MAMBA2,
    "delta": DELTA,
    "gated-delta": GATED_DELTA,
    "mesa": MESA,
}
every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def unit(states: Tensor) -> Tensor:
    return torch.nn.functional.normalize(states, dim=-1)


def written(rule: Rule, lead: tuple[int, ...] = (2, 3)) -> Written:
    key, value = unit(drawn(*lead, TOKENS, SIZE, seed=1)), drawn(*lead, TOKENS, WIDTH, seed=2)
    weight, decay = drawn(*lead, TOKENS, seed=3).sigmoid(), -drawn(*lead, TOKENS, seed=4).abs()
    ones, zeros = torch.ones_like(weight), torch.zeros_like(decay)
    weight = weight if rule.weighed or rule.tied else ones
    return Written(key, value, weight, decay if rule.fading else zeros)


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


def test_mamba2_is_the_scan_of_transformers() -> None:
    module = pytest.importorskip("transformers.models.mamba2.modeling_mamba2")
    if not hasattr(module, "mamba2_chunk_scan"):
        pytest.skip("this transformers has no function for it")
    query, given = drawn(2, 3, TOKENS, SIZE, seed=5), written(MAMBA2)
    speed = -torch.tensor([0.1, 0.5, 2.0])
    given = Written(given.key, given.value, given.weight, given.weight * speed.unsqueeze(1))
    before = empty(MAMBA2, seed=6)
    answers, after = learn(MAMBA2, before, query, given, torch.zeros(()), 64)
    theirs, state = module.mamba2_chunk_scan(
        given.value.transpose(1, 2),
        given.weight.transpose(1, 2),
        speed,
        given.key.transpose(1, 2),
        query.transpose(1, 2),
        chunk_size=8,
        initial_states=before.values.transpose(2, 3),
        return_final_states=True,
    )
    torch.testing.assert_close(answers.transpose(1, 2), theirs, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(after.values.transpose(2, 3), state, rtol=1e-5, atol=1e-5)


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


def test_hashed_keys_agree_by_their_bits() -> None:
    torch.manual_seed(0)
    hashed = Hash(8)
    query, key = hashed(drawn(50, 8, seed=1)), hashed(drawn(50, 8, seed=2))
    bits = query[:, :-1].round()
    torch.testing.assert_close(query[:, :-1], bits)
    assert set(bits.unique().tolist()) == {-1.0, 1.0}
    differ = (bits != key[:, :-1].round()).sum(1)
    torch.testing.assert_close((query * key).sum(1), 17.0 - 2 * differ)
    near = hashed(drawn(50, 8, seed=1) + 0.01)
    assert (near[:, :-1] == query[:, :-1]).float().mean() > 0.95


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


@pytest.mark.parametrize("name", ["linear", "based", "mamba2-rule", "delta", "gated-delta", "mesa"])
def test_the_chunk_changes_nothing_but_rounding(name: str) -> None:
    parts = segments(3)
    whole, single = (read(made(name, chunk=chunk), parts) for chunk in (64, 1))
    torch.testing.assert_close(whole, single, rtol=1e-4, atol=1e-5)


def test_linear_attention_over_all_that_was_read() -> None:
    """With elu + 1 a memory answers the mean of all values, weighted by phi(q) . phi(k)."""
    model, parts = made("linear", features="elu"), segments(3)
    states = drawn(1, 36, 32, seed=3)
    real = torch.ones(1, 36, dtype=torch.bool)
    ones = torch.ones(1, 36, 1)
    query, given = model._asked(model.memories[0], states, real, ones > 0)  # type: ignore[arg-type]
    weights = (query @ given.key.transpose(-2, -1)).tril()
    expected = weights / weights.sum(-1, keepdim=True) @ given.value[..., :-1]
    seen = learn(LINEAR, model._state(0, query, given), query, given, torch.zeros(()), 64)[0]
    torch.testing.assert_close(
        model._even(seen, ones), expected.transpose(1, 2).flatten(2), rtol=1e-4, atol=1e-5
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


def test_a_residual_cache_of_a_linear_memory_is_the_memory_itself() -> None:
    for features in ("identity", "elu"):
        plain = made("linear", memory=17, features=features)
        cached = made("linear", memory=5 * 17, features=features, cache="residual", cached=4)
        assert cached.memory_heads == plain.memory_heads
        parts = segments(5)
        torch.testing.assert_close(read(cached, parts), read(plain, parts), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cache", ["residual", "gated", "sparse"])
def test_in_the_first_segment_a_cache_changes_nothing(cache: str) -> None:
    plain = made("mesa", memory=32)
    cached = made("mesa", memory=5 * 32 + 4, cache=cache, cached=4, best=4)
    assert cached.memory_heads == plain.memory_heads
    weights = plain.state_dict()
    with torch.no_grad():
        for name, one in cached.named_parameters():
            if name in weights and one.shape == weights[name].shape:
                one.copy_(weights[name])
    number, states = 0, drawn(2, 12, 32, seed=4)
    real = torch.ones(2, 12, dtype=torch.bool)
    answers = [m._read(number, m.memories[0], states, real) for m in (plain, cached)]  # type: ignore[arg-type]
    torch.testing.assert_close(answers[1], answers[0], rtol=1e-4, atol=1e-5)


def test_a_sparse_cache_reads_the_segment_that_is_wanted() -> None:
    gate = SegmentGate(4, best=1)
    with torch.no_grad():
        gate.wanted.weight.copy_(50 * torch.eye(4))
        gate.wanted.bias.zero_()
    means, kept = torch.eye(4).unsqueeze(0), torch.tensor([[True, True, True, False]])
    states = torch.tensor([[[0.0, 9.0, 5.0, 0.0], [0.0, 0.0, 9.0, 9.0]]]) / 10
    own, others = gate(0 * states, torch.ones(1, 2, dtype=torch.bool), means, kept)
    assert int((others > 0).sum()) == 2  # one a token
    own, others = gate(states, torch.ones(1, 2, dtype=torch.bool), means, kept)
    assert (others > 0).nonzero()[:, 2].tolist() == [1, 2]  # the fourth holds nothing
    torch.testing.assert_close(own + others.sum(2), torch.ones(1, 2))


def test_two_like_memories_of_even_shares_are_one() -> None:
    one = made("gated-delta", memory=16)
    two = made("gated-delta", memory=32, memories=2, topk=2, shared=False)
    assert one.memory_heads == two.memory_heads
    ours, theirs = one.memories[0], two.memories[0]
    with torch.no_grad():
        for name, given in ours.named_parameters():
            like = theirs.get_parameter(name)
            like.copy_(torch.cat((given, given)) if like.shape != given.shape else given)
        theirs.get_parameter("router.score.weight").zero_()
    states, real = drawn(2, 12, 32, seed=4), torch.ones(2, 12, dtype=torch.bool)
    two.extra_loss = torch.zeros(())
    expected, got = (m._read(0, m.memories[0], states, real) for m in (one, two))  # type: ignore[arg-type]
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_a_token_writes_only_where_it_is_sent() -> None:
    model = made("delta", memory=48, memories=2, topk=1)
    router = model.memories[0].get_submodule("router")
    assert isinstance(router, Router)
    with torch.no_grad():
        router.score.weight.zero_()
        router.score.weight[1, 0] = 1.0  # to the second where the first number is positive
    states, real = drawn(1, 12, 32, seed=4), torch.ones(1, 12, dtype=torch.bool)
    states[..., 0] = 2.0
    model.extra_loss = torch.zeros(())
    model._read(0, model.memories[0], states, real)  # type: ignore[arg-type]
    first, second, shared = model.carried()["values0"].chunk(3, dim=1)
    assert not first.any()
    assert second.any()
    assert shared.any()


def test_the_loss_of_a_router_is_one_where_the_load_is_even() -> None:
    router = Router(2, 2, topk=1)
    with torch.no_grad():
        router.score.weight.copy_(torch.tensor([[9.0, 0.0], [0.0, 9.0]]))
    states, real = torch.eye(2).unsqueeze(0), torch.ones(1, 2, dtype=torch.bool)
    assert router(states, real)[1].item() == pytest.approx(1.0, abs=1e-3)
    assert router(states[:, :1], real[:, :1])[1].item() == pytest.approx(2.0, abs=1e-3)


VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("linear", {"cache": "residual"}),
    ("based", {"cache": "gated", "cached": 2}),
    ("mesa", {"cache": "sparse", "cached": 4, "best": 2}),
    ("delta", {"memories": 3}),
    ("mamba2-rule", {"memories": 2, "topk": 1}),
    ("linear", {"features": "hash"}),
    ("linear", {"memories": 2, "topk": 1, "features": "elu", "shared": False}),
    ("gated-delta", {"memories": 2, "cache": "gated", "cached": 2}),
]


@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_a_variant_keeps_lanes_order_padding_and_budget(
    name: str, settings: dict[str, Any]
) -> None:
    model, parts = made(name, memory=64, **settings), segments(4)
    assert model.memory_size().attended <= 64
    logits = read(model, parts)
    numbers = sum(one.numel() for key, one in model.carried().items() if key != "kept")
    kept = model.memory_size().kept
    assert kept is not None
    assert 0 <= kept * 2 * 32 - numbers < 2 * 32 * 2 * 2  # two lanes, two layers, rounded up
    model.reset()
    other = [part.clone() for part in parts]
    other[1][1, 5:] += 1  # another lane, and what comes later, are not seen
    after = read(model, [part % 8 for part in other])
    torch.testing.assert_close(after[0], logits[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(after[1, : 12 + 5], logits[1, : 12 + 5], rtol=1e-4, atol=1e-5)
    assert not torch.equal(after[1, 24:], logits[1, 24:])
    model.reset()
    read(model, parts[:2])
    before, mask = model.carried(), torch.ones(2, 12)
    mask[1] = 0  # nothing but padding
    with torch.no_grad():
        model(parts[2], mask)
    assert all(torch.equal(one[1], before[key][1]) for key, one in model.carried().items())
    model.reset()
    outputs = [model.train()(part) for part in parts]
    sum(one.logits.square().mean() + one.extra_loss for one in outputs).backward()
    idle = [key for key, one in model.named_parameters() if one.grad is None or not one.grad.any()]
    assert idle == []


def test_more_memories_than_there_are_is_refused() -> None:
    with pytest.raises(ConfigError, match="topk = 3: there are only memories = 2"):
        made("delta", memories=2, topk=3)
