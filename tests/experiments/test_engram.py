"""Hashed n-grams: which rows a token reads, what is made of them, and what they are good for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from memoria.experiments.rivals import build_rival
from memoria.experiments.rivals.config import RivalConfig
from memoria.experiments.rivals.engram import Engram, NgramTables
from memoria.experiments.rivals.segment_model import SegmentModel, parameter_count
from memoria.experiments.seeding import seeded

VOCABULARY, HIDDEN, TABLES = 9, 16, 4


def tables() -> NgramTables:
    with seeded(0):
        return NgramTables(VOCABULARY, HIDDEN, 20, TABLES, (0, 1))


def test_rows_follow_the_formula() -> None:
    made = tables()
    assert made.sizes.tolist() == [[23, 29, 31, 37], [41, 43, 47, 53]]
    multipliers = made.multipliers.tolist()
    assert all(one % 2 and one * VOCABULARY < 2**63 for one in multipliers)
    tokens = [4, 0, 8, 8]
    places = made.places(torch.tensor([tokens]))[0]
    assert places.max() < made.rows.num_embeddings
    before = [VOCABULARY, VOCABULARY, *tokens]  # no token stands before the first
    for number in range(len(tokens)):
        wanted, start = [], 0
        for order, sizes in zip((2, 3), made.sizes.tolist(), strict=True):
            mixed = 0
            for back in range(order):
                mixed ^= before[number + 2 - back] * multipliers[back]
            for size in sizes:
                wanted.append(start + mixed % size)
                start += size
        assert places[number].tolist() == wanted


@torch.no_grad()
def test_what_is_added_follows_the_formula() -> None:
    made = tables()
    torch.nn.init.normal_(made.mix, generator=torch.Generator().manual_seed(2))
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(VOCABULARY, (1, 12), generator=generator)
    states = torch.randn(1, 12, HIDDEN, generator=generator)
    got = made(tokens, states, torch.ones(1, 12, dtype=torch.bool))[0]
    rows = made.rows(made.places(tokens)[0]).flatten(1)
    key, state = (
        one / (one.square().mean(1, keepdim=True) + 1e-6).sqrt()
        for one in (made.key(rows), states[0])
    )
    value = ((key * state).sum(1, keepdim=True) / HIDDEN**0.5).sigmoid() * made.value(rows)
    normed = value / (value.square().mean(1, keepdim=True) + 1e-6).sqrt()
    for number in range(12):
        mixed = torch.zeros(HIDDEN)
        for tap, place in enumerate(range(number - 9, number + 1, 3)):
            if place >= 0:
                mixed += made.mix[:, 0, tap] * normed[place]
        wanted = value[number] + functional.silu(mixed)
        torch.testing.assert_close(got[number], wanted, rtol=1e-4, atol=1e-5)


def built(name: str) -> SegmentModel:
    config = RivalConfig(vocab_size=64, hidden=32, inner=256, layers=2, segment=32, memory=8)
    return build_rival(name, config)


def test_the_tables_are_counted_among_the_parameters() -> None:
    made, plain = built("engram"), built("none")
    assert isinstance(made, Engram)
    assert made.places == [1]
    assert parameter_count(made) == pytest.approx(parameter_count(plain), rel=0.01)
    assert made.config.inner < plain.config.inner


@pytest.mark.slow
def test_it_learns_what_follows_two_tokens_sooner_than_attention_alone() -> None:
    """In sequences where the next token is a random function of the last two."""
    generator = torch.Generator().manual_seed(0)
    follows = torch.randint(64, (64, 64), generator=generator)

    def batch() -> Tensor:
        tokens = torch.randint(64, (16, 33), generator=generator)
        noise = torch.rand(16, 33, generator=generator) < 0.1
        for place in range(2, 33):
            known = follows[tokens[:, place - 2], tokens[:, place - 1]]
            tokens[:, place] = torch.where(noise[:, place], tokens[:, place], known)
        return tokens

    batches = [batch() for _ in range(150)]
    losses = {}
    for name in ("engram", "none"):
        model = built(name)
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
        recent = []
        for tokens in batches:
            model.reset()
            logits = model(tokens[:, :-1]).logits
            loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            recent.append(loss.item())
        losses[name] = sum(recent[-20:]) / 20
    assert losses["engram"] < losses["none"] - 0.1
