"""`memoria experiment sweep`: an experiment at many settings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from memoria_cli.options import SPEED_PANEL, Device, Json, epilog
from memoria_cli.study.experiment import shown
from memoria_cli.study.experiment.given import Out, Preset, Seeds, Settings
from memoria_cli.terminal import output
from memoria_cli.terminal.interrupts import StoppedError

if TYPE_CHECKING:
    from memoria.experiments import RunRecord, RunSpec
    from memoria.experiments.sweep import Sweep

__all__ = ["EXAMPLES", "register"]

EXAMPLES: Final = (
    "memoria experiment sweep depths.toml --dry-run",
    "memoria experiment sweep depths.toml --jobs 2 -o depths --json",
)
_WHOLE: Final = 100


def _sweep(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE.toml",
            help="What `run` takes, and a table [sweep]: [sweep.grid] with lists of values, "
            "[sweep.random] with what to draw.",
            show_default=False,
        ),
    ],
    engine: Annotated[
        str, typer.Option("--engine", metavar="NAME", help="local (processes here) or ray.")
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            metavar="HOST:PORT",
            help="The Ray cluster.",
            show_default="RAY_ADDRESS, or one here for this sweep",
        ),
    ] = None,
    settings: Settings = None,
    preset: Preset = None,
    seeds: Seeds = None,
    out: Out = None,
    retries: Annotated[
        int | None,
        typer.Option(
            "--retries",
            min=0,
            metavar="N",
            help="How often a failed run is done again, from its last checkpoint.",
            show_default="the file's, or 0",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the runs, and do none.")] = False,
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            metavar="N",
            help="Runs at a time, where no cluster is named.",
            rich_help_panel=SPEED_PANEL,
        ),
    ] = 1,
    device: Device = None,
    json: Json = False,
) -> None:
    """Run an experiment at every point of a grid, or at points drawn at random, with every seed.

    Runs that are done stay, so that the same command goes on after a kill, and more values, trials
    or seeds can come to the file later. `memoria experiment report DIR` compares what came out.
    """
    from memoria.experiments import parse_seeds, parse_settings
    from memoria.experiments.sweep import read_sweep

    given = parse_settings(settings or [])
    if seeds is not None:
        given["seeds"] = parse_seeds(seeds)
    if device is not None:
        given["device"] = device
    sweep = read_sweep(Path(file), preset, given)
    folder = Path(out) if out is not None else Path("runs", Path(file).stem)
    specs = sweep.specs(folder)
    if dry_run:
        output.result(*_planned(sweep, specs, folder), as_json=json)
        return
    sweep.claim(folder)
    again = sweep.table.retries if retries is None else retries
    records = _done(sweep, specs, folder, engine, jobs, again, address)
    output.result(*_told(sweep, records, folder, engine), as_json=json)
    failed = [one for one in records if one.status == "failed"]
    for one in failed:
        output.note(f"memoria: {one.path.relative_to(folder)} failed: {one.error}")
    if failed:
        raise typer.Exit(1)


def _done(
    sweep: Sweep,
    specs: Sequence[RunSpec],
    folder: Path,
    engine: str,
    jobs: int,
    retries: int,
    address: str | None,
) -> list[RunRecord]:
    from memoria.experiments.sweep import sweep_runs

    try:
        with output.progress(f"sweep of {len(specs)} runs", "%") as show:
            return sweep_runs(
                specs,
                engine=engine,
                jobs=jobs,
                retries=retries,
                cpus=sweep.table.cpus,
                gpus=sweep.table.gpus,
                address=address,
                progress=lambda done, total: show(_WHOLE * done // max(total, 1), _WHOLE),
            )
    except KeyboardInterrupt:
        message = f"interrupted: {folder} keeps what is done and the checkpoints"
        raise StoppedError(message, "the same command goes on") from None


def _planned(
    sweep: Sweep, specs: Sequence[RunSpec], folder: Path
) -> tuple[dict[str, Any], list[str | output.Table]]:
    points = [dict(point) for point in sweep.table.points()]
    runs = [
        {"variant": one.name, "seed": one.config.seed, "path": os.fspath(one.path)} for one in specs
    ]
    document = {
        "experiment": sweep.plan.experiment,
        "path": os.path.abspath(folder),
        "dry_run": True,
        "points": points,
        "runs": runs,
    }
    rows = [(one.name, str(one.config.seed), os.fspath(one.path)) for one in specs]
    title = f"{sweep.plan.experiment}: {len(points)} points, {len(runs)} runs"
    return document, [output.Table(title, ("variant", "seed", "folder"), rows)]


def _told(
    sweep: Sweep, records: Sequence[RunRecord], folder: Path, engine: str
) -> tuple[dict[str, Any], list[str | output.Table]]:
    from memoria.experiments import compare, find_experiment

    metrics = find_experiment(sweep.plan.experiment).metrics
    table = [{**row, "behind": {}} for row in compare(records, metrics)]
    first = metrics[0]
    known = [row for row in table if row["metrics"][first.name]["mean"] is not None]
    lower = first.better == "lower"
    known.sort(key=lambda row: row["metrics"][first.name]["mean"], reverse=not lower)
    table = known + [row for row in table if row not in known]
    document = {
        "experiment": sweep.plan.experiment,
        "path": os.path.abspath(folder),
        "dry_run": False,
        "engine": engine,
        "points": [dict(point) for point in sweep.table.points()],
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
            for one in records
        ],
        "table": [{key: value for key, value in row.items() if key != "behind"} for row in table],
    }
    human = shown.results(f"{sweep.plan.experiment}, best first", table, metrics, {})
    human.append(f"runs: {document['path']}; `memoria experiment report` compares them")
    return document, human


def register(group: typer.Typer) -> None:
    """Add the verb."""
    group.command("sweep", epilog=epilog(EXAMPLES))(_sweep)
