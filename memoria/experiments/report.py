"""The runs below a folder, however deep, with those that cannot be read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from memoria.errors import ConfigError, MemoriaError, StoreNotFoundError
from memoria.experiments.experiment import Experiment, Metric, find_experiment
from memoria.experiments.records import EXPERIMENT_FILE, RUN_FILE, RunRecord, read_document
from memoria.experiments.statistics import bootstrap_interval, compare, sign_flip_p


@dataclass(frozen=True)
class Unreadable:
    """A folder that looks like a run and cannot be read as one."""

    path: Path
    message: str


@dataclass(frozen=True)
class Gathered:
    """All runs below a folder: of one experiment together, its variants as they were asked for."""

    records: list[RunRecord]
    unreadable: list[Unreadable]

    def by_experiment(self) -> dict[str, list[RunRecord]]:
        """The runs of each experiment, by name."""
        found: dict[str, list[RunRecord]] = {}
        for record in sorted(self.records, key=lambda one: one.experiment):
            found.setdefault(record.experiment, []).append(record)
        return found


def gather(folder: Path) -> Gathered:
    """Read every run below ``folder``, or ``folder`` itself; links are not followed.

    Variants of the same name in different folders are told apart by the folder's name, where one
    has run with the same seed in both. Raises `StoreNotFoundError` where there is no run.
    """
    records, unreadable = [], []
    for path in _runs(folder):
        try:
            records.append(RunRecord.read(path))
        except (MemoriaError, OSError) as error:
            unreadable.append(Unreadable(path, str(error)))
    if not records and not unreadable:
        raise StoreNotFoundError(f"{folder}: no runs in it", "name a folder of `experiment run`")
    ranks: dict[Path, dict[str, int]] = {}
    for record in records:
        above = record.path.parent
        ranks.setdefault(above, _order(above))

    def place(record: RunRecord) -> tuple[Any, ...]:
        rank = ranks[record.path.parent]
        first = next((rank[one] for one in _names(record.variant) if one in rank), len(rank))
        return os.fspath(record.path.parent), first, record.variant, record.seed

    return Gathered(_told_apart(sorted(records, key=place), folder), unreadable)


def _runs(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise StoreNotFoundError(f"{folder}: no such folder")
    for inner, names, files in os.walk(folder, followlinks=False):
        names.sort()
        if RUN_FILE in files:
            names.clear()  # runs hold no runs
            yield Path(inner)


def _order(folder: Path) -> dict[str, int]:
    """The variants of an experiment's folder, in the order in which they were asked for."""
    try:
        found = read_document(folder / EXPERIMENT_FILE).get("variants")
    except MemoriaError:
        found = None
    listed = found if isinstance(found, list) else []
    return {str(name): number for number, name in enumerate(listed)}


def _names(variant: str) -> Iterator[str]:
    """``"memoria depth=2"`` was asked for as it is, or as ``"memoria"`` at a point of a sweep."""
    yield variant
    yield variant.partition(" ")[0]


def _told_apart(records: list[RunRecord], folder: Path) -> list[RunRecord]:
    seen: dict[tuple[str, str, int], set[Path]] = {}
    for record in records:
        key = (record.experiment, record.variant, record.seed)
        seen.setdefault(key, set()).add(record.path.parent)
    twice = {key[:2] for key, folders in seen.items() if len(folders) > 1}
    return [
        replace(record, variant=f"{_inner(record.path.parent, folder)}: {record.variant}")
        if (record.experiment, record.variant) in twice
        else record
        for record in records
    ]


def _inner(path: Path, folder: Path) -> str:
    inner = os.path.relpath(path, folder)
    return path.name if inner == "." else inner


Row = Mapping[str, Any]


@dataclass(frozen=True)
class ExperimentReport:
    """The runs of one experiment.

    ``variants``: rows of `results.compare` with a 95 % bootstrap ``interval`` of each mean;
    ``comparisons``: ``against`` minus each other variant, in each metric, over the seeds that both
    have. ``unfinished`` are those runs that are not done; they count nowhere.
    """

    name: str
    summary: str
    metrics: Sequence[Metric]
    against: str
    variants: list[dict[str, Any]]
    comparisons: list[dict[str, Any]]
    findings: list[str]
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
            "metrics": [
                {"name": one.name, "title": one.title, "better": one.better} for one in self.metrics
            ],
            "against": self.against,
            "variants": self.variants,
            "comparisons": self.comparisons,
            "differing": self.differing(),
            "findings": self.findings,
            "runs": [
                {
                    "variant": one.variant,
                    "seed": one.seed,
                    "status": one.status,
                    "path": os.fspath(one.path),
                    "seconds": one.seconds,
                    "summary": dict(one.metrics),
                    "error": one.error,
                }
                for one in self.records
            ],
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
    """What the runs below ``folder`` say; ``against`` is compared with the other variants.

    ``metrics`` leaves out all others. Raises `StoreNotFoundError` without runs, `ConfigError` for
    a variant or a metric that no experiment there has.
    """
    gathered = gather(folder)
    by_experiment = gathered.by_experiment()
    _check(against, {one.variant for one in gathered.records}, "variant")
    kinds = {name: _experiment(name) for name in by_experiment}
    known = {name: _metrics(kinds[name], by_experiment[name]) for name in by_experiment}
    for name in metrics:
        _check(name, {one.name for all_of in known.values() for one in all_of}, "metric")
    reports = []
    for name, records in by_experiment.items():
        chosen = [one for one in known[name] if not metrics or one.name in metrics]
        reports.append(_reported(name, kinds[name], chosen, records, against))
    return Report(folder, reports, gathered.unreadable)


def _reported(
    name: str,
    experiment: Experiment[Any] | None,
    metrics: Sequence[Metric],
    records: Sequence[RunRecord],
    against: str | None,
) -> ExperimentReport:
    names = list(dict.fromkeys(one.variant for one in records))
    finished = [one.variant for one in records if one.status == "done"]
    first = against if against in names else next(iter(finished), names[0])
    table = compare(records, metrics, first)
    variants = [{key: value for key, value in row.items() if key != "behind"} for row in table]
    for row in variants:
        for told in row["metrics"].values():
            told["interval"] = _interval(list(told["values"].values()))
    done = [one for one in records if one.status == "done"]
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
        findings=_findings(experiment, done),
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
    """None for one that is not installed here: its numbers are told all the same."""
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


def _findings(experiment: Experiment[Any] | None, done: Sequence[RunRecord]) -> list[str]:
    return [] if experiment is None or not done else experiment.tell(done)


def _check(name: str | None, known: set[str], what: str) -> None:
    if name is not None and name not in known:
        message = f"{what} {name!r}: there is none in these runs"
        raise ConfigError(message, f"there are {', '.join(sorted(known)) or 'none at all'}")
