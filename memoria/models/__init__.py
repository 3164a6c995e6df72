"""Transformers with a memory (extra ``hf``).

Importing this makes them known to the Auto classes: ``AutoModel.from_pretrained`` loads them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from memoria.errors import MissingExtraError
from memoria.models.versions import untested_release

try:
    import transformers
except ImportError:
    raise MissingExtraError("models with memory", "hf") from None
if (refusal := untested_release(transformers.__version__)) is not None:
    raise refusal

from memoria.models.adapter import MemoryAdapter, with_memory
from memoria.models.authors_checkpoint import import_checkpoint
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
from memoria.models.readers import PAPER_READERS

if TYPE_CHECKING:
    from memoria.models.training import MemoriaCallback as MemoriaCallback
    from memoria.models.training import MemoriaTrainer as MemoriaTrainer
    from memoria.models.training import StreamSampler as StreamSampler
    from memoria.models.training import stream_order as stream_order

_TRAINING = ("MemoriaCallback", "MemoriaTrainer", "StreamSampler", "stream_order")

__all__ = [
    "PAPER_READERS",
    "MemoriaBertConfig",
    "MemoriaBertForMaskedLM",
    "MemoriaBertForSequenceClassification",
    "MemoriaBertModel",
    "MemoriaCallback",
    "MemoriaGPT2Config",
    "MemoriaGPT2ForSequenceClassification",
    "MemoriaGPT2LMHeadModel",
    "MemoriaGPT2Model",
    "MemoriaRobertaConfig",
    "MemoriaRobertaForMaskedLM",
    "MemoriaRobertaForSequenceClassification",
    "MemoriaRobertaModel",
    "MemoriaTrainer",
    "MemoryAdapter",
    "SegmentMemory",
    "StreamSampler",
    "import_checkpoint",
    "stream_order",
    "with_memory",
]


def __getattr__(name: str) -> Any:
    """What trains is loaded when it is used: transformers' Trainer takes seconds."""
    if name in _TRAINING:
        return getattr(import_module("memoria.models.training"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


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
