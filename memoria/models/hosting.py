"""What the families share: settings, and mixins that turn a plain model into one with memory."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

import torch
from torch import Tensor, nn
from transformers import initialization
from transformers.utils import output_capturing

from memoria.core.abstractor import Abstractor
from memoria.core.memoria import Memoria
from memoria.errors import ConfigError
from memoria.models.authors_settings import take_settings
from memoria.models.authors_weights import filled_model, is_authors_folder, read_checkpoint
from memoria.models.memory import SegmentMemory, untraced
from memoria.models.segment import Segment

_MEMORY_MODULES: Final = frozenset(("abstractor", "reader", "readers"))


@dataclass(kw_only=True)
class MemorySettings:
    """Fields that every configuration with memory adds; the defaults are the authors' for GPT-2.

    Attributes:
        num_memories: engrams made of each segment (W).
        memory_hidden: inner width of the abstractor; None is four times the hidden size.
        num_reminded_stm, stm_capacity, ltm_search_depth, initial_lifespan, num_final_ltms,
            random_entries, tie_break: those of `Memoria`.
        lifespan_alpha: scale of the steps that reminded engrams gain.
        reset_period: in training mode the memory forgets everything after so many segments; None
            never.
        memory_seed, memory_layout: ``seed`` and ``layout`` of `Memoria`.
        keep_history: record every step.
    """

    num_memories: int = 50
    memory_hidden: int | None = None
    num_reminded_stm: int = 50
    stm_capacity: int = 400
    ltm_search_depth: int = 10
    initial_lifespan: float | int = 9
    num_final_ltms: int = 50
    lifespan_alpha: float | int = 8
    reset_period: int | None = 500
    random_entries: str | int = "unreminded"
    tie_break: str = "hash"
    memory_seed: int = 0
    memory_layout: str = "auto"
    keep_history: bool = False


def new_segment_memory(settings: MemorySettings, host: nn.Module) -> SegmentMemory:
    """An empty memory of these settings, its engrams made by the ``abstractor`` of ``host``.

    Raises `ConfigError` for a value out of its bounds.
    """
    _check_numbers(settings)
    memoria = Memoria(
        settings.num_reminded_stm,
        settings.stm_capacity,
        settings.ltm_search_depth,
        float(settings.initial_lifespan),
        settings.num_final_ltms,
        track_id=True,
        keep_history=settings.keep_history,
        seed=settings.memory_seed,
        tie_break=settings.tie_break,
        random_entries=settings.random_entries,
        layout=settings.memory_layout,
    )
    alpha, period = float(settings.lifespan_alpha), settings.reset_period
    return SegmentMemory(memoria, host, alpha, period)


def _check_numbers(settings: MemorySettings) -> None:
    """Raise `ConfigError` where `Memoria` does not: it has others, or takes what it can convert."""
    for name in ("initial_lifespan", "lifespan_alpha"):
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ConfigError(f"{name} = {value!r}: must be a number")
    for name, may_lack in (
        ("num_memories", False),
        ("memory_hidden", True),
        ("reset_period", True),
    ):
        value = getattr(settings, name)
        if value is None and may_lack:
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise ConfigError(f"{name} = {value!r}: must be a whole number")
        if value < 1:
            raise ConfigError(f"{name} = {value}: must be 1 or more")


class FromPlain:
    """Mixin of configurations: loads the plain model's files and the authors', without a warning.

    Settings may have the names of memoria-pytorch, as ``memoria_num_memories``.

    Attributes:
        model_type: the name of the family with memory.
        plain_type: the name of the plain family.
        authors_type: the name of the family in memoria-pytorch.
        authors_form: settings that models there have without saying so.
    """

    model_type: ClassVar[str]
    plain_type: ClassVar[str]
    authors_type: ClassVar[str]
    authors_form: ClassVar[Mapping[str, Any]]

    def __post_init__(self, **kwargs: Any) -> None:
        settings = take_settings(kwargs)
        super().__post_init__(**kwargs)  # type: ignore[misc]
        for name, value in settings.items():
            if not hasattr(self, name):
                raise ConfigError(f"{name} = {value!r}: {self.model_type} has no such setting")
            setattr(self, name, value)

    @classmethod
    def from_authors(cls, values: Mapping[str, Any], **settings: Any) -> Any:
        """The configuration here of one of memoria-pytorch, as its ``config.json`` has it.

        ``settings`` are other than there.
        """
        names = ("model_type", "architectures", "transformers_version", "torch_dtype", "n_ctx")
        kept = {name: value for name, value in values.items() if name not in names}
        form = {"memory_hidden": values.get("intermediate_size"), **cls.authors_form}
        ours = take_settings(kept)
        return cls(**{**form, **kept, **ours, **settings})

    @classmethod
    def get_config_dict(cls, *args: Any, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        values, unused = super().get_config_dict(*args, **kwargs)  # type: ignore[misc]
        if values.get("model_type") == cls.authors_type:
            values = cls.from_authors(values).to_dict()
        if values.get("model_type") == cls.plain_type:
            values["model_type"] = cls.model_type
        return values, unused


class _Pass(NamedTuple):
    """One forward pass through a host."""

    segment: Segment | None
    mask: Tensor | None
    continued: bool


class _FromAuthors:
    """Mixin of models: ``from_pretrained`` takes a folder of memoria-pytorch too."""

    @classmethod
    def from_pretrained(cls, path: Any, *args: Any, **kwargs: Any) -> Any:
        if is_authors_folder(path):
            folder = Path(path)
            return filled_model(folder, cls, *read_checkpoint(folder), kwargs)
        return super().from_pretrained(path, *args, **kwargs)  # type: ignore[misc]


class _SharedInput:
    """Mixin: refuses the way of checkpointing that fails for layers that share an input."""

    def _set_gradient_checkpointing(self, *args: Any, **kwargs: Any) -> Any:
        function = kwargs.get("gradient_checkpointing_func")
        if getattr(function, "keywords", {}).get("use_reentrant"):
            # each layer's replay would go back through the abstractor by itself
            message = "use_reentrant = True: not with memory, which all layers share"
            raise ConfigError(message, "leave it out, or give use_reentrant=False")
        return super()._set_gradient_checkpointing(*args, **kwargs)  # type: ignore[misc]


class MemoryHost(_FromAuthors, _SharedInput):
    """Mixin of base models, before the plain model's class: one forward pass reads one segment.

    Attributes:
        memory: the model's `SegmentMemory`.
        remembers_previous: what engrams are made of. True: the last hidden states of the segment
            before, which keeps a causal model causal. False: hidden states of this segment, which
            the model hands to ``memory.remember_now`` itself.
    """

    memory: SegmentMemory
    config: Any
    remembers_previous: ClassVar[bool]

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)  # type: ignore[call-arg]
        self.grow()
        self.post_init()  # type: ignore[attr-defined]

    def grow(self) -> None:
        """Add an empty memory, and the weights that make and read engrams."""
        config = self.config
        self.check()
        size = config.hidden_size
        wide = 4 * size if config.memory_hidden is None else config.memory_hidden
        self.abstractor = Abstractor(config.num_memories, size, wide)
        host: Any = self
        self.memory = new_segment_memory(config, host)
        self.grow_layers()

    def check(self) -> None:
        """Raise `ConfigError` for a configuration that no memory fits into."""
        _check_numbers(self.config)
        if getattr(self.config, "add_cross_attention", False):
            hint = "leave add_cross_attention out"
            raise ConfigError("a model with memory has no other cross-attention", hint)

    def grow_layers(self) -> None:
        """Make the layers read the memory."""
        raise NotImplementedError

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        plain: Any = super()
        begun = self._begin_pass(args, kwargs)
        if begun is None:  # the plain model says what is wrong
            return plain.forward(*args, **kwargs)
        return self._end_pass(begun, plain.forward(*args, segment=begun.segment, **kwargs))

    @untraced
    def _begin_pass(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Pass | None:
        plain: Any = super()
        arguments = bound_arguments(plain.forward, args, kwargs)
        text = arguments.get("input_ids")
        text = arguments.get("inputs_embeds") if text is None else text
        if text is None:
            return None
        mask = padding_mask(arguments.get("attention_mask"), text.shape[1])
        continued = cached_tokens(arguments) > 0
        training: bool = self.training  # type: ignore[attr-defined]
        segment = self.memory.begin(text.shape[0], mask, continued, training)
        if self.remembers_previous:
            self.memory.remember_seen(segment)
        return _Pass(segment, mask, continued)

    @untraced
    def _end_pass(self, begun: _Pass, output: Any) -> Any:
        states = output[0] if self.remembers_previous else None
        self.memory.end(begun.segment, states, begun.mask, begun.continued)
        return with_all_weights(output, self, begun.segment)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)  # type: ignore[misc]
        if isinstance(module, Abstractor):
            std = self.config.initializer_range
            initialization.normal_(module.query_embeddings, mean=0.0, std=std)


class MemoryHead(_FromAuthors, _SharedInput):
    """Mixin of models with a head, before the plain head's class.

    Attributes:
        host: the class of the base model with memory.
    """

    host: ClassVar[type[Any]]
    base_model: Any

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)  # type: ignore[call-arg]
        # The plain base model becomes one with memory in place, as fully_shard does with modules:
        # nothing is built twice, and no initial weight is drawn twice.
        base = self.base_model
        base.__class__ = self.host
        # what tells output_hidden_states and output_attentions what to collect, by class
        output_capturing._CAN_RECORD_REGISTRY[base] = base._can_record_outputs
        base.grow()
        base.post_init()
        self.post_init()  # type: ignore[attr-defined]

    @property
    def memory(self) -> SegmentMemory:
        """The memory of the base model."""
        memory: SegmentMemory = self.base_model.memory
        return memory


def with_all_weights(output: Any, host: Any, segment: Segment | None) -> Any:
    """``output`` such that its gradient reaches all weights of the memory, those unused with zeros.

    A segment that reads nothing, as the first, does not use them. Training on several processes
    needs a gradient of each, and a model of which nothing else is trained needs one at all.

    Args:
        output: of the base model, a `ModelOutput` or a tuple.
        host: the module that has the abstractor and the readers.
        segment: what was read; None while the memory is paused.
    """
    if not torch.is_grad_enabled() or (segment is not None and segment.reminds):
        return output
    weights = [
        weight
        for name, weight in host.named_parameters()
        if weight.requires_grad and not _MEMORY_MODULES.isdisjoint(name.split("."))
    ]
    if not weights:
        return output
    if isinstance(output, dict):
        for key, value in output.items():
            if isinstance(value, Tensor):
                output[key] = _tie(value, weights)
        return output
    each = (output,) if isinstance(output, Tensor) else output
    tied = [_tie(one, weights) if isinstance(one, Tensor) else one for one in each]
    return tied[0] if isinstance(output, Tensor) else tuple(tied)


def _tie(states: Tensor, weights: Sequence[Tensor]) -> Tensor:
    tied: Tensor = _WithWeights.apply(states, *weights)  # type: ignore[no-untyped-call]
    return tied


class _WithWeights(torch.autograd.Function):
    """``states``, of which the weights get zeros as gradient."""

    @staticmethod
    def forward(context: Any, states: Tensor, *weights: Tensor) -> Tensor:
        context.like = [(weight.shape, weight.dtype, weight.device) for weight in weights]
        return states.view_as(states)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Any:
        zeros = (
            torch.zeros((), dtype=dtype, device=device).expand(shape)
            for shape, dtype, device in context.like
        )
        return gradients[0], *zeros


def padding_mask(attention_mask: Any, length: int) -> Tensor | None:
    """The mask of the last ``length`` tokens, bool [B, N], false at padding; None without one."""
    if not isinstance(attention_mask, Tensor) or attention_mask.dim() != 2:
        return None
    return attention_mask[:, -length:].bool()


@lru_cache(maxsize=256)
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


def bound_arguments(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Arguments of a call by name, as ``function`` itself names them, without ``self``.

    transformers renames and reorders parameters between versions (``past_key_values`` became
    ``cache`` in 5.24), so neither a position nor a name can be relied upon.
    """
    bound_to = getattr(function, "__self__", None)
    if bound_to is not None:  # the plain function: a cached method would keep its module alive
        function, args = function.__func__, (bound_to, *args)  # type: ignore[attr-defined]
    signature = _signature(function)
    arguments: dict[str, Any] = {}
    for name, value in signature.bind_partial(*args, **kwargs).arguments.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            arguments.update(value)
        elif kind is inspect.Parameter.VAR_POSITIONAL:
            arguments.update({str(at): one for at, one in enumerate(value)})
        elif name != "self":
            arguments[name] = value
    return arguments


