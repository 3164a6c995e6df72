"""The settings of the experiment ``order``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, field_validator

from memoria.experiments.config import ModelNames
from memoria.experiments.training_config import TrainingConfig

_STORES: Final = ("creation", "age", "lifespan", "direction")
RANDOM: Final = "random"
_MEMORY: Final[dict[str, str | bool | int | float]] = {
    "num_reminded_stm": 8,
    "stm_capacity": 64,
    "ltm_search_depth": 10,
    "num_final_ltms": 16,
    "initial_lifespan": 100_000.0,  # nothing is forgotten
    "rule": "correlation:8",
}


class OrderConfig(TrainingConfig):
    """What is read, which pairs are asked, and who answers."""

    beside: ClassVar[tuple[str, ...]] = (*_STORES, RANDOM)
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {},
        # Lengths, segments and numbers of Book-SORT; whole books, and networks as the paper's.
        "paper": {
            "words": 0,
            "lengths": [250, 1000, 2500, 10_000, 20_000],
            "shown": 50,
            "excerpts": 100,
            "choosing": 10,
            "models": [*_STORES, RANDOM],
        },
    }

    models: ModelNames = Field(
        [*_STORES, RANDOM, "xl", "memoria", "none"],
        description="Clues of a store (creation, age, lifespan, direction), random, networks.",
    )
    seeds: list[StrictInt] = Field(
        [0], min_length=1, description="Of the pairs and of networks; one has pairs enough."
    )
    data: list[StrictStr] = Field(
        [],
        description="Books: files, or folders of .txt; the help that every Python brings if none.",
    )
    words: StrictInt = Field(
        6000, ge=0, description="Words of each book that are read; 0: all. Networks learn the rest."
    )
    lengths: list[StrictInt] = Field(
        [250, 1000, 2500], min_length=1, description="Words of an excerpt, in which both lie."
    )
    shown: int = Field(20, ge=2, description="Words of a segment that is asked about.")
    excerpts: int = Field(8, ge=1, description="Of each book and length, that count.")
    choosing: int = Field(
        2, ge=1, description="Before them, which tell whether more of a clue is later or earlier."
    )
    backbone: StrictStr = Field("hash", min_length=1, description="What makes a store's vectors.")
    width: int = Field(4, ge=1, description="Sentences that a store reads in a step.")
    store: dict[StrictStr, StrictStr | StrictBool | StrictInt | StrictFloat] = Field(
        default_factory=lambda: dict(_MEMORY), description="Settings of a store's memory."
    )
    vocabulary: int = Field(2048, ge=2, description="Words that networks tell apart, by a hash.")
    unbroken: int = Field(
        16, ge=1, description="Segments of tokens that a network reads before it forgets, to learn."
    )

    segment: int = Field(64, ge=2, description="Tokens of a segment, the most a network sees.")
    memory: int = Field(256, ge=1, description="Remembered vectors that a layer may attend to.")
    steps: int = Field(300, ge=1, description="Optimiser steps.")
    batch: int = Field(16, ge=1, description="Rows of words learned together.")
    learning_rate: float = Field(2e-3, gt=0.0, description="Its highest value.")

    @field_validator("data")
    @classmethod
    def _from_anywhere(cls, value: list[str]) -> list[str]:
        return [os.path.abspath(one) for one in value]

    @field_validator("lengths")
    @classmethod
    def _lengths_hold_pairs(cls, value: list[int]) -> list[int]:
        for one in value:
            if one < 100:
                raise ValueError(f"{one} words: an excerpt has 100 at least")
        return value
