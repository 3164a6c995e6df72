"""The network of a language model's run: one of the rivals, or a pretrained GPT-2."""

from __future__ import annotations

from torch import Tensor

from memoria.experiments.lm.config import LMConfig
from memoria.experiments.pretrained import LANGUAGE_MODELS, Pretrained
from memoria.experiments.rivals import build_rival
from memoria.experiments.segment_model import SegmentModel

__all__ = ["Network", "language_model", "read"]

Network = SegmentModel | Pretrained


def language_model(config: LMConfig, vocab_size: int) -> Network:
    """Fresh from the run's seed, or with the weights that ``config.pretrained`` names."""
    if config.pretrained is None:
        return build_rival(config.model, config.network(vocab_size))
    own = config.settings.get(config.model, {})
    return Pretrained(LANGUAGE_MODELS[config.model], config.pretrained, own)


def read(network: Network, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Logits [B, S, V] of the next segment [B, S], and what the memory itself wants to learn."""
    if isinstance(network, Pretrained):
        logits = network(tokens)
        return logits, logits.new_zeros(())
    output = network(tokens)
    return output.logits, output.extra_loss
