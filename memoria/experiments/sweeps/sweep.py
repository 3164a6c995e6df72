"""`Sweep`: an experiment's plan at many points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from memoria.errors import ConfigError
from memoria.experiments.plan import Plan, read_plan
from memoria.experiments.running import RunSpec
from memoria.experiments.sweeps.points import Point, SweepTable, folder_name, label, nested

__all__ = ["Sweep", "read_sweep"]


@dataclass(frozen=True)
class Sweep:
    """``plan`` at every point of ``table``: points times variants times seeds."""

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

    def claim(self, folder: Path) -> None:
        """Make the points' folders places of this experiment, or find that they are.

        Raises `ConfigError` for one that belongs to other settings.
        """
        for point, plan in self.points():
            plan.claim(folder / folder_name(point))

    def _at(self, point: Point) -> Plan:
        try:
            return self.plan.with_changes(nested(point))
        except ConfigError as error:
            message = f"[sweep]: {label(point)}: {error.message}"
            raise ConfigError(message, error.hint) from None


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
