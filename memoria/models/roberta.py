"""RoBERTa with memory."""

from __future__ import annotations

from transformers import (
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaForSequenceClassification,
    RobertaModel,
)
from transformers.models.roberta.modeling_roberta import RobertaLayer

from memoria.models.encoder import EncoderHost, EncoderSettings, MemoryLayer
from memoria.models.hosting import FromPlain, MemoryHead

__all__ = [
    "MemoriaRobertaConfig",
    "MemoriaRobertaForMaskedLM",
    "MemoriaRobertaForSequenceClassification",
    "MemoriaRobertaModel",
]


class MemoriaRobertaConfig(FromPlain, EncoderSettings, RobertaConfig):
    """`RobertaConfig` and `EncoderSettings`."""

    model_type = "memoria-roberta"
    plain_type = "roberta"


class MemoriaRobertaLayer(MemoryLayer, RobertaLayer):
    """`RobertaLayer` that may read the memory."""


class MemoriaRobertaModel(EncoderHost, RobertaModel):
    """`RobertaModel` with ``memory``."""

    config: MemoriaRobertaConfig
    config_class = MemoriaRobertaConfig
    layer_class = MemoriaRobertaLayer


class MemoriaRobertaForMaskedLM(MemoryHead, RobertaForMaskedLM):
    """`RobertaForMaskedLM` with ``memory``."""

    config: MemoriaRobertaConfig
    config_class = MemoriaRobertaConfig
    host = MemoriaRobertaModel


class MemoriaRobertaForSequenceClassification(MemoryHead, RobertaForSequenceClassification):
    """`RobertaForSequenceClassification` with ``memory``."""

    config: MemoriaRobertaConfig
    config_class = MemoriaRobertaConfig
    host = MemoriaRobertaModel
