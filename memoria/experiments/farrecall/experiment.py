"""The settings of the far recall experiment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self

from pydantic import Field, StrictBool, model_validator

from memoria.experiments.config import ModelNames
from memoria.experiments.experiment import ANSWER_METRICS, TrainedExperiment
from memoria.experiments.training_config import TrainingConfig

_MODELS: Final = ["memoria", "memoria-stm", "memoria-wm"]
_ABLATIONS: Final = ["memoria-random", "memoria-sample", "memoria-full", "memoria-worded"]
# Two engrams a segment; as many long-term reminders as there are long-term engrams at the question.
# The authors' readers learn this sooner than the light ones, which start from zero.
_PAPER: Final = {"form": "paper"}
_SPLIT: Final = {"working": 2, "reminded_stm": 4, "reminded_ltm": 18, "stm_capacity": 8, **_PAPER}
_EVEN: Final = {
    **dict.fromkeys(("working", "reminded_stm", "reminded_ltm", "stm_capacity")),
    **_PAPER,
}


class FarRecallConfig(TrainingConfig):
    """Facts, what lies between them and the question, and how many such episodes."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        # Chosen by trial: within minutes on two cores the parts of Memoria differ clearly.
        "small": {},
        # More facts than the budget holds vectors, so that linear memories do not all reach 1.
        "many": {
            "facts": 16,
            "gap": 4,
            "segment": 4,
            "shown": 2,
            "memory": 8,
            "hidden": 32,
            "heads": 2,
            "inner": 128,
            "batch": 32,
            "steps": 200,
            "models": ["linear", "gated-delta", "mesa", "bmojo"],
            "settings": {"memoria": {**_EVEN, "lifespan": 64.0}},
        },
        # No such experiment is in the paper; this one is as long as its longest sorting task.
        "paper": {
            "facts": 8,
            "values": 16,
            "noise": 64,
            "gap": 24,
            "segment": 256,
            "shown": 32,
            "memory": 256,
            "hidden": 512,
            "layers": 4,
            "heads": 4,
            "inner": 2048,
            "steps": 2000,
            "learning_rate": 2e-4,
            "models": [*_MODELS, *_ABLATIONS, "xl", "compressive", "infinity", "knn", "none"],
            "settings": {"memoria": {**_EVEN, "lifespan": 64.0}},
        },
    }

    models: ModelNames = _MODELS
    facts: int = Field(4, ge=1, le=64, description="Facts of an episode, a segment for each.")
    values: int = Field(4, ge=2, le=1000, description="Values that each fact may have.")
    noise: int = Field(8, ge=1, le=1000, description="Different symbols that mean nothing.")
    gap: int = Field(8, ge=0, le=10_000, description="Segments of noise before the question.")
    shown: int = Field(4, ge=1, description="Times that a fact stands in its segment.")
    asked: int = Field(4, ge=1, description="Facts that are asked for, all in the last segment.")
    cued: StrictBool = Field(
        False,
        description="Put the question into the fact's segment too, and once more, as a cue, into "
        "the last segment of the gap: what it reminds of is then worth more than a sample.",
    )
    held_out: int = Field(256, ge=1, description="Episodes to validate with, and to test with.")
    data_seed: int = Field(0, ge=0, description="Of the episodes; all models see the same ones.")

    segment: int = Field(8, ge=2, description="Tokens of a segment, the most a network sees.")
    memory: int = Field(24, ge=1, description="Remembered vectors that a layer may attend to.")
    steps: int = Field(120, ge=1, description="Optimiser steps.")
    batch: int = Field(64, ge=1, description="Episodes of a step, over all processes.")
    learning_rate: float = Field(2e-3, gt=0.0, description="Its highest value.")
    validate_every: int = Field(50, ge=1, description="Steps between validations.")
    settings: dict[str, dict[str, Any]] = Field(
        {"memoria": {**_SPLIT, "lifespan": 64.0}},
        description="Settings of single models, by name: settings.memoria.depth=5. Those of "
        "memoria hold for memoria-wm and the like too.",
    )

    @model_validator(mode="after")
    def _facts_fit(self) -> Self:
        if self.asked > self.facts:
            raise ValueError(f"asked = {self.asked}: more than there are facts ({self.facts})")
        if self.asked > self.segment:
            raise ValueError(f"segment = {self.segment}: shorter than {self.asked} questions")
        if self.shown * (1 + self.cued) > self.segment:
            raise ValueError(f"shown = {self.shown}: more than a segment of {self.segment} holds")
        if self.cued and (self.gap < 1 or self.asked * self.shown > self.segment):
            raise ValueError(f"cued: a segment of the gap must hold {self.asked} * {self.shown}")
        return self

    @property
    def vocabulary(self) -> int:
        """Each value of each fact, the noise, and a question for each fact."""
        return self.facts * self.values + self.noise + self.facts


class FarRecall(TrainedExperiment[FarRecallConfig]):
    """Facts, then noise for longer than short-term memory lasts, then the questions."""

    name = "farrecall"
    summary = "Answer from facts that were shown long ago, with noise since."
    Config = FarRecallConfig
    task = "memoria.experiments.farrecall.task:FarRecallTask"
    metrics = ANSWER_METRICS

    def reference(self, config: FarRecallConfig) -> Mapping[str, float]:
        """One who knows which values a fact may have, and nothing of the episode."""
        return {"guessing": 1 / config.values}
