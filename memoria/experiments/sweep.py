"""The settings that a sweep tries: its table in the TOML file, and the points it makes.

[sweep]
trials = 20                          # draws, where something is drawn
seed = 0                             # of the draws
[sweep.grid]                         # every combination of these
length = [512, 1024]
"settings.memoria.depth" = [2, 20]
[sweep.random]                       # each draw takes one value of each
rate = { log = [1e-4, 1e-2] }        # uniform = [a, b], int = [a, b], choice = [...]
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final, Self

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)

from memoria.config import complaints
from memoria.engines.cluster import Resources
from memoria.engines.running import check_engine
from memoria.errors import ConfigError
from memoria.experiments.config import PRESETS, parse_value, put_setting
from memoria.experiments.engines import RunSpec, local
from memoria.experiments.plan import Plan, make_plan, read_plan
from memoria.experiments.ray_engine import on_ray
from memoria.experiments.records import RunRecord
from memoria.io.progress import Progress, no_progress, progress_bar

Point = dict[str, Any]  # setting, tables joined by dots -> value
_Key = Annotated[StrictStr, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z0-9_-]+)*$", max_length=200)]

_MOST_POINTS: Final = 10_000
_LONGEST_NAME: Final = 80
_RESERVED: Final = ("models", "seeds", "device")
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_.=,+-]+")


class Draw(BaseModel):
    """One of: ``uniform`` [a, b], ``log`` [a, b], ``int`` [a, b], ``choice`` [...]."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    uniform: tuple[FiniteFloat, FiniteFloat] | None = None
    log: tuple[FiniteFloat, FiniteFloat] | None = None
    int: tuple[StrictInt, StrictInt] | None = None
    choice: list[Any] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        chosen = [name for name in ("uniform", "log", "int", "choice") if getattr(self, name)]
        if len(chosen) != 1:
            raise ValueError("give one of uniform, log, int, choice")
        ends = self.uniform or self.log or self.int
        if ends is not None and not ends[0] <= ends[1]:
            raise ValueError(f"{chosen[0]} = {list(ends)}: the smaller end comes first")
        if self.log is not None and self.log[0] <= 0:
            raise ValueError(f"log = {list(self.log)}: must be above 0")
        return self

    def value(self, rng: np.random.Generator) -> Any:
        """One value; ends included."""
        if self.choice is not None:
            return self.choice[int(rng.integers(len(self.choice)))]
        if self.int is not None:
            return int(rng.integers(self.int[0], self.int[1], endpoint=True))
        if self.log is not None:
            low, high = map(math.log, self.log)
            drawn = math.exp(low + (high - low) * rng.random())
            return float(f"{min(max(drawn, self.log[0]), self.log[1]):.6g}")
        assert self.uniform is not None
        low, high = self.uniform
        return float(f"{low + (high - low) * rng.random():.6g}")


