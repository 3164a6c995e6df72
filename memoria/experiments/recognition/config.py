"""The settings of the experiment ``recognition``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self

from pydantic import (
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    field_validator,
    model_validator,
)

from memoria.experiments.config import ModelNames
from memoria.experiments.training_config import TrainingConfig

STORES: Final = ("nearest", "remind", "ask")
_MEMORY: Final[dict[str, str | bool | int | float]] = {
    "num_reminded_stm": 8,
    "stm_capacity": 64,
    "ltm_search_depth": 10,
    "num_final_ltms": 16,
    "initial_lifespan": 50.0,
    "rule": "correlation:8",
}


class RecognitionConfig(TrainingConfig):
    """What is studied, what is read between, and who is asked."""

    beside: ClassVar[tuple[str, ...]] = STORES
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {},
        # 600 sentences as Orhan's; his networks, of billions of weights, are not trained here.
        "paper": {
            "studied": 600,
            "passes": 3,
            "prior": 20_000,
            "vocabulary": 16_384,
            "hidden": 512,
            "layers": 6,
            "heads": 8,
            "inner": 2048,
            "learning_rate": 3e-4,
        },
    }

    models: ModelNames = Field(
        ["remind", "nearest", "ask", "none"],
        description="Memories of texts (nearest, remind, ask), and networks, which learn.",
    )
    seeds: list[StrictInt] = Field(
        [0], min_length=1, description="Of the sentences drawn, and of networks."
    )
    data: list[StrictStr] = Field(
        [], description="Books: files, or folders of .txt; Python's help if none."
    )
    studied: int = Field(100, ge=1, description="Sentences that are studied; as many are new.")
    after: list[StrictInt] = Field(
        [10, 100, 1000], description="Further steps after which is asked again, ascending."
    )
    backbone: StrictStr = Field("hash", min_length=1, description="What makes a store's vectors.")
    width: int = Field(4, ge=1, description="Sentences that a memory of texts reads in a step.")
    store: dict[StrictStr, StrictStr | StrictBool | StrictInt | StrictFloat] = Field(
        default_factory=lambda: dict(_MEMORY), description="Settings of the memory that reminds."
    )
    vocabulary: int = Field(2048, ge=2, description="Words that networks tell apart, by a hash.")
    passes: int = Field(3, ge=1, description="Times that a network learns what is studied.")
    prior: int = Field(100, ge=0, description="Steps of other sentences before.")

    segment: int = Field(24, ge=24, description="Words of a sentence that a network sees.")
    memory: int = Field(24, ge=1, description="Remembered vectors that a layer may attend to.")
    steps: int = Field(0, ge=0, description="Optimiser steps: they follow from the rest.")
    batch: int = Field(10, ge=1, description="Sentences of a step.")
    learning_rate: float = Field(2e-3, gt=0.0, description="At all steps.")
    warmup: float = Field(0.0, ge=0.0, lt=1.0, description="It does not rise.")

    @field_validator("data")
    @classmethod
    def _from_anywhere(cls, value: list[str]) -> list[str]:
        return [os.path.abspath(one) for one in value]

    @model_validator(mode="after")
    def _steps_ascend(self) -> Self:
        if any(one < 1 for one in self.after) or sorted(set(self.after)) != self.after:
            raise ValueError(f"after = {self.after}: numbers of steps, ascending")
        object.__setattr__(
            self, "steps", self.prior + self.study_steps + max(self.after, default=0)
        )
        return self

    @property
    def study_steps(self) -> int:
        """Optimiser steps in which the sentences are studied."""
        return -(-self.passes * self.studied // self.batch)

    def rate(self, step: int) -> float:
        return self.learning_rate
