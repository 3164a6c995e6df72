"""What checkpoints of memoria-pytorch's models hold, and models here filled with it.

The authors' GPT-2, BERT and RoBERTa have the weights of these models under other names, those of
GPT-2's readers transposed, those of BERT's keys and values apart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Final

import torch
from torch import Tensor

from memoria.errors import InputError

AUTHORS_TYPES: Final = ("gpt2_with_memoria", "memoria_bert", "memoria_roberta")
_FILES: Final = ("model.safetensors", "pytorch_model.bin")
_LIGHTNING: Final = "model."  # before each name in a checkpoint of their training

_DROPPED: Final = re.compile(
    r"\.(attn|memory_attention)\.(masked_)?bias$|position_ids$"
)  # no weights
_RENAMED: Final = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"(^|\.)abs\.", r"\1abstractor."),
        (r"(^|\.)encoder\.abstractor\.", r"\1abstractor."),
        (r"\.ln_working_memory_attn\.", ".reader.working_norm."),
        (r"\.ln_memory_attn\.", ".reader.reminded_norm."),
        (r"\.memory_attention\.(q_attn|self\.query)\.", ".reader.attention.query."),
        (r"\.memory_attention\.c_attn\.", ".reader.attention.pair."),
        (r"\.memory_attention\.(c_proj|output\.dense)\.", ".reader.attention.out."),
        (r"\.memory_attention\.output\.LayerNorm\.", ".reader.norm."),
    )
)
_TRANSPOSED: Final = re.compile(r"\.memory_attention\.(q_attn|c_attn|c_proj)\.weight$")
_KEY: Final = re.compile(r"\.memory_attention\.self\.key\.")


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The configuration of a checkpoint, and its weights by the names that they have here.

    Args:
        path: a folder with ``config.json`` that ``save_pretrained`` wrote there, or a ``.ckpt``
            file of the authors' training. Pickles are read without running code.

    Raises:
        InputError: there is no such checkpoint.
    """
    config, weights = _folder(path) if path.is_dir() else _lightning_file(path)
    kind = config.get("model_type")
    if kind not in AUTHORS_TYPES:
        hint = "known are " + ", ".join(AUTHORS_TYPES)
        raise InputError(f"{path}: model_type = {kind!r} is none of memoria-pytorch", hint)
    return config, renamed_weights(weights)


def filled_model(
    path: Path,
    model_class: Any,
    config: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    settings: Mapping[str, Any],
) -> Any:
    """A model of ``model_class`` with what `read_checkpoint` found, in evaluation mode.

    ``settings`` are other than in ``config``. Raises `InputError` for weights of another model.
    """
    made = model_class(model_class.config_class.from_authors(config, **settings))
    missing, unexpected = made.load_state_dict(weights, strict=False)
    tied = set(made._tied_weights_keys or ())
    wrong = [*(name for name in missing if name not in tied), *unexpected]
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        message = f"{path}: {wrong[0]}{more} does not fit {model_class.__name__}"
        raise InputError(message, "name the class of the checkpoint, and its own settings")
    made.tie_weights()
    return made.eval()


def is_authors_folder(path: object) -> bool:
    """Whether there is a folder ``path`` with a model of memoria-pytorch."""
    file = Path(str(path)) / "config.json"
    try:
        return json.loads(file.read_text("utf-8")).get("model_type") in AUTHORS_TYPES
    except (OSError, ValueError, AttributeError):
        return False


def renamed_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The authors' ``weights`` by the names, and in the shapes, that they have here."""
    renamed = {}
    for name, weight in weights.items():
        if _DROPPED.search(name) or ".memory_attention.self.value." in name:
            continue
        if _TRANSPOSED.search(name):
            weight = weight.T
        if _KEY.search(name):
            weight = torch.cat((weight, weights[name.replace(".self.key.", ".self.value.")]))
            name = _KEY.sub(".reader.attention.pair.", name)
        for pattern, new in _RENAMED:
            name = pattern.sub(new, name)
        renamed[name] = weight
    return renamed


def _folder(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        config = json.loads((path / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path / 'config.json'}: cannot read: {error}") from None
    file = next((path / one for one in _FILES if (path / one).exists()), None)
    if file is None:
        raise InputError(f"{path}: no weights", f"it has to hold {' or '.join(_FILES)}")
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return config, load_file(file)
    return config, _unpickled(file)


def _lightning_file(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    whole = _unpickled(path)
    config, weights = whole.get("model_config"), whole.get("state_dict")
    if not isinstance(config, dict) or not isinstance(weights, dict):
        hint = "give a .ckpt file of the authors' training, or a folder of save_pretrained"
        raise InputError(f"{path}: holds no model_config and state_dict", hint)
    config = {"model_type": whole.get("model_type"), **config}
    return config, {name.removeprefix(_LIGHTNING): value for name, value in weights.items()}


def _unpickled(path: Path) -> dict[str, Any]:
    try:
        whole = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except (UnpicklingError, RuntimeError, EOFError, ValueError):
        hint = "save its model_config, model_type and state_dict alone with torch.save"
        raise InputError(f"{path}: no checkpoint of tensors and settings alone", hint) from None
    return whole if isinstance(whole, dict) else {}
