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

This is none of the paper's variants (MAC, MAG, MAL), and it lacks their convolutions after the
projections, persistent tokens, memories of more than one layer, and eta and alpha for each token.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from memoria.experiments.rivals.segment_model import MemorySize
from memoria.experiments.rivals.trunk import (
    Block,
    Unrolled,
    UnrolledSettings,
    all_real,
    split_heads,
)


class TitansSettings(UnrolledSettings):
    """Settings of Titans."""

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


class Titans(Unrolled):
    """Carries ``weightsN`` and ``momentumN`` [B, H, E, E] of each layer."""

    settings_class = TitansSettings

    def add_memory(self) -> None:
        hidden = self.config.hidden
        # W and S of h heads hold 2 D / h vectors of size D
        wanted = -(-2 * hidden // self.config.memory)
        self.memory_heads = next(
            n for n in range(min(wanted, hidden), hidden + 1) if hidden % n == 0
        )
        self.chunk = self.settings.chunk or max(1, self.config.segment // 4)
        self.memories = self.each_layer(lambda: _Memory(hidden, self.memory_heads))

    def scale_weights(self) -> None:
        super().scale_weights()
        for memory in self.memories:  # remember most, learn with half steps
            assert isinstance(memory, _Memory)
            with torch.no_grad():
                bias = memory.rates.bias.view(3, -1)
                bias[1], bias[2] = -1.0, -4.0

    def layer(self, number: int, block: Block, states: Tensor, real: Tensor | None) -> Tensor:
        memory = self.memories[number]
        assert isinstance(memory, _Memory)
        answered = self._read(number, memory, memory.norm(states), all_real(states, real))
        return block.fed(block.attend(states, real) + answered)

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
        return MemorySize(vectors, 2 * vectors * self.config.layers)


def _norm_of_products(keys: Tensor) -> Tensor:
    """Frobenius norm of the sum of k k^T over ``keys`` [B, H, N, E], at least 1: [B, H, 1, 1]."""
    products = keys.transpose(2, 3) @ keys
    return products.square().sum((2, 3), keepdim=True).clamp_min(1.0).sqrt()
