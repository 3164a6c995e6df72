"""A store's attributes as checked values: they stand in a file, so they may be anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    Strict,
    StrictBool,
    StrictInt,
    ValidationError,
)

from memoria.config import MemoriaConfig
from memoria.errors import ConfigError, DamageError

__all__ = ["Pending", "StateHead", "StoreAttributes"]

_Count = Annotated[StrictInt, Field(ge=0, lt=2**62)]
_Number = Annotated[FiniteFloat, Strict()]


class _Checked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Pending(_Checked):
    """What a step begun and not ended has done: ``phase`` is idle, working or reminded.

    ``reminded`` [lanes][R] ids, ``scores`` their log correlations, ``longterm`` [lanes] how many
    of them came from long-term search, ``partial`` [lanes] whether some short-term one did not.
    All are empty unless reminded.
    """

    phase: Literal["idle", "working", "reminded"] = "idle"
    reminded: tuple[tuple[_Count, ...], ...] = ()
    scores: tuple[tuple[_Number, ...], ...] = ()
    longterm: tuple[_Count, ...] = ()
    partial: tuple[StrictBool, ...] = ()

    def fits(self, lanes: int) -> bool:
        """Whether it can be of a store with so many lanes."""
        wanted = lanes if self.phase == "reminded" else 0
        parts = (self.reminded, self.scores, self.longterm, self.partial)
        return all(len(part) == wanted for part in parts) and all(
            len(set(ids)) == len(ids) == len(scores)
            and found <= len(ids)
            and all(id_ % lanes == lane for id_ in ids)
            for lane, (ids, scores, found) in enumerate(
                zip(self.reminded, self.scores, self.longterm, strict=True)
            )
        )


class StateHead(_Checked):
    """Which generation of the state is written out, and how far the arrays were then.

    It has ``living`` engrams and ``edges``; None where those were left out.
    """

    generation: Annotated[StrictInt, Field(ge=1, lt=2**62)] | None = None
    step: _Count = 0
    rows: _Count = 0
    log_end: _Count = 0
    living: _Count = 0
    edges: _Count | None = None


class StoreAttributes(_Checked):
    """Everything in the attributes but what `StoreFiles` keeps there itself.

    Further keys are passed over, and kept by writers: a later version may add some.
    """

    model_config = ConfigDict(extra="ignore")

    config: dict[str, Any]
    step: _Count
    pending: Pending
    digest: str
    state: StateHead

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> StoreAttributes:
        """Checked; raises `DamageError` in one line."""
        try:
            made = cls(**values)
        except ValidationError as error:
            place = ".".join(str(part) for part in error.errors()[0]["loc"])
            message = error.errors()[0]["msg"]
        else:
            place, message = "pending", "does not fit the number of lanes"
            if made.pending.fits(made.memory_config().lanes):
                return made
        raise DamageError(f"the store's attributes are not those of a memory: {place}: {message}")

    def memory_config(self) -> MemoriaConfig:
        """The configuration; raises `DamageError`."""
        try:
            return MemoriaConfig(**self.config)
        except (TypeError, ConfigError) as error:
            raise DamageError(f"the store's configuration is not readable: {error}") from None
