"""`Report`: what the runs below a folder say together, as plain values."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from memoria.errors import ConfigError, MemoriaError, StoreNotFoundError
from memoria.experiments.experiment import Experiment, Metric, find_experiment
from memoria.experiments.records import (
    EXPERIMENT_FILE,
    RUN_FILE,
    RunRecord,
    plain_name,
    read_document,
)
from memoria.experiments.statistics import (
    bootstrap_interval,
    compare,
    paired_t_p,
    sign_flip_p,
    welch_p,
)

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Unreadable:
    """A folder that looks like a run and cannot be read as one."""

    path: Path
    message: str


@dataclass(frozen=True)
class ExperimentReport:
    """The runs of one experiment.

    Attributes:
        name, summary: of the experiment.
        metrics: the numbers reported.
        against: the variant that the others are compared with, where their conditions are its own.
        conditions: settings that are not the same in all runs, beside those of single models, with
            their values: runs are compared where all of these are equal.
        references: values of the first metric to compare with, by name, of each variant.
        variants: rows of `statistics.compare`, with a 95 % bootstrap "interval" of each mean.
        comparisons: the first minus each other variant, in each metric, over the seeds of both.
        findings: sentences of the experiment about its finished runs.
        breakdown: rows of the experiment about parts of what they ended with.
        records: all runs, those that are not done too, which count nowhere.
        experiment: None where it is not installed.
    """

    name: str
    summary: str
    metrics: Sequence[Metric]
    against: str
    conditions: dict[str, list[Any]]
    references: dict[str, dict[str, float]]
    variants: list[dict[str, Any]]
    comparisons: list[dict[str, Any]]
    findings: list[str]
    breakdown: list[dict[str, Any]]
    records: Sequence[RunRecord]
    experiment: Experiment[Any] | None

    @property
    def unfinished(self) -> list[RunRecord]:
        """Runs that failed, were interrupted, or go on."""
        return [one for one in self.records if one.status != "done"]

    @property
    def done(self) -> list[RunRecord]:
        """Runs that count."""
        return [one for one in self.records if one.status == "done"]

    def differing(self) -> dict[str, list[Any]]:
        """Settings that are not the same in all runs, with their values, but models and seeds."""
        found = _differing([one.config for one in self.done])
        return {key: values for key, values in found.items() if key not in _OF_A_RUN}

    def limits(self) -> str:
        """How small a p the number of pairs allows, in a sentence; empty without comparisons."""
        pairs = sorted({one["pairs"] for one in self.comparisons if one["p"] is not None})
        if not pairs:
            return ""
        least = ", ".join(f"{2.0 ** (1 - count):.2g} with {count} pairs" for count in pairs)
        return (
            f"p is that of the sign-flip test, each for itself; it cannot be below {least}. "
            "Intervals are bootstrap ones over seeds, too narrow where these are few. The t-test "
            "is the paper's: one-tailed, that the first is no better, over all runs of each."
        )

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "experiment": self.name,
            "summary": self.summary,
            "metrics": [asdict(one) for one in self.metrics],
            "against": self.against,
            "conditions": self.conditions,
            "references": self.references,
            "variants": self.variants,
            "comparisons": self.comparisons,
            "differing": self.differing(),
            "findings": self.findings,
            "breakdown": self.breakdown,
            "runs": [one.row() for one in self.records],
        }


@dataclass(frozen=True)
class Report:
    """The experiments of a folder, and what in it could not be read."""

    path: Path
    experiments: list[ExperimentReport]
    unreadable: list[Unreadable]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "path": os.path.abspath(self.path),
            "experiments": [one.document() for one in self.experiments],
            "unreadable": [
                {"path": os.fspath(one.path), "message": one.message} for one in self.unreadable
            ],
        }


def read_report(folder: Path, against: str | None = None, metrics: Sequence[str] = ()) -> Report:
    """Read every run below ``folder``, however deep, and compare variants over seeds.

    Links are not followed. Variants are compared within equal conditions only (see
    `ExperimentReport.conditions`), each with the one of them that has the name of ``against``.
    Those of the same name in different folders are told apart by the folder's name, where one has
    run with the same seed in both, or under other conditions.

    Args:
        folder: of runs, or a run itself.
        against: the variant that the others are compared with; the first unless given.
        metrics: the only numbers to report; all unless given.

    Raises:
        StoreNotFoundError: there is no run below ``folder``.
        ConfigError: no experiment there has such a variant or metric.
    """
    records, unreadable = _read_runs(folder)
    by_experiment: dict[str, list[RunRecord]] = {}
    for record in sorted(records, key=lambda one: one.experiment):
        by_experiment.setdefault(record.experiment, []).append(record)
    _check(against, {one.variant for one in records}, "variant")
    kinds = {name: _experiment(name) for name in by_experiment}
    known = {name: _metrics(kinds[name], by_experiment[name]) for name in by_experiment}
    for name in metrics:
        _check(name, {one.name for all_of in known.values() for one in all_of}, "metric")
    reports = []
    for name, of_experiment in by_experiment.items():
        chosen = [one for one in known[name] if not metrics or one.name in metrics]
        reports.append(_report(name, kinds[name], chosen, of_experiment, against))
    return Report(folder, reports, unreadable)


def _report(
    name: str,
    experiment: Experiment[Any] | None,
    metrics: Sequence[Metric],
    records: Sequence[RunRecord],
    against: str | None,
) -> ExperimentReport:
    done = [one for one in records if one.status == "done"]
    names = [one.variant for one in records]
    first = against if against in names else [*(one.variant for one in done), *names][0]
    groups = _equal_conditions(records)
    variants, comparisons = [], []
    references: dict[str, dict[str, float]] = {}
    for group in groups:
        compared_with = _reference(experiment, group[0])
        references |= {one.variant: compared_with for one in group}
        chosen = _first_of(group, first)
        table = compare(group, metrics, chosen)
        variants += [{key: value for key, value in row.items() if key != "behind"} for row in table]
        comparisons += [
            _comparison(row, table, one, chosen)
            for row in table
            for one in metrics
            if row["behind"] and row["behind"][one.name]["runs"]
        ]
    for row in variants:
        for found in row["metrics"].values():
            found["interval"] = _interval(list(found["values"].values()))
    parts: list[dict[str, Any]] = []
    if experiment is not None and done:
        parts = experiment.breakdown(sorted(done, key=lambda one: one.variant != first))
    return ExperimentReport(
        name=name,
        summary="" if experiment is None else experiment.summary,
        metrics=metrics,
        against=first,
        conditions=_differing([_condition(group[0]) for group in groups]),
        references=references,
        variants=variants,
        comparisons=comparisons,
        findings=[] if experiment is None or not done else experiment.tell(done),
        breakdown=parts,
        records=records,
        experiment=experiment,
    )


_OF_A_RUN: Final = ("models", "seeds", "device")  # settings that say which run it is, and where


def _condition(record: RunRecord) -> dict[str, Any]:
    """What a run has in common with those it may be compared with.

    Those are the settings that its folder was claimed with, so that variants of a file may differ
    in anything; without a folder's, its own. Settings of single models are what is compared.
    """
    try:
        held = read_document(record.path.parent / EXPERIMENT_FILE).get("config")
    except MemoriaError:
        held = None
    config = held if isinstance(held, dict) else record.config
    return {key: value for key, value in config.items() if key not in (*_OF_A_RUN, "settings")}


def _equal_conditions(records: Sequence[RunRecord]) -> list[list[RunRecord]]:
    """Runs of the same experiment in groups of equal conditions, in their order."""
    groups: dict[str, list[RunRecord]] = {}
    for record in records:
        key = json.dumps(_condition(record), sort_keys=True)
        groups.setdefault(key, []).append(record)
    return list(groups.values())


def _first_of(group: Sequence[RunRecord], first: str) -> str:
    """The variant of a group that the others are compared with: ``first``, else its namesake."""
    names = [one.variant for one in group if one.status == "done"] or [group[0].variant]
    if first in names:
        return first
    alike = (one for one in names if plain_name(one) == plain_name(first))
    return next(alike, names[0])


def _reference(experiment: Experiment[Any] | None, record: RunRecord) -> dict[str, float]:
    """What the experiment compares with; nothing where it cannot be told here, as without data."""
    if experiment is None:
        return {}
    try:
        return dict(experiment.reference(experiment.Config(**record.config)))
    except MemoriaError:
        return {}


def _differing(configs: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Settings that are not the same in all ``configs``, with their values in order."""
    values: dict[str, dict[str, Any]] = {}
    for config in configs:
        for key, value in config.items():
            values.setdefault(key, {})[json.dumps(value, sort_keys=True)] = value
    return {key: list(found.values()) for key, found in values.items() if len(found) > 1}


