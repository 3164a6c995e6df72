"""Compressive Transformer (Rae et al. 2020): what falls out of the XL memory is compressed.

Half of the budget holds a layer's last inputs; what they displace goes, ``ratio`` vectors to one by
a convolution, into the other half. Displaced vectors that fill no group of ``ratio`` wait, out of
sight, for those of the next segment. The convolution learns from the attention reconstruction loss
alone: attention to the compressed should give what attention to the displaced gave, both seen
through the layer's norm as in the forward pass, with the layer's weights fixed.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from memoria.experiments.rivals.config import NoSettings
from memoria.experiments.rivals.segment_model import MemorySize
from memoria.experiments.rivals.trunk import Block, Past, Trunk, all_real, newest


class CompressiveSettings(NoSettings):
    """Settings of the Compressive Transformer."""

    ratio: int = Field(4, ge=2, description="Vectors that become one.")
    weight: float = Field(1.0, ge=0.0, description="Of the reconstruction loss.")


class CompressiveTransformer(Trunk):
    """Each layer attends to [compressed, recent, itself]; see above for how they are made.

    Carries for each layer ``recentN``, ``compressedN`` and ``waitingN`` [B, P, D], and which of
    them are real.
    """

    settings_class = CompressiveSettings

    def add_memory(self) -> None:
        hidden, ratio = self.config.hidden, self.settings.ratio
        self.compress = self.each_layer(lambda: nn.Linear(ratio * hidden, hidden))

    def layer(self, number: int, block: Block, states: Tensor, real: Tensor | None) -> Tensor:
        recent, compressed = self._past(f"recent{number}"), self._past(f"compressed{number}")
        known = [one for one in (compressed, recent) if one is not None]
        if known:
            past = torch.cat([one[0] for one in known], 1)
            past_real = torch.cat([one[1] for one in known], 1)
            result = block.fed(block.attend(states, real, past, past_real))
        else:
            result = block.fed(block.attend(states, real))
        half = self.config.memory // 2
        kept, displaced = newest(recent, states, all_real(states, real), self.config.memory - half)
        self._keep(f"recent{number}", kept)
        if half:
            groups, waiting = self._grouped(self._past(f"waiting{number}"), displaced)
            self._keep(f"waiting{number}", waiting)
            if groups[0].shape[1]:
                new = self._compressed(number, block, groups, states)
                self._keep(f"compressed{number}", newest(compressed, *new, half)[0])
        return result

    def _grouped(self, waiting: Past | None, displaced: Past) -> tuple[Past, Past]:
        """Whole groups of the oldest vectors, and the newest, too few for one more group."""
        before = 0 if waiting is None else waiting[0].shape[1]
        rest = (before + displaced[0].shape[1]) % self.settings.ratio
        kept, groups = newest(waiting, *displaced, rest)
        return groups, kept

    def _compressed(self, number: int, block: Block, groups: Past, states: Tensor) -> Past:
        """Compress each ``ratio`` vectors of ``groups`` to one; add the loss of doing so."""
        ratio = self.settings.ratio
        old, real = groups
        old = old.masked_fill(~real.unsqueeze(2), 0.0)
        new = self.compress[number](old.reshape(len(old), -1, ratio * old.shape[2]))
        new_real = real.view(len(real), -1, ratio).any(2)
        if self.training and bool(real.any()):
            wanted, got = (
                _attended(block, states.detach(), source, _visible(there))
                for source, there in ((old, real), (new, new_real))
            )
            nothing = ~real.any(1)
            loss = functional.mse_loss(got, wanted.detach(), reduction="none").mean((1, 2))
            lost = loss.masked_fill(nothing, 0.0).mean()
            self.extra_loss = self.extra_loss + self.settings.weight * lost
        return new.detach(), new_real

    def memory_size(self) -> MemorySize:
        memory = self.config.memory
        waiting = self.settings.ratio - 1 if memory > 1 else 0
        return MemorySize(memory, self.config.layers * (memory + waiting))

    def _past(self, name: str) -> Past | None:
        states = self._carried.get(name)
        return None if states is None else (states, self._carried[f"{name}_real"])

    def _keep(self, name: str, past: Past) -> None:
        self._carried[name], self._carried[f"{name}_real"] = past


def _attended(block: Block, states: Tensor, source: Tensor, allowed: Tensor) -> Tensor:
    """Attention from ``states`` to ``source``, both normed, with the block's weights fixed."""
    norm, attention = block.attention_norm, block.attention
    norm_weights, weights = (
        {name: one.detach() for name, one in module.named_parameters()}
        for module in (norm, attention)
    )
    states, source = (functional_call(norm, norm_weights, (one,)) for one in (states, source))
    result: Tensor = functional_call(attention, weights, (states, source, allowed))
    return result


def _visible(real: Tensor) -> Tensor:
    """A mask for attention; a lane with nothing real sees all, and its loss is not counted."""
    return (real | ~real.any(1, keepdim=True)).view(len(real), 1, 1, -1)
