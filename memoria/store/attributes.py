"""A store's attributes as checked values: they stand in a file, so they may be anything."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final, Literal

from memoria.config import MemoriaConfig
from memoria.errors import ConfigError, DamageError
from memoria.io.checked import (
    AnyOf,
    Anything,
    Choice,
    DictOf,
    Flag,
    Many,
    Number,
    OrNone,
    Record,
    RecordOf,
    RefusedError,
    Text,
    Whole,
    field,
)

NAMES: Final = "[A-Za-z_][A-Za-z0-9._-]{0,63}"  # of snapshots: none can be taken for a step
_COUNT: Final = Whole(0, 2**62 - 1)
_GENERATION: Final = OrNone(Whole(1, 2**62 - 1))
_HASH: Final = Text(pattern="[0-9a-f]{64}")


class Pending(Record):
    """What a step begun and not ended has done: ``phase`` is idle, working or reminded.

    ``reminded`` [lanes][R] ids, ``scores`` their log correlations, ``longterm`` [lanes] how many
    of them came from long-term search, ``partial`` [lanes] whether some short-term one did not.
    All are empty unless reminded. ``expiry`` of the working memory, by id; empty where each will
    live ``initial_lifespan``.
    """

    phase: Literal["idle", "working", "reminded"] = field(
        Choice(("idle", "working", "reminded")), default="idle"
    )
    reminded: tuple[tuple[int, ...], ...] = field(Many(Many(_COUNT)), default=())
    scores: tuple[tuple[float, ...], ...] = field(Many(Many(Number())), default=())
    longterm: tuple[int, ...] = field(Many(_COUNT), default=())
    partial: tuple[bool, ...] = field(Many(Flag()), default=())
    expiry: tuple[float, ...] = field(Many(Number()), default=())

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


class Settings(Record):
    """What may change in the life of a memory: no part of its configuration and its digest.

    ``backbone`` says where the backbone lies, where that is not what the configuration names;
    ``unit`` is what part of a text becomes one engram unless another is named, ``ask`` holds
    constants of asking. Keys that this version does not know are kept.
    """

    extra = "keep"

    backbone: str | None = field(OrNone(Text(1, 4096)), default=None)
    unit: str = field(Text(0, 64), default="sentence")
    ask: dict[str, str | bool | int | float | None] = field(
        DictOf(Text(), OrNone(AnyOf(Text(), Flag(), Whole(), Number()))),
        default={},
    )
    notes: str = field(Text(0, 2**16), default="")

    def changed(self, changes: Mapping[str, Any]) -> Settings:
        """These with ``changes``; raises `ConfigError`."""
        for name in changes:
            if name not in Settings.model_fields:
                known = ", ".join(sorted(Settings.model_fields))
                raise ConfigError(f"setting {name!r}: there is none", f"the settings are {known}")
        try:
            made = Settings(**{**self.model_dump(), **changes})
        except RefusedError as error:
            name = ".".join(map(str, error.place))
            raise ConfigError(
                f"{name} = {error.value!r}: {error.message}", "see `MemoryStore.change_settings`"
            ) from None
        MemoriaConfig(unit=made.unit)
        return made


class StateHead(Record):
    """Which generation of the state is written out, and how far the arrays were then.

    It has ``living`` engrams and ``edges``; None where those were left out.
    """

    generation: int | None = field(_GENERATION, default=None)
    step: int = field(_COUNT, default=0)
    rows: int = field(_COUNT, default=0)
    log_end: int = field(_COUNT, default=0)
    living: int = field(_COUNT, default=0)
    edges: int | None = field(OrNone(_COUNT), default=None)
    events: int = field(_COUNT, default=0)


class Snapshot(Record):
    """A name for what the memory was after ``step`` finished steps and ``events`` events."""

    step: int = field(_COUNT)
    events: int = field(_COUNT)
    digest: str = field(_HASH)
    created: int = field(_COUNT)  # milliseconds since 1970-01-01 UTC
    note: str = field(Text(0, 1000), default="")


class Era(Record):
    """Where the append-only arrays lie, and what compaction left of the time before it.

    Of the first ``rows`` engrams ``kept`` are left, and of the first ``log_end`` log entries
    ``log_kept``; these come from the first ``step`` steps. It began after ``events`` events. Of
    the steps before, only states of snapshots after ``steps`` are still whole. Before the first
    compaction ``generation`` is None. ``digest`` is what the memory had when it began.
    """

    generation: int | None = field(_GENERATION, default=None)
    step: int = field(_COUNT, default=0)
    events: int = field(_COUNT, default=0)
    rows: int = field(_COUNT, default=0)
    kept: int = field(_COUNT, default=0)
    log_end: int = field(_COUNT, default=0)
    log_kept: int = field(_COUNT, default=0)
    steps: tuple[int, ...] = field(Many(_COUNT), default=())
    digest: str = field(Text(pattern="([0-9a-f]{64})?"), default="")

    def sound(self) -> bool:
        """Whether nothing more is kept than there was, and nothing before the first era."""
        return (
            (self == Era() if self.generation is None else self.digest != "")
            and self.kept <= self.rows
            and self.log_kept <= self.log_end
            and all(a < b for a, b in pairwise((-1, *self.steps)))
            and all(step <= self.step for step in self.steps)
        )


class StoreAttributes(Record):
    """Everything in the attributes but what `StoreFiles` keeps there itself.

    Further keys are passed over, and kept by writers: a later version may add some.
    """

    extra = "pass over"

    config: dict[str, Any] = field(DictOf(Text(), Anything()))
    settings: Settings = field(RecordOf(Settings), default=Settings())
    step: int = field(_COUNT)
    pending: Pending = field(RecordOf(Pending))
    digest: str = field(Text())
    state: StateHead = field(RecordOf(StateHead))
    snapshots: dict[str, Snapshot] = field(
        DictOf(Text(pattern=NAMES), RecordOf(Snapshot)), default={}
    )
    era: Era = field(RecordOf(Era), default=Era())
    place: str | None = field(OrNone(Text()), default=None)  # of the store, when sources were read

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> StoreAttributes:
        """Check the attributes of a root; raises `DamageError` in one line."""
        try:
            made = cls(**values)
        except RefusedError as error:
            place, message = ".".join(map(str, error.place)), error.message
        else:
            place, message = made._fault()
            if not message:
                return made
        raise DamageError(f"the store's attributes are not those of a memory: {place}: {message}")

    def document(self) -> dict[str, Any]:
        """What stands in the root."""
        document = self.model_dump(mode="json")
        if self.place is None:
            del document["place"]
        return document

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
