"""BERT and RoBERTa with memory.

The hidden states behind one layer become engrams; the layers above read them and what they bring
back, each in a whole post-norm attention block between self-attention and feed-forward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertModel,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaForSequenceClassification,
    RobertaModel,
)
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions
from transformers.models.bert.modeling_bert import BertEncoder, BertLayer
from transformers.models.roberta.modeling_roberta import RobertaEncoder, RobertaLayer
from transformers.pytorch_utils import apply_chunking_to_forward

from memoria.errors import ConfigError
from memoria.models.hosting import (
    FromPlain,
    MemoryHead,
    layer_arguments,
    parameter_names,
)
from memoria.models.memory import SegmentMemory
from memoria.models.readers import (
    PAPER_READERS,
    PostNormReader,
    PreNormReader,
    ReaderForm,
    ReaderHost,
    ReaderSettings,
)
from memoria.models.segment import Segment

# What an encoder is given and its layers are not, or only in a decoder.
_OF_DECODERS: Final = frozenset(
    (
        "encoder_hidden_states",
        "encoder_attention_mask",
        "cache",
        "past_key_values",
        "use_cache",
    )
)


@dataclass(kw_only=True)
class EncoderSettings(ReaderSettings):
    """`ReaderSettings` with the authors' values for BERT.

    Attributes:
        memory_layer: index of the layer whose output is remembered; those above can read it.
    """

    memory_layer: int = 9
    num_memories: int = 64
    num_reminded_stm: int = 64
    stm_capacity: int = 128
    num_final_ltms: int = 64
    initial_lifespan: float | int = 12


class MemoryLayer:
    """Mixin of layers: self-attention, working memory, what it reminds of, feed-forward.

    A layer without a reader, or with nothing to read, is the plain one.
    """

    reader: PostNormReader | PreNormReader | None

    def grow(self, config: Any, form: ReaderForm | None) -> None:
        """Add the weights that read the memory, of this ``form``; None for a plain layer.

        From zero a reader is pre-norm: a post-norm one changes its input whatever it reads.
        """
        self.reader = None
        plain: Any = super()
        self.parameter_names = parameter_names(plain.forward)
        if form is not None:
            kind = PreNormReader if form.zero else PostNormReader
            self.reader = kind(
                config.hidden_size,
                config.num_attention_heads,
                config.attention_probs_dropout_prob,
                config.hidden_dropout_prob,
                config.layer_norm_eps,
                form,
            )

    def forward(
        self, hidden_states: Tensor, *args: Any, segment: Segment | None = None, **kwargs: Any
    ) -> Any:
        own: Any = self
        plain: Any = super()
        if self.reader is None or segment is None or segment.empty:
            return plain.forward(hidden_states, *args, **kwargs)
        arguments = layer_arguments(self.parameter_names, (hidden_states, *args), kwargs)
        states = own.attention(hidden_states, **arguments)[0]
        states = self.reader(states, segment)
        size, axis = own.chunk_size_feed_forward, own.seq_len_dim
        return apply_chunking_to_forward(own.feed_forward_chunk, size, axis, states)


class MemoryEncoder:
    """Mixin of encoders: the layers up to the one whose output is remembered, then the others.

    What the memory does stands between two loops, not in a layer: torch.compile breaks there once,
    and checkpointing runs what is in a layer a second time.
    """

    layer: nn.ModuleList
    memory: SegmentMemory
    memory_layer: int

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Any = None,
        *args: Any,
        segment: Segment | None = None,
        **kwargs: Any,
    ) -> Any:
        plain: Any = super()
        if segment is None:
            return plain.forward(hidden_states, attention_mask, *args, **kwargs)
        given = {name: value for name, value in kwargs.items() if name not in _OF_DECODERS}
        first = self.memory_layer + 1
        for number in range(first):
            hidden_states = self.layer[number](
                hidden_states, attention_mask, segment=segment, **given
            )
        self.memory.remember_now(segment, hidden_states, segment.queries)
        for number in range(first, len(self.layer)):
            hidden_states = self.layer[number](
                hidden_states, attention_mask, segment=segment, **given
            )
        return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=hidden_states)


class EncoderHost(ReaderHost):
    """Mixin of base models. A forward pass is a segment, and reads what it itself remembers."""

    remembers_previous = False
    layer_class: type[Any]
    encoder_class: type[Any]
    encoder: Any

    def check(self) -> None:
        super().check()
        config = self.config
        if config.is_decoder:
            message = "is_decoder = True: tokens would read a memory of those behind them"
            raise ConfigError(message, "use GPT-2 with memory to generate")
        if not 0 <= config.memory_layer < config.num_hidden_layers - 1:
            message = f"memory_layer = {config.memory_layer}: the model has layers 0 to"
            hint = "the last layer at least has to read the memory"
            raise ConfigError(f"{message} {config.num_hidden_layers - 1}", hint)

    def grow_layers(self) -> None:
        layers, at = self.encoder.layer, self.config.memory_layer
        form, reading = self.make_form(), self.reading_layers(at + 1, len(layers))
        for number, layer in enumerate(layers):
            layer.__class__ = self.layer_class
            layer.grow(self.config, form if number in reading else None)
        self.encoder.__class__ = self.encoder_class
        self.encoder.memory, self.encoder.memory_layer = self.memory, at


class MemoriaBertConfig(FromPlain, EncoderSettings, BertConfig):
    """`BertConfig` and `EncoderSettings`."""

    model_type = "memoria-bert"
    plain_type = "bert"
    authors_type = "memoria_bert"
    authors_form = PAPER_READERS


class MemoriaBertLayer(MemoryLayer, BertLayer):
    """`BertLayer` that may read the memory."""


class MemoriaBertEncoder(MemoryEncoder, BertEncoder):
    """`BertEncoder` that lets the memory remember."""


class MemoriaBertModel(EncoderHost, BertModel):
    """`BertModel` with ``memory``."""

    config_class = MemoriaBertConfig
    layer_class = MemoriaBertLayer
    encoder_class = MemoriaBertEncoder


class MemoriaBertForMaskedLM(MemoryHead, BertForMaskedLM):
    """`BertForMaskedLM` with ``memory``."""

    config_class = MemoriaBertConfig
    host = MemoriaBertModel


class MemoriaBertForSequenceClassification(MemoryHead, BertForSequenceClassification):
    """`BertForSequenceClassification` with ``memory``."""

    config_class = MemoriaBertConfig
    host = MemoriaBertModel


class MemoriaRobertaConfig(FromPlain, EncoderSettings, RobertaConfig):
    """`RobertaConfig` and `EncoderSettings`."""

    model_type = "memoria-roberta"
    plain_type = "roberta"
    authors_type = "memoria_roberta"
    authors_form = PAPER_READERS


class MemoriaRobertaLayer(MemoryLayer, RobertaLayer):
    """`RobertaLayer` that may read the memory."""


class MemoriaRobertaEncoder(MemoryEncoder, RobertaEncoder):
    """`RobertaEncoder` that lets the memory remember."""


class MemoriaRobertaModel(EncoderHost, RobertaModel):
    """`RobertaModel` with ``memory``."""

    config_class = MemoriaRobertaConfig
    layer_class = MemoriaRobertaLayer
    encoder_class = MemoriaRobertaEncoder


class MemoriaRobertaForMaskedLM(MemoryHead, RobertaForMaskedLM):
    """`RobertaForMaskedLM` with ``memory``."""

    config_class = MemoriaRobertaConfig
    host = MemoriaRobertaModel


class MemoriaRobertaForSequenceClassification(MemoryHead, RobertaForSequenceClassification):
    """`RobertaForSequenceClassification` with ``memory``."""

    config_class = MemoriaRobertaConfig
    host = MemoriaRobertaModel
