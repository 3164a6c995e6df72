"""What can be set of memories that regress."""

from __future__ import annotations

from pydantic import Field, model_validator

from memoria.experiments.rivals.feature_maps import Features
from memoria.experiments.rivals.memory_caching import Caching
from memoria.experiments.rivals.trunk import UnrolledSettings


class RegressionSettings(UnrolledSettings):
    """Settings of memories that regress."""

    chunk: int = Field(64, ge=1, description="Tokens computed at once; changes only rounding.")
    features: Features = Field("identity", description="What keys and queries are mapped by.")
    cache: Caching = Field("none", description="How states of segment ends are read, if at all.")
    cached: int = Field(3, ge=1, description="States of segment ends that are kept.")
    best: int = Field(1, ge=1, description="Kept states a token reads with cache=sparse.")
    memories: int = Field(1, ge=1, description="Memories that a router chooses from.")
    topk: int = Field(2, ge=1, description="How many it chooses for a token.")
    shared: bool = Field(True, description="Whether one more is always on, if there are several.")
    balance: float = Field(0.01, ge=0.0, description="Weight of the router's load-balance loss.")

    @model_validator(mode="after")
    def _enough_memories(self) -> RegressionSettings:
        if self.memories > 1 and self.topk > self.memories:
            raise ValueError(f"topk = {self.topk}: there are only memories = {self.memories}")
        return self

    @property
    def copies(self) -> int:
        """Memories of a layer."""
        return self.memories + (self.shared and self.memories > 1)

    @property
    def slots(self) -> int:
        """Kept states of a memory."""
        return 0 if self.cache == "none" else self.cached


class BasedSettings(RegressionSettings):
    """Settings of BASED."""

    features: Features = Field("taylor", description="What keys and queries are mapped by.")
