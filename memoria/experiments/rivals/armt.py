"""Associative Recurrent Memory Transformer (Rodkin et al. 2024): a matrix in each layer.

A segment ends with a few learned memory tokens. What a layer makes of them is written into the
layer's matrix A, and before the layer every position of later segments adds what A answers:

    x <- x + A^T f(W_q x) / (z . f(W_q x) + e)
    A <- A + sum of beta k (v - A^T k / (z . k + e))^T,  z <- z + sum of gamma k

with k = f(W_k m), v = W_v m, beta = sigmoid(w . m + b) for a memory token m, and e = 1e-5. gamma =
clip(1 - z . k - e, 0, 1), without gradient, adds to z only what is new in k. f is DPFP (Schlag et
al. 2021), brought to length 1: products of the positive parts of u and -u with those up to nu
places before, 2 nu d numbers of d. nu is 3, or less where the budget leaves no d above it: with
d = nu some products are always 0.

The memory tokens are not carried, as in the authors' code; what goes on is in A and z. W_v starts
at a quarter of the other weights' size. At their size values grow from segment to segment, as
memory tokens read A too; from 0, as theirs, it learns only where gradients reach the segments in
which something is to be written.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from memoria.errors import ConfigError
from memoria.experiments.rivals.segment_model import MemorySize, SegmentOutput
from memoria.experiments.rivals.trunk import Block, Unrolled, UnrolledSettings, all_real

_LARGEST_NU = 3
_LEAST = 1e-5


class AssociativeSettings(UnrolledSettings):
    """Settings of the Associative Recurrent Memory Transformer."""

    tokens: int = Field(4, ge=1, description="Memory tokens at the end of a segment.")


class Association(nn.Module):
    """How one layer writes into its matrix, and reads it.

    Args:
        hidden: D.
        size: d.
        nu: of DPFP; keys have F = 2 nu d numbers.
    """

    def __init__(self, hidden: int, size: int, nu: int) -> None:
        super().__init__()
        self.nu = nu
        self.query, self.key = (nn.Linear(hidden, size, bias=False) for _ in range(2))
        self.value = nn.Linear(hidden, hidden, bias=False)
        self.weight = nn.Linear(hidden, 1)

    def answer(self, states: Tensor, values: Tensor, sums: Tensor) -> Tensor:
        """What A [B, F, D] with its z [B, F] answers to ``states`` [B, S, D]: [B, S, D]."""
        return _answered(dpfp(self.query(states), self.nu), values, sums)

    def written(self, tokens: Tensor, values: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
        """A and z after memory tokens [B, M, D], all of which see A and z as they were."""
        keys = dpfp(self.key(tokens), self.nu)
        news = self.value(tokens) - _answered(keys, values, sums)
        weighed = keys * self.weight(tokens).sigmoid()
        new = (1.0 - keys @ sums.unsqueeze(2) - _LEAST).clamp(0.0, 1.0).detach()
        return values + weighed.transpose(1, 2) @ news, sums + (new * keys).sum(1)


def _answered(keys: Tensor, values: Tensor, sums: Tensor) -> Tensor:
    return keys @ values / (keys @ sums.unsqueeze(2) + _LEAST)


def dpfp(vectors: Tensor, nu: int) -> Tensor:
    """Map [..., d] to keys [..., 2 nu d] of length 1, none of whose numbers is negative."""
    parts = torch.cat((vectors, -vectors), -1).relu()
    products = [parts * parts.roll(shift, -1) for shift in range(1, nu + 1)]
    return functional.normalize(torch.cat(products, -1), dim=-1)


class AssociativeMemory(Unrolled):
    """Reads [segment, memory tokens].

    Carries ``valuesN`` [B, F, D] and ``sumsN`` [B, F] of each layer.
    """

    settings_class = AssociativeSettings

    def add_memory(self) -> None:
        hidden, memory = self.config.hidden, self.config.memory
        sizes = {nu: memory * hidden // (2 * nu * (hidden + 1)) for nu in range(_LARGEST_NU, 0, -1)}
        nu = next((nu for nu, size in sizes.items() if size > nu), None)
        if nu is None:
            message = f"memory = {memory}: too small for {type(self).__name__}"
            raise ConfigError(message, "use at least 5")
        self.keys = 2 * nu * sizes[nu]
        self.tokens = nn.Embedding(self.settings.tokens, hidden)
        self.associations = self.each_layer(lambda: Association(hidden, sizes[nu], nu))

    def scale_weights(self) -> None:
        super().scale_weights()
        for association in self.associations:
            assert isinstance(association, Association)
            with torch.no_grad():
                association.value.weight.mul_(0.25)

    def read(self, tokens: Tensor, real: Tensor | None) -> SegmentOutput:
        count = self.settings.tokens
        own = self.tokens.weight.expand(len(tokens), -1, -1)
        states = torch.cat((self.dropout(self.embed(tokens)), own), 1)
        there = None if real is None else functional.pad(real, (0, count), value=True)
        read = all_real(states, real).any(1)
        for number, block in enumerate(self.blocks):
            association = self.associations[number]
            assert isinstance(block, Block)
            assert isinstance(association, Association)
            names = f"values{number}", f"sums{number}"
            shapes = (len(states), self.keys, states.shape[2]), (len(states), self.keys)
            values, sums = (
                self._carried.get(name, states.new_zeros(shape))
                for name, shape in zip(names, shapes, strict=True)
            )
            states = states + association.answer(states, values, sums)
            states = block.fed(block.attend(states, there))
            new = association.written(states[:, -count:], values, sums)
            # a lane that read nothing but padding keeps what it had
            self._carried[names[0]] = torch.where(read.view(-1, 1, 1), new[0], values)
            self._carried[names[1]] = torch.where(read.view(-1, 1), new[1], sums)
        hidden = self.norm(states)[:, :-count]
        logits = functional.linear(hidden, self.embed.weight)
        return SegmentOutput(logits, hidden, states.new_zeros(()))

    def memory_size(self) -> MemorySize:
        vectors = -(-self.keys * (self.config.hidden + 1) // self.config.hidden)
        return MemorySize(vectors, vectors * self.config.layers)
