"""`Report`: what the runs below a folder say together, as plain values."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from memoria.errors import ConfigError, MemoriaError, StoreNotFoundError
from memoria.experiments.experiment import Experiment, Metric, find_experiment
from memoria.experiments.records import EXPERIMENT_FILE, RUN_FILE, RunRecord, read_document
from memoria.experiments.statistics import bootstrap_interval, compare, sign_flip_p

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
        against: the variant that the others are compared with.
        variants: rows of `statistics.compare`, with a 95 % bootstrap "interval" of each mean.
        comparisons: ``against`` minus each other variant, in each metric, over the seeds of both.
        findings: sentences of the experiment about its finished runs.
        breakdown: rows of the experiment about parts of what they ended with.
        records: all runs, those that are not done too, which count nowhere.
        experiment: None where it is not installed.
    """

    name: str
    summary: str
    metrics: Sequence[Metric]
    against: str
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
        values: dict[str, dict[str, Any]] = {}
        for record in self.done:
            for key, value in record.config.items():
                values.setdefault(key, {})[json.dumps(value, sort_keys=True)] = value
        return {
            key: list(found.values())
            for key, found in values.items()
            if len(found) > 1 and key not in ("models", "seeds", "device")
        }

    def limits(self) -> str:
        """How small a p the number of pairs allows, in a sentence; empty without comparisons."""
        pairs = sorted({one["pairs"] for one in self.comparisons if one["p"] is not None})
        if not pairs:
            return ""
        least = ", ".join(f"{2.0 ** (1 - count):.2g} with {count} pairs" for count in pairs)
        return (
            f"p is that of the sign-flip test, each for itself; it cannot be below {least}. "
            "Intervals are bootstrap ones over seeds, too narrow where these are few."
        )

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "experiment": self.name,
            "summary": self.summary,
            "metrics": [asdict(one) for one in self.metrics],
            "against": self.against,
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

    Links are not followed. Variants of the same name in different folders are told apart by the
    folder's name, where one has run with the same seed in both.

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
    table = compare(records, metrics, first)
    variants = [{key: value for key, value in row.items() if key != "behind"} for row in table]
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
        variants=variants,
        comparisons=[
            _comparison(row, one, first)
            for row in table
            for one in metrics
            if row["behind"] and row["behind"][one.name]["runs"]
        ],
        findings=[] if experiment is None or not done else experiment.tell(done),
        breakdown=parts,
        records=records,
        experiment=experiment,
    )


def _comparison(row: Row, metric: Metric, first: str) -> dict[str, Any]:
    """``first`` minus the row's variant, over the seeds of both."""
    behind = row["behind"][metric.name]
    values = list(behind["values"].values())
    p = sign_flip_p(values)
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

    def named(record: RunRecord) -> RunRecord:
        if (record.experiment, record.variant) not in repeated:
            return record
        inner = os.path.relpath(record.path.parent, folder)
        name = record.path.parent.name if inner == "." else inner
        return replace(record, variant=f"{name}: {record.variant}")

    return [named(record) for record in records]
