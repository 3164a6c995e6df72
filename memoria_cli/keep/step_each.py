"""`memoria step --each`: many stores, each through inputs of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from memoria_cli.options import report_parts, shared_out
from memoria_cli.terminal import output
from memoria_cli.terminal.formatting import format_count


def step_each(path: str, settings: Mapping[str, Any], where: Mapping[str, Any], json: bool) -> None:
    """Step the stores that the file ``path`` lists; the exit code is 1 if one failed."""
    from memoria.store.many_stores import read_store_list, step_stores

    stores = read_store_list(path)
    with shared_out(f"stepping {format_count(len(stores), 'store')}") as progress:
        parts = step_stores(stores, **settings, **where, progress=progress)
    failed = report_parts(parts)
    done = [part for part in parts if part["status"] == "done"]
    steps = sum(part["steps"] for part in done)
    columns: dict[str, output.Column] = {
        "store": "path",
        "status": "status",
        "steps": lambda part: part.get("steps"),
        "engrams added": lambda part: part.get("engrams_added"),
        "passed over": lambda part: part.get("skipped"),
    }
    title = f"{format_count(steps, 'step')} in {len(done)} of {format_count(len(parts), 'store')}"
    output.result({"stores": parts}, [output.table(title, parts, columns)], json)
    if failed:
        raise typer.Exit(1)
