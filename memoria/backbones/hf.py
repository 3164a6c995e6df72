"""Backbone ``hf:ID_OR_PATH``: a transformers model, its hidden states pooled to vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memoria.backbones.base import BackboneBase, OptionValue, check_options
from memoria.backbones.pretrained import (
    IMAGE_OPTIONS,
    TEXT_OPTIONS,
    Settings,
    loading,
    model_fingerprint,
    open_request,
    quiet,
)
from memoria.errors import BackboneError, first_line


def create(
    argument: str | None, dimension: int | None, options: Mapping[str, OptionValue]
) -> BackboneBase:
    """The factory of the entry point ``hf``: a text or an image model, by its configuration.

    Options: ``pooling`` mean, cls, last or none (every token a row); ``normalize`` to length 1
    (default true); ``dtype`` float32, float16 or bfloat16; ``revision``; for texts
    ``max_length`` and ``overlap`` in tokens; ``batch_size`` and ``device`` for speed only.
    """
    packages = "transformers", "torch"
    name, settings, where, found = open_request("hf", argument, options, TEXT_OPTIONS, *packages)
    transformers = found[0]

    def read(kind: Any) -> Any:
        return kind.from_pretrained(where, revision=settings.revision, trust_remote_code=False)

    with quiet(transformers), loading(name):
        config = read(transformers.AutoConfig)
    if hasattr(config, "vision_config") and hasattr(config, "text_config"):
        raise BackboneError(
            f"backbone {name!r}: {config.model_type} models hold a text and an image part",
            "choose a model for one of the two",
        )
    is_image = hasattr(config, "num_channels") and not getattr(config, "vocab_size", None)
    if is_image:
        check_options(f"{name} (images)", options, IMAGE_OPTIONS)
    with quiet(transformers), loading(name):
        reader = read(transformers.AutoImageProcessor if is_image else transformers.AutoTokenizer)
        model = _load_model(transformers, name, where, settings)
        if is_image:
            from memoria.backbones.hf_image import HfImageBackbone

            made: BackboneBase = HfImageBackbone(name, settings, model, reader)
        else:
            from memoria.backbones.hf_text import HfTextBackbone

            made = HfTextBackbone(name, settings, model, reader)
        made.fingerprint = model_fingerprint(where, settings.revision)
        return made


def _load_model(transformers: Any, name: str, where: str, settings: Settings) -> Any:
    """The model in evaluation mode on its device, every weight of it from the files.

    Safetensors are preferred, other weights are read without pickled objects. The global random
    state is left as it was.
    """
    import torch

    arguments: dict[str, Any] = {
        "revision": settings.revision,
        "trust_remote_code": False,
        "output_loading_info": True,
        "weights_only": True,
    }
    load = transformers.AutoModel.from_pretrained
    with torch.random.fork_rng(devices=[]):
        try:
            model, report = load(where, use_safetensors=True, **arguments)
        except OSError:  # it has no safetensors
            model, report = load(where, use_safetensors=False, **arguments)
    # The pooler is a head of its own that no pooling here uses; all else must be in the files.
    missing = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise BackboneError(
            f"backbone {name!r}: its files lack {len(missing)} weights, such as {missing[0]!r}",
            "choose a model whose weights are complete",
        )
    if getattr(model.config, "is_encoder_decoder", False):
        model = model.get_encoder()
    device = settings.device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return model.to(device=device, dtype=getattr(torch, settings.dtype)).eval()
    except (RuntimeError, AssertionError) as error:
        raise BackboneError(
            f"backbone {name!r}: device = {device!r}: {first_line(error)}", "try device=cpu"
        ) from None
