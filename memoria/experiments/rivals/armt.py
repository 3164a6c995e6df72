"""Associative Recurrent Memory Transformer (Rodkin et al. 2024): a matrix in each layer.

A segment ends with a few learned memory tokens. What a layer makes of them is written into the
layer's matrix A, and before the layer every position of later segments adds what A answers:

    x <- x + A^T f(W_q x) / max(1, z . f(W_q x))
    A <- A + beta k (v - A^T k / max(1, z . k))^T,  z <- z + max(0, 1 - z . k) k

for each memory token m in turn, with k = f(W_k m), v = W_v m, and beta = sigmoid(w . m + b). What
is added to z, without gradient, is what is new in k. f is DPFP (Schlag et al. 2021), brought to
length 1: products of the positive parts of u and -u with those up to nu places before, 2 nu d
numbers of d. nu is 3, or less where the budget leaves no d above it: with d = nu some products are
always 0.

The memory tokens are not carried, as in the authors' code; what goes on is in A and z. Three things
differ from it, for without them values grow from segment to segment. It divides by z . k + 1e-5,
which makes much of what hardly matches. It writes all tokens of a segment at once, which goes past
the mark where their keys are alike. And its W_v starts at 0, from where it learns only if gradients
reach the segments in which something is to be written; here it starts at a quarter of the other
weights' size, since memory tokens read A too.
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
        """A and z after memory tokens [B, M, D], one after the other."""
        keys, news = dpfp(self.key(tokens), self.nu), self.value(tokens)
        weights = self.weight(tokens).sigmoid()
        for number in range(tokens.shape[1]):
            key, new = keys[:, number : number + 1], news[:, number : number + 1]
            missed = weights[:, number : number + 1] * (new - _answered(key, values, sums))
            fresh = (1.0 - key @ sums.unsqueeze(2)).clamp_min(0.0).detach()
            values = values + key.transpose(1, 2) @ missed
            sums = sums + (fresh * key).squeeze(1)
        return values, sums


def _answered(keys: Tensor, values: Tensor, sums: Tensor) -> Tensor:
    return keys @ values / (keys @ sums.unsqueeze(2)).clamp_min(1.0)


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
