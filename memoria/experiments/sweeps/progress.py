"""The runs of a sweep, by an engine, failed ones again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from memoria.errors import ConfigError
from memoria.experiments.engines import local
from memoria.experiments.records import RunRecord
from memoria.experiments.running import RunSpec
from memoria.experiments.sweeps.on_ray import Resources, on_ray
from memoria.io.progress import Progress, no_progress, progress_bar

__all__ = ["ENGINES", "sweep_runs"]

ENGINES: Final = ("local", "ray")

Engine = Callable[[Sequence[RunSpec], Progress], list[RunRecord]]


def sweep_runs(
    specs: Sequence[RunSpec],
    *,
    engine: str = "local",
    jobs: int = 1,
    retries: int = 0,
    cpus: float = 1.0,
    gpus: float = 0.0,
    address: str | None = None,
    progress: Progress | bool = False,
) -> list[RunRecord]:
    """Do the runs that are not done, failed ones up to ``retries`` times again; in their order.

    ``local``: ``jobs`` processes here. ``ray``: one task a run, with so many ``cpus`` and ``gpus``,
    on the cluster at ``address`` or a local one of ``jobs`` workers. Runs that failed go on from
    their checkpoints. Raises `ConfigError` for another engine, `MissingExtraError` without Ray.
    """
    if engine not in ENGINES:
        raise ConfigError(f"engine = {engine!r}: unknown", f"choose one of {', '.join(ENGINES)}")
    with progress_bar(progress, "sweep", "%") as show:
        if engine == "local":
            return _again(specs, retries, show, lambda some, heard: local(some, jobs, heard))
        resources = Resources(cpus=cpus, gpus=gpus, jobs=jobs, address=address)
        with on_ray(resources) as run:
            return _again(specs, retries, show, run)


def _again(
    specs: Sequence[RunSpec], retries: int, progress: Progress, engine: Engine
) -> list[RunRecord]:
    records = engine(specs, progress)
    for _ in range(retries):
        failed = [at for at, record in enumerate(records) if record.status == "failed"]
        if not failed:
            break
        repeated = engine([specs[at] for at in failed], no_progress)
        for at, record in zip(failed, repeated, strict=True):
            records[at] = record
    return records
