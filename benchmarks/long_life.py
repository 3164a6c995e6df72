"""A text memory of 10,000 steps by commands alone: made, replayed bit for bit, verified, drawn."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.options import parser
from benchmarks.processes import command, scratch
from benchmarks.results import TableOf, finish, say, start
from benchmarks.texts import passages

NAME = "long_life"
_WORKING = 8  # sentences a step


def options() -> argparse.ArgumentParser:
    made = parser(__doc__, NAME)
    made.add_argument("--steps", type=int, help="steps of the life (default 10,000)")
    made.add_argument("--plots", nargs="*", default=["survival", "raster"], help="kinds drawn")
    made.add_argument("--report", action=argparse.BooleanOptionalAction, default=True)
    made.add_argument("--directory", type=Path, help="where the store is built")
    return made


def main(words: list[str] | None = None) -> dict[str, Any]:
    arguments = options().parse_args(words)
    arguments.steps = arguments.steps or (100 if arguments.quick else 10_000)
    document = start(arguments)
    with scratch(arguments.directory) as folder:
        text, store = folder / "read.txt", str(folder / "store")
        lines = passages(arguments.steps * _WORKING)
        text.write_text("\n".join(lines) + "\n", encoding="utf-8")
        document["text"] = {
            "source": "sentences of Python's own help, topic after topic in a fixed random order",
            "sentences": len(lines),
            "different": len(set(lines)),
            "characters": sum(map(len, lines)),
        }
        commands = {
            "init": [
                *("init", store, "--backbone", "hash", "--unit", "line"),
                *("--initial-lifespan", "50", "--rule", "correlation:8"),
            ],
            "step": ["step", store, str(text), "--limit", str(arguments.steps)],
            "replay": ["replay", store],
            "replay --recompute": ["replay", store, "--recompute"],
            "verify": ["verify", store],
            "inspect": ["inspect", store],
        }
        for kind in arguments.plots:
            commands[f"plot {kind}"] = ["plot", store, kind, "-o", str(folder / f"{kind}.svg")]
        if arguments.report:
            commands["report"] = ["report", store, "-o", str(folder / "report.html")]
        told = {}
        document["commands"] = {}
        for name, line in commands.items():
            say(f"memoria {name}")
            document["commands"][name], said = command(*line, "--json")
            told[name] = json.loads(said)
        document["store"] = {
            "bytes": _bytes(folder / "store"),
            "files": sum(1 for one in (folder / "store").rglob("*") if one.is_file()),
            "steps": told["inspect"]["step"],
            "engrams_made": arguments.steps * _WORKING,
            "engrams_alive": told["inspect"]["engrams"],
            "connections": told["inspect"]["connections"],
            "digest": told["inspect"]["digest"],
        }
        wanted = ("steps", "identical", "first_difference", "near_ties")
        document["recomputed"] = {name: told["replay --recompute"][name] for name in wanted}
        document["sound"] = told["verify"]["sound"]
        drawn = [*folder.glob("*.svg"), *folder.glob("report.html")]
        document["files"] = {one.name: one.stat().st_size for one in sorted(drawn)}
    finish(NAME, arguments, document, _tables(document))
    return document


def _bytes(folder: Path) -> int:
    return sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())


def _tables(document: dict[str, Any]) -> list[TableOf]:
    steps = document["store"]["steps"]
    rows = [
        [
            f"memoria {name}",
            told["seconds"],
            told["processor_seconds"],
            1e3 * told["processor_seconds"] / steps,
            told["peak_bytes"] / 2**20,
        ]
        for name, told in document["commands"].items()
    ]
    columns = ("command", "seconds", "processor s", "ms a step", "peak MiB")
    facts: list[list[object]] = [[name, value] for name, value in document["store"].items()]
    facts += [[f"recomputed: {name}", str(v)] for name, v in document["recomputed"].items()]
    facts += [["sound", str(document["sound"])]]
    facts += [[name, size] for name, size in document["files"].items()]
    return [(f"a text memory of {steps:,} steps", columns, rows), ("what came", ("", ""), facts)]
