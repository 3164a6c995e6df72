"""Models of transformers from pretrained weights, with Memoria and without, in segments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from torch import Tensor, nn

from memoria.errors import ConfigError, MemoriaError, MissingExtraError

__all__ = ["CLASSIFIERS", "LANGUAGE_MODELS", "Pretrained"]

# Model: its class, in transformers or in `memoria.models`.
LANGUAGE_MODELS: Final[Mapping[str, str]] = {
    "gpt2": "GPT2LMHeadModel",
    "memoria-gpt2": "MemoriaGPT2LMHeadModel",
}
CLASSIFIERS: Final[Mapping[str, str]] = {
    "bert": "BertForSequenceClassification",
    "memoria-bert": "MemoriaBertForSequenceClassification",
    "roberta": "RobertaForSequenceClassification",
    "memoria-roberta": "MemoriaRobertaForSequenceClassification",
}


class Pretrained(nn.Module):
    """One of the models above, read in segments; what it carries is its memory's state.

    ``settings`` are of its configuration: num_memories, stm_capacity and the like. The memory is
    emptied by `reset` alone. Raises `ConfigError` for weights that cannot be loaded,
    `MissingExtraError` without transformers.
    """

    unroll = 1

    def __init__(self, kind: str, weights: str, settings: Mapping[str, Any]) -> None:
        super().__init__()
        try:
            import transformers
        except ImportError:
            raise MissingExtraError(f"the model {kind}", "train") from None
        from memoria import models

        source: Any = models if kind.startswith("Memoria") else transformers
        own = {"reset_period": None} if kind.startswith("Memoria") else {}
        try:
            self.network: Any = getattr(source, kind).from_pretrained(weights, **own, **settings)
        except MemoriaError:
            raise
        except (OSError, ValueError, TypeError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ConfigError(f"pretrained = {weights!r}: {reason}") from None

    @property
    def memory(self) -> Any:
        """Its `SegmentMemory`; None for a plain model."""
        return getattr(self.network, "memory", None)

    def forward(self, tokens: Tensor, real: Tensor | None = None) -> Tensor:
        """tokens and real [B, S] to the logits of its head."""
        mask = None if real is None else real.long()
        logits: Tensor = self.network(tokens, attention_mask=mask).logits
        return logits

    def reset(self) -> None:
        """Forget what was read."""
        if self.memory is not None:
            self.memory.reset()

    def detach(self) -> None:
        """Nothing: no gradient flows from segment to segment."""

    def carried(self) -> dict[str, Tensor]:
        """What it goes on with; empty for a plain model."""
        return {} if self.memory is None else dict(self.memory.state())

    def carry(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `carried` returned."""
        if self.memory is not None:
            device = next(self.parameters()).device
            self.memory.load_state({name: one.to(device) for name, one in state.items()})
