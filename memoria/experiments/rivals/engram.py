"""Engram (DeepSeek 2026): tables of hashed n-grams, a memory in weights and not of what is read.

In one or two layers, before attention, the last 2 and the last 3 tokens name rows of tables, ``J``
of them for each n, which together are e:

    row = (t_0 m_0 xor t_1 m_1 xor ...) mod p,  t_0 the token itself
    v = sigmoid(rms(W_k e) . rms(x) / sqrt(D)) W_v e
    x <- x + v + silu(conv(rms(v)))

p are primes above ``rows``, another for each table; m odd random numbers, others for each layer;
rms brings to root mean square 1, in the gate with learned scales. The convolution looks at the
token and 3, 6 and 9 places before, and starts at 0. n-grams begin anew at each segment, so nothing
is remembered of an episode: this rival shows what looking up what was learned is worth, and what
it is not.

The tables are parameters, and with ``equal_parameters`` the feed-forward layers are narrower for
them. Left out: ids made one for words that differ in case or accents; the tables' own rate of
learning (5 times the others'); and a sqrt in the gate of the code that the paper does not have.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from memoria.experiments.rivals.config import NoSettings
from memoria.experiments.rivals.segment_model import MemorySize, SegmentOutput
from memoria.experiments.rivals.trunk import Block, Trunk, all_real

_ORDERS = (2, 3)
_KERNEL = 4


class EngramSettings(NoSettings):
    """Settings of Engram."""

    rows: int | None = Field(None, ge=1, description="Least rows of a table; hidden if null.")
    tables: int = Field(8, ge=1, description="Tables for each n; fewer if hidden has no such part.")


class NgramTables(nn.Module):
    """The tables of one layer, and what is made of their rows.

    Args:
        vocabulary: number of different tokens.
        hidden: D, of which each n has as many numbers, in ``tables`` parts.
        rows: least rows of a table.
        tables: tables for each n; a divisor of D.
        seed: of the multipliers.
    """

    multipliers: Tensor
    sizes: Tensor

    def __init__(
        self, vocabulary: int, hidden: int, rows: int, tables: int, seed: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        primes = _primes_above(rows)
        sizes = [next(primes) for _ in range(tables * len(_ORDERS))]
        self.rows = nn.Embedding(sum(sizes), hidden // tables)
        # products stay below 2^63
        drawn = np.random.default_rng(seed).integers(2**62 // (vocabulary + 1), size=max(_ORDERS))
        self.register_buffer("multipliers", torch.from_numpy(2 * drawn + 1))
        self.register_buffer("sizes", torch.tensor(sizes).view(len(_ORDERS), tables))
        self.key, self.value = (nn.Linear(len(_ORDERS) * hidden, hidden) for _ in range(2))
        self.key_norm, self.state_norm = (nn.RMSNorm(hidden, eps=1e-6) for _ in range(2))
        self.mix = nn.Parameter(torch.zeros(hidden, 1, _KERNEL))

    def places(self, tokens: Tensor) -> Tensor:
        """Rows of ``tokens`` [B, S], counted over all tables: [B, S, orders * tables]."""
        before = functional.pad(tokens, (max(_ORDERS) - 1, 0), value=self.vocabulary)
        length, found = tokens.shape[1], []
        for order, sizes in zip(_ORDERS, self.sizes, strict=True):
            mixed = torch.zeros_like(tokens)
            for back in range(order):
                first = max(_ORDERS) - 1 - back
                mixed = mixed ^ (before[:, first : first + length] * self.multipliers[back])
            found.append(mixed.unsqueeze(2) % sizes)
        starts = self.sizes.flatten().cumsum(0) - self.sizes.flatten()
        return torch.cat(found, 2) + starts

    def forward(self, tokens: Tensor, states: Tensor, real: Tensor) -> Tensor:
        """What is added to ``states`` [B, S, D]."""
        looked_up = self.rows(self.places(tokens)).flatten(2)
        fit = (self.key_norm(self.key(looked_up)) * self.state_norm(states)).sum(2, keepdim=True)
        value = (fit * states.shape[2] ** -0.5).sigmoid() * self.value(looked_up)
        value = value * real.unsqueeze(2)
        reach = max(_ORDERS)
        normed = functional.rms_norm(value, value.shape[2:], eps=1e-6).transpose(1, 2)
        normed = functional.pad(normed, (reach * (_KERNEL - 1), 0))
        mixed = functional.conv1d(normed, self.mix, dilation=reach, groups=states.shape[2])
        result: Tensor = value + functional.silu(mixed.transpose(1, 2))
        return result


class Engram(Trunk):
    """Adds looked-up n-grams to the inputs of the second and the middle layer; carries nothing."""

    settings_class = EngramSettings

    def add_memory(self) -> None:
        config = self.config
        self.places = sorted({min(1, config.layers - 1), config.layers // 2})
        tables = math.gcd(self.settings.tables, config.hidden)
        rows = self.settings.rows or config.hidden
        self.ngrams = nn.ModuleDict(
            {
                str(one): NgramTables(
                    config.vocab_size, config.hidden, rows, tables, (config.seed, one)
                )
                for one in self.places
            }
        )

    def read(self, tokens: Tensor, real: Tensor | None) -> SegmentOutput:
        self._tokens = tokens
        return super().read(tokens, real)

    def layer(self, number: int, block: Block, states: Tensor, real: Tensor | None) -> Tensor:
        if number in self.places:
            ngrams = self.ngrams[str(number)]
            states = states + ngrams(self._tokens, states, all_real(states, real))
        return block.fed(block.attend(states, real))

    def memory_size(self) -> MemorySize:
        return MemorySize(0, 0)


def _primes_above(least: int) -> Iterator[int]:
    """Primes greater than ``least``, in order."""
    number = least
    while True:
        number += 1
        if number > 1 and all(number % part for part in range(2, math.isqrt(number) + 1)):
            yield number
