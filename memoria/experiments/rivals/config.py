"""The size of a network with some kind of memory, the same for all that are compared."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError, model_validator

from memoria.config import names_hint
from memoria.errors import ConfigError

_S = TypeVar("_S", bound=BaseModel)


class NetworkSize(BaseModel):
    """What networks that are compared have in common.

    ``memory`` is the budget: how many remembered vectors (or keys with their values) a layer may
    attend to beside its own segment, per lane. ``inner`` is the width of the feed-forward layers
    of the rival ``none``; with ``equal_parameters`` all others choose theirs so that they have as
    many parameters as it.
    """

    hidden: int = Field(64, ge=2, description="Width of the hidden states (D).")
    layers: int = Field(2, ge=1, description="Blocks.")
    heads: int = Field(4, ge=1, description="Attention heads; hidden is a multiple of twice that.")
    inner: int = Field(256, ge=1, description="Width of the feed-forward layers of `none`.")
    equal_parameters: StrictBool = Field(
        True, description="Others choose their inner width so that all are of one size."
    )
    segment: int = Field(64, ge=1, description="Tokens of a segment, the most a network sees.")
    memory: int = Field(64, ge=1, description="Remembered vectors that a layer may attend to.")
    dropout: float = Field(0.0, ge=0.0, lt=1.0, description="Share of activations dropped.")
    init_std: float | None = Field(
        None, gt=0.0, description="Deviation of the initial weights; 1/sqrt(hidden) unless given."
    )


class RivalConfig(NetworkSize):
    """What a rival is built from.

    Raises:
        ConfigError: a value out of its bounds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    vocab_size: int = Field(ge=1, description="Token ids are 0..vocab_size-1.")
    seed: int = Field(0, ge=0, description="Of the initial weights and of the memory's hash.")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="Settings of this one rival, by name."
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(*_complaint(error, type(self))) from None

    @model_validator(mode="after")
    def _heads_fit(self) -> RivalConfig:
        if self.hidden % (2 * self.heads):
            raise ValueError(
                f"hidden = {self.hidden}: must be a multiple of 2 * heads = {2 * self.heads}"
            )
        return self

    @property
    def std(self) -> float:
        """Standard deviation of initial weights."""
        return self.hidden**-0.5 if self.init_std is None else self.init_std

    def replace(self, **changes: Any) -> RivalConfig:
        """A copy with ``changes``, checked like a new one."""
        return type(self)(**{**self.model_dump(), **changes})


class NoSettings(BaseModel):
    """The settings of a rival that has none of its own; base of those that have."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def check_settings(settings: type[_S], config: RivalConfig) -> _S:
    """``config.settings`` as the rival's own class; `ConfigError` if they do not fit."""
    try:
        return settings(**config.settings)
    except ValidationError as error:
        raise ConfigError(*_complaint(error, settings)) from None


def _complaint(error: ValidationError, model: type[BaseModel]) -> tuple[str, str | None]:
    detail = error.errors()[0]
    field = ".".join(str(part) for part in detail["loc"])
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        hint = names_hint(field, model.model_fields)
        return f"{field} = {detail['input']!r}: no such setting", hint
    if not field:
        return message, None
    return f"{field} = {detail['input']!r}: {message[:1].lower()}{message[1:]}", None
