"""`memoria experiment run`: an experiment's variants, once with each seed."""

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
    from memoria.experiments import Plan, RunRecord, RunSpec

__all__ = ["EXAMPLES", "register"]

EXAMPLES: Final = (
    "memoria experiment run sorting --set length=128 --set steps=5 --set models=none --seeds 1",
    "memoria experiment run sorting --set steps=2 --set models=xl --seeds 1 -o trial --json",
)
_WHOLE: Final = 100


def _run(
    what: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE.toml",
            help="An experiment, or a file that names one.",
            show_default=False,
        ),
    ],
    preset: Preset = None,
    settings: Settings = None,
    seeds: Seeds = None,
    out: Out = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            metavar="N",
            help="Runs at a time.",
            show_default="the number of cores, 1 on a GPU",
            rich_help_panel=SPEED_PANEL,
        ),
    ] = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Run each model once with each seed, and compare them.

    Every run is a process with a folder DIR/MODEL-SEED of its own, and can be stopped, killed and
    started again by the same command: it goes on from its last checkpoint and ends with the same
    numbers. A run that fails does not keep the others. Under `accelerate launch -m memoria_cli
    experiment run ...` all its processes, a GPU each, train one run after the other.
    """
    from memoria.experiments import find_experiment
    from memoria.experiments.run import has_tensorboard

    plan = _plan(what, preset, settings or [], seeds, device)
    folder = Path(out) if out is not None else Path("runs", f"{_stem(what)}-{plan.preset}")
    specs = plan.specs(folder)
    records = _done(plan, specs, folder, jobs)
    if os.environ.get("RANK", "0") != "0":
        return  # the first process speaks for all
    experiment = find_experiment(plan.experiment)
    document, human = _told(plan, records, experiment, folder)
    output.result(document, human, json)
    failed = [one for one in records if one.status == "failed"]
    for one in failed:
        output.note(f"memoria: {one.path.name} failed: {one.error}")
    if not has_tensorboard():
        output.note("memoria: no logs for TensorBoard; hint: pip install 'memoria-engrams[train]'")
    if failed:
        raise typer.Exit(1)


def _plan(
    what: str, preset: str | None, settings: list[str], seeds: str | None, device: str | None
) -> Plan:
    from memoria.errors import ConfigError
    from memoria.experiments import make_plan, parse_seeds, parse_settings, read_plan
    from memoria.experiments.plan import is_plan_file

    given = parse_settings(settings)
    if seeds is not None:
        given["seeds"] = parse_seeds(seeds)
    if device is not None:
        given["device"] = device
    if not is_plan_file(what):
        return make_plan(what, preset or "small", given)
    plan = read_plan(Path(what), preset, given)
    if plan.rest:
        key = next(iter(plan.rest))
        raise ConfigError(f"{what}: {key!r} is not for a single experiment", "see the README")
    return plan


def _stem(what: str) -> str:
    return Path(what).stem if what.endswith(".toml") else what


def _done(plan: Plan, specs: Sequence[RunSpec], folder: Path, jobs: int | None) -> list[RunRecord]:
    """Do the runs: in processes, or all inside this one of several that a launcher started."""
    from memoria.experiments import inside, local
    from memoria.experiments.engines import default_jobs
    from memoria.experiments.run import is_launched

    what = f"{plan.experiment}, {len(specs)} runs"
    try:
        if is_launched():
            if os.environ.get("RANK", "0") != "0":
                return inside(specs)
            plan.claim(folder)
            with output.progress(what, "%") as progress:
                return inside(specs, lambda done, whole: progress(_WHOLE * done // whole, _WHOLE))
        plan.claim(folder)
        with output.progress(what, "%") as progress:
            jobs = jobs or default_jobs(plan.config.device)
            return local(specs, jobs, lambda done, whole: progress(_WHOLE * done // whole, _WHOLE))
    except KeyboardInterrupt:
        message = f"interrupted: {folder} keeps what is done and the checkpoints"
        raise StoppedError(message, "the same command goes on") from None


def _told(
    plan: Plan, records: Sequence[RunRecord], experiment: Any, folder: Path
) -> tuple[dict[str, Any], list[str | output.Table]]:
    from memoria.errors import MissingExtraError
    from memoria.experiments import compare

    table = compare(records, experiment.metrics)
    reference = experiment.reference(plan.config)
    done = [one for one in records if one.status == "done"]
    try:
        plots = [str(path) for path in experiment.draw(done, folder)] if done else []
    except MissingExtraError:
        plots = []
    path = os.path.abspath(folder)
    document = {
        "experiment": plan.experiment,
        "preset": plan.preset,
        "path": path,
        "runs": [
            {
                "model": one.variant,
                "seed": one.seed,
                "status": one.status,
                "path": str(one.path),
                "seconds": one.seconds,
                "summary": dict(one.metrics),
                "error": one.error,
            }
            for one in records
        ],
        "table": table,
        "reference": dict(reference),
        "findings": experiment.tell(done),
        "plots": plots,
    }
    title = f"{plan.experiment}, preset {plan.preset}"
    human = shown.results(title, table, experiment.metrics, reference)
    human += document["findings"]
    human += [f"runs: {path}", *[f"plot: {one}" for one in plots]]
    return document, human


def register(group: typer.Typer) -> None:
    """Add the verb."""
    group.command("run", epilog=epilog(EXAMPLES))(_run)