def parameter_names(function: Callable[..., Any]) -> tuple[str, ...]:
    """Names of the parameters of ``function`` that may be given by position, without ``self``."""
    named = _signature(function).parameters.items()
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(name for name, one in named if name != "self" and one.kind in by_position)


def layer_arguments(
    names: Sequence[str], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Of a call of a layer's ``forward``, what its self-attention takes beside hidden states.

    ``names`` are the `parameter_names` of the plain ``forward``, found beforehand: torch.compile
    traces this.
    """
    arguments = {**dict(zip(names, args, strict=False)), **kwargs}
    for name in ("hidden_states", "encoder_hidden_states", "encoder_attention_mask"):
        arguments.pop(name, None)
    return arguments


def cached_tokens(arguments: Mapping[str, Any]) -> int:
    """Tokens whose keys and values a cache among ``arguments`` holds; 0 without a cache.

    A cache is known by what it can do, under whatever name it is given.
    """
    for value in arguments.values():
        length = getattr(value, "get_seq_length", None)
        if length is not None:
            return int(length())
    return 0


def check_one_past(arguments: dict[str, Any], settings: Any) -> None:
    """Raise `ConfigError` where generating would give a row of the batch several pasts."""
    settings = arguments.get("generation_config") or settings
    for name in ("num_beams", "num_return_sequences"):
        number = arguments.get(name, getattr(settings, name, None)) or 1
        if number > 1:
            hint = "repeat the prompt as rows of the batch instead"
            raise ConfigError(f"{name} = {number}: a memory has one past for each row", hint)
