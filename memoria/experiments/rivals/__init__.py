"""Networks with other kinds of memory, and with parts of Memoria, all used alike.

``RIVALS[name](config)`` builds one, its weights drawn from ``config.seed``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from memoria.errors import ConfigError
from memoria.experiments.rivals.config import RivalConfig
from memoria.experiments.seeding import seeded

if TYPE_CHECKING:
    from memoria.experiments.rivals.segment_model import SegmentModel


@dataclass(frozen=True)
class Rival:
    """A kind of memory by name; calling it builds a model.

    Attributes:
        name: what users call it.
        summary: one sentence for lists.
        module, kind: where its class is, which is loaded when it is used.
        extra: what must be installed for it, if anything.
    """

    name: str
    summary: str
    module: str
    kind: str
    extra: str | None = None

    def model_class(self) -> type[SegmentModel]:
        """Its class. Raises `MissingExtraError` without what it needs."""
        module = import_module(f"memoria.experiments.rivals.{self.module}")
        loaded: type[SegmentModel] = getattr(module, self.kind)
        return loaded

    def __call__(self, config: RivalConfig) -> SegmentModel:
        """A fresh model whose weights come from ``config.seed``.

        With ``config.equal_parameters`` its inner width is `matched_inner`.
        """
        model = self.model_class()
        if config.equal_parameters and self.name != "none":
            config = config.replace(inner=matched_inner(model, config))
        with seeded(config.seed):
            return model.build(config)


_ALL: Final = (
    Rival("none", "No memory: each segment as if it were the first.", "trunk", "NoMemory"),
    Rival("xl", "Transformer-XL: each layer's last inputs.", "xl", "TransformerXL"),
    Rival(
        "xl-x-transformers",
        "Transformer-XL of the package x-transformers.",
        "xl",
        "PackagedXL",
        "rivals",
    ),
    Rival(
        "compressive",
        "Compressive Transformer: as xl, and what falls out of it compressed.",
        "compressive",
        "CompressiveTransformer",
    ),
    Rival(
        "infinity",
        "Infinity-former: the past as a continuous signal.",
        "infinity",
        "InfinityFormer",
    ),
    Rival(
        "rmt",
        "Recurrent memory tokens, learned through several segments.",
        "rmt",
        "RecurrentMemory",
    ),
    Rival("knn", "Memorizing Transformer: nearest past keys.", "knn", "MemorizingTransformer"),
    Rival("memoria", "Memoria, as released.", "memoria", "MemoriaTransformer"),
    Rival("memoria-gpt2", "Memoria in transformers' GPT-2.", "pretrained", "MemoriaGPT2", "hf"),
    Rival("memoria-wm", "Memoria's working memory alone.", "memoria", "WorkingOnly"),
    Rival("memoria-stm", "Memoria without long-term reminders.", "memoria", "ShortTerm"),
    Rival("memoria-random", "Random instead of Hebbian connections.", "memoria", "RandomLinked"),
    Rival("memoria-sample", "A random sample instead of the search.", "memoria", "RandomSample"),
    Rival(
        "memoria-full",
        "All of long-term memory instead of the search.",
        "memoria",
        "FullSearch",
    ),
    Rival(
        "memoria-worded",
        "No random entries, as the paper words it.",
        "memoria",
        "WordedRule",
    ),
    Rival("titans", "Titans: a memory in weights that learns while it reads.", "titans", "Titans"),
)
RIVALS: Final[Mapping[str, Rival]] = MappingProxyType({one.name: one for one in _ALL})


def build_rival(name: str, config: RivalConfig) -> SegmentModel:
    """``RIVALS[name](config)``. Raises `ConfigError` for an unknown name."""
    if name not in RIVALS:
        raise ConfigError(f"model = {name!r}: unknown", f"choose one of {', '.join(RIVALS)}")
    return RIVALS[name](config)


def matched_inner(model: type[SegmentModel], config: RivalConfig) -> int:
    """The inner width at which ``model`` has as many parameters as `none` at ``config.inner``.

    Parameters grow linearly with the inner width.

    Raises:
        ConfigError: ``model`` has more parameters even at a width of 1.
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
