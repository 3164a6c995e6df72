"""From what a user asks for, or wrote into a TOML file, to the runs it takes.

experiment = "sorting"
preset = "small"          # optional: small unless given
[config]                  # optional: settings of the experiment
length = 1024
models = ["memoria", "none"]
[variants.deep]           # optional: instead of one variant a model, each with its settings
models = ["memoria"]
ltm_search_depth = 20
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from memoria.config import read_toml
from memoria.errors import ConfigError, StoreNotFoundError
from memoria.experiments.config import PRESETS, ExperimentConfig
from memoria.experiments.engines import RunSpec
from memoria.experiments.experiment import find_experiment
from memoria.experiments.records import EXPERIMENT_FILE, difference, read_document
from memoria.experiments.run import write_document

_KEYS: Final = ("experiment", "preset", "config", "variants")
_VARIANT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+.-]{0,59}")


@dataclass(frozen=True)
class Plan:
    """An experiment with its settings: variants times seeds, one run each.

    Attributes:
        experiment, preset: their names.
        config: settings of all runs, with all models and seeds.
        variants: settings of each variant by its name.
        rest: tables of a file that belong to no plan.
    """

    experiment: str
    preset: str
    config: ExperimentConfig
    variants: Mapping[str, ExperimentConfig]
    rest: Mapping[str, Any] = field(default_factory=dict)

    def specs(self, folder: Path) -> list[RunSpec]:
        """The runs, seed by seed, each in ``folder/VARIANT-SEED``."""
        return [
            RunSpec(
                self.experiment, config.single(config.model, seed), folder / f"{name}-{seed}", name
            )
            for seed in self.config.seeds
            for name, config in self.variants.items()
        ]

    def check(self) -> None:
        """Find what would end runs at once, before any begins. Raises `MemoriaError`."""
        experiment = find_experiment(self.experiment)
        for config in self.variants.values():
            experiment.check(config)

    def claim(self, folder: Path) -> None:
        """Make ``folder`` this experiment's, or check that it is.

        More models, variants and seeds may be added to it later.

        Raises:
            ConfigError: it belongs to another experiment, to other settings, or to something else.
        """
        shared = {"experiment": self.experiment, "config": self.config.shared()}
        try:
            held = read_document(folder / EXPERIMENT_FILE)
        except StoreNotFoundError:
            if folder.is_dir() and any(folder.iterdir()):
                raise ConfigError(
                    f"{folder}: is not empty, and no experiment's folder", "name another"
                ) from None
            held = {}
        for key, value in shared.items():
            what = difference(held.get(key), value, key) if held else None
            if what is not None:
                raise ConfigError(f"{folder}: holds other runs: {what}", "name another folder: -o")
        variants = [*held.get("variants", []), *self.variants]
        seeds = [*held.get("seeds", []), *self.config.seeds]
        known = {"variants": list(dict.fromkeys(variants)), "seeds": sorted(set(seeds))}
        document = {**shared, "preset": self.preset, **known}
        if document != held:
            folder.mkdir(parents=True, exist_ok=True)
            write_document(folder / EXPERIMENT_FILE, document)

    def with_changes(self, settings: Mapping[str, Any]) -> Plan:
        """The plan with other settings, in every variant."""
        variants = {name: one.replace(**settings) for name, one in self.variants.items()}
        return replace(self, config=self.config.replace(**settings), variants=variants)


def make_plan(name: str, preset: str = PRESETS[0], settings: Mapping[str, Any] = {}) -> Plan:
    """An experiment's runs.

    Args:
        name: of the experiment.
        preset: where its settings begin.
        settings: those that are otherwise.

    Raises:
        ConfigError: there is no such experiment, preset or setting, or a value is out of range.
    """
    config = find_experiment(name).Config.preset(preset, **settings)
    variants = {model: config.replace(models=[model]) for model in config.models}
    return Plan(name, preset, config, variants)


def is_plan_file(text: str) -> bool:
    """Whether an argument means a file and no experiment's name."""
    return text.endswith(".toml") or "/" in text


def read_plan(path: Path, preset: str | None = None, settings: Mapping[str, Any] = {}) -> Plan:
    """Read a plan from a TOML file.

    Args:
        path: the file.
        preset: used instead of the file's.
        settings: used instead of the file's, one by one.

    Raises:
        ConfigError: the file is no plan, or its settings are wrong.
    """
    found = read_toml(path)
    name = found.get("experiment")
    if not isinstance(name, str):
        raise ConfigError(f"{path}: names no experiment", 'it needs a line experiment = "NAME"')
    wanted = preset if preset is not None else found.get("preset", PRESETS[0])
    config, variants = found.get("config", {}), found.get("variants", {})
    if (
        not isinstance(wanted, str)
        or not isinstance(config, dict)
        or not isinstance(variants, dict)
    ):
        raise ConfigError(f"{path}: preset is a name, config and variants are tables")
    plan = make_plan(name, wanted, {**config, **settings})
    plan = replace(plan, rest={key: found[key] for key in found if key not in _KEYS})
    if not variants:
        return plan
    return replace(plan, variants=_named(path, plan.config, variants))


def _named(
    path: Path, config: ExperimentConfig, variants: Mapping[str, Any]
) -> dict[str, ExperimentConfig]:
    found = {}
    for name, changes in variants.items():
        if _VARIANT.fullmatch(name) is None:
            raise ConfigError(f"{path}: variant {name!r}", "use letters, digits, - _ + .")
        if not isinstance(changes, dict):
            raise ConfigError(f"{path}: variant {name!r} is no table", f"write [variants.{name}]")
        if "seeds" in changes:
            raise ConfigError(f"{path}: variant {name!r} has seeds", "they belong under [config]")
        one = config.replace(**changes)
        found[name] = one.replace(models=one.models[:1])
    return found
