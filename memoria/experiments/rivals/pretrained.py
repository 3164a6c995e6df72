"""Models of transformers in segments: with pretrained weights, and `memoria-gpt2` as a rival."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from torch import Tensor, nn

from memoria.errors import ConfigError, MemoriaError, MissingExtraError, first_line
from memoria.experiments.rivals.config import RivalConfig
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

_READER: Final = ("reader_layers", "reader", "share_keys", "reader_width", "reader_zero")


class _Carrying(nn.Module):
    """Mixin: carries the state of the network's `SegmentMemory`; a plain one carries nothing."""

    network: Any

    @property
    def memory(self) -> Any:
        """The network's `SegmentMemory`; None for a plain model."""
        return getattr(self.network, "memory", None)

    def reset(self) -> None:
        """Forget what was read."""
        if self.memory is not None:
            self.memory.reset()

    def detach(self) -> None:
        """Do nothing: no gradient flows from segment to segment."""

    def carried(self) -> dict[str, Tensor]:
        """A copy of what it goes on with; empty after `reset`."""
        if self.memory is None or self.memory.lanes is None:
            return {}
        return {name: one.detach().clone() for name, one in self.memory.state().items()}

    def carry(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `carried` returned."""
        if not state:
            self.reset()
        elif self.memory is not None:
            device = next(self.parameters()).device
            self.memory.load_state({name: one.to(device) for name, one in state.items()})


class Pretrained(_Carrying):
    """A model of transformers, plain or with memory, from pretrained weights.

    Args:
        kind: name of its class, a value of `LANGUAGE_MODELS` or `CLASSIFIERS`.
        weights: path or name of the weights.
        settings: of its configuration: num_memories, stm_capacity and the like.

    Raises:
        ConfigError: the weights cannot be loaded.
        MissingExtraError: transformers is not installed.
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
            self.network = getattr(source, kind).from_pretrained(weights, **own, **settings)
        except MemoriaError:
            raise
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(f"pretrained = {weights!r}: {first_line(error)}") from None

    @property
    def inner(self) -> int:
        """Width of its feed-forward layers."""
        config = self.network.config
        wide = getattr(config, "intermediate_size", None) or getattr(config, "n_inner", None)
        return int(wide or 4 * config.hidden_size)

    def forward(self, tokens: Tensor, real: Tensor | None = None) -> SegmentOutput:
        """Read a segment: tokens int64 [B, S], ``real`` bool [B, S] is false at padding.

        Returns:
            The logits of its head, also in place of hidden states.
        """
        mask = None if real is None else real.long()
        logits: Tensor = self.network(tokens, attention_mask=mask).logits
        return SegmentOutput(logits, logits, logits.new_zeros(()))


class MemoriaGPT2(_Carrying, SegmentModel):
    """`MemoriaGPT2LMHeadModel` as a rival, to check the lighter `MemoriaTransformer` against.

    Carries what `SegmentMemory.state` holds. Its positions are GPT-2's, learned.
    """

    settings_class = MemoriaSettings

    def __init__(self, config: RivalConfig) -> None:
        super().__init__(config)
        from memoria.models import MemoriaGPT2Config, MemoriaGPT2LMHeadModel

        settings = self.settings
        if settings.unroll > 1 or settings.diversity:
            raise ConfigError("unroll, diversity: memoria-gpt2 has neither", "leave them out")
        memoria = settings.memoria("memoria", config)
        self.size: MemorySize = settings.size(memoria.config, config)
        make_config: Any = MemoriaGPT2Config
        gpt2 = make_config(
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
            num_memories=settings.engrams(config),
            memory_hidden=settings.abstractor_inner or config.hidden,
            lifespan_alpha=settings.alpha,
            reset_period=None,
            **{name: getattr(settings, name) for name in _READER},
        )
        self.network = MemoriaGPT2LMHeadModel(gpt2)
        self.memory.memoria = memoria
        scale_queries(self.network.transformer.abstractor, settings.query_scale)

    def forward(self, tokens: Tensor, attention_mask: Tensor | None = None) -> SegmentOutput:
        self.checked_tokens(tokens, attention_mask)
        output = self.network(tokens, attention_mask=attention_mask, output_hidden_states=True)
        logits = output.logits
        return SegmentOutput(logits, output.hidden_states[-1], logits.new_zeros(()))

    def memory_size(self) -> MemorySize:
        return self.size
