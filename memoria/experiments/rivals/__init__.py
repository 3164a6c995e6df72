"""Networks with other kinds of memory, and with parts of Memoria, in one harness.

``RIVALS[name](config)`` builds one, its weights drawn from ``config.seed``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from memoria.errors import ConfigError
from memoria.experiments.rivals.config import RivalConfig
from memoria.experiments.seeding import seeded

if TYPE_CHECKING:
    from memoria.experiments.rivals.segment_model import SegmentModel


@dataclass(frozen=True)
class Rival:
    """A kind of memory by name. Calling it loads ``module:attribute`` and builds the model."""

    name: str
    summary: str
    place: str
    extra: str | None = None  # what must be installed for it

    def model_class(self) -> type[SegmentModel]:
        """Raises `MissingExtraError` without what it needs."""
        module, _, attribute = self.place.partition(":")
        loaded: type[SegmentModel] = getattr(import_module(module), attribute)
        return loaded

    def __call__(self, config: RivalConfig) -> SegmentModel:
        model = self.model_class()
        if config.equal_parameters and self.name != "none":
            config = config.replace(inner=matched_inner(model, config))
        with seeded(config.seed):
            return model.build(config)


def _rivals(*rows: tuple[str, str, str] | tuple[str, str, str, str]) -> Mapping[str, Rival]:
    made = [
        Rival(name, summary, f"memoria.experiments.rivals.{place}", *rest)
        for name, summary, place, *rest in rows
    ]
    return MappingProxyType({one.name: one for one in made})


RIVALS: Mapping[str, Rival] = _rivals(
    ("none", "No memory: each segment as if it were the first.", "none:NoMemory"),
    ("xl", "Transformer-XL: each layer's last inputs.", "xl:TransformerXL"),
    (
        "xl-x-transformers",
        "Transformer-XL of the package x-transformers.",
        "xl:PackagedXL",
        "rivals",
    ),
    (
        "compressive",
        "Compressive Transformer: as xl, and what falls out of it compressed.",
        "compressive:CompressiveTransformer",
    ),
    ("infinity", "Infinity-former: the past as a continuous signal.", "infinity:InfinityFormer"),
    ("rmt", "Recurrent memory tokens, learned through several segments.", "rmt:RecurrentMemory"),
    ("knn", "Memorizing Transformer: nearest past keys.", "knn:MemorizingTransformer"),
    ("memoria", "Memoria, as released.", "memoria:MemoriaTransformer"),
    ("memoria-gpt2", "Memoria in transformers' GPT-2.", "pretrained:MemoriaGPT2", "hf"),
    ("memoria-wm", "Memoria's working memory alone.", "memoria:WorkingOnly"),
    ("memoria-stm", "Memoria without long-term reminders.", "memoria:ShortTerm"),
    ("memoria-random", "Random instead of Hebbian connections.", "memoria:RandomLinked"),
    ("memoria-sample", "A random sample instead of the search.", "memoria:RandomSample"),
    ("memoria-full", "All of long-term memory instead of the search.", "memoria:FullSearch"),
    ("memoria-worded", "No random entries, as the paper words it.", "memoria:WordedRule"),
    ("titans", "Titans: a memory in weights that learns while it reads.", "titans:Titans"),
)


def build_rival(name: str, config: RivalConfig) -> SegmentModel:
    """``RIVALS[name](config)``. Raises `ConfigError` for an unknown name."""
    if name not in RIVALS:
        raise ConfigError(f"model = {name!r}: unknown", f"choose one of {', '.join(RIVALS)}")
    return RIVALS[name](config)


def matched_inner(model: type[SegmentModel], config: RivalConfig) -> int:
    """The inner width at which ``model`` has as many parameters as `NoMemory` at ``config.inner``.

    Parameters grow linearly with the inner width. Raises `ConfigError` when even a width of 1
    has more.
    """
    plain = RIVALS["none"].model_class()
    wanted = _count(plain, config.replace(settings={}))
    narrow, wide = (_count(model, config.replace(inner=inner)) for inner in (1, 2))
    inner = 1 + round((wanted - narrow) / (wide - narrow))
    if inner < 1:
        message = f"inner = {config.inner}: {model.__name__} has more parameters at any width"
        raise ConfigError(message, "widen inner, or set equal_parameters = false")
    return inner


def _count(model: type[SegmentModel], config: RivalConfig) -> int:
    from memoria.experiments.rivals.segment_model import parameter_count

    with seeded(0):
        return parameter_count(model.build(config))
