"""A store's attributes as checked values: they stand in a file, so they may be anything."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    Strict,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
)

from memoria.config import MemoriaConfig, complaints
from memoria.errors import ConfigError, DamageError

_Count = Annotated[StrictInt, Field(ge=0, lt=2**62)]
_Number = Annotated[FiniteFloat, Strict()]
NAMES: Final = "[A-Za-z_][A-Za-z0-9._-]{0,63}"  # of snapshots: none can be taken for a step
_Name = Annotated[StrictStr, Field(pattern=f"^{NAMES}$")]
_Hash = Annotated[StrictStr, Field(pattern="^[0-9a-f]{64}$")]


class _Checked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Pending(_Checked):
    """What a step begun and not ended has done: ``phase`` is idle, working or reminded.

    ``reminded`` [lanes][R] ids, ``scores`` their log correlations, ``longterm`` [lanes] how many
    of them came from long-term search, ``partial`` [lanes] whether some short-term one did not.
    All are empty unless reminded. ``expiry`` of the working memory, by id; empty where each will
    live ``initial_lifespan``.
    """

    phase: Literal["idle", "working", "reminded"] = "idle"
    reminded: tuple[tuple[_Count, ...], ...] = ()
    scores: tuple[tuple[_Number, ...], ...] = ()
    longterm: tuple[_Count, ...] = ()
    partial: tuple[StrictBool, ...] = ()
    expiry: tuple[_Number, ...] = ()

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


class Settings(BaseModel):
    """What may change in the life of a memory: no part of its configuration and its digest.

    ``backbone`` says where the backbone lies, where that is not what the configuration names;
    ``unit`` is what part of a text becomes one engram unless another is named, ``ask`` holds
    constants of asking. Keys that this version does not know are kept.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    backbone: Annotated[StrictStr, Field(min_length=1, max_length=4096)] | None = None
    unit: Annotated[StrictStr, Field(max_length=64)] = "sentence"
    ask: dict[StrictStr, StrictStr | StrictBool | StrictInt | FiniteFloat | None] = Field(
        default_factory=dict
    )
    notes: Annotated[StrictStr, Field(max_length=2**16)] = ""

    def changed(self, changes: Mapping[str, Any]) -> Settings:
        """These with ``changes``; raises `ConfigError`."""
        for name in changes:
            if name not in Settings.model_fields:
                known = ", ".join(sorted(Settings.model_fields))
                raise ConfigError(f"setting {name!r}: there is none", f"the settings are {known}")
        try:
            made = Settings(**{**self.model_dump(), **changes})
        except ValidationError as error:
            raise ConfigError(complaints(error), "see `MemoryStore.change_settings`") from None
        MemoriaConfig(unit=made.unit)
        return made


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
    events: _Count = 0


class Snapshot(_Checked):
    """A name for what the memory was after ``step`` finished steps and ``events`` events."""

    step: _Count
    events: _Count
    digest: _Hash
    created: _Count  # milliseconds since 1970-01-01 UTC
    note: Annotated[StrictStr, Field(max_length=1000)] = ""


class Era(_Checked):
    """Where the append-only arrays lie, and what compaction left of the time before it.

    Of the first ``rows`` engrams ``kept`` are left, and of the first ``log_end`` log entries
    ``log_kept``; these come from the first ``step`` steps. It began after ``events`` events. Of
    the steps before, only states of snapshots after ``steps`` are still whole. Before the first
    compaction ``generation`` is None. ``digest`` is what the memory had when it began.
    """

    generation: Annotated[StrictInt, Field(ge=1, lt=2**62)] | None = None
    step: _Count = 0
    events: _Count = 0
    rows: _Count = 0
    kept: _Count = 0
    log_end: _Count = 0
    log_kept: _Count = 0
    steps: tuple[_Count, ...] = ()
    digest: Annotated[StrictStr, Field(pattern="^([0-9a-f]{64})?$")] = ""

    def sound(self) -> bool:
        """Whether nothing more is kept than there was, and nothing before the first era."""
        return (
            (self == Era() if self.generation is None else self.digest != "")
            and self.kept <= self.rows
            and self.log_kept <= self.log_end
            and all(a < b for a, b in pairwise((-1, *self.steps)))
            and all(step <= self.step for step in self.steps)
        )


class StoreAttributes(_Checked):
    """Everything in the attributes but what `StoreFiles` keeps there itself.

    Further keys are passed over, and kept by writers: a later version may add some.
    """

    model_config = ConfigDict(extra="ignore")

    config: dict[str, Any]
    settings: Settings = Settings()
    step: _Count
    pending: Pending
    digest: str
    state: StateHead
    snapshots: dict[_Name, Snapshot] = Field(default_factory=dict)
    era: Era = Era()

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> StoreAttributes:
        """Check the attributes of a root; raises `DamageError` in one line."""
        try:
            made = cls(**values)
        except ValidationError as error:
            place = ".".join(str(part) for part in error.errors()[0]["loc"])
            message = error.errors()[0]["msg"]
        else:
            place, message = made._fault()
            if not message:
                return made
        raise DamageError(f"the store's attributes are not those of a memory: {place}: {message}")

    def document(self) -> dict[str, Any]:
        """What stands in the root."""
        return self.model_dump(mode="json")

    def _fault(self) -> tuple[str, str]:
        """What is wrong, and where; "" if nothing is."""
        if not self.pending.fits(self.memory_config().lanes):
            return "pending", "does not fit the number of lanes"
        missing = {"snapshots", "era", "settings"} - self.model_fields_set
        if missing or "events" not in self.state.model_fields_set:
            return min(missing, default="state.events"), "Field required"
        return "era", "" if self.era.sound() else "keeps more than there was"

    @staticmethod
    def of_config(config: MemoriaConfig) -> tuple[dict[str, Any], Settings]:
        """The attributes ``config`` and ``settings`` of a new memory."""
        values = config.model_dump(mode="json", exclude={"unit"})
        return values, Settings(unit=config.unit)

    def memory_config(self) -> MemoriaConfig:
        """The configuration; raises `DamageError`."""
        try:
            return MemoriaConfig(**self.config, unit=self.settings.unit)
        except (TypeError, ConfigError) as error:
            raise DamageError(f"the store's configuration is not readable: {error}") from None
