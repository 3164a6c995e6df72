"""Test-time regression (Wang, Shi, Fox 2025): linear memories that fit values to keys as they read.

Beside attention, each layer has a matrix for each of a few heads, which learns by one of the rules
of `regression_rules`; its answer, brought to root mean square 1 and gated by the input, is added to
that of attention. Attention to the segment is the window that the papers put beside such layers.
Keys and queries have length 1, or with a positive feature map in `linear` and `based` answers are
divided by the sum of the weights, which is kept like one more number of each value.

Left out of all: the convolutions of size 3 or 4 after the projections. Each takes a cache of its
states at segment ends (`memory_caching`) and several memories instead of one (`mixture`); they
share the budget.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from memoria.errors import ConfigError
from memoria.experiments.rivals.feature_maps import FeatureMap, feature_count
from memoria.experiments.rivals.memory_caching import SegmentGate, newer, running_mean
from memoria.experiments.rivals.mixture import Router
from memoria.experiments.rivals.regression_rules import (
    DELTA,
    GATED_DELTA,
    LINEAR,
    MAMBA2,
    MESA,
    Rule,
    State,
    Written,
    answer,
    learn,
)
from memoria.experiments.rivals.regression_settings import BasedSettings, RegressionSettings
from memoria.experiments.rivals.segment_model import MemorySize
from memoria.experiments.rivals.trunk import (
    Block,
    Unrolled,
    all_real,
    split_heads,
)

_LEAST_RIDGE = 0.25
_SLOW = -6.9  # softplus of it is 0.001: the past fades by a half in about 700 tokens
_LOG_STEP = -0.37  # log of softplus(0)


class _Memory(nn.Module):
    """The projections around one layer's memories of ``heads`` heads with keys of ``size``."""

    def __init__(
        self, hidden: int, heads: int, size: int, rule: Rule, settings: RegressionSettings
    ) -> None:
        super().__init__()
        copies = settings.copies
        self.norm = nn.LayerNorm(hidden)
        self.query = nn.Linear(hidden, heads * size)
        self.key = nn.Linear(hidden, copies * heads * size)
        self.value = nn.Linear(hidden, copies * hidden)
        self.out, self.gate = (nn.Linear(hidden, hidden) for _ in range(2))
        self.map = FeatureMap(settings.features, size)
        if rule.weighed:
            self.weight = nn.Linear(hidden, heads)
        if rule.fading:
            self.fading = nn.Linear(hidden, heads)
            self.speed = nn.Parameter(torch.zeros(heads))
        if rule.solves:  # softplus of it and the least ridge make 1
            self.ridge = nn.Parameter(torch.full((heads, self.map.count), 0.1108))
        if settings.memories > 1:
            self.router = Router(hidden, settings.memories, settings.topk)
        if settings.cache in ("gated", "sparse"):
            best = settings.best if settings.cache == "sparse" else None
            self.segment_gate = SegmentGate(hidden, best)


