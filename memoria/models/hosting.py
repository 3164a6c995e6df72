"""What the models of all families share: growing a memory on a plain model, and its heads."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Final

import torch
from torch import Tensor, nn
from transformers import initialization
from transformers.utils import output_capturing

from memoria.config import MemoriaConfig
from memoria.core.abstractor import Abstractor
from memoria.core.memoria import Memoria
from memoria.errors import ConfigError, MemoriaError
from memoria.models.memory import SegmentMemory


class FromPlain:
    """A configuration that the plain model's files may stand for, without a warning."""

    model_type: ClassVar[str]
    plain_type: ClassVar[str]

    @classmethod
    def get_config_dict(cls, *args: Any, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        values, unused = super().get_config_dict(*args, **kwargs)  # type: ignore[misc]
        if values.get("model_type") == cls.plain_type:
            values["model_type"] = cls.model_type
        return values, unused


def padding_mask(attention_mask: Any, length: int) -> Tensor | None:
    """Bool [B, N], false at padding, for the last ``length`` tokens; None where nothing is said."""
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
    given: dict[str, Any] = {}
    for name, value in signature.bind_partial(*args, **kwargs).arguments.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            given.update(value)
        elif kind is inspect.Parameter.VAR_POSITIONAL:
            given.update({str(at): one for at, one in enumerate(value)})
        elif name != "self":
            given[name] = value
    return given


def cached_tokens(arguments: Mapping[str, Any]) -> int:
    """Tokens whose keys and values a cache among ``arguments`` holds; 0 without a cache.

    A cache is known by what it can do, under whatever name it is given.
    """
    for value in arguments.values():
        length = getattr(value, "get_seq_length", None)
        if length is not None:
            return int(length())
    return 0


def check_one_past(given: dict[str, Any], settings: Any) -> None:
    """Raise `ConfigError` where generating would give a row of the batch several pasts."""
    settings = given.get("generation_config") or settings
    for name in ("num_beams", "num_return_sequences"):
        number = given.get(name, getattr(settings, name, None)) or 1
        if number > 1:
            hint = "repeat the prompt as rows of the batch instead"
            raise ConfigError(f"{name} = {number}: a memory has one past for each row", hint)


class _OneBackward:
    """Of both mixins: the way of checkpointing that works for layers that share an input."""

    def _set_gradient_checkpointing(self, *args: Any, **kwargs: Any) -> Any:
        function = kwargs.get("gradient_checkpointing_func")
        if getattr(function, "keywords", {}).get("use_reentrant"):
            # each layer's replay would go back through the abstractor by itself
            message = "use_reentrant = True: not with memory, which all layers share"
            raise ConfigError(message, "leave it out, or give use_reentrant=False")
        return super()._set_gradient_checkpointing(*args, **kwargs)  # type: ignore[misc]


class MemoryHost(_OneBackward):
    """A base model with ``memory``; a mixin that stands before the plain model's class."""

    memory: SegmentMemory
    config: Any

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)  # type: ignore[call-arg]
        self.grow()
        self.post_init()  # type: ignore[attr-defined]

    def grow(self) -> None:
        """Add an empty memory and the weights to make and read engrams."""
        config = self.config
        self.check()
        size = config.hidden_size
        wide = 4 * size if config.memory_hidden is None else config.memory_hidden
        self.abstractor = Abstractor(config.num_memories, size, wide)
        memoria, alpha = new_memoria(config), float(config.lifespan_alpha)
        self.memory = SegmentMemory(memoria, self.abstractor, alpha, config.reset_period)
        self.grow_layers()

    def check(self) -> None:
        if getattr(self.config, "add_cross_attention", False):
            hint = "leave add_cross_attention out"
            raise ConfigError("a model with memory has no other cross-attention", hint)

    def grow_layers(self) -> None:
        raise NotImplementedError

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)  # type: ignore[misc]
        if isinstance(module, Abstractor):
            std = self.config.initializer_range
            initialization.normal_(module.query_embeddings, mean=0.0, std=std)


class MemoryHead(_OneBackward):
    """A model with a head on a base model with memory; stands before the plain head's class."""

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


@dataclass(kw_only=True)
class MemorySettings:
    """Fields that every configuration with memory adds; the defaults are the authors' for GPT-2.

    ``num_memories`` engrams are made of each segment, by an abstractor of ``memory_hidden``
    (None: four times the hidden size). ``lifespan_alpha`` scales what the reminded gain.
    ``reset_period``: in training mode the memory forgets everything each so many segments; None
    never. The others are those of `Memoria`, ``memory_seed`` and ``memory_layout`` its ``seed``
    and ``layout``.
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


def new_memoria(settings: MemorySettings) -> Memoria:
    """An empty memory of these settings. Raises `ConfigError` for one out of bounds."""
    for name, least in (("num_memories", 1), ("memory_hidden", 1), ("reset_period", 1)):
        value = getattr(settings, name)
        if value is not None and value < least:
            raise ConfigError(f"{name} = {value}: must be {least} or more")
    checked = MemoriaConfig(
        num_reminded_stm=settings.num_reminded_stm,
        stm_capacity=settings.stm_capacity,
        ltm_search_depth=settings.ltm_search_depth,
        initial_lifespan=float(settings.initial_lifespan),
        num_final_ltms=settings.num_final_ltms,
    )
    return Memoria(
        checked.num_reminded_stm,
        checked.stm_capacity,
        checked.ltm_search_depth,
        checked.initial_lifespan,
        checked.num_final_ltms,
        track_id=True,
        keep_history=settings.keep_history,
        seed=settings.memory_seed,
        tie_break=settings.tie_break,
        random_entries=settings.random_entries,
        layout=settings.memory_layout,
    )


_TESTED: Final = ((5, 23), (5, 24))  # first and last; pyproject.toml says the same


def untested_release(version: str) -> MemoriaError | None:
    """The refusal of a transformers whose models were not tried with a memory in them.

    Layers and their arguments change between minor releases, and a memory on a changed layer can
    be silently wrong.

    Returns:
        The error to raise, which says what to install; None for a release that was tested.
    """
    first, last = _TESTED
    found = tuple(int(part) for part in version.split(".")[:2])
    if first <= found <= last:
        return None
    return MemoriaError(
        f"transformers {version}: models with memory work with {first[0]}.{first[1]} to "
        f"{last[0]}.{last[1]}",
        f"pip install 'transformers>={first[0]}.{first[1]},<{last[0]}.{last[1] + 1}'",
    )
