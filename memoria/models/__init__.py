"""Transformers with a memory (extra ``hf``).

Importing this makes them known to the Auto classes: ``AutoModel.from_pretrained`` loads them.
"""

from __future__ import annotations

from memoria.errors import MissingExtraError

try:
    import transformers
except ImportError:
    raise MissingExtraError("models with memory", "hf") from None

from memoria.models.gpt2 import (
    MemoriaGPT2Config,
    MemoriaGPT2ForSequenceClassification,
    MemoriaGPT2LMHeadModel,
    MemoriaGPT2Model,
)
from memoria.models.memory import SegmentMemory

__all__ = [
    "MemoriaGPT2Config",
    "MemoriaGPT2ForSequenceClassification",
    "MemoriaGPT2LMHeadModel",
    "MemoriaGPT2Model",
    "SegmentMemory",
]

for _config, _tokenizer, _models in (
    (
        MemoriaGPT2Config,
        transformers.GPT2Tokenizer,
        {
            "AutoModel": MemoriaGPT2Model,
            "AutoModelForCausalLM": MemoriaGPT2LMHeadModel,
            "AutoModelForSequenceClassification": MemoriaGPT2ForSequenceClassification,
        },
    ),
):
    transformers.AutoConfig.register(_config.model_type, _config, exist_ok=True)
    for _auto, _model in _models.items():
        getattr(transformers, _auto).register(_config, _model, exist_ok=True)
