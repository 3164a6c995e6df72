"""BERT with memory."""

from __future__ import annotations

from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertModel,
)
from transformers.models.bert.modeling_bert import BertLayer

from memoria.models.encoder import EncoderHost, EncoderSettings, MemoryLayer
from memoria.models.hosting import FromPlain, MemoryHead

__all__ = [
    "MemoriaBertConfig",
    "MemoriaBertForMaskedLM",
    "MemoriaBertForSequenceClassification",
    "MemoriaBertModel",
]


class MemoriaBertConfig(FromPlain, EncoderSettings, BertConfig):
    """`BertConfig` and `EncoderSettings`."""

    model_type = "memoria-bert"
    plain_type = "bert"


class MemoriaBertLayer(MemoryLayer, BertLayer):
    """`BertLayer` that may read the memory."""


class MemoriaBertModel(EncoderHost, BertModel):
    """`BertModel` with ``memory``."""

    config: MemoriaBertConfig
    config_class = MemoriaBertConfig
    layer_class = MemoriaBertLayer


class MemoriaBertForMaskedLM(MemoryHead, BertForMaskedLM):
    """`BertForMaskedLM` with ``memory``."""

    config: MemoriaBertConfig
    config_class = MemoriaBertConfig
    host = MemoriaBertModel


class MemoriaBertForSequenceClassification(MemoryHead, BertForSequenceClassification):
    """`BertForSequenceClassification` with ``memory``."""

    config: MemoriaBertConfig
    config_class = MemoriaBertConfig
    host = MemoriaBertModel
