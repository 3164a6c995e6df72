"""Do tasks on an engine by name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from memoria.engines.cluster import Resources, ray_cluster, run_on_ray
from memoria.engines.processes import run_processes
from memoria.engines.task import Outcome, Task
from memoria.errors import ConfigError
from memoria.io.progress import Progress, progress_bar

ENGINES: Final = ("local", "ray")


def run_tasks(
    tasks: Sequence[Task],
    *,
    engine: str = "local",
    jobs: int | None = None,
    address: str | None = None,
    progress: Progress | bool = False,
) -> list[Outcome]:
    """Do the tasks; one that fails does not stop the others.

    Args:
        tasks: what to do.
        engine: "local" for processes here, "ray" for tasks of a Ray cluster.
        jobs: processes at a time, or workers of a local cluster; None: one for each core.
        address: of the cluster, HOST:PORT; without one and RAY_ADDRESS a local one is started.
        progress: counts what is done, in parts of the engine's choice; True shows a bar.

    Returns:
        What came of each, in the order of ``tasks``.

    Raises:
        ConfigError: another engine, no such cluster, or fewer jobs than 1.
        MissingExtraError: Ray is not installed.
    """
    check_engine(engine)
    jobs = check_jobs(core_count() if jobs is None else jobs)
    with progress_bar(progress, "tasks", "%") as show:
        if engine == "local":
            return run_processes(tasks, jobs, show)
        with ray_cluster(Resources(jobs=jobs, address=address)) as cluster:
            return run_on_ray(cluster, tasks, show)


def check_engine(engine: str) -> None:
    """Raise `ConfigError` for an engine that is unknown."""
    if engine not in ENGINES:
        raise ConfigError(f"engine = {engine!r}: unknown", f"choose one of {', '.join(ENGINES)}")


def check_jobs(jobs: int) -> int:
    """The number of jobs; raises `ConfigError` for fewer than 1."""
    if jobs < 1:
        raise ConfigError(f"jobs = {jobs}: must be at least 1")
    return jobs


def core_count() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
