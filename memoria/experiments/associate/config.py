"""The settings of the experiment ``associate``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, Self

from pydantic import Field, StrictBool, StrictInt, StrictStr, field_validator, model_validator

from memoria.experiments.config import ModelNames
from memoria.experiments.training_config import TrainingConfig

_MODELS: Final = ["xl", "memoria", "none"]


class AssociateConfig(TrainingConfig):
    """What is told and asked, what lies between, and how many such episodes."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        # Chosen by trial: `xl`, whose memory holds all segments, learns it within minutes.
        "small": {},
        "paper": {
            "joined": False,
            "symbols": 256,
            "keys": 16,
            "asked": 16,
            "near": 8,
            "noise": 1024,
            "gap": 16,
            "segment": 64,
            "memory": 2048,
            "hidden": 256,
            "layers": 4,
            "heads": 4,
            "inner": 1024,
            "steps": 20_000,
            "warm": 0.5,
            "seeds": [0, 1, 2],
            "learning_rate": 3e-4,
            "validate_every": 500,
        },
    }

    models: ModelNames = _MODELS
    seeds: list[StrictInt] = Field(
        [0], min_length=1, description="Of networks and of what they learn from."
    )
    kind: Literal["pairs", "variables", "stories"] = Field(
        "pairs",
        description="Keys with values; variables set to variables; people, places and objects.",
    )
    hay: Literal["noise", "books"] = Field(
        "noise", description="What stands between: words at random, or sentences of books."
    )
    data: list[StrictStr] = Field(
        [], description="Books of hay=books: files or folders; Python's help if none."
    )
    joined: StrictBool = Field(
        True,
        description="A fact is one token; else one a word, and a network must learn to bind them, "
        "as in MQAR: that takes thousands of steps.",
    )
    symbols: int = Field(8, ge=2, le=100_000, description="Different keys; as many values.")
    keys: int = Field(4, ge=1, description="Keys, or chains of variables, before the last segment.")
    values: int = Field(1, ge=1, le=8, description="Values behind a key, all asked for.")
    asked: int = Field(4, ge=1, description="Keys of those that are asked for.")
    near: int = Field(2, ge=0, description="Facts in the last segment, asked for too.")
    hops: int = Field(2, ge=1, le=8, description="Assignments of a chain, kind=variables.")
    events: int = Field(6, ge=1, description="Sentences of a story before the last segment.")
    people: int = Field(4, ge=1, description="People of a story.")
    places: int = Field(6, ge=2, description="Places of a story.")
    things: int = Field(3, ge=1, description="Objects of a story.")
    noise: int = Field(32, ge=1, description="Different words of the hay.")
    gap: int = Field(4, ge=0, le=10_000, description="Segments of hay before the last one.")
    held_out: int = Field(256, ge=1, description="Episodes to validate with, and to test with.")
    warm: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the steps, the first, that learn from the last segment alone.",
    )
    data_seed: int = Field(0, ge=0, description="Of the episodes; all models see the same ones.")

    segment: int = Field(10, ge=2, description="Tokens of a segment, the most a network sees.")
    memory: int = Field(100, ge=1, description="Remembered vectors that a layer may attend to.")
    steps: int = Field(300, ge=1, description="Optimiser steps.")
    batch: int = Field(32, ge=1, description="Episodes of a step, over all processes.")
    learning_rate: float = Field(3e-3, gt=0.0, description="Its highest value.")
    settings: dict[str, dict[str, Any]] = Field(
        {"memoria": {"lifespan": 64.0}},
        description="Settings of single models, by name. Those of memoria hold for memoria-wm and "
        "the like too.",
    )

    @field_validator("data")
    @classmethod
    def _from_anywhere(cls, value: list[str]) -> list[str]:
        return [os.path.abspath(one) for one in value]

    @model_validator(mode="after")
    def _everything_fits(self) -> Self:
        if self.kind == "pairs" and self.asked > self.keys:
            raise ValueError(f"asked = {self.asked}: more than there are keys ({self.keys})")
        names = self.keys * (self.hops if self.kind == "variables" else 1) + self.near
        if self.kind != "stories" and names > self.symbols:
            raise ValueError(f"symbols = {self.symbols}: {names} keys are needed")
        if self.last_tokens > self.segment:
            raise ValueError(
                f"segment = {self.segment}: facts and questions of the last one take up to "
                f"{self.last_tokens} tokens"
            )
        return self

    @property
    def facts(self) -> int:
        """Facts before the last segment, a segment for each."""
        counts = {"pairs": self.keys, "variables": self.keys * self.hops, "stories": self.events}
        return counts[self.kind]

    @property
    def last_tokens(self) -> int:
        """Tokens of facts and questions in the last segment, at most."""
        if self.kind == "pairs":
            fact = self.values if self.joined else 1 + self.values
            return fact * self.near + self.values * (self.near + self.asked)
        if self.kind == "variables":
            return (1 if self.joined else 2) * self.near + self.near + self.facts
        return (1 if self.joined else 4) * self.near + self.people + self.things

    @property
    def groups(self) -> list[str]:
        """Groups of answers."""
        more = {
            "pairs": [],
            "variables": [f"far_{hop}_hops" for hop in range(2, self.hops + 1)],
            "stories": ["far_two_facts"],
        }
        return ["far", *more[self.kind], "near"]
