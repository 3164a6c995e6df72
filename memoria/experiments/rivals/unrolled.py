"""Memories that are learned by gradients that flow back through several segments."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from memoria.experiments.rival_config import NoSettings, RivalConfig, checked
from memoria.experiments.segment_model import SegmentOutput
from memoria.experiments.trunk import Trunk

__all__ = ["Unrolled", "UnrolledSettings"]


class UnrolledSettings(NoSettings):
    """What all of these have."""

    unroll: int = Field(4, ge=1, description="Segments through which gradients flow.")


class Unrolled(Trunk):
    """What is carried keeps its gradients, and loses them after ``unroll`` segments."""

    settings_class: type[UnrolledSettings] = UnrolledSettings

    def __init__(self, config: RivalConfig) -> None:
        super().__init__(config)
        self.unroll = checked(self.settings_class, config).unroll
        self._age = 0  # segments since gradients were cut

    def forward(self, tokens: Tensor, attention_mask: Tensor | None = None) -> SegmentOutput:
        if self._age >= self.unroll:
            self.detach()
        self._age += 1
        return self.read(tokens, self.checked_tokens(tokens, attention_mask))

    def reset(self) -> None:
        super().reset()
        self._age = 0

    def detach(self) -> None:
        super().detach()
        self._age = 0
