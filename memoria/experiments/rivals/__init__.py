"""Networks with other kinds of memory, and with parts of Memoria, all used alike.

``RIVALS[name](config)`` builds one, its weights drawn from ``config.seed``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from memoria.config import names_hint
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
        place: its class as "module:class", which is loaded when it is used.
        extra: what must be installed for it, if anything.
    """

    name: str
    summary: str
    place: str
    extra: str | None = None

    def model_class(self) -> type[SegmentModel]:
        """Its class. Raises `MissingExtraError` without what it needs."""
        loaded: type[SegmentModel] = EntryPoint(self.name, self.place, "").load()
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


_CLASSES: Final = {
    "none": ("trunk:NoMemory", "No memory: each segment as if it were the first."),
    "xl": ("xl:TransformerXL", "Transformer-XL: each layer's last inputs (Dai et al. 2019)."),
    "xl-x-transformers": ("xl:PackagedXL", "Transformer-XL of the package x-transformers."),
    "compressive": (
        "compressive:CompressiveTransformer",
        "Compressive Transformer: xl, and what it drops compressed (Rae et al. 2020).",
    ),
    "infinity": (
        "infinity:InfinityFormer",
        "Infinity-former: the past as a signal (Martins et al. 2022).",
    ),
    "rmt": ("rmt:RecurrentMemory", "RMT: tokens that carry a state (Bulatov et al. 2022)."),
    "armt": ("armt:AssociativeMemory", "ARMT: rmt with a matrix a layer (Rodkin et al. 2024)."),
    "hmt": ("hmt:HierarchicalMemory", "HMT: recalled segment memories (He et al. 2024)."),
    "knn": ("knn:MemorizingTransformer", "Memorizing Transformer: nearest keys (Wu et al. 2022)."),
    "memoria": ("memoria:MemoriaTransformer", "Memoria, as released (Park, Bak 2024)."),
    "memoria-gpt2": ("pretrained:MemoriaGPT2", "Memoria in transformers' GPT-2."),
    "memoria-wm": ("memoria:WorkingOnly", "Memoria's working memory alone."),
    "memoria-stm": ("memoria:ShortTerm", "Memoria without long-term reminders."),
    "memoria-random": ("memoria:RandomLinked", "Random instead of Hebbian connections."),
    "memoria-sample": ("memoria:RandomSample", "A random sample instead of the search."),
    "memoria-full": ("memoria:FullSearch", "All of long-term memory instead of the search."),
    "memoria-worded": ("memoria:WordedRule", "No random entries, as the paper words it."),
    "bmojo": ("bmojo:BMojo", "B'MOJO: fading and surprising tokens (Zancato et al. 2024)."),
    "engram": ("engram:Engram", "Engram: hashed n-grams in weights (DeepSeek 2026)."),
    "titans": (
        "titans:Titans",
        "Titans: weights that learn while they read (Behrouz et al. 2024).",
    ),
    "linear": ("regression:Linear", "Linear memory, Hebb's sum (Wang et al. 2025)."),
    "based": ("regression:Based", "BASED: a Taylor map (Arora et al. 2024)."),
    "mamba2": ("mamba2:Mamba2", "Mamba-2 of the package transformers (Dao, Gu 2024)."),
    "mamba2-rule": ("regression:Mamba2Rule", "Mamba-2's rule: a fading sum (Dao, Gu 2024)."),
    "delta": ("regression:Delta", "DeltaNet: values are corrected (Yang et al. 2024)."),
    "gated-delta": ("regression:GatedDelta", "Gated DeltaNet: and fade (Yang et al. 2024)."),
    "mesa": ("regression:Mesa", "MesaNet: exact least squares (von Oswald et al. 2025)."),
}
_EXTRAS: Final = {"xl-x-transformers": "rivals", "memoria-gpt2": "hf", "mamba2": "hf"}
RIVALS: Final[Mapping[str, Rival]] = MappingProxyType(
    {
        name: Rival(name, summary, f"{__name__}.{place}", _EXTRAS.get(name))
        for name, (place, summary) in _CLASSES.items()
    }
)


def build_rival(name: str, config: RivalConfig) -> SegmentModel:
    """``RIVALS[name](config)``. Raises `ConfigError` for an unknown name."""
    return find_rival(name)(config)


def find_rival(name: str) -> Rival:
    """``RIVALS[name]``. Raises `ConfigError` for an unknown name."""
    if name not in RIVALS:
        raise ConfigError(f"model = {name!r}: unknown", names_hint(name, RIVALS, "choose one of"))
    return RIVALS[name]


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


def check_rival(name: str, config: RivalConfig) -> None:
    """Raise `ConfigError` or `MissingExtraError` if ``build_rival(name, config)`` would."""
    check_rival_settings(name, config)
    if config.equal_parameters and name != "none":
        matched_inner(find_rival(name).model_class(), config)


def check_rival_settings(name: str, config: RivalConfig) -> None:
    """Raise `ConfigError` if ``config.settings`` are none of the model's, or out of bounds."""
    from memoria.experiments.rivals.config import check_settings

    try:
        check_settings(find_rival(name).model_class().settings_class, config)
    except ConfigError as error:
        raise ConfigError(f"settings.{name}.{error.message}", error.hint) from None


def _count(model: type[SegmentModel], config: RivalConfig) -> int:
    from memoria.experiments.rivals.segment_model import parameter_count

    with seeded(0):
        return parameter_count(model.build(config))
