"""Latency of commands as real processes, against the bare interpreter and what they import."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from building import add_build_options, built
from common import (
    ROOT,
    TableOf,
    finish,
    last_line,
    milliseconds,
    numbers,
    parser,
    say,
    scratch,
    start,
    timing,
)

NAME = "commands"
_TEXT = "The cat sat on the mat. The dog barked at the moon. It rained all night long."
_DIMENSION = 768


class CommandError(Exception):
    """A command failed; the message is what it said."""


def options() -> argparse.ArgumentParser:
    made = parser(__doc__, NAME)
    made.add_argument("--sizes", type=numbers, help="engrams of the stores (default 1e3,1e5,1e6)")
    made.add_argument("--dimension", type=int, default=_DIMENSION, help="numbers of their vectors")
    made.add_argument("--repeats", type=int, help="processes of each kind (default 11)")
    add_build_options(made)
    return made


def main(words: list[str] | None = None) -> dict[str, Any]:
    arguments = options().parse_args(words)
    if arguments.sizes is None:
        arguments.sizes = [1000] if arguments.quick else [1000, 100_000, 1_000_000]
    if arguments.repeats is None:
        arguments.repeats = 3 if arguments.quick else 11
    document = start(arguments)
    bare = {"interpreter": "pass", "import zarr": "import zarr", "import torch": "import torch"}
    document["baselines"] = {
        name: _timed(partial(_process, "-c", code), arguments.repeats)
        for name, code in bare.items()
    }
    document["commands"] = {
        name: _timed(partial(_memoria, name), arguments.repeats) for name in ("--help", "--version")
    }
    document["stores"] = []
    with scratch(arguments.directory) as folder:
        for size in sorted(arguments.sizes):
            with built(folder, size, arguments.dimension, arguments) as (place, _):
                say(f"commands on {size:,} engrams")
                told = _verbs(str(place), arguments.repeats)
                document["stores"].append({"engrams": size, **told})
    finish(NAME, arguments, document, _tables(document))
    return document


def _verbs(place: str, repeats: int) -> dict[str, Any]:
    """inspect, then as many steps as repeats: add, remind, adjust, each a process."""
    inspect = _timed(partial(_memoria, "inspect", place), repeats)
    json = _timed(partial(_memoria, "inspect", place, "--json"), repeats)
    taken: dict[str, list[float]] = {"add": [], "remind": [], "adjust": []}
    for _ in range(repeats):
        taken["add"].append(_seconds(partial(_memoria, "add", place, "--text", _TEXT)))
        taken["remind"].append(_seconds(partial(_memoria, "remind", place)))
        taken["adjust"].append(_seconds(partial(_memoria, "adjust", place)))
    steps = {verb: timing(seconds) for verb, seconds in taken.items()}
    return {"inspect": inspect, "inspect --json": json, **steps}


def _memoria(*words: str) -> None:
    _process("-m", "memoria_cli", *words)


def _process(*words: str) -> None:
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *words]
    done = subprocess.run(command, capture_output=True, text=True, env=variables)
    if done.returncode:
        raise CommandError(f"{words[:3]}: {last_line(done.stderr)}")


def _timed(run: Callable[[], None], repeats: int) -> dict[str, Any]:
    """One run to fill the caches, then ``repeats`` of them."""
    run()
    return timing([_seconds(run) for _ in range(repeats)])


def _seconds(run: Callable[[], None]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def _tables(document: dict[str, Any]) -> list[TableOf]:
    baselines = document["baselines"]
    interpreter = milliseconds(baselines["interpreter"]) or 0.0
    torch = milliseconds(baselines["import torch"]) or 0.0

    def cells(name: str, told: dict[str, Any]) -> list[object]:
        median = milliseconds(told) or 0.0
        worst = milliseconds(told, "max_seconds")
        return [name, median, worst, median - interpreter, median - torch]

    columns = ("process", "median ms", "max ms", "past interpreter", "past import torch")
    plain = [cells(name, told) for name, told in {**baselines, **document["commands"]}.items()]
    tables: list[TableOf] = [("processes", columns, plain)]
    for store in document["stores"]:
        rows = [cells(name, told) for name, told in store.items() if name != "engrams"]
        tables.append((f"commands on {store['engrams']:,} engrams", columns, rows))
    return tables


if __name__ == "__main__":
    main()