def _comparison(row: Row, table: Sequence[Row], metric: Metric, first: str) -> dict[str, Any]:
    """``first`` minus the row's variant, over the seeds of both."""
    behind = row["behind"][metric.name]
    values = list(behind["values"].values())
    p = sign_flip_p(values)
    runs = {one["variant"]: list(one["metrics"][metric.name]["values"].values()) for one in table}
    sides = runs[first], runs[row["variant"]]
    return {
        "metric": metric.name,
        "against": first,
        "variant": row["variant"],
        "pairs": len(values),
        "difference": behind["mean"],
        "sd": behind["sd"],
        "interval": _interval(values),
        "higher": sum(value > 0 for value in values),
        "p": p,
        "least_p": None if p is None else 2.0 ** (1 - len(values)),
        "t_p": paired_t_p(values),
        "welch_p": welch_p(*(sides[::-1] if metric.better == "lower" else sides)),
    }


def _interval(values: Sequence[float]) -> list[float] | None:
    found = bootstrap_interval(values) if values else None
    return None if found is None else list(found)


def _experiment(name: str) -> Experiment[Any] | None:
    """The experiment; None for one that is not installed here, whose numbers are reported too."""
    try:
        return find_experiment(name)
    except MemoriaError:
        return None


def _metrics(experiment: Experiment[Any] | None, records: Sequence[RunRecord]) -> list[Metric]:
    """The experiment's metrics, then what else its runs ended with."""
    declared = [] if experiment is None else list(experiment.metrics)
    known = {one.name for one in declared}
    others = [
        name
        for record in records
        for name, value in record.metrics.items()
        if name not in known and isinstance(value, int | float) and not isinstance(value, bool)
    ]
    return declared or [Metric(name, name) for name in dict.fromkeys(others)]


