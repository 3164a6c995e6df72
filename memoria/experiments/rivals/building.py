"""Builds models from a seed, all with the same number of parameters."""

from __future__ import annotations

from memoria.errors import ConfigError
from memoria.experiments.rival_config import RivalConfig
from memoria.experiments.rivals.none import NoMemory
from memoria.experiments.seeding import seeded
from memoria.experiments.segment_model import SegmentModel, parameter_count

__all__ = ["build", "matched_inner"]


def build(model: type[SegmentModel], config: RivalConfig) -> SegmentModel:
    """A fresh ``model`` whose weights come from ``config.seed``.

    With ``config.equal_parameters`` its inner width is `matched_inner`.
    """
    if config.equal_parameters and model is not NoMemory:
        config = config.replace(inner=matched_inner(model, config))
    with seeded(config.seed):
        return model.build(config)


def matched_inner(model: type[SegmentModel], config: RivalConfig) -> int:
    """The inner width at which ``model`` has as many parameters as `NoMemory` at ``config.inner``.

    Parameters grow linearly with the inner width. Raises `ConfigError` when even a width of 1
    has more.
    """
    wanted = _count(NoMemory, config.replace(settings={}))
    narrow, wide = (_count(model, config.replace(inner=inner)) for inner in (1, 2))
    inner = 1 + round((wanted - narrow) / (wide - narrow))
    if inner < 1:
        message = f"inner = {config.inner}: {model.__name__} has more parameters at any width"
        raise ConfigError(message, "widen inner, or set equal_parameters = false")
    return inner


def _count(model: type[SegmentModel], config: RivalConfig) -> int:
    with seeded(0):
        return parameter_count(model.build(config))
