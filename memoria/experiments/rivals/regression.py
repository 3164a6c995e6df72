"""Test-time regression (Wang, Shi, Fox 2025): linear memories that fit values to keys as they read.

Beside attention, each layer has a matrix for each of a few heads, which learns by one of the rules
of `regression_rules`; its answer, brought to root mean square 1 and gated by the input, is added to
that of attention. Attention to the segment is the window that the papers put beside such layers.
Keys and queries have length 1, or with a positive feature map in `linear` and `based` answers are
divided by the sum of the weights, which is kept like one more number of each value.

Left out of all: the convolutions of size 3 or 4 after the projections.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from memoria.errors import ConfigError
from memoria.experiments.rivals.feature_maps import FeatureMap, Features, feature_count
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
from memoria.experiments.rivals.segment_model import MemorySize
from memoria.experiments.rivals.trunk import (
    Block,
    Unrolled,
    UnrolledSettings,
    all_real,
    split_heads,
)

_LEAST_RIDGE = 0.25
_SLOW = -6.9  # softplus of it is 0.001: the past fades by a half in about 700 tokens


class RegressionSettings(UnrolledSettings):
    """Settings of memories that regress."""

    chunk: int = Field(64, ge=1, description="Tokens computed at once; changes only rounding.")
    features: Features = Field("identity", description="What keys and queries are mapped by.")


class BasedSettings(RegressionSettings):
    """Settings of BASED."""

    features: Features = Field("taylor", description="What keys and queries are mapped by.")


class _Memory(nn.Module):
    """The projections around one layer's memory of ``heads`` heads with keys of ``size``."""

    def __init__(self, hidden: int, heads: int, size: int, rule: Rule, features: Features) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.query, self.key = (nn.Linear(hidden, heads * size) for _ in range(2))
        self.value, self.out, self.gate = (nn.Linear(hidden, hidden) for _ in range(3))
        self.map = FeatureMap(features, size)
        if rule.weighed:
            self.weight = nn.Linear(hidden, heads)
        if rule.fading:
            self.fading = nn.Linear(hidden, heads)
            self.speed = nn.Parameter(torch.zeros(heads))
        if rule.solves:  # softplus of it and the least ridge make 1
            self.ridge = nn.Parameter(torch.full((heads, self.map.count), 0.1108))