def _check(name: str | None, known: set[str], what: str) -> None:
    if name is not None and name not in known:
        message = f"{what} {name!r}: there is none in these runs"
        raise ConfigError(message, f"there are {', '.join(sorted(known)) or 'none at all'}")


def _read_runs(folder: Path) -> tuple[list[RunRecord], list[Unreadable]]:
    """The runs, variants in the order in which they were asked for, and what cannot be read."""
    records, unreadable = [], []
    for path in _run_folders(folder):
        try:
            records.append(RunRecord.read(path))
        except (MemoriaError, OSError) as error:
            unreadable.append(Unreadable(path, str(error)))
    if not records and not unreadable:
        raise StoreNotFoundError(f"{folder}: no runs in it", "name a folder of `experiment run`")
    orders = {above: _variant_order(above) for above in {one.path.parent for one in records}}

    def order(record: RunRecord) -> tuple[Any, ...]:
        above, asked = record.path.parent, orders[record.path.parent]
        # "memoria depth=2" was asked for as it is, or as "memoria" at a point of a sweep
        names = (record.variant, record.variant.partition(" ")[0])
        first = next((asked[one] for one in names if one in asked), len(asked))
        return os.fspath(above), first, record.variant, record.seed

    return _tell_apart(sorted(records, key=order), folder), unreadable


def _run_folders(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise StoreNotFoundError(f"{folder}: no such folder")
    for inner, names, files in os.walk(folder, followlinks=False):
        names.sort()
        if RUN_FILE in files:
            names.clear()  # runs hold no runs
            yield Path(inner)


def _variant_order(folder: Path) -> dict[str, int]:
    """The variants of an experiment's folder by name, numbered as they were asked for."""
    try:
        found = read_document(folder / EXPERIMENT_FILE).get("variants")
    except MemoriaError:
        found = None
    listed = found if isinstance(found, list) else []
    return {str(name): number for number, name in enumerate(listed)}


def _tell_apart(records: list[RunRecord], folder: Path) -> list[RunRecord]:
    """Name variants after their folder too where the same run is in several."""
    seen: dict[tuple[str, str, int], set[Path]] = {}
    for record in records:
        key = (record.experiment, record.variant, record.seed)
        seen.setdefault(key, set()).add(record.path.parent)
    repeated = {key[:2] for key, folders in seen.items() if len(folders) > 1}
    under: dict[tuple[str, str], set[str]] = {}
    for record in records:
        condition = json.dumps(_condition(record), sort_keys=True)
        under.setdefault((record.experiment, record.variant), set()).add(condition)
    repeated |= {key for key, conditions in under.items() if len(conditions) > 1}

    def named(record: RunRecord) -> RunRecord:
        if (record.experiment, record.variant) not in repeated:
            return record
        inner = os.path.relpath(record.path.parent, folder)
        name = record.path.parent.name if inner == "." else inner
        return replace(record, variant=f"{name}: {record.variant}")

    return [named(record) for record in records]
