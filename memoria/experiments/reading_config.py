"""What experiments share that let a memory read passages, a few at a step."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field, FiniteFloat, StrictInt, StrictStr, field_validator

from memoria.errors import ConfigError
from memoria.experiments.config_base import ExperimentConfig
from memoria.timeline.gain import parse_rule

if TYPE_CHECKING:
    from memoria.config import MemoriaConfig
    from memoria.experiments.passages import Passages

__all__ = ["GPT2_SETTINGS", "MEMORY_SETTINGS", "ReadingConfig"]

# Fields of `MemoriaConfig` that `make_memoria` takes too.
MEMORY_SETTINGS: Final = (
    "num_reminded_stm",
    "stm_capacity",
    "ltm_search_depth",
    "initial_lifespan",
    "num_final_ltms",
    "random_entries",
    "tie_break",
    "seed",
)

# The authors' settings for GPT-2, and units short enough for as many steps as a text gives.
GPT2_SETTINGS: Final = {
    "unit": "window:8",
    "wm_length": 50,
    "stm_capacity": 400,
    "num_reminded_stm": 50,
    "num_final_ltms": 50,
    "initial_lifespan": 9.0,
    "hidden_dim": 768,
    "seeds": [0, 1, 2, 3, 4],
}


class ReadingConfig(ExperimentConfig):
    """What is read, and the settings of the memory that reads it."""

    data: list[StrictStr] = Field(
        [], description="Files or folders to read; the help that every Python brings if none."
    )
    backbone: StrictStr = Field("hash", min_length=1, description="What makes vectors of it.")
    hidden_dim: Annotated[StrictInt, Field(ge=1, le=1_048_576)] = Field(
        384, description="Numbers in a vector, where the backbone leaves a choice."
    )
    unit: StrictStr = Field(
        "sentence", description="A passage: sentence, paragraph, line, window:N."
    )
    steps: StrictInt | None = Field(None, ge=2, description="Steps read; all that the data makes.")
    chapter: StrictInt = Field(
        40, ge=1, description="Passages that stay in order; chapters are shuffled by the seed."
    )
    wm_length: StrictInt = Field(4, ge=1, description="Passages read in a step.")
    num_reminded_stm: StrictInt = Field(8, ge=0, description="Short-term engrams reminded.")
    stm_capacity: StrictInt = Field(64, ge=0, description="Short-term engrams kept.")
    ltm_search_depth: StrictInt = Field(10, ge=0, description="Rounds of the walk.")
    initial_lifespan: FiniteFloat = Field(50.0, gt=0, description="Steps a new engram lives.")
    num_final_ltms: StrictInt = Field(16, ge=0, description="Long-term engrams reminded.")
    rule: StrictStr = Field(
        "correlation:8", description="Lifespan rule: uniform:X or correlation:ALPHA."
    )

    @field_validator("data")
    @classmethod
    def _from_anywhere(cls, value: list[str]) -> list[str]:
        return [one if one == "-" else os.path.abspath(one) for one in value]

    @field_validator("rule")
    @classmethod
    def _rule_is_known(cls, value: str) -> str:
        try:
            parse_rule(value)
        except ConfigError as error:
            raise ValueError(f"{error.message}; {error.hint}") from None
        return value

    def passages(self) -> Passages:
        """What is read. Raises `InputError`, `BackboneError`."""
        from memoria.experiments.passages import read_passages

        wanted = self.hidden_dim if self.backbone == "hash" else None
        return read_passages(self.data, backbone=self.backbone, dimension=wanted, unit=self.unit)

    def memory(self, dimension: int) -> MemoriaConfig:
        """Memoria's own configuration. Raises `ConfigError`."""
        from memoria.config import MemoriaConfig

        return MemoriaConfig(
            hidden_dim=dimension,
            wm_length=self.wm_length,
            num_reminded_stm=self.num_reminded_stm,
            stm_capacity=self.stm_capacity,
            ltm_search_depth=self.ltm_search_depth,
            initial_lifespan=float(self.initial_lifespan),
            num_final_ltms=self.num_final_ltms,
            rule=self.rule,
            seed=self.seed,
        )
