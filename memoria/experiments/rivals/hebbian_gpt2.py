"""Memoria as the transformers model `MemoriaGPT2LMHeadModel`, to check the lighter one against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from memoria.experiments.rival_config import RivalConfig, checked
from memoria.experiments.rivals.hebbian import MemoriaSettings, scale_queries
from memoria.experiments.segment_model import MemorySize, SegmentModel, SegmentOutput

__all__ = ["MemoriaGPT2"]


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
