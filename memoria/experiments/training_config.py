"""The settings that everything that is trained has: the network's size and the optimiser."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, StrictStr, field_validator, model_validator

from memoria.config import names_hint
from memoria.errors import ConfigError, MissingExtraError
from memoria.experiments.config import ExperimentConfig
from memoria.experiments.rivals import RIVALS, check_rival, check_rival_settings
from memoria.experiments.rivals.config import NetworkSize, RivalConfig


class TrainingConfig(NetworkSize, ExperimentConfig):
    """One network per model of `RIVALS`, all of the same size, trained with the same steps."""

    tuned: ClassVar[tuple[str, ...]] = ()  # models that need pretrained weights
    beside: ClassVar[tuple[str, ...]] = ()  # models that are no networks

    segment: int = Field(64, ge=2, description="Tokens of a segment, the most a network sees.")
    settings: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Settings of single models, by name: settings.memoria.depth=5. "
        "Those of memoria hold for memoria-wm and the like too.",
    )

    pretrained: StrictStr | None = Field(
        None,
        min_length=1,
        description="Path or name of weights to go on from, for the models that take such; their "
        "tokenizer comes along.",
    )

    steps: int = Field(1000, ge=1, description="Optimiser steps.")
    max_seconds: float | None = Field(
        None,
        gt=0.0,
        description="Train no longer than that: the run then ends as if it had done all steps.",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="Of what is computed (autocast); weights stay float32."
    )
    batch: int = Field(32, ge=1, description="Sequences of a step, over all processes.")
    optimizer: Literal["adamw", "adam"] = Field("adamw", description="Which Adam.")
    learning_rate: float = Field(2e-4, gt=0.0, description="Its highest value.")
    weight_decay: float = Field(0.01, ge=0.0, description="Of AdamW.")
    warmup: float = Field(0.06, ge=0.0, lt=1.0, description="Share of the steps that it rises in.")
    clip: float = Field(1.0, gt=0.0, description="Largest norm of a step's gradient.")
    log_every: int = Field(10, ge=1, description="Steps between logged losses.")
    validate_every: int = Field(100, ge=1, description="Steps between validations.")
    checkpoint_every: int = Field(
        100, ge=1, description="Steps between checkpoints; the first comes after ten."
    )

    @field_validator("models", "settings")
    @classmethod
    def _models_are_known(cls, value: Any) -> Any:
        known = [*cls.beside, *RIVALS, *cls.tuned]
        unknown = next((one for one in value if one not in known), None)
        if unknown is not None:
            raise ValueError(f"no model {unknown!r}; {names_hint(unknown, known, 'known are')}")
        return value

    @model_validator(mode="after")
    def _weights_belong_to_models(self) -> Self:
        tuned = self.pretrained is not None
        fit = self.tuned if tuned else (*RIVALS, *self.beside)
        wrong = next((one for one in self.models if one not in fit), None)
        if wrong is not None and tuned:
            known = ", ".join(self.tuned) or "none"
            raise ValueError(f"model {wrong!r} takes no pretrained weights; those that do: {known}")
        if wrong is not None:
            raise ValueError(f"model {wrong!r} needs pretrained=PATH_OR_NAME")
        return self

    def check_networks(self) -> None:
        """Check the settings of every model, and whether all can have as many parameters.

        Models with pretrained weights are left out: the weights say what they take. Settings of a
        model that cannot be loaded here are left out too, unless it is among ``models``.

        Raises:
            ConfigError: a setting is unknown or out of its bounds.
            MissingExtraError: one of ``models`` needs what is not installed.
        """
        size = {name: getattr(self, name) for name in NetworkSize.model_fields}
        pretrained = self.tuned if self.pretrained is not None else ()
        for name, own in self.settings.items():
            if name in RIVALS and name not in pretrained:
                with suppress(MissingExtraError):
                    check_rival_settings(name, RivalConfig(vocab_size=1, settings=own, **size))
        for name in self.models:
            if name in RIVALS and name not in pretrained:
                check_rival(name, self.single(name, self.seed).network(vocab_size=1))

    def network(self, vocab_size: int) -> RivalConfig:
        """What the run's model is built from. Raises `ConfigError`."""
        own = dict(self.settings.get(self.model, {}))
        if self.model.startswith("memoria-"):
            own = {**self.settings.get("memoria", {}), **own}
        size = {name: getattr(self, name) for name in NetworkSize.model_fields}
        return RivalConfig(vocab_size=vocab_size, seed=self.seed, settings=own, **size)

    def share(self, processes: int) -> int:
        """Sequences of a step in each of ``processes``. Raises `ConfigError` if shares differ."""
        if self.batch % processes:
            message = f"batch = {self.batch}: no multiple of {processes} processes"
            raise ConfigError(message, "choose another, or start fewer")
        return self.batch // processes

    def rate(self, step: int) -> float:
        """The learning rate at ``step`` (from 0): up in a line, then down to zero in a line."""
        rising = round(self.warmup * self.steps)
        if step < rising:
            return self.learning_rate * (step + 1) / rising
        return self.learning_rate * (self.steps - step) / max(1, self.steps - rising)