class Regression(Unrolled):
    """Base: carries ``valuesN`` [B, H, F, V] of each layer, and ``productsN`` where it solves."""

    settings_class = RegressionSettings
    rule: ClassVar[Rule]

    def add_memory(self) -> None:
        self.divides = self.rule == LINEAR and self.settings.features != "identity"
        self.memory_heads, self.key_size = self._largest()
        sizes = self.config.hidden, self.memory_heads, self.key_size
        self.memories = self.each_layer(lambda: _Memory(*sizes, self.rule, self.settings.features))

    def scale_weights(self) -> None:
        super().scale_weights()
        if self.rule.fading:
            for memory in self.memories:
                assert isinstance(memory, _Memory)
                nn.init.constant_(memory.fading.bias, _SLOW)

    def _largest(self) -> tuple[int, int]:
        """Heads and key size of the largest memory within the budget."""
        hidden, heads = self.config.hidden, self.config.heads
        if self.settings.features == "taylor":
            shapes = [(heads, size) for size in range(hidden // heads, 0, -1)]
        else:
            shapes = [(n, hidden // n) for n in range(1, hidden + 1) if hidden % n == 0]
        for shape in shapes:
            if self._vectors(*shape) <= self.config.memory:
                return shape
        message = f"memory = {self.config.memory}: too small for any {type(self).__name__}"
        raise ConfigError(message, f"use at least {self._vectors(*shapes[-1])}")

    def _vectors(self, heads: int, size: int) -> int:
        """Vectors [D] that as many numbers as one layer's memory would make."""
        count = feature_count(self.settings.features, size)
        width = self.config.hidden // heads + self.divides + self.rule.solves * count
        return -(-heads * count * width // self.config.hidden)

    def layer(self, number: int, block: Block, states: Tensor, real: Tensor | None) -> Tensor:
        memory = self.memories[number]
        assert isinstance(memory, _Memory)
        answered = self._read(number, memory, memory.norm(states), all_real(states, real))
        return block.fed(block.attend(states, real) + answered)

    def _read(self, number: int, memory: _Memory, states: Tensor, real: Tensor) -> Tensor:
        """Let a memory learn ``states`` [B, S, D] and answer them, [B, S, D]."""
        query, written = self._asked(memory, states, real)
        ridge = query.new_zeros(())
        if self.rule.solves:
            ridge = functional.softplus(memory.ridge) + _LEAST_RIDGE
        before = self._state(number, query, written)
        answers, after = learn(self.rule, before, query, written, ridge, self.settings.chunk)
        self._carried[f"values{number}"] = after.values
        if after.products is not None:
            self._carried[f"products{number}"] = after.products
        result: Tensor = memory.out(self._even(answers) * memory.gate(states).sigmoid())
        return result

    def _asked(self, memory: _Memory, states: Tensor, real: Tensor) -> tuple[Tensor, Written]:
        """The queries [B, H, S, F] of ``states``, and what they write; padding writes nothing."""
        query, key = (
            memory.map(split_heads(made(states), self.memory_heads))
            for made in (memory.query, memory.key)
        )
        value = split_heads(memory.value(states), self.memory_heads)
        if self.divides:
            value = torch.cat((value, torch.ones_like(value[..., :1])), -1)
        else:
            query, key = functional.normalize(query, dim=-1), functional.normalize(key, dim=-1)
            value = functional.silu(value)
        there = real.unsqueeze(1).to(states.dtype)
        weight = there.expand(-1, self.memory_heads, -1)
        decay = torch.zeros_like(weight)
        if self.rule.weighed:
            weight = memory.weight(states).sigmoid().transpose(1, 2) * there
        if self.rule.fading:
            speed = functional.softplus(memory.fading(states)) * memory.speed.exp()
            decay = -speed.transpose(1, 2) * there
        return query, Written(key, value, weight, decay)

    def _state(self, number: int, query: Tensor, written: Written) -> State:
        """What was carried for a layer; nothing remembered is zeros."""
        count = query.shape[-1]
        shape = (*query.shape[:2], count, written.value.shape[-1])
        values = self._carried.get(f"values{number}", query.new_zeros(shape))
        if not self.rule.solves:
            return State(values)
        products = self._carried.get(
            f"products{number}", query.new_zeros((*shape[:2], count, count))
        )
        return State(values, products)

    def _even(self, answers: Tensor) -> Tensor:
        """Answers [B, H, S, V] of one scale, as [B, S, D]."""
        if self.divides:
            answers = answers[..., :-1] / (answers[..., -1:] + 1e-12)
        else:
            answers = functional.rms_norm(answers, answers.shape[-1:], eps=1e-5)
        return answers.transpose(1, 2).flatten(2)

    def memory_size(self) -> MemorySize:
        vectors = self._vectors(self.memory_heads, self.key_size)
        return MemorySize(vectors, self.config.layers * vectors)


class Linear(Regression):
    """Hebb's sum of k v^T (linear attention, Katharopoulos et al. 2020, is ``features=elu``)."""

    rule = LINEAR


class Based(Regression):
    """BASED (Arora et al. 2024): the same with a Taylor map, beside attention to a window."""

    settings_class = BasedSettings
    rule = LINEAR


class Delta(Regression):
    """DeltaNet (Schlag et al. 2021, Yang et al. 2024): values are corrected, not added."""

    rule = DELTA


class GatedDelta(Regression):
    """Gated DeltaNet (Yang et al. 2024): the past fades by a gate, then the delta rule."""

    rule = GATED_DELTA


class Mesa(Regression):
    """MesaNet (von Oswald et al. 2025): exact least squares over all that was read."""

    rule = MESA
