"""Networks that give every segment of a document a word on its label."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from memoria.experiments.classification.config import ClassificationConfig
from memoria.experiments.pretrained import CLASSIFIERS, Pretrained
from memoria.experiments.rivals import build_rival

__all__ = ["Classifier", "classifier"]


class Classifier(nn.Module):
    """A `SegmentModel`, the mean of its states at real tokens, and a linear layer."""

    def __init__(self, config: ClassificationConfig, vocab_size: int, labels: int) -> None:
        super().__init__()
        self.network = build_rival(config.model, config.network(vocab_size))
        self.head = nn.Linear(config.hidden, labels)

    @property
    def unroll(self) -> int:
        """Segments that gradients flow through."""
        return self.network.unroll

    def reset(self) -> None:
        """Forget what was read."""
        self.network.reset()

    def forward(self, tokens: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        """tokens and real [B, S] to scores [B, labels], and what the memory itself wants."""
        output = self.network(tokens, real)
        share = real.to(output.hidden.dtype).unsqueeze(2)
        mean = (output.hidden * share).sum(1) / share.sum(1).clamp_min(1.0)
        return self.head(mean), output.extra_loss


class _Tuned(Pretrained):
    """BERT or RoBERTa from pretrained weights, with Memoria or without."""

    def forward(self, tokens: Tensor, real: Tensor | None = None) -> Any:
        """As `Classifier`."""
        scores = super().forward(tokens, real)
        return scores, scores.new_zeros(())


def classifier(config: ClassificationConfig, vocab_size: int, labels: int) -> Classifier | _Tuned:
    """The run's network; its weights come from torch's generator, or are pretrained."""
    if config.pretrained is not None:
        own = {"num_labels": labels, **config.settings.get(config.model, {})}
        return _Tuned(CLASSIFIERS[config.model], config.pretrained, own)
    made = Classifier(config, vocab_size, labels)
    with torch.no_grad():
        made.head.bias.zero_()
    return made
