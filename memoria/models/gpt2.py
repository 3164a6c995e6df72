"""GPT-2 with memory: blocks read it, and it remembers what was read one segment before."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import (
    GPT2Config,
    GPT2ForSequenceClassification,
    GPT2LMHeadModel,
    GPT2Model,
)
from transformers.models.gpt2.modeling_gpt2 import GPT2Block

from memoria.models.hosting import (
    FromPlain,
    MemoryHead,
    check_one_past,
    layer_arguments,
    parameter_names,
)
from memoria.models.readers import (
    PAPER_READERS,
    PreNormReader,
    ReaderForm,
    ReaderHost,
    ReaderSettings,
)
from memoria.models.segment import Segment


class MemoriaGPT2Config(FromPlain, ReaderSettings, GPT2Config):
    """`GPT2Config` and `ReaderSettings`."""

    model_type = "memoria-gpt2"
    plain_type = "gpt2"
    authors_type = "gpt2_with_memoria"
    authors_form = PAPER_READERS


class MemoriaGPT2Block(GPT2Block):
    """``x + SA(n1 x)``, then working memory and what it reminds of, then ``x + MLP(n2 x)``.

    Without a reader, without a segment, or with an empty one, it is the plain `GPT2Block`.
    """

    reader: PreNormReader | None

    def grow(self, config: MemoriaGPT2Config, form: ReaderForm | None) -> None:
        """Add the weights that read the memory, of this ``form``; None for a plain block."""
        self.reader = None
        self.parameter_names = parameter_names(super().forward)
        if form is not None:
            self.reader = PreNormReader(
                config.hidden_size,
                config.num_attention_heads,
                config.attn_pdrop,
                config.resid_pdrop,
                config.layer_norm_epsilon,
                form,
            )

    def forward(
        self, hidden_states: Tensor, *args: Any, segment: Segment | None = None, **kwargs: Any
    ) -> Any:
        if self.reader is None or segment is None or segment.empty:
            return super().forward(hidden_states, *args, **kwargs)
        arguments = layer_arguments(self.parameter_names, (hidden_states, *args), kwargs)
        attended = self.attn(self.ln_1(hidden_states), **arguments)
        states = self.reader(hidden_states + attended[0], segment)
        return states + self.mlp(self.ln_2(states))


class MemoriaGPT2Model(ReaderHost, GPT2Model):
    """`GPT2Model` with ``memory`` (paper, section on language modelling).

    A forward pass is a segment: the last hidden states [B, N, D] of the segment before become
    engrams, these bring back others, and blocks (``reader_layers``) read both. A pass that goes on
    with a cache of keys and values belongs to the segment that the cache began with.
    """

    config_class = MemoriaGPT2Config
    remembers_previous = True

    def grow_layers(self) -> None:
        form, reading = self.make_form(), self.reading_layers(0, len(self.h))
        for number, block in enumerate(self.h):
            block.__class__ = MemoriaGPT2Block
            block.grow(self.config, form if number in reading else None)


class MemoriaGPT2LMHeadModel(MemoryHead, GPT2LMHeadModel):
    """`GPT2LMHeadModel` with ``memory``. Use it segment by segment, batch rows as streams."""

    config_class = MemoriaGPT2Config
    host = MemoriaGPT2Model

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """As in transformers; the whole call is one segment of the memory.

        The memory steps once, when the prompt is read; every new token reads what that brought
        back. The next segment then remembers the prompt and what was generated.

        Raises:
            ConfigError: several beams or sequences for each prompt: they would be several pasts
                of one lane.
        """
        check_one_past(kwargs, self.generation_config)
        with self.memory.one_segment():
            return super().generate(*args, **kwargs)


class MemoriaGPT2ForSequenceClassification(MemoryHead, GPT2ForSequenceClassification):
    """`GPT2ForSequenceClassification` with ``memory``."""

    config_class = MemoriaGPT2Config
    host = MemoriaGPT2Model