class SweepTable(BaseModel):
    """The table ``[sweep]``. Raises `ConfigError` for what it does not know or cannot take."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    grid: dict[_Key, Annotated[list[Any], Field(min_length=1)]] = Field(
        default_factory=dict, description="Values of settings, all combined."
    )
    random: dict[_Key, Draw] = Field(default_factory=dict, description="Settings to draw.")
    trials: StrictInt = Field(10, ge=1, le=_MOST_POINTS, description="Draws for each combination.")
    seed: StrictInt = Field(0, ge=0, le=2**31 - 1, description="Seed of the draws.")
    retries: StrictInt = Field(0, ge=0, le=100, description="How often a failed run is repeated.")
    cpus: FiniteFloat = Field(1.0, ge=0, le=4096, description="Processors of a run on Ray.")
    gpus: FiniteFloat = Field(0.0, ge=0, le=64, description="GPUs of a run on Ray; 0.5 shares one.")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            hint = f"[sweep] takes {', '.join(type(self).model_fields)}"
            raise ConfigError(f"[sweep]: {complaints(error)}", hint) from None

    @model_validator(mode="after")
    def _something_to_try(self) -> Self:
        if not self.grid and not self.random:
            raise ValueError("names no settings: write [sweep.grid] or [sweep.random]")
        for key in (*self.grid, *self.random):
            if key in _RESERVED:
                raise ValueError(f"{key} is not swept: it belongs under [config]")
            if key in self.grid and key in self.random:
                raise ValueError(f"{key} is in the grid and drawn")
        count = math.prod(map(len, self.grid.values())) * (self.trials if self.random else 1)
        if count > _MOST_POINTS:
            raise ValueError(f"{count} points, more than {_MOST_POINTS}")
        return self

    def points(self) -> list[Point]:
        """The settings to try, each once. More trials add points and keep the earlier ones."""
        found = {json.dumps(point, sort_keys=True): point for point in self._all()}
        return list(found.values())

    def _all(self) -> Iterator[Point]:
        for values in itertools.product(*self.grid.values()):
            fixed = dict(zip(self.grid, values, strict=True))
            for trial in range(self.trials if self.random else 1):
                drawn = {key: self._drawn(key, draw, trial) for key, draw in self.random.items()}
                yield {**fixed, **drawn}

    def _drawn(self, key: str, draw: Draw, trial: int) -> Any:
        """The same for the same seed, trial and key, whatever else is drawn."""
        return draw.value(np.random.default_rng((self.seed, trial, *key.encode())))


def parse_grid(settings: Iterable[str]) -> dict[str, list[Any]]:
    """``["length=512,1024"]`` as the values of a grid. Raises `ConfigError`."""
    found: dict[str, list[Any]] = {}
    for setting in settings:
        key, equals, values = (part.strip() for part in setting.partition("="))
        if not equals or not key or not values:
            raise ConfigError(f"grid {setting!r}: not KEY=VALUE,VALUE", "such as length=512,1024")
        if key in found:
            raise ConfigError(f"grid {key!r}: given twice")
        found[key] = [parse_value(one.strip()) for one in values.split(",") if one.strip()]
    return found


def nested(point: Mapping[str, Any]) -> dict[str, Any]:
    """``{"a.b": 1}`` as ``{"a": {"b": 1}}``. Raises `ConfigError` where both are given."""
    found: dict[str, Any] = {}
    for key, value in point.items():
        put_setting(found, key, value, f"[sweep]: {key!r}", "a part of it is given too")
    return found


def label(point: Mapping[str, Any]) -> str:
    """As tables name it: ``depth=2 rate=0.001``, a setting by the last part of its key."""
    lasts = [key.rpartition(".")[2] for key in point]
    names = [
        last if lasts.count(last) == 1 else key for last, key in zip(lasts, point, strict=True)
    ]
    return " ".join(
        f"{name}={_text(value)}" for name, value in zip(names, point.values(), strict=True)
    )


def folder_name(point: Mapping[str, Any]) -> str:
    """As folders are named; what would be too long or lose something ends with a hash."""
    plain = ",".join(f"{key}={_text(value)}" for key, value in point.items())
    name = _NOT_A_NAME.sub("_", plain)
    if name == plain and len(name) <= _LONGEST_NAME:
        return name
    sign = hashlib.sha256(json.dumps(dict(point), sort_keys=True).encode()).hexdigest()[:8]
    return f"{name[:_LONGEST_NAME]}-{sign}"


def _text(value: Any) -> str:
    return (
        value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), default=str)
    )


@dataclass(frozen=True)
class Sweep:
    """A plan at every point of a table: points times variants times seeds.

    Attributes:
        plan: experiment and common settings.
        table: what ``[sweep]`` says.
    """

    plan: Plan
    table: SweepTable

    def points(self) -> list[tuple[Point, Plan]]:
        """Every point with the plan that its settings make. Raises `ConfigError`."""
        return [(point, self._at(point)) for point in self.table.points()]

    def specs(self, folder: Path) -> list[RunSpec]:
        """The runs, point by point, each in ``folder/POINT/VARIANT-SEED``."""
        return [
            replace(spec, variant=f"{spec.name} {label(point)}")
            for point, plan in self.points()
            for spec in plan.specs(folder / folder_name(point))
        ]

    def check(self) -> None:
        """Find what would end runs at once, before any begins. Raises `MemoriaError`."""
        for point, plan in self.points():
            try:
                plan.check()
            except ConfigError as error:
                raise _at_point(point, error) from None

    def claim(self, folder: Path) -> None:
        """Make the points' folders this experiment's, or check that they are.

        Raises `ConfigError` for one that belongs to other settings.
        """
        for point, plan in self.points():
            plan.claim(folder / folder_name(point))

    def _at(self, point: Point) -> Plan:
        try:
            return self.plan.with_changes(nested(point))
        except ConfigError as error:
            raise _at_point(point, error) from None


def _at_point(point: Point, error: ConfigError) -> ConfigError:
    return ConfigError(f"[sweep]: {label(point)}: {error.message}", error.hint)


def make_sweep(
    name: str,
    grid: Mapping[str, Sequence[Any]],
    preset: str = PRESETS[0],
    settings: Mapping[str, Any] = {},
) -> Sweep:
    """An experiment's preset with ``settings`` at every point of ``grid``. Raises `ConfigError`."""
    plan = make_plan(name, preset, settings)
    return Sweep(plan, SweepTable(grid={key: list(values) for key, values in grid.items()}))


