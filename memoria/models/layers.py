"""Finding the layers of a model that somebody else wrote."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from memoria.errors import ConfigError

__all__ = ["base_of", "chosen_layers", "host_of", "size_of"]

_HINT = "name layers by their dotted path, as in model.named_modules()"


def base_of(model: nn.Module) -> nn.Module:
    """The model without its head, where it has one."""
    base: Any = getattr(model, "base_model", model)
    return base if isinstance(base, nn.Module) else model


def size_of(model: nn.Module, name: str) -> int | None:
    """``hidden_size`` or ``num_attention_heads`` by the model's configuration, None if unsaid."""
    config: Any = getattr(model, "config", None)
    if hasattr(config, "get_text_config"):
        config = config.get_text_config()
    value = getattr(config, name, None)
    return value if isinstance(value, int) else None


def chosen_layers(
    model: nn.Module, layers: Sequence[int | str] | None
) -> dict[str, tuple[str, nn.Module]]:
    """``{key: (path, layer)}`` of the ``layers``: numbers, dotted paths, or None for all.

    Numbers count the one list of the model that is as long as its configuration has layers.
    Raises `ConfigError` for what is not there, repeated, or not to be told apart.
    """
    names = {id(module): name for name, module in model.named_modules()}
    wanted: list[int | str]
    if layers is None or any(not isinstance(one, str) for one in layers):
        stack = _stack(model)
        wanted = list(range(len(stack))) if layers is None else list(layers)
    else:
        stack, wanted = nn.ModuleList(), list(layers)
    if not wanted:
        raise ConfigError("layers = []: nothing would read the memory", "name at least one layer")
    found: dict[str, tuple[str, nn.Module]] = {}
    for one in wanted:
        path = one if isinstance(one, str) else names[id(_of_stack(stack, one))]
        try:
            layer = model.get_submodule(path)
        except AttributeError:
            raise ConfigError(f"layer {path!r}: the model has none of that name", _HINT) from None
        key = path.replace(".", "/")  # a key of a ModuleDict has no dots
        if key in found or not path:
            raise ConfigError(f"layer {one!r} is named twice" if path else "layer '': is the model")
        found[key] = (path, layer)
    return found


def host_of(model: nn.Module, paths: Iterable[str]) -> nn.Module:
    """The innermost transformers model around all of ``paths``, else ``model``.

    It is what is given tokens and gives hidden states, whichever head is called: some heads call
    the decoder within their base model and never the base model itself.
    """
    parents = zip(*(path.split(".")[:-1] for path in paths), strict=False)
    around, found = model, model
    for names in takewhile(lambda names: len(set(names)) == 1, parents):
        around = getattr(around, names[0])
        found = around if isinstance(around, PreTrainedModel) else found
    return found


def _of_stack(stack: nn.ModuleList, at: object) -> nn.Module:
    if isinstance(at, bool) or not isinstance(at, int):
        raise ConfigError(f"layer {at!r}: must be a number or a dotted path")
    if not -len(stack) <= at < len(stack):
        raise ConfigError(f"layer {at}: the model has layers 0 to {len(stack) - 1}")
    return stack[at]


def _stack(model: nn.Module) -> nn.ModuleList:
    depth = size_of(model, "num_hidden_layers")
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    stacks = [module for module in lists if len(module) == depth]
    if len(stacks) != 1:
        what = "no list" if not stacks else f"{len(stacks)} lists"
        raise ConfigError(f"the model has {what} of {depth} layers", _HINT)
    return stacks[0]
