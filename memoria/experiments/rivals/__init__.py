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
from memoria.experiments.rival_config import RivalConfig

if TYPE_CHECKING:
    from memoria.experiments.segment_model import SegmentModel

__all__ = ["RIVALS", "Rival", "build_rival"]


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
        from memoria.experiments.rivals.building import build

        return build(self.model_class(), config)


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
        "xl_package:PackagedXL",
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
    ("memoria", "Memoria, as released.", "hebbian:MemoriaTransformer"),
    ("memoria-gpt2", "Memoria in transformers' GPT-2.", "hebbian_gpt2:MemoriaGPT2", "hf"),
    ("memoria-wm", "Memoria's working memory alone.", "hebbian:WorkingOnly"),
    ("memoria-stm", "Memoria without long-term reminders.", "hebbian:ShortTerm"),
    ("memoria-random", "Random instead of Hebbian connections.", "hebbian:RandomLinked"),
    ("memoria-sample", "A random sample instead of the search.", "hebbian:RandomSample"),
    ("memoria-full", "All of long-term memory instead of the search.", "hebbian:FullSearch"),
    ("memoria-worded", "No random entries, as the paper words it.", "hebbian:WordedRule"),
    ("titans", "Titans: a memory in weights that learns while it reads.", "titans:Titans"),
)


def build_rival(name: str, config: RivalConfig) -> SegmentModel:
    """``RIVALS[name](config)``. Raises `ConfigError` for an unknown name."""
    if name not in RIVALS:
        raise ConfigError(f"model = {name!r}: unknown", f"choose one of {', '.join(RIVALS)}")
    return RIVALS[name](config)
