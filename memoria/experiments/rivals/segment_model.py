"""One segment at a time: what every network with some kind of memory looks like from outside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from memoria.errors import InputError, ShapeError
from memoria.experiments.rivals.config import NoSettings, RivalConfig, check_settings


@dataclass(frozen=True)
class SegmentOutput:
    """What a model says of one segment.

    Attributes:
        logits: [B, S, V].
        hidden: the states that made them [B, S, D].
        extra_loss: scalar to add to the loss, what the memory itself wants to learn; 0 for most.
    """

    logits: Tensor
    hidden: Tensor
    extra_loss: Tensor


@dataclass(frozen=True)
class MemorySize:
    """Remembered vectors [D] per lane; a key with its value counts as one.

    Attributes:
        attended: those that one layer attends to in one segment, at most.
        kept: those that can come back, in all layers; None is without bound.
    """

    attended: int
    kept: int | None


class SegmentModel(nn.Module, ABC):
    """A causal language model that reads segment after segment and carries what it remembers.

    Lanes (axis 0) never influence each other.

    Attributes:
        unroll: segments through which gradients flow (1: none flow from one to the next). To use
            them, run that many segments with gradients before the loss, and call `detach` after
            the optimiser's step.
        settings_class: what ``config.settings`` may hold.
        settings: ``config.settings`` as that class.

    Raises:
        ConfigError: ``config.settings`` do not fit.
    """

    unroll = 1
    settings_class: type[NoSettings] = NoSettings

    def __init__(self, config: RivalConfig) -> None:
        super().__init__()
        self.settings: Any = check_settings(self.settings_class, config)
        self.config = config
        self._carried: dict[str, Tensor] = {}

    @property
    def inner(self) -> int:
        """Width of its feed-forward layers, which `matched_inner` may have chosen."""
        return self.config.inner

    @classmethod
    def build(cls, config: RivalConfig) -> SegmentModel:
        """A fresh model. Its weights come from torch's generator: see `build_rival` for a seed."""
        return cls(config)

    @abstractmethod
    def forward(self, tokens: Tensor, attention_mask: Tensor | None = None) -> SegmentOutput:
        """Read the next segment.

        Args:
            tokens: int64 [B, S].
            attention_mask: [B, S], 0 at padding, which stands on the right and is not remembered.

        Raises:
            ShapeError: a segment longer than ``config.segment``, or a mask of another shape.
            InputError: tokens are no integers.
        """

    def memory_size(self) -> MemorySize:
        """How much it remembers at most; unless overridden the budget, in every layer."""
        return MemorySize(self.config.memory, self.config.layers * self.config.memory)

    def reset(self) -> None:
        """Forget what was carried; the next segment may have other lanes."""
        self._carried = {}

    def detach(self) -> None:
        """Let no gradient flow back beyond this moment."""
        self._carried = {name: one.detach() for name, one in self._carried.items()}

    def carried(self) -> dict[str, Tensor]:
        """A copy of all that is carried from segment to segment; empty after `reset`."""
        return {name: one.detach().clone() for name, one in self._carried.items()}

    def carry(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `carried` returned."""
        device = next(self.parameters()).device
        self._carried = {name: one.detach().clone().to(device) for name, one in state.items()}

    def checked_tokens(self, tokens: Tensor, attention_mask: Tensor | None) -> Tensor | None:
        """The mask as bool, None where nothing is hidden. Raises `ShapeError`, `InputError`."""
        if tokens.dim() != 2 or not 1 <= tokens.shape[1] <= self.config.segment:
            expected = f"[B, 1..{self.config.segment}]"
            raise ShapeError("tokens", expected, list(tokens.shape))
        if tokens.is_floating_point():
            raise InputError(f"tokens: {tokens.dtype}, not integers", "give token ids")
        if attention_mask is None:
            return None
        if attention_mask.shape != tokens.shape:
            expected = str(list(tokens.shape))
            raise ShapeError("attention_mask", expected, list(attention_mask.shape))
        return attention_mask.bool()


def read_before(model: SegmentModel, segments: Sequence[Tensor]) -> None:
    """Read ``segments`` [B, S] in turn, with gradients only where the next one learns from them."""
    learned_from = len(segments) - (model.unroll - 1)
    for number, segment in enumerate(segments):
        with torch.set_grad_enabled(torch.is_grad_enabled() and number >= learned_from):
            model(segment)


def parameter_count(model: nn.Module) -> int:
    """Trainable numbers; shared ones count once."""
    return sum(one.numel() for one in model.parameters() if one.requires_grad)
