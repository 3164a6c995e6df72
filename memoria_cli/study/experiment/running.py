"""`memoria experiment run` and `sweep`: an experiment once with each seed, or at many settings."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer

from memoria.errors import ConfigError, MissingExtraError
from memoria.io.progress import Progress
from memoria_cli.options import (
    ENGINE_PANEL,
    SPEED_PANEL,
    Address,
    Device,
    Engine,
    Json,
    argument,
    option,
)
from memoria_cli.terminal import output
from memoria_cli.terminal.formatting import format_count, format_number
from memoria_cli.terminal.signals import StoppedError
from memoria_cli.verbs import verb

if TYPE_CHECKING:
    from memoria.experiments import Plan, RunRecord, RunSpec
    from memoria.experiments.sweep import Sweep

Preset: TypeAlias = Annotated[
    str | None,
    option(
        "--preset",
        "Settings to start from: small (minutes on two cores), paper, or another that "
        "`memoria experiment list NAME` shows.",
        "NAME",
        show_default="the file's, or small",
    ),
]
Settings: TypeAlias = Annotated[
    list[str] | None,
    option(
        "--set",
        "Another value for one setting of all runs: steps=200, models=memoria,none, "
        "settings.memoria.depth=3. Repeatable; `memoria experiment list NAME` shows all of an "
        "experiment or of a model.",
        "KEY=VALUE",
    ),
]
Seeds: TypeAlias = Annotated[
    str | None,
    option(
        "--seeds",
        "How many seeds, or which: 3, or 0,4,7.",
        "N|LIST",
        show_default="the file's, or the preset's",
    ),
]
Folder: TypeAlias = Annotated[
    str | None,
    option(
        "--output -o",
        "Where the runs go; those that are done there stay, others go on.",
        "DIR",
        show_default="runs/NAME-PRESET, runs/FILE of a sweep",
    ),
]

_WHOLE: Final = 100  # per cent
_Row: TypeAlias = Mapping[str, Any]


@verb(
    "run",
    "memoria experiment run sorting --set length=128 --set steps=5 --set models=none --seeds 1",
    "memoria experiment run sorting --set steps=2 --set models=xl --seeds 1 -o trial --json",
)
def run(
    what: Annotated[str, argument("NAME|FILE.toml", "An experiment, or a file that names one.")],
    preset: Preset = None,
    settings: Settings = None,
    seeds: Seeds = None,
    out: Folder = None,
    jobs: Annotated[
        int | None,
        option(
            "--jobs -j",
            "Runs at a time.",
            "N",
            min=1,
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
    from memoria.experiments import compare, find_experiment
    from memoria.experiments.run import has_tensorboard

    plan = _plan(what, preset, _changes(settings, seeds, device))
    plan.check()
    name = Path(what).stem if what.endswith(".toml") else what
    folder = Path(out) if out is not None else Path("runs", f"{name}-{plan.preset}")
    records = _run_plan(plan, plan.specs(folder), folder, jobs)
    if os.environ.get("RANK", "0") != "0":
        return  # the first process reports for all
    experiment = find_experiment(plan.experiment)
    done = [one for one in records if one.status == "done"]
    table = compare(records, experiment.metrics)
    reference = dict(experiment.reference(plan.config))
    try:
        plots = [str(path) for path in experiment.draw(done, folder)] if done else []
    except MissingExtraError:
        plots = []
    document: dict[str, Any] = {
        "experiment": plan.experiment,
        "preset": plan.preset,
        "path": os.path.abspath(folder),
        "runs": [one.row("model") for one in records],
        "table": table,
        "reference": reference,
        "findings": experiment.tell(done),
        "breakdown": experiment.breakdown(done) if done else [],
        "plots": plots,
    }
    title = f"{plan.experiment}, preset {plan.preset}"
    human = _results(title, table, experiment.metrics, reference)
    human += document["findings"]
    human += [f"runs: {document['path']}", *[f"plot: {one}" for one in plots]]
    output.result(document, human, json)
    failed = _report_failures(records, folder)
    if not has_tensorboard():
        output.note("memoria: no logs for TensorBoard; hint: pip install 'memoria-engrams[train]'")
    if failed:
        raise typer.Exit(1)


@verb(
    "sweep",
    "memoria experiment sweep depths.toml --dry-run",
    "memoria experiment sweep depths.toml --jobs 2 -o depths --json",
    "memoria experiment sweep sorting --grid length=512,1024,2048 --dry-run",
)
def sweep(
    file: Annotated[
        str,
        argument(
            "NAME|FILE.toml",
            "An experiment with --grid, or a file: what `run` takes, and a table [sweep]: "
            "[sweep.grid] with lists of values, [sweep.random] with what to draw.",
        ),
    ],
    grid: Annotated[
        list[str] | None,
        option(
            "--grid",
            "Values of a setting to try: length=512,1024. Repeatable: all are combined.",
            "KEY=A,B",
        ),
    ] = None,
    engine: Engine = "local",
    address: Address = None,
    settings: Settings = None,
    preset: Preset = None,
    seeds: Seeds = None,
    out: Folder = None,
    retries: Annotated[
        int | None,
        option(
            "--retries",
            "How often a failed run is done again, from its last checkpoint.",
            "N",
            min=0,
            show_default="the file's, or 0",
        ),
    ] = None,
    dry_run: Annotated[bool, option("--dry-run", "List the runs, and do none.")] = False,
    jobs: Annotated[
        int,
        option(
            "--jobs -j",
            "Runs at a time, where no cluster is named.",
            "N",
            min=1,
            rich_help_panel=ENGINE_PANEL,
        ),
    ] = 1,
    device: Device = None,
    json: Json = False,
) -> None:
    """Run an experiment at many settings.

    They are every point of a grid, or points drawn at random, with every seed. Runs that are done
    stay, so that the same command goes on after a kill, and more values, trials or seeds can come
    later. With the extra `viz` what came out is drawn against each number that is swept, in
    DIR/by-KEY.png. `memoria experiment report DIR` compares.
    """
    from memoria.experiments import compare, find_experiment
    from memoria.experiments.swept import draw_swept

    plan = _sweep(file, grid, preset, _changes(settings, seeds, device))
    plan.check()
    folder = Path(out) if out is not None else Path("runs", Path(file).stem)
    specs = plan.specs(folder)
    document: dict[str, Any] = {
        "experiment": plan.plan.experiment,
        "path": os.path.abspath(folder),
        "dry_run": dry_run,
        "points": [dict(point) for point in plan.table.points()],
    }
    if dry_run:
        runs = [
            {"variant": one.name, "seed": one.config.seed, "path": os.fspath(one.path)}
            for one in specs
        ]
        title = f"{document['experiment']}: {format_count(len(document['points']), 'point')}, "
        title += format_count(len(runs), "run")
        columns = {"variant": "variant", "seed": "seed", "folder": "path"}
        output.result({**document, "runs": runs}, [output.table(title, runs, columns)], json)
        return
    plan.claim(folder)
    records = _run_sweep(plan, specs, folder, engine, jobs, retries, address)
    metrics = find_experiment(plan.plan.experiment).metrics
    done = [one for one in records if one.status == "done"]
    try:
        plots = [str(path) for path in draw_swept(done, metrics, folder)]
    except MissingExtraError:
        plots = []
    table = _best_first(compare(records, metrics), metrics[0])
    document |= {
        "engine": engine,
        "runs": [one.row() for one in records],
        "table": [{key: value for key, value in row.items() if key != "behind"} for row in table],
        "plots": plots,
    }
    human = _results(f"{document['experiment']}, best first", table, metrics, {})
    human.append(f"runs: {document['path']}; `memoria experiment report` compares them")
    human += [f"plot: {one}" for one in plots]
    output.result(document, human, json)
    if _report_failures(records, folder):
        raise typer.Exit(1)


def _changes(settings: list[str] | None, seeds: str | None, device: str | None) -> dict[str, Any]:
    """What the options change in the settings of all runs."""
    from memoria.experiments import parse_seeds, parse_settings

    changes = parse_settings(settings or [])
    if seeds is not None:
        changes["seeds"] = parse_seeds(seeds)
    if device is not None:
        changes["device"] = device
    return changes


def _sweep(what: str, grid: list[str] | None, preset: str | None, changes: dict[str, Any]) -> Sweep:
    from memoria.experiments.plan import is_plan_file
    from memoria.experiments.sweep import make_sweep, parse_grid, read_sweep

    if is_plan_file(what):
        if grid:
            raise ConfigError(f"--grid: {what} has its own", "write it under [sweep.grid]")
        return read_sweep(Path(what), preset, changes)
    if not grid:
        raise ConfigError(f"{what}: nothing to vary", "such as --grid length=512,1024")
    return make_sweep(what, parse_grid(grid), preset or "small", changes)


def _plan(what: str, preset: str | None, changes: dict[str, Any]) -> Plan:
    from memoria.experiments import make_plan, read_plan
    from memoria.experiments.plan import is_plan_file

    if not is_plan_file(what):
        return make_plan(what, preset or "small", changes)
    plan = read_plan(Path(what), preset, changes)
    if plan.rest:
        key = next(iter(plan.rest))
        raise ConfigError(f"{what}: {key!r} is not for a single experiment", "see the README")
    return plan


def _run_plan(
    plan: Plan, specs: Sequence[RunSpec], folder: Path, jobs: int | None
) -> list[RunRecord]:
    """Do the runs in processes, or all inside this one of several that a launcher started."""
    from memoria.experiments import inside, local
    from memoria.experiments.engines import default_jobs
    from memoria.experiments.run import is_launched

    launched = is_launched()
    if launched and os.environ.get("RANK", "0") != "0":
        with _interruptible(folder):
            return inside(specs)
    with (
        _interruptible(folder),
        _percent(plan.experiment, specs) as progress,
    ):
        plan.claim(folder)
        if launched:
            return inside(specs, progress)
        return local(specs, jobs or default_jobs(plan.config.device), progress)


def _run_sweep(
    sweep: Sweep,
    specs: Sequence[RunSpec],
    folder: Path,
    engine: str,
    jobs: int,
    retries: int | None,
    address: str | None,
) -> list[RunRecord]:
    from memoria.experiments.sweep import sweep_runs

    with (
        _interruptible(folder),
        _percent("sweep", specs) as progress,
    ):
        return sweep_runs(
            specs,
            engine=engine,
            jobs=jobs,
            retries=sweep.table.retries if retries is None else retries,
            cpus=sweep.table.cpus,
            gpus=sweep.table.gpus,
            address=address,
            progress=progress,
        )


@contextmanager
def _interruptible(folder: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        message = f"interrupted: {folder} keeps what is done and the checkpoints"
        raise StoppedError(message, "the same command goes on") from None


@contextmanager
def _percent(what: str, runs: Sequence[RunSpec]) -> Iterator[Progress]:
    """Progress of work whose units people do not count."""
    with output.progress(f"{what}, {format_count(len(runs), 'run')}", "%") as show:
        yield lambda done, total: show(_WHOLE * done // max(total, 1), _WHOLE)


def _report_failures(records: Sequence[RunRecord], folder: Path) -> bool:
    """Note each failed run on stderr; whether there was one."""
    failed = [one for one in records if one.status == "failed"]
    for one in failed:
        output.warn(f"memoria: {one.path.relative_to(folder)} failed: {one.error}")
    return bool(failed)


def _best_first(table: Sequence[_Row], metric: Any) -> list[_Row]:
    """Rows from the best mean of ``metric``; those without one last. Variants have no rival."""

    def rank(row: _Row) -> tuple[bool, float]:
        mean = row["metrics"][metric.name]["mean"]
        return mean is None, 0.0 if mean is None else mean if metric.better == "lower" else -mean

    return [{**row, "behind": {}} for row in sorted(table, key=rank)]


def _results(
    title: str, table: Sequence[_Row], metrics: Sequence[Any], reference: Mapping[str, float]
) -> list[output.Part]:
    """Mean ± sd of each variant, the first one's lead over the others, figures to compare with."""

    def each(cell: Callable[[_Row], str], part: str) -> dict[str, output.Column]:
        """A column for each metric: its cell from what the row's ``part`` says of it."""

        def column(name: str) -> output.Column:
            return lambda row: cell(row[part][name])

        return {one.heading: column(one.name) for one in metrics}

    columns: dict[str, output.Column] = {"model": "variant", "runs": "runs"}
    columns |= each(_spread, "metrics") | {
        "a run took": lambda row: _duration(row["seconds"]),
        "and held": lambda row: _memory(row["peak_bytes"]),
    }
    parts: list[output.Part] = [output.table(title, table, columns)]
    others = [row for row in table if any(one["runs"] for one in row["behind"].values())]
    if others:
        headline = f"{table[0]['variant']} minus each, seed by seed"
        leads: dict[str, output.Column] = {"model": "variant", **each(_lead, "behind")}
        parts.append(output.table(headline, others, leads))
    if reference:
        lines = [(name, format_number(value)) for name, value in reference.items()]
        parts.append(output.Table(f"for comparison: {metrics[0].title}", ("", ""), lines))
    return parts


def _spread(one: _Row) -> str:
    if one["mean"] is None:
        return "-"
    return format_number(one["mean"]) + (
        "" if one["sd"] is None else f" ± {format_number(one['sd'])}"
    )


def _lead(one: _Row) -> str:
    if one["mean"] is None:
        return "-"
    above = sum(value > 0 for value in one["values"].values())
    sign = "+" if one["mean"] >= 0 else ""
    return f"{sign}{_spread(one)} (higher in {above} of {one['runs']})"


def _memory(count: float | None) -> str:
    return "-" if count is None else f"{count / 2**20:.0f} MiB"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