class Regression(Unrolled):
    """Base of memories that regress, C of them in each layer.

    Carries ``valuesN`` [B, C H, F, V] of each layer, and ``productsN`` where it solves. With a
    cache of K states they are [B, K, C H, F, V], and ``meansN`` [B, K, D] of inputs and ``kept``
    [B, K] are carried too.
    """

    settings_class = RegressionSettings
    settings: RegressionSettings
    rule: ClassVar[Rule]

    def add_memory(self) -> None:
        self.divides = self.rule == LINEAR and self.settings.features != "identity"
        self.memory_heads, self.key_size = self._largest()
        sizes = self.config.hidden, self.memory_heads, self.key_size
        self.memories = self.each_layer(lambda: _Memory(*sizes, self.rule, self.settings))

    def scale_weights(self) -> None:
        super().scale_weights()
        if self.rule.fading:
            for memory in self.memories:
                assert isinstance(memory, _Memory)
                if self.rule.tied:  # steps of 0.7 that write, and fade as little
                    nn.init.constant_(memory.speed, _SLOW - _LOG_STEP)
                else:
                    nn.init.constant_(memory.fading.bias, _SLOW)

    def _largest(self) -> tuple[int, int]:
        """Heads and key size of the largest memory within the budget."""
        hidden, heads = self.config.hidden, self.config.heads
        if self.settings.features in ("taylor", "hash"):
            shapes = [(heads, size) for size in range(hidden // heads, 0, -1)]
        else:
            shapes = [(n, hidden // n) for n in range(1, hidden + 1) if hidden % n == 0]
        for shape in shapes:
            if self._attended(*shape) <= self.config.memory:
                return shape
        message = f"memory = {self.config.memory}: too small for any {type(self).__name__}"
        raise ConfigError(message, f"use at least {self._attended(*shapes[-1])}")

    def _attended(self, heads: int, size: int) -> int:
        """Vectors [D] that one layer reads at most: memories, their kept states, and means."""
        settings = self.settings
        read = min(settings.best, settings.slots) if settings.cache == "sparse" else settings.slots
        return self._vectors(heads, size, 1 + read) + self._means()

    def _means(self) -> int:
        return self.settings.slots if self.settings.cache in ("gated", "sparse") else 0

    def _vectors(self, heads: int, size: int, states: int) -> int:
        """Vectors [D] that as many numbers as ``states`` states of one layer would make."""
        count = feature_count(self.settings.features, size)
        width = self.config.hidden // heads + self.divides + self.rule.solves * count
        numbers = states * self.settings.copies * heads * count * width
        return -(-numbers // self.config.hidden)

    def layer(self, number: int, block: Block, states: Tensor, real: Tensor | None) -> Tensor:
        memory = self.memories[number]
        assert isinstance(memory, _Memory)
        answered = self._read(number, memory, memory.norm(states), all_real(states, real))
        return block.fed(block.attend(states, real) + answered)

    def _read(self, number: int, memory: _Memory, states: Tensor, real: Tensor) -> Tensor:
        """Let the memories learn ``states`` [B, S, D] and answer them, [B, S, D]."""
        shares = self._shares(memory, states, real)
        query, written = self._asked(memory, states, real, shares > 0)
        ridge = query.new_zeros(())
        if self.rule.solves:
            ridge = functional.softplus(memory.ridge) + _LEAST_RIDGE
            ridge = ridge.repeat(self.settings.copies, 1)
        before = self._state(number, query, written)
        start = before
        if self.settings.slots:
            start = _anew(before)
        answers, after = learn(self.rule, start, query, written, ridge, self.settings.chunk)
        if self.settings.slots:
            old = answer(before, query.unsqueeze(1), ridge)
            answers = self._recalled(number, memory, states, real, answers, old)
            after = _kept(before, after, real.any(1))
        self._carried[f"values{number}"] = after.values
        if after.products is not None:
            self._carried[f"products{number}"] = after.products
        result: Tensor = memory.out(self._even(answers, shares) * memory.gate(states).sigmoid())
        return result

    def _shares(self, memory: _Memory, states: Tensor, real: Tensor) -> Tensor:
        """How much of each memory a token reads, [B, S, C]; it writes where that is not 0."""
        settings, one = self.settings, states.new_ones((*states.shape[:2], 1))
        if settings.memories == 1:
            return one
        shares, load = memory.router(states, real)
        self.extra_loss = self.extra_loss + settings.balance * load
        return torch.cat((shares, one), 2) if settings.shared else shares

    def _asked(
        self, memory: _Memory, states: Tensor, real: Tensor, chosen: Tensor
    ) -> tuple[Tensor, Written]:
        """Queries [B, C H, S, F], and what is written; ``chosen`` bool [B, S, C] says where to."""
        copies, heads = self.settings.copies, self.memory_heads
        query = memory.map(split_heads(memory.query(states), heads)).repeat(1, copies, 1, 1)
        key = memory.map(split_heads(memory.key(states), copies * heads))
        value = split_heads(memory.value(states), copies * heads)
        if self.divides:
            value = torch.cat((value, torch.ones_like(value[..., :1])), -1)
        else:
            query, key = functional.normalize(query, dim=-1), functional.normalize(key, dim=-1)
            value = functional.silu(value)
        there = (chosen & real.unsqueeze(2)).transpose(1, 2).to(states.dtype)
        there = there.repeat_interleave(heads, 1)
        weight, decay = there, torch.zeros_like(there)
        if self.rule.weighed:
            weight = memory.weight(states).sigmoid().transpose(1, 2).repeat(1, copies, 1) * there
        if self.rule.fading:
            step = functional.softplus(memory.fading(states)).transpose(1, 2)
            step = step.repeat(1, copies, 1) * there
            decay = -step * memory.speed.exp().repeat(copies).unsqueeze(1)
            if self.rule.tied:
                weight = step
        return query, Written(key, value, weight, decay)

    def _state(self, number: int, query: Tensor, written: Written) -> State:
        """What was carried for a layer; nothing remembered is zeros."""
        slots, count = self.settings.slots, query.shape[-1]
        lead = (len(query), *([slots] if slots else []), query.shape[1], count)
        values = query.new_zeros((*lead, written.value.shape[-1]))
        values = self._carried.get(f"values{number}", values)
        if not self.rule.solves:
            return State(values)
        return State(
            values, self._carried.get(f"products{number}", query.new_zeros((*lead, count)))
        )

    def _recalled(
        self,
        number: int,
        memory: _Memory,
        states: Tensor,
        real: Tensor,
        answers: Tensor,
        old: Tensor,
    ) -> Tensor:
        """Add to ``answers`` [B, C H, S, V] those of the kept states, ``old`` [B, K, C H, S, V]."""
        if self.settings.cache == "residual":
            return answers + old.sum(1)
        slots, read = self.settings.slots, real.any(1)
        means = self._carried.get(
            f"means{number}", states.new_zeros((len(states), slots, states.shape[2]))
        )
        kept = self._carried.get("kept", real.new_zeros((len(states), slots)))
        own, others = memory.segment_gate(states, real, means, kept)
        self._carried[f"means{number}"] = newer(means, running_mean(states, real)[:, -1], read)
        if number == self.config.layers - 1:  # the same for all layers
            self._carried["kept"] = newer(kept, torch.ones_like(read), read)
        others = others.transpose(1, 2)[:, :, None, :, None]
        result: Tensor = own[:, None, :, None] * answers + (others * old).sum(1)
        return result

    def _even(self, answers: Tensor, shares: Tensor) -> Tensor:
        """Answers [B, C H, S, V] of all memories by their shares, of one scale: [B, S, D]."""
        if self.divides:
            answers = answers[..., :-1] / (answers[..., -1:] + 1e-12)
        each = answers.view(
            len(answers), self.settings.copies, self.memory_heads, *answers.shape[2:]
        )
        answers = (each * shares.transpose(1, 2)[:, :, None, :, None]).sum(1)
        if not self.divides:
            answers = functional.rms_norm(answers, answers.shape[-1:], eps=1e-5)
        return answers.transpose(1, 2).flatten(2)

    def memory_size(self) -> MemorySize:
        shape = self.memory_heads, self.key_size
        # without a cache the state itself is kept, with one only those of segment ends
        kept = self._vectors(*shape, self.settings.slots or 1) + self._means()
        return MemorySize(self._attended(*shape), self.config.layers * kept)


def _anew(slots: State) -> State:
    """An empty memory, like those that are kept."""
    products = None if slots.products is None else torch.zeros_like(slots.products[:, 0])
    return State(torch.zeros_like(slots.values[:, 0]), products)


def _kept(slots: State, after: State, read: Tensor) -> State:
    """The slots with ``after`` for the oldest, in lanes that ``read`` [B] something."""
    values = newer(slots.values, after.values, read)
    if slots.products is None or after.products is None:
        return State(values)
    return State(values, newer(slots.products, after.products, read))


class Linear(Regression):
    """Hebb's sum of k v^T (linear attention, Katharopoulos et al. 2020, is ``features=elu``)."""

    rule = LINEAR


class Based(Regression):
    """BASED (Arora et al. 2024): the same with a Taylor map, beside attention to a window."""

    settings_class = BasedSettings
    rule = LINEAR


class Mamba2Rule(Regression):
    """The rule of Mamba-2 (Dao and Gu 2024): a sum that fades, by the step that writes.

    It stands beside attention like the others, not in its place, and without the skip D.
    """

    rule = MAMBA2


class Delta(Regression):
    """DeltaNet (Schlag et al. 2021, Yang et al. 2024): values are corrected, not added."""

    rule = DELTA


class GatedDelta(Regression):
    """Gated DeltaNet (Yang et al. 2024): the past fades by a gate, then the delta rule."""

    rule = GATED_DELTA


class Mesa(Regression):
    """MesaNet (von Oswald et al. 2025): exact least squares over all that was read."""

    rule = MESA
