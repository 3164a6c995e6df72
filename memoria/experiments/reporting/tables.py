"""A report as headings, paragraphs, tables and pictures: what Markdown and HTML are made of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from memoria.experiments.reporting.report import ExperimentReport, Report

__all__ = ["Heading", "Paragraph", "Part", "Picture", "Rows", "parts"]


@dataclass(frozen=True)
class Heading:
    """A title; ``level`` 1 is that of the whole."""

    level: int
    text: str


@dataclass(frozen=True)
class Paragraph:
    """A few sentences."""

    text: str


@dataclass(frozen=True)
class Rows:
    """A table: cells of text under headings."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Picture:
    """A file with a picture, and what it shows."""

    path: Path
    text: str


_MOST_VALUES: Final = 5
_LONGEST: Final = 60

Part = Heading | Paragraph | Rows | Picture


def parts(report: Report, pictures: dict[str, list[Path]]) -> Iterator[Part]:
    """The report from top to bottom, with the ``pictures`` of each experiment."""
    yield Heading(1, f"Runs in {report.path.resolve().name}")
    for one in report.experiments:
        yield from _experiment(one, pictures.get(one.name, []))
    if report.unreadable:
        yield Heading(2, "Not readable")
        rows = [(str(one.path), one.message) for one in report.unreadable]
        yield Rows(("folder", "why"), rows)


def _experiment(one: ExperimentReport, pictures: Sequence[Path]) -> Iterator[Part]:
    yield Heading(2, one.name)
    if one.summary:
        yield Paragraph(one.summary)
    yield Paragraph(
        f"{len(one.done)} of {len(one.records)} runs are done; mean ± standard deviation over "
        "seeds, [95 % bootstrap interval of the mean]."
    )
    if differing := one.differing():
        told = "; ".join(f"{key}: {_values(values)}" for key, values in differing.items())
        yield Paragraph(f"Not all runs have the same settings, so mind what is compared. {told}.")
    titles = [metric.title for metric in one.metrics]
    yield Rows(("variant", "runs", *titles), [_variant(row, one) for row in one.variants])
    if one.comparisons:
        yield Heading(3, f"{one.against} minus each, seed by seed")
        columns = ("variant", "metric", "pairs", "difference", "95 % interval", "higher in", "p")
        yield Rows(columns, [_comparison(row, one) for row in one.comparisons])
        yield Paragraph(one.limits() or "One pair has neither interval nor p.")
    for finding in one.findings:
        yield Paragraph(finding)
    for path in pictures:
        yield Picture(path, f"{one.name}: {path.stem}")
    if one.unfinished:
        yield Heading(3, "Not finished, and counted nowhere")
        rows = [(run.variant, str(run.seed), run.status, run.error or "") for run in one.unfinished]
        yield Rows(("variant", "seed", "status", "why"), rows)


def _variant(row: dict[str, Any], one: ExperimentReport) -> list[str]:
    cells = [_spread(row["metrics"][metric.name]) for metric in one.metrics]
    return [row["variant"], str(row["runs"]), *cells]


def _comparison(row: dict[str, Any], one: ExperimentReport) -> list[str]:
    titles = {metric.name: metric.title for metric in one.metrics}
    return [
        row["variant"],
        titles[row["metric"]],
        str(row["pairs"]),
        f"{row['difference']:+.4g}",
        _between(row["interval"]),
        f"{row['higher']} of {row['pairs']}",
        "-" if row["p"] is None else f"{row['p']:.3g}",
    ]


def _values(values: Sequence[Any]) -> str:
    shown = [_short(json.dumps(value)) for value in values[:_MOST_VALUES]]
    return ", ".join(shown) + (", ..." if len(values) > _MOST_VALUES else "")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _spread(told: dict[str, Any]) -> str:
    if told["mean"] is None:
        return "-"
    sd = "" if told["sd"] is None else f" ± {told['sd']:.3g}"
    interval = "" if told["interval"] is None else f" [{_between(told['interval'])}]"
    return f"{told['mean']:.4g}{sd}{interval}"


def _between(interval: Sequence[float] | None) -> str:
    return "-" if interval is None else f"{interval[0]:.4g} to {interval[1]:.4g}"
