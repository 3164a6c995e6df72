"""Models of transformers from pretrained weights, with Memoria and without, in segments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from torch import Tensor, nn

from memoria.errors import ConfigError, MemoriaError, MissingExtraError
from memoria.experiments.rivals.config import RivalConfig, checked
from memoria.experiments.rivals.memoria import MemoriaSettings, scale_queries
from memoria.experiments.rivals.segment_model import MemorySize, SegmentModel, SegmentOutput

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


class MemoriaGPT2(SegmentModel):
    """Carries what `SegmentMemory.state` holds. Its positions are GPT-2's, learned."""

    settings_class = MemoriaSettings

    def __init__(self, config: RivalConfig) -> None:
        super().__init__(config)
        from memoria.models import MemoriaGPT2Config, MemoriaGPT2LMHeadModel

        given = checked(MemoriaSettings, config)
        memoria = given.memoria("memoria", config)
        self.size = given.size(memoria.config, config)
        made: Any = MemoriaGPT2Config
        built = made(
            vocab_size=config.vocab_size,
            n_positions=config.segment,
            n_embd=config.hidden,
            n_layer=config.layers,
            n_head=config.heads,
            n_inner=config.inner,
            resid_pdrop=config.dropout,
            embd_pdrop=config.dropout,
            attn_pdrop=config.dropout,
            initializer_range=config.std,
            use_cache=False,
            num_memories=given.engrams(config),
            memory_hidden=given.abstractor_inner or config.hidden,
            lifespan_alpha=given.alpha,
            reset_period=None,
        )
        self.network: Any = MemoriaGPT2LMHeadModel(built)
        self.memory.memoria = memoria
        scale_queries(self.network.transformer.abstractor, given.query_scale)

    @property
    def memory(self) -> Any:
        """The network's `SegmentMemory`."""
        return self.network.memory

    def forward(self, tokens: Tensor, attention_mask: Tensor | None = None) -> SegmentOutput:
        self.checked_tokens(tokens, attention_mask)
        output = self.network(tokens, attention_mask=attention_mask, output_hidden_states=True)
        logits = output.logits
        return SegmentOutput(logits, output.hidden_states[-1], logits.new_zeros(()))

    def reset(self) -> None:
        self.memory.reset()

    def carried(self) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self.memory.state() if self.memory.lanes is not None else {}
        return {name: one.detach().clone() for name, one in state.items()}

    def carry(self, state: Mapping[str, Tensor]) -> None:
        if state:
            device = next(self.parameters()).device
            self.memory.load_state({name: one.to(device) for name, one in state.items()})
        else:
            self.reset()

    def memory_size(self) -> MemorySize:
        return self.size
