"""Transformers with a memory (extra ``hf``).

Importing this makes them known to the Auto classes: ``AutoModel.from_pretrained`` loads them.
"""

from __future__ import annotations

from memoria.errors import MissingExtraError
from memoria.models.versions import untested_release

try:
    import transformers
except ImportError:
    raise MissingExtraError("models with memory", "hf") from None
if (refusal := untested_release(transformers.__version__)) is not None:
    raise refusal

from memoria.models.adapter import MemoryAdapter, with_memory
from memoria.models.encoders import (
    MemoriaBertConfig,
    MemoriaBertForMaskedLM,
    MemoriaBertForSequenceClassification,
    MemoriaBertModel,
    MemoriaRobertaConfig,
    MemoriaRobertaForMaskedLM,
    MemoriaRobertaForSequenceClassification,
    MemoriaRobertaModel,
)
from memoria.models.gpt2 import (
    MemoriaGPT2Config,
    MemoriaGPT2ForSequenceClassification,
    MemoriaGPT2LMHeadModel,
    MemoriaGPT2Model,
)
from memoria.models.memory import SegmentMemory

__all__ = [
    "MemoriaBertConfig",
    "MemoriaBertForMaskedLM",
    "MemoriaBertForSequenceClassification",
    "MemoriaBertModel",
    "MemoriaGPT2Config",
    "MemoriaGPT2ForSequenceClassification",
    "MemoriaGPT2LMHeadModel",
    "MemoriaGPT2Model",
    "MemoriaRobertaConfig",
    "MemoriaRobertaForMaskedLM",
    "MemoriaRobertaForSequenceClassification",
    "MemoriaRobertaModel",
    "MemoryAdapter",
    "SegmentMemory",
    "with_memory",
]

_CLASSES = {
    "AutoModel": (MemoriaGPT2Model, MemoriaBertModel, MemoriaRobertaModel),
    "AutoModelForCausalLM": (MemoriaGPT2LMHeadModel,),
    "AutoModelForMaskedLM": (MemoriaBertForMaskedLM, MemoriaRobertaForMaskedLM),
    "AutoModelForSequenceClassification": (
        MemoriaGPT2ForSequenceClassification,
        MemoriaBertForSequenceClassification,
        MemoriaRobertaForSequenceClassification,
    ),
}

for _config in (MemoriaGPT2Config, MemoriaBertConfig, MemoriaRobertaConfig):
    transformers.AutoConfig.register(_config.model_type, _config, exist_ok=True)
for _auto, _models in _CLASSES.items():
    for _model in _models:
        getattr(transformers, _auto).register(_model.config_class, _model, exist_ok=True)
