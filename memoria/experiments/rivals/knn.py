"""Memorizing Transformer (Wu et al. 2022): one layer looks its queries up among past keys.

The keys and values of past segments are kept, without gradient, up to ``capacity`` of them. Each
head attends to the ``memory`` nearest keys of each query, and a learned gate per head mixes that
with attention to the segment. Queries and keys are normalised, as the paper advises against keys
that age while the network learns.

With ``local = L`` every layer attends to its last L inputs too, without gradient, as in the paper
(a Transformer-XL cache); they take L of the budget, so that memory - L keys are looked up.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from memoria.errors import ConfigError
from memoria.experiments.rivals.config import NoSettings
from memoria.experiments.rivals.segment_model import MemorySize
from memoria.experiments.rivals.trunk import Block, Trunk, all_real, causal_mask, newest, rotated


class MemorizingSettings(NoSettings):
    """Settings of the Memorizing Transformer."""

    capacity: int | None = Field(None, ge=1, description="Keys kept; 16 * memory if null.")
    layer: int | None = Field(None, ge=0, description="Which layer; the one above the middle.")
    local: int = Field(0, ge=0, description="Last inputs that each layer attends to; below memory.")


class MemorizingTransformer(Trunk):
    """In one layer ``g * kNN attention + (1 - g) * self-attention``, g a learned gate per head.

    Carries ``pairs`` [B, N, 2 D], keys and values side by side, and ``real`` [B, N]; with ``local``
    also ``layer0``, ``layer1``, ... [B, P, D] and ``local_real`` [B, P].
    """

    settings_class = MemorizingSettings

    def add_memory(self) -> None:
        self.capacity = self.settings.capacity or 16 * self.config.memory
        self.local, self.nearest = self.settings.local, self.config.memory - self.settings.local
        if self.nearest < 1:
            message = (
                f"local = {self.local}: no key is looked up with memory = {self.config.memory}"
            )
            raise ConfigError(message, "choose local below memory")
        chosen = self.config.layers // 2 if self.settings.layer is None else self.settings.layer
        self.chosen = min(chosen, self.config.layers - 1)
        self.gate = nn.Parameter(torch.zeros(self.config.heads, 1, 1))
        self.sharpness = nn.Parameter(torch.full((self.config.heads, 1, 1), 10.0))

    def layer(self, number: int, block: Block, states: Tensor, real: Tensor | None) -> Tensor:
        past, known = self._carried.get(f"layer{number}"), self._carried.get("local_real")
        if number != self.chosen:
            attended = block.attend(states, real, past, known)
        else:
            attended = self._attend(block, states, real, past, known)
        if self.local:
            before = None if past is None or known is None else (past, known)
            kept, _ = newest(before, states, all_real(states, real), self.local)
            self._carried[f"layer{number}"] = kept[0]
            if number == self.config.layers - 1:  # the same for all layers
                self._carried["local_real"] = kept[1]
        return block.fed(attended)

    def _attend(
        self,
        block: Block,
        states: Tensor,
        real: Tensor | None,
        past: Tensor | None,
        known: Tensor | None,
    ) -> Tensor:
        """Add attention to [past, states], mixed with that to the nearest keys."""
        attention, normed = block.attention, block.attention_norm(states)
        before = 0 if past is None else past.shape[1]
        source = normed if past is None else torch.cat((block.attention_norm(past), normed), 1)
        query, (key, value) = attention.queries(normed), attention.pairs(source)
        positions = torch.arange(source.shape[1], device=states.device)
        mixed = functional.scaled_dot_product_attention(
            rotated(query, positions[before:]),
            rotated(key, positions),
            value,
            causal_mask(states, real, before, known),
        )
        key, value = key[:, :, before:], value[:, :, before:]
        key = functional.normalize(key, dim=-1)
        if "pairs" in self._carried:
            looked_up, found = self._look_up(functional.normalize(query, dim=-1))
            gate = self.gate.sigmoid() * found
            mixed = gate * looked_up + (1 - gate) * mixed
        pairs = torch.cat([one.transpose(1, 2).flatten(2) for one in (key, value)], 2)
        stored = (
            (self._carried["pairs"], self._carried["real"]) if "pairs" in self._carried else None
        )
        kept, _ = newest(stored, pairs, all_real(states, real), self.capacity)
        self._carried["pairs"], self._carried["real"] = kept
        result: Tensor = states + block.dropout(attention.joined(mixed))
        return result

    def _look_up(self, query: Tensor) -> tuple[Tensor, Tensor]:
        """Attend from queries [B, H, S, E] to past pairs; also 1.0 for lanes that have any."""
        lanes, heads, _, size = query.shape
        key, value = (
            part.view(lanes, -1, heads, size).transpose(1, 2)
            for part in self._carried["pairs"].chunk(2, dim=2)
        )
        score = query @ key.transpose(2, 3) * self.sharpness
        hidden = ~self._carried["real"].view(lanes, 1, 1, -1)
        score = score.masked_fill(hidden, torch.finfo(score.dtype).min)
        if score.shape[3] > self.nearest:
            least = score.detach().topk(self.nearest, dim=3).values[..., -1:]
            score = score.masked_fill(score < least, torch.finfo(score.dtype).min)
        any_there = self._carried["real"].any(1).to(score.dtype).view(lanes, 1, 1, 1)
        return score.softmax(-1) @ value, any_there

    def memory_size(self) -> MemorySize:
        kept = self.capacity + self.config.layers * self.local
        return MemorySize(self.config.memory, kept)