def read_sweep(path: Path, preset: str | None = None, settings: Mapping[str, Any] = {}) -> Sweep:
    """The sweep of a TOML file: what `read_plan` reads, and a table ``[sweep]``.

    Raises `ConfigError`.
    """
    plan = read_plan(path, preset, settings)
    unknown = [key for key in plan.rest if key != "sweep"]
    if unknown:
        raise ConfigError(f"{path}: {unknown[0]!r} is unknown", "a sweep's file adds [sweep]")
    found = plan.rest.get("sweep")
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: has no table [sweep]", "`memoria experiment run` takes it")
    return Sweep(replace(plan, rest={}), SweepTable(**found))


Engine = Callable[[Sequence[RunSpec], Progress], list[RunRecord]]


def sweep_runs(
    specs: Sequence[RunSpec],
    *,
    engine: str = "local",
    jobs: int = 1,
    retries: int = 0,
    cpus: float = 1.0,
    gpus: float = 0.0,
    address: str | None = None,
    progress: Progress | bool = False,
) -> list[RunRecord]:
    """Do the runs that are not done. Failed ones go on from their checkpoints when retried.

    Args:
        specs: the runs.
        engine: "local" for processes here, "ray" for tasks of a Ray cluster.
        jobs: processes at a time, or workers of a local cluster.
        retries: how often a failed run is repeated.
        cpus, gpus: what a task takes of the cluster.
        address: of the cluster; without one a local cluster is started.
        progress: True shows a bar.

    Returns:
        Their records, in the order of ``specs``.

    Raises:
        ConfigError: another engine.
        MissingExtraError: Ray is not installed.
    """
    check_engine(engine)
    with progress_bar(progress, "sweep", "%") as show:
        if engine == "local":
            return _again(specs, retries, show, lambda some, heard: local(some, jobs, heard))
        resources = Resources(cpus=cpus, gpus=gpus, jobs=jobs, address=address)
        with on_ray(resources) as run:
            return _again(specs, retries, show, run)


def _again(
    specs: Sequence[RunSpec], retries: int, progress: Progress, engine: Engine
) -> list[RunRecord]:
    records = engine(specs, progress)
    for _ in range(retries):
        failed = [at for at, record in enumerate(records) if record.status == "failed"]
        if not failed:
            break
        repeated = engine([specs[at] for at in failed], no_progress)
        for at, record in zip(failed, repeated, strict=True):
            records[at] = record
    return records
