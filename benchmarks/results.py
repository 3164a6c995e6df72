"""Results: a document of numbers, tables for people, and a file for each release."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import machine

TableOf = tuple[str, Sequence[str], Sequence[Sequence[object]]]  # title, columns, rows
RESULTS = Path(__file__).resolve().parent / "results"
_PATHS = ("out", "upstream_python", "upstream_path", "directory", "kept", "model", "data")
_PRIVATE = (*_PATHS, "python")
_IDLE = 0.5  # load average of a machine that does nothing else


def start(arguments: argparse.Namespace) -> dict[str, Any]:
    """The head of a result: release, machine, load and settings before anything was measured."""
    from memoria import __version__

    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    settings = {key: value for key, value in vars(arguments).items() if key not in _PRIVATE}
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "release": __version__,
        "machine": {**machine(), "torch_threads": arguments.threads},
        "settings": settings,
    }


def finish(
    name: str,
    arguments: argparse.Namespace,
    document: Mapping[str, Any],
    tables: Sequence[TableOf],
) -> Path:
    """Print the tables (title, columns, rows) and write the document."""
    from rich.console import Console

    console = Console()
    found = document["machine"]
    load = found["load_average"][0]
    console.print(
        f"{found['cpu']}, {found['cores']} cores, {found['torch_threads']} threads, "
        f"load {load} at the start"
    )
    if load > _IDLE:
        console.print("[yellow]the machine was not idle: trust ratios, if anything[/yellow]")
    print_tables(console, tables)
    file = f"{name}.quick.json" if arguments.quick else f"{name}.json"
    place = Path(arguments.out) if arguments.out else RESULTS / document["release"] / file
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    console.print(f"written: {place.name}")
    return place


def print_tables(console: Any, tables: Sequence[TableOf]) -> None:
    from rich.table import Table

    for title, columns, rows in tables:
        table = Table(title=title, title_justify="left")
        for number, column in enumerate(columns):
            table.add_column(column, justify="left" if number == 0 else "right")
        for row in rows:
            table.add_row(*[show(cell) for cell in row])
        console.print(table)


def show(cell: object) -> str:
    """A cell of a table."""
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:,.3g}" if abs(cell) < 1000 else f"{cell:,.0f}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


def timing(seconds: Sequence[float]) -> dict[str, float | int]:
    """Count, median, 99th percentile and greatest of ``seconds``."""
    return {
        "samples": len(seconds),
        "median_seconds": float(np.median(seconds)),
        "p99_seconds": float(np.percentile(seconds, 99)),
        "max_seconds": float(max(seconds)),
    }


def milliseconds(timing: Mapping[str, Any] | None, key: str = "median_seconds") -> float | None:
    """A time of `timing` in ms; None stays None."""
    return None if timing is None else 1e3 * float(timing[key])


def ratio(over: float | None, under: float | None) -> float | None:
    """``over / under``; None where either is missing or there is nothing to divide by."""
    return None if over is None or not under else over / under
