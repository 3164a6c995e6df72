"""A memory for any transformers model, put on its layers from outside and taken off again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn
from transformers import PreTrainedModel

from memoria.config import complaints
from memoria.core.abstractor import Abstractor
from memoria.errors import ConfigError, InputError
from memoria.io.atomic_write import atomic_write
from memoria.models.hosting import (
    MemorySettings,
    bound_arguments,
    cached_tokens,
    check_one_past,
    new_segment_memory,
    padding_mask,
    with_all_weights,
)
from memoria.models.memory import untraced
from memoria.models.readers import PreNormReader, ReaderForm
from memoria.models.segment import Segment

_SOURCES: Final = ("previous", "same")
_ABOUT: Final = "memoria_adapter"  # the key of the settings in the file


def with_memory(
    model: nn.Module, layers: Sequence[int | str] | None = None, **settings: Any
) -> MemoryAdapter:
    """Put a memory on layers of a model.

    Args:
        model, layers, settings: as of `MemoryAdapter`.
    """
    return MemoryAdapter(model, layers, **settings)


class MemoryAdapter(nn.Module):
    """Memory for the layers of any transformers model, put on from outside.

    The output x [B, N, D] of each chosen layer becomes y, then z:

        y = x + A(norm_w x, working),   z = y + A(norm_r y, reminded)

    with one attention A a layer. The model itself is not changed: hooks do it, until `remove`. The
    last projection of every A starts at zero, so at first the model answers as without an adapter.
    `parameters` and `save` are of the adapter's own weights; calling the adapter calls the model.
    The model's own weights get no gradients while the adapter is on, unless ``train_base``.

    Args:
        model: a transformers model, with a head or without.
        layers: numbers of its layers, or dotted paths of modules that give hidden states [B, N, D]
            (or a tuple that starts with them); None for all its layers.
        source: what engrams are made of. ``"previous"``: the last hidden states of the segment
            before, which keeps a causal model causal. ``"same"``: the output of the first of
            ``layers``, for models that see their whole input.
        hidden_size: D; None asks the model's configuration.
        heads: heads of A; None asks the model's configuration.
        train_base: leave ``requires_grad`` of the model's weights as it is.
        settings: those of `MemorySettings`.

    Raises:
        ConfigError: a setting out of its bounds, or layers that cannot be found.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: Sequence[int | str] | None = None,
        *,
        source: str = "previous",
        hidden_size: int | None = None,
        heads: int | None = None,
        train_base: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__()
        if source not in _SOURCES:
            raise ConfigError(f"source = {source!r}: unknown", "choose 'previous' or 'same'")
        size = hidden_size or size_of(model, "hidden_size")
        if size is None:
            raise ConfigError("the model does not say its hidden size", "give hidden_size=")
        self.settings = _checked(settings)
        base = base_of(model)
        chosen = chosen_layers(base, layers)
        heads = heads or size_of(model, "num_attention_heads") or 1
        self._about = {
            "layers": [path for path, _ in chosen.values()],
            "source": source,
            "hidden_size": size,
            "heads": heads,
            **asdict(self.settings),
        }
        self._source, self._model = source, (model,)  # a tuple: no part of the adapter
        wide = self.settings.memory_hidden or 4 * size
        self.abstractor = Abstractor(self.settings.num_memories, size, wide)
        form = ReaderForm(zero=True)
        self.readers = nn.ModuleDict({key: PreNormReader(size, heads, form=form) for key in chosen})
        self.memory = new_segment_memory(self.settings, self)
        self.to(next(base.parameters()).device)
        self._segment: Segment | None = None
        self._mask: Tensor | None = None
        self._continued = False
        host = host_of(base, self._about["layers"])
        self._handles = [
            host.register_forward_pre_hook(self._begin, with_kwargs=True),
            host.register_forward_hook(self._end),
        ]
        for number, (key, (_, layer)) in enumerate(chosen.items()):
            self._handles.append(layer.register_forward_hook(self._hook(key, number == 0)))
        self._frozen = [] if train_base else [w for w in model.parameters() if w.requires_grad]
        for weight in self._frozen:
            weight.requires_grad_(False)

    @property
    def model(self) -> Any:
        """The model that the adapter sits on."""
        return self._model[0]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the model gives."""
        return self.model(*args, **kwargs)

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """The model's ``generate`` as one segment of the memory, which steps with the prompt."""
        check_one_past(kwargs, getattr(self.model, "generation_config", None))
        with self.memory.one_segment():
            return self.model.generate(*args, **kwargs)

    def remove(self) -> None:
        """Take the adapter off: the model is as it was before."""
        for handle in self._handles:
            handle.remove()
        for weight in self._frozen:
            weight.requires_grad_(True)
        self._handles, self._frozen, self._segment = [], [], None

    def save(self, path: str | Path) -> None:
        """Write the adapter's weights and settings, without the memory, as one safetensors file."""
        from safetensors.torch import save_file

        weights = {name: weight.contiguous() for name, weight in self.state_dict().items()}
        with atomic_write(path, overwrite=True) as temporary:
            save_file(weights, temporary, metadata={_ABOUT: json.dumps(self._about)})

    @classmethod
    def load(cls, path: str | Path, model: nn.Module, train_base: bool = False) -> MemoryAdapter:
        """Put an adapter that `save` wrote on a model.

        Args:
            path: the file.
            model: with layers like those that it was saved from.
            train_base: whether the model's own weights learn.

        Raises:
            InputError: the file is no adapter, or its weights do not fit.
            ConfigError: the model has no such layers.
        """
        about, weights = _read(Path(path))
        layers = about.pop("layers")
        adapter = cls(model, layers, train_base=train_base, **about)
        try:
            adapter.load_state_dict(weights)
        except RuntimeError:
            adapter.remove()
            raise InputError(f"{path}: its weights do not fit its settings") from None
        return adapter

    @untraced
    def _begin(self, host: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        arguments = bound_arguments(host.forward, args, kwargs)
        inputs = [arguments.get(name) for name in ("input_ids", "inputs_embeds")]
        tensors = [one for one in (*inputs, *arguments.values()) if isinstance(one, Tensor)]
        self._segment = None
        if not tensors:
            return  # the model says what is wrong
        self.to(tensors[0].device)
        self._continued = cached_tokens(arguments) > 0
        text = next((one for one in inputs if isinstance(one, Tensor)), None)
        self._mask = None
        if text is not None:
            self._mask = padding_mask(arguments.get("attention_mask"), text.shape[1])
        memory = self.memory
        lanes = tensors[0].shape[0]
        segment = memory.begin(lanes, self._mask, self._continued, bool(host.training))
        self._segment = segment
        if self._source == "previous":
            memory.remember_seen(segment)

    def _hook(self, key: str, first: bool) -> Any:
        """The forward hook of the layer ``key``, ``first`` of all or not."""

        def read(layer: nn.Module, args: Any, output: Any) -> Any:
            segment = self._segment
            if segment is None:
                return None
            states = output[0] if isinstance(output, tuple) else output
            own = states.to(self.abstractor.query_embeddings.dtype)
            if first and self._source == "same" and segment.empty and not segment.read:
                self.memory.remember_now(segment, own, self._mask)
            if segment.empty:
                return None
            states = self.readers[key](own, segment).to(states.dtype)
            return (states, *output[1:]) if isinstance(output, tuple) else states

        return read

    @untraced
    def _end(self, host: Any, args: Any, output: Any) -> Any:
        segment, self._segment = self._segment, None
        if self._source == "same":
            self.memory.end(segment, None, None, False)
        else:
            states = output[0].to(self.abstractor.query_embeddings.dtype)
            self.memory.end(segment, states, self._mask, self._continued)
        return with_all_weights(output, self, segment)


def _checked(settings: dict[str, Any]) -> MemorySettings:
    known = [field.name for field in fields(MemorySettings)]
    for name, value in settings.items():
        if name not in known:
            hint = f"the settings are {', '.join(known)}"
            raise ConfigError(f"{name} = {value!r}: no such setting", hint)
    try:
        return TypeAdapter(MemorySettings).validate_python(settings)
    except ValidationError as error:
        raise ConfigError(complaints(error)) from None


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    hint = "name a file that MemoryAdapter.save wrote"
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})[_ABOUT])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}", hint) from None
    except (SafetensorError, KeyError, ValueError):
        raise InputError(f"{path}: no memory adapter", hint) from None
    lacking = {"layers", "source", "hidden_size", "heads"} - set(about)
    if lacking or not isinstance(about["layers"], list):
        raise InputError(f"{path}: no memory adapter", hint)
    return about, weights


_HINT: Final = "name layers by their dotted path, as in model.named_modules()"


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
