"""`import_checkpoint`: a model of memoria-pytorch as one of `memoria.models`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from memoria.models.authors_weights import filled_model, read_checkpoint
from memoria.models.encoders import (
    MemoriaBertForSequenceClassification,
    MemoriaBertModel,
    MemoriaRobertaForSequenceClassification,
    MemoriaRobertaModel,
)
from memoria.models.gpt2 import MemoriaGPT2LMHeadModel, MemoriaGPT2Model

# Of each model type of the authors, the classes of a base model and of one with a head.
_CLASSES: Final[Mapping[str, tuple[Any, Any]]] = {
    "gpt2_with_memoria": (MemoriaGPT2Model, MemoriaGPT2LMHeadModel),
    "memoria_bert": (MemoriaBertModel, MemoriaBertForSequenceClassification),
    "memoria_roberta": (MemoriaRobertaModel, MemoriaRobertaForSequenceClassification),
}


def import_checkpoint(path: str | Path, model_class: Any = None, **settings: Any) -> Any:
    """The model here of a checkpoint of memoria-pytorch's GPT-2, BERT or RoBERTa.

    Args:
        path: a folder with ``config.json`` that ``save_pretrained`` wrote there, or a ``.ckpt``
            file of the authors' training. Pickles are read without running code.
        model_class: a class of `memoria.models`; None is that of the weights.
        settings: of the configuration, other than in the checkpoint.

    Returns:
        The model in evaluation mode, with an empty memory.

    Raises:
        InputError: there is no such checkpoint, or its weights are not those of the model.
    """
    path = Path(path)
    config, weights = read_checkpoint(path)
    base, head = _CLASSES[config["model_type"]]
    has_head = any(name.startswith(f"{base.base_model_prefix}.") for name in weights)
    return filled_model(
        path, model_class or (head if has_head else base), config, weights, settings
    )
