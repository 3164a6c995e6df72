"""Networks that give every segment of a document a word on its label."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from memoria.errors import ConfigError, MissingExtraError
from memoria.experiments.classification.config import PRETRAINED, ClassificationConfig
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


class _Tuned(nn.Module):
    """BERT or RoBERTa from pretrained weights, with Memoria or without."""

    unroll = 1

    def __init__(self, config: ClassificationConfig, labels: int) -> None:
        super().__init__()
        try:
            import transformers
        except ImportError:
            raise MissingExtraError(f"model {config.model!r}", "train") from None
        from memoria import models

        kind = {
            "bert": "BertForSequenceClassification",
            "roberta": "RobertaForSequenceClassification",
            "memoria-bert": "MemoriaBertForSequenceClassification",
            "memoria-roberta": "MemoriaRobertaForSequenceClassification",
        }[config.model]
        source: Any = models if config.model.startswith("memoria-") else transformers
        own = config.settings.get(config.model, {})
        try:
            self.network: Any = getattr(source, kind).from_pretrained(
                config.pretrained, num_labels=labels, **own
            )
        except (OSError, ValueError, TypeError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ConfigError(f"pretrained = {config.pretrained!r}: {reason}") from None

    def reset(self) -> None:
        memory = getattr(self.network, "memory", None)
        if memory is not None:
            memory.reset()

    def forward(self, tokens: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        scores: Tensor = self.network(tokens, attention_mask=real.long()).logits
        return scores, scores.new_zeros(())


def classifier(config: ClassificationConfig, vocab_size: int, labels: int) -> Classifier | _Tuned:
    """The run's network; its weights come from torch's generator, or are pretrained."""
    if config.model in PRETRAINED:
        return _Tuned(config, labels)
    made = Classifier(config, vocab_size, labels)
    with torch.no_grad():
        made.head.bias.zero_()
    return made
