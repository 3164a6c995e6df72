"""Options of the command lines of benchmarks."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from benchmarks.machine import cores
from benchmarks.processes import UPSTREAM


def parser(description: str | None, name: str) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has."""
    made = argparse.ArgumentParser(
        prog=f"python -m benchmarks {name}",
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    made.add_argument("--quick", action="store_true", help="small sizes, a minute or two")
    made.add_argument("--threads", type=int, default=cores(), help="threads of torch")
    made.add_argument("--out", help=f"JSON file (default: results/VERSION/{name}.json)")
    return made


def add_upstream_options(made: argparse.ArgumentParser) -> None:
    """Where the authors' package runs: it has our import name, so in a process of its own."""
    made.add_argument(
        "--upstream-python",
        help=f"a Python with {UPSTREAM} (default: a virtual environment in the cache folder)",
    )
    made.add_argument(
        "--upstream-path", help=f"a folder with {UPSTREAM}, unpacked, for this Python"
    )
    made.add_argument("--no-upstream", action="store_true", help="measure ours only")


def numbers(text: str) -> list[int]:
    """``1e3,5000`` -> [1000, 5000]; for options."""
    return [int(float(part)) for part in text.split(",") if part.strip()]


def fill(arguments: argparse.Namespace, sizes: Mapping[str, tuple[Any, Any]]) -> None:
    """Give options that were not set their value: (with ``--quick``, without)."""
    for name, (small, large) in sizes.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, small if arguments.quick else large)
