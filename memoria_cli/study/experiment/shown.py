"""The results of runs as people read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from memoria_cli.terminal import output
from memoria_cli.terminal.wording import number

__all__ = ["results"]

Row = Mapping[str, Any]


def results(
    title: str, table: Sequence[Row], metrics: Sequence[Any], reference: Mapping[str, float]
) -> list[str | output.Table]:
    """Mean ± sd of each variant, the first one's lead over the others, figures to compare with."""
    named = [metric.title for metric in metrics]
    rows = [
        (
            row["variant"],
            str(row["runs"]),
            *[_spread(row["metrics"][metric.name]) for metric in metrics],
            _duration(row["seconds"]),
        )
        for row in table
    ]
    shown: list[str | output.Table] = [
        output.Table(title, ("model", "runs", *named, "a run took"), rows)
    ]
    others = [row for row in table if row["behind"] and any(_pairs(row, one) for one in metrics)]
    if others:
        leads = [
            (row["variant"], *[_lead(row["behind"][metric.name]) for metric in metrics])
            for row in others
        ]
        headline = f"{table[0]['variant']} minus each, seed by seed"
        shown.append(output.Table(headline, ("model", *named), leads))
    if reference:
        lines = [(name, number(value)) for name, value in reference.items()]
        shown.append(output.Table(f"for comparison: {named[0]}", ("", ""), lines))
    return shown


def _pairs(row: Row, metric: Any) -> int:
    count: int = row["behind"][metric.name]["runs"]
    return count


def _spread(one: Row) -> str:
    if one["mean"] is None:
        return "-"
    return number(one["mean"]) + ("" if one["sd"] is None else f" ± {number(one['sd'])}")


def _lead(one: Row) -> str:
    if one["mean"] is None:
        return "-"
    above = sum(value > 0 for value in one["values"].values())
    sign = "+" if one["mean"] >= 0 else ""
    return f"{sign}{_spread(one)} (higher in {above} of {one['runs']})"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
