"""Titans (Behrouz et al. 2024): a memory in weights that learns while it reads.

Beside attention, each layer has a linear memory W for each of a few heads, which learns to map
keys to values by gradient descent with momentum and forgetting (equations 8-14):

    S <- eta S - sum over the chunk of theta_t (W k_t - v_t) k_t^T / |sum of k_t k_t^T|
    W <- (1 - alpha) W + S

theta, eta and alpha are computed from the states: theta for each token, eta and alpha as means over
a chunk. A segment is read in chunks, and a token asks the memory as it was before its chunk. Its
answer, gated by the input, is added to that of attention.

The division by the Frobenius norm is ours; keys have length 1, so it is 1 for a chunk of one token
and lies between sqrt(n) (all keys orthogonal) and n (all equal) for n tokens. It is never less than
the largest eigenvalue, which keeps the step below 1, however long a chunk is; gradient descent with
momentum diverges above 2 (1 + eta). That bound is for inputs that go on: where keys stay away for
many chunks, momentum carries W on without them, by up to 1 / (1 - eta) times a step, and with eta
near 1 and alpha near 0 this may grow each time that they come back.

That memory, ``variant = "added"``, is none of the paper's. Those are, with x the layer's input n x:

    mac   h = M(x) as M was before the segment; y = attention over [P, h, x]; M learns y;
          the layer adds f(y) * g(M(y))
    mag   y = attention over [P, x]; M learns x; the layer adds f(y) * g(M(x))
    mal   M learns x, and the layer adds M(x); then y = attention over [P, x], and adds that

M is a network of ``depth`` layers with a learned start, convolutions after the projections, and
gates for each token (`deep_memory`); P are ``persistent`` learned vectors of each layer; f brings
to root mean square 1 with learned scales, and g does the same and applies SiLU. A token asks M as
it was before its chunk. In mac it sees h of itself and of tokens before it alone, so that nothing
later is seen, and of those the last N / 2, for they share the budget N. Convolutions begin anew at
each segment, which is also the window of mag's attention.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from memoria.errors import ConfigError
from memoria.experiments.rivals.deep_memory import DeepMemory, DeepState, ask, learn
from memoria.experiments.rivals.segment_model import MemorySize
from memoria.experiments.rivals.trunk import (
    Block,
    Unrolled,
    UnrolledSettings,
    all_real,
    causal_mask,
    split_heads,
)


class TitansSettings(UnrolledSettings):
    """Settings of Titans."""

    variant: Literal["added", "mac", "mag", "mal"] = Field(
        "added", description="Ours, or memory as context, as gate or as layer."
    )
    depth: int = Field(2, ge=1, le=4, description="Layers of the memory of mac, mag and mal.")
    persistent: int = Field(4, ge=1, description="Learned vectors that their attention sees.")
    chunk: int | None = Field(None, ge=1, description="Tokens of a chunk; segment / 4 if null.")
    rate: float = Field(0.5, gt=0.0, le=1.0, description="Largest step theta.")


class _Memory(nn.Module):
    """The projections around one layer's memory."""

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.query, self.key, self.value, self.out = (nn.Linear(hidden, hidden) for _ in range(4))
        self.rates = nn.Linear(hidden, 3 * heads)
        self.gate = nn.Linear(hidden, hidden)


class _Deep(nn.Module):
    """One layer's memory of mac, mag or mal, and how it meets attention."""

    def __init__(self, hidden: int, heads: int, settings: TitansSettings) -> None:
        super().__init__()
        self.memory = DeepMemory(hidden, heads, settings.depth)
        self.persistent = nn.Embedding(settings.persistent, hidden)
        if settings.variant != "mal":
            self.attended_norm, self.answer_norm = (nn.RMSNorm(hidden, eps=1e-6) for _ in range(2))

    def mixed(self, attended: Tensor, answered: Tensor) -> Tensor:
        """``f(y) * g(M)``, projected: [B, S, D]."""
        gate = functional.silu(self.answer_norm(answered))
        result: Tensor = self.memory.out(self.attended_norm(attended) * gate)
        return result


