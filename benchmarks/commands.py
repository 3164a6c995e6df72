"""Every verb as a real process on stores of several sizes, against the bare interpreter.

Told of each: seconds, processor seconds and peak memory. Verbs that only read come first; those
that change the memory then follow in an order in which each finds what it needs.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.building import add_build_options, built
from benchmarks.options import fill, numbers, parser
from benchmarks.processes import CommandError, command, process, scratch
from benchmarks.results import TableOf, finish, say, start, timing

NAME = "commands"
_TEXT = "The cat sat on the mat. The dog barked at the moon. It rained all night long."
_DIMENSION = 768
_SLOW_SECONDS = 5.0  # a verb that takes longer is timed once

Ran = tuple[dict[str, float], bytes]
Line = tuple[str, Sequence[str]]  # name, words


def options() -> argparse.ArgumentParser:
    made = parser(__doc__, NAME)
    made.add_argument("--sizes", type=numbers, help="engrams of the stores (default 1e3,1e5,1e6)")
    made.add_argument("--dimension", type=int, default=_DIMENSION, help="numbers of their vectors")
    made.add_argument("--repeats", type=int, help="processes of each kind (default 7)")
    made.add_argument("--only", help="verbs whose line has one of these words: remind,export")
    add_build_options(made)
    return made


def main(words: list[str] | None = None) -> dict[str, Any]:
    arguments = options().parse_args(words)
    fill(arguments, {"sizes": ([1000], [1000, 100_000, 1_000_000]), "repeats": (1, 7)})
    document = start(arguments)
    bare = {
        name: (lambda code=code: process("-c", code))
        for name, code in (
            ("interpreter", "pass"),
            ("import numpy", "import numpy"),
            ("import torch", "import torch"),
        )
    }
    plain = {name: (lambda name=name: command(name)) for name in ("--help", "--version")}
    document["baselines"] = {name: _timed(run, arguments.repeats) for name, run in bare.items()}
    document["commands"] = {name: _timed(run, arguments.repeats) for name, run in plain.items()}
    document["stores"] = []
    with scratch(arguments.directory) as folder:
        (folder / "read.txt").write_text(_TEXT + "\n", encoding="utf-8")
        for size in sorted(arguments.sizes):
            with built(folder, size, arguments.dimension, arguments) as (place, _):
                say(f"verbs on {size:,} engrams")
                verbs = _verbs(place, folder / "made", size, arguments)
                document["stores"].append({"engrams": size, "verbs": verbs})
    finish(NAME, arguments, document, _tables(document))
    return document


def _verbs(place: Path, made: Path, size: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """What each line took; files that verbs write go with the folder ``made``."""
    made.mkdir()
    told: dict[str, Any] = {}

    def measure(lines: Sequence[Line], repeats: int, warm: bool) -> None:
        for name, line in lines:
            if any(word in name for word in (arguments.only or name).split(",")):
                say(f"  memoria {name}")
                told[name] = _timed(lambda line=line: command(*line), repeats, warm)

    measure(_reading(place, made), arguments.repeats, warm=True)
    steps: dict[str, list[dict[str, float]]] = {}
    for _ in range(arguments.repeats):
        for name, line in _step_by_step(str(place)):
            steps.setdefault(name, []).append(command(*line)[0])
    told |= {name: _told(spent) for name, spent in steps.items()}
    measure(_changing(place, made, size), 1, warm=False)
    shutil.rmtree(made)
    return told


def _reading(place: Path, made: Path) -> Sequence[Line]:
    store, out = str(place), str(made)
    return [
        ("inspect", ["inspect", store]),
        ("inspect --json", ["inspect", store, "--json"]),
        ("inspect ENGRAM", ["inspect", store, "12"]),
        ("inspect --engrams --limit 5", ["inspect", store, "--engrams", "--limit", "5"]),
        ("inspect --edges --limit 5", ["inspect", store, "--edges", "--limit", "5"]),
        ("list --limit 20", ["list", store, "--limit", "20"]),
        ("list --text", ["list", store, "--text", "number 77"]),
        ("list --json", ["list", store, "--json"]),
        ("remind --peek", ["remind", store, "--peek", "--cue-text", _TEXT]),
        ("remind --peek --json", ["remind", store, "--peek", "--cue-text", _TEXT, "--json"]),
        ("ask", ["ask", store, "where did the cat sit"]),
        ("diff", ["diff", f"{store}@1", store, "--limit", "5"]),
        ("replay", ["replay", store]),
        ("plot survival", ["plot", store, "survival", "-o", f"{out}/survival.svg", "--force"]),
        ("report", ["report", store, "-o", f"{out}/report.html", "--force"]),
        ("config show", ["config", "show", store]),
        ("verify", ["verify", store]),
        ("compact --dry-run", ["compact", store, "--dry-run"]),
        ("forget --dry-run", ["forget", store, "--query", "text number 7", "--dry-run"]),
        ("export .zip", ["export", store, f"{out}/all.memoria.zip", "--force"]),
        ("export .jsonl", ["export", store, f"{out}/all.jsonl", "--force"]),
        ("export parquet", ["export", store, f"{out}/all", "--format", "parquet", "--force"]),
        ("export .graphml", ["export", store, f"{out}/all.graphml", "--edges", "8", "--force"]),
        (
            "encode",
            [
                *("encode", f"{made.parent}/read.txt", "--backbone", "hash"),
                *("-o", f"{out}/all.npy", "--force"),
            ],
        ),
    ]


def _step_by_step(store: str) -> Sequence[Line]:
    return [
        ("add", ["add", store, "--text", _TEXT]),
        ("remind", ["remind", store]),
        ("adjust", ["adjust", store]),
    ]


def _changing(place: Path, made: Path, size: int) -> Sequence[Line]:
    store, out = str(place), str(made)
    half = str(max(1, size // 2))
    return [
        ("init", ["init", f"{out}/new"]),
        ("import", ["import", f"{out}/all.memoria.zip", f"{out}/imported"]),
        ("step --text", ["step", store, "--text", _TEXT]),
        ("used", ["used", store, "12", "--question", "where did the cat sit"]),
        ("edit", ["edit", store, "12", "--text", "The cat sat on the sofa."]),
        ("undo", ["undo", store, "--yes"]),
        ("pin", ["pin", store, "12"]),
        ("unpin", ["unpin", store, "12"]),
        ("snapshot create", ["snapshot", "create", store, "named"]),
        ("snapshot list", ["snapshot", "list", store]),
        ("snapshot show", ["snapshot", "show", store, "named"]),
        ("forget half", ["forget", store, "--older-than", "1", "--limit", half, "--yes"]),
        ("compact", ["compact", store, "--yes"]),
    ]


def _timed(run: Callable[[], Ran], repeats: int, warm: bool = True) -> dict[str, Any]:
    """``repeats`` runs after one that fills the caches; that one alone where it is slow."""
    try:
        spent = [run()[0]]
        if warm and spent[0]["seconds"] < _SLOW_SECONDS:
            spent = [run()[0] for _ in range(repeats)]
    except CommandError as error:
        return {"missing": str(error)}
    return _told(spent)


def _told(spent: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    processor = timing([one["processor_seconds"] for one in spent])
    return {
        **timing([one["seconds"] for one in spent]),
        "processor_median_seconds": processor["median_seconds"],
        "peak_bytes": max(one["peak_bytes"] for one in spent),
    }


def _tables(document: dict[str, Any]) -> list[TableOf]:
    bare = document["baselines"]["interpreter"]["processor_median_seconds"]

    def cells(name: str, told: dict[str, Any]) -> list[object]:
        if "missing" in told:
            return [name, told["missing"]]
        spent = told["processor_median_seconds"]
        seconds = (told["median_seconds"], told["max_seconds"])
        return [name, *seconds, spent, spent - bare, told["peak_bytes"] / 2**20]

    columns = ("process", "median s", "max s", "processor s", "past interpreter", "peak MiB")
    both = {**document["baselines"], **document["commands"]}
    plain = [cells(name, told) for name, told in both.items()]
    tables: list[TableOf] = [("processes", columns, plain)]
    for store in document["stores"]:
        rows = [cells(f"memoria {name}", told) for name, told in store["verbs"].items()]
        tables.append((f"verbs on {store['engrams']:,} engrams", columns, rows))
    return tables