class Titans(Unrolled):
    """Carries ``weightsN`` and ``momentumN`` [B, H, E, E] of each layer.

    In mac, mag and mal they are [B, H, L, E, E], and ``weightsN`` is what M differs by from its
    start.
    """

    settings_class = TitansSettings
    settings: TitansSettings

    def add_memory(self) -> None:
        hidden, settings = self.config.hidden, self.settings
        self.deep = settings.variant != "added"
        # of tokens before it whose answers a token sees
        self.window = min(self.config.segment, self.config.memory // 2)
        self.window *= settings.variant == "mac"
        # W and S of h heads hold 2 D / h vectors of size D, for each layer of a memory
        self.matrices = 2 * (settings.depth if self.deep else 1)
        wanted = -(-self.matrices * hidden // (self.config.memory - self.window))
        if wanted > hidden:
            message = f"memory = {self.config.memory}: too small for Titans"
            raise ConfigError(message, f"use at least {self.matrices * (2 if self.window else 1)}")
        self.memory_heads = next(n for n in range(wanted, hidden + 1) if hidden % n == 0)
        self.chunk = settings.chunk or max(1, self.config.segment // 4)
        if self.deep:
            self.memories = self.each_layer(lambda: _Deep(hidden, self.memory_heads, settings))
        else:
            self.memories = self.each_layer(lambda: _Memory(hidden, self.memory_heads))

    def scale_weights(self) -> None:
        super().scale_weights()
        for memory in self.memories:  # remember most, learn with half steps
            rates = memory.memory.rates if isinstance(memory, _Deep) else memory.rates
            assert isinstance(rates, nn.Linear)
            with torch.no_grad():
                bias = rates.bias.view(3, -1)
                bias[1], bias[2] = -1.0, (-6.9 if self.deep else -4.0)

    def layer(self, number: int, block: Block, states: Tensor, real: Tensor | None) -> Tensor:
        memory = self.memories[number]
        if isinstance(memory, _Deep):
            return block.fed(self._variant(number, memory, block, states, real))
        assert isinstance(memory, _Memory)
        answered = self._read(number, memory, memory.norm(states), all_real(states, real))
        return block.fed(block.attend(states, real) + answered)

    def _variant(
        self, number: int, layer: _Deep, block: Block, states: Tensor, real: Tensor | None
    ) -> Tensor:
        """The states [B, S, D] after memory and attention of mac, mag or mal."""
        variant, normed = self.settings.variant, block.attention_norm(states)
        if variant == "mal":
            answered = self._learned(number, layer, normed, real)
            states = states + block.dropout(layer.memory.out(answered))
            mixed = self._attended(layer, block, block.attention_norm(states), real)
        else:
            recalled = None
            if variant == "mac":
                before = self._state(number, layer, len(states))
                recalled = layer.memory.joined(ask(before.weights, layer.memory.queries(normed)))
            attended = self._attended(layer, block, normed, real, recalled)
            learned = attended if variant == "mac" else normed
            mixed = layer.mixed(attended, self._learned(number, layer, learned, real))
        result: Tensor = states + block.dropout(mixed)
        return result

    def _attended(
        self,
        layer: _Deep,
        block: Block,
        normed: Tensor,
        real: Tensor | None,
        recalled: Tensor | None = None,
    ) -> Tensor:
        """Attention of ``normed`` [B, S, D] to [persistent, recalled, itself]."""
        count, length = self.settings.persistent, normed.shape[1]
        first = layer.persistent.weight.expand(len(normed), -1, -1)
        causal = causal_mask(normed, real)
        places = torch.arange(count + length, device=normed.device)
        parts, allowed, keys = [first], [causal.new_ones((*causal.shape[:3], count))], [places]
        if recalled is not None:
            parts.append(functional.rms_norm(recalled, recalled.shape[2:], eps=1e-6))
            allowed.append(causal & causal.new_ones((length, length)).triu(1 - self.window))
            keys = [places[:count], places[count:], places[count:]]
        source = torch.cat((*parts, normed), 1)
        visible = torch.cat((*allowed, causal), 3)
        result: Tensor = block.attention(normed, source, visible, (places[count:], torch.cat(keys)))
        return result

    def _state(self, number: int, layer: _Deep, lanes: int) -> DeepState:
        state = layer.memory.beginning(lanes)
        if f"weights{number}" not in self._carried:
            return state
        # what is carried is told from the start, so that it learns however long ago that was
        weights = state.weights + self._carried[f"weights{number}"]
        return DeepState(weights, self._carried[f"momentum{number}"])

    def _learned(self, number: int, layer: _Deep, states: Tensor, real: Tensor | None) -> Tensor:
        """Let the memory learn ``states`` [B, S, D]; its answers to them, [B, S, D]."""
        memory = layer.memory
        lesson = memory.lesson(states, all_real(states, real), self.settings.rate)
        before = self._state(number, layer, len(states))
        answers, after = learn(before, memory.queries(states), lesson, self.chunk)
        self._carried[f"weights{number}"] = after.weights - memory.start
        self._carried[f"momentum{number}"] = after.momentum
        return memory.joined(answers)

    def _read(self, number: int, memory: _Memory, states: Tensor, real: Tensor) -> Tensor:
        """Ask the memory with ``states`` [B, S, D] and let it learn them; the answers [B, S, D]."""
        query, key, value = (
            split_heads(functional.silu(made(states)), self.memory_heads)
            for made in (memory.query, memory.key, memory.value)
        )
        query, key = functional.normalize(query, dim=-1), functional.normalize(key, dim=-1)
        rates = memory.rates(states).sigmoid().transpose(1, 2).unflatten(1, (3, -1))
        step, momentum, decay = rates.unbind(1)  # [B, H, S]
        there = real.unsqueeze(1).to(states.dtype)
        step = step * there * self.settings.rate
        shape = (len(states), self.memory_heads, key.shape[3], key.shape[3])
        names = f"weights{number}", f"momentum{number}"
        weights, moving = (self._carried.get(name, states.new_zeros(shape)) for name in names)
        answers = []
        for first in range(0, states.shape[1], self.chunk):
            part = slice(first, first + self.chunk)
            keys, steps = key[:, :, part], step[:, :, part].unsqueeze(3)
            answers.append(query[:, :, part] @ weights)
            surprise = (keys * steps).transpose(2, 3) @ (keys @ weights - value[:, :, part])
            surprise = surprise / _norm_of_products(keys * there[:, :, part].unsqueeze(3))
            share = there[:, :, part]
            count = share.sum(2)
            eta, alpha = (
                ((one[:, :, part] * share).sum(2) / count.clamp_min(1.0)).view(*shape[:2], 1, 1)
                for one in (momentum, decay)
            )
            read = (count > 0).view(len(states), 1, 1, 1)  # padding teaches nothing
            moving = torch.where(read, eta * moving - surprise, moving)
            weights = torch.where(read, (1.0 - alpha) * weights + moving, weights)
        self._carried[names[0]], self._carried[names[1]] = weights, moving
        answer = torch.cat(answers, 2).transpose(1, 2).flatten(2)
        result: Tensor = memory.out(answer * memory.gate(states).sigmoid())
        return result

    def memory_size(self) -> MemorySize:
        vectors = self.config.hidden // self.memory_heads
        if not self.deep:
            return MemorySize(vectors, 2 * vectors * self.config.layers)
        kept = self.matrices * vectors
        return MemorySize(kept + self.window, kept * self.config.layers)


def _norm_of_products(keys: Tensor) -> Tensor:
    """Frobenius norm of the sum of k k^T over ``keys`` [B, H, N, E], at least 1: [B, H, 1, 1]."""
    products = keys.transpose(2, 3) @ keys
    return products.square().sum((2, 3), keepdim=True).clamp_min(1.0).sqrt()
