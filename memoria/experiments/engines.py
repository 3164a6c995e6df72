"""Do runs: one here (`execute`), several in turn (`inside`), or each in a process (`local`)."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from memoria.engines.processes import PARTS, run_processes
from memoria.engines.running import check_jobs, core_count
from memoria.engines.task import Task, failure
from memoria.errors import MemoriaError
from memoria.experiments.config import ExperimentConfig
from memoria.experiments.experiment import find_experiment
from memoria.experiments.records import LOG, RunRecord, difference
from memoria.experiments.run import Run, has_tensorboard
from memoria.io.progress import Progress, progress_bar

_PACKAGES: Final = ("torch", "numpy", "zarr", "transformers", "accelerate")
_DISTRIBUTION: Final = "memoria-engrams"
_TASK: Final = "memoria.experiments.engines:execute_document"


@dataclass(frozen=True)
class RunSpec:
    """What to run and where: plain values, fit for another process or another machine.

    Attributes:
        experiment: name of the experiment.
        config: settings of the single run: one model, one seed.
        path: the run's folder.
        variant: its name in tables; the model's unless given.
    """

    experiment: str
    config: ExperimentConfig
    path: Path
    variant: str = ""

    @property
    def name(self) -> str:
        """What tables call it: the variant, else the model."""
        return self.variant or self.config.model

    @property
    def is_done(self) -> bool:
        """Whether the folder holds this very run, finished."""
        try:
            held = RunRecord.read(self.path)
        except MemoriaError:
            return False
        same = held.experiment == self.experiment and held.variant == self.name
        config = self.config.model_dump(mode="json")
        return same and held.status == "done" and difference(held.config, config, "config") is None

    def about(self) -> dict[str, Any]:
        """Which run it is, as ``run.json`` says it."""
        return {
            "experiment": self.experiment,
            "variant": self.name,
            "seed": self.config.seed,
            "config": self.config.model_dump(mode="json"),
        }

    def document(self) -> dict[str, Any]:
        """As JSON, with the absolute path; `of` reads it back."""
        return {**self.about(), "path": os.path.abspath(self.path)}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> RunSpec:
        """The specification that `document` wrote. Raises `ConfigError`."""
        name = str(document["experiment"])
        config = find_experiment(name).Config(**document["config"])
        return cls(name, config, Path(document["path"]), str(document["variant"]))


def execute(
    spec: RunSpec,
    progress: Progress | bool = False,
    stopping: Callable[[], bool] | None = None,
) -> RunRecord:
    """Do the run in this process, from where its folder says; a finished one is only read.

    Args:
        spec: the run.
        progress: counts steps; True shows a bar.
        stopping: asked at every step whether to write a checkpoint and stop.

    Returns:
        The finished run.

    Raises:
        KeyboardInterrupt: ``stopping`` said so; the same call goes on from the checkpoint.
        Exception: whatever the experiment raised, after it was written to ``run.json``; the same
            call tries again from the last checkpoint.
    """
    experiment, about = find_experiment(spec.experiment), spec.about()
    with (
        progress_bar(progress, spec.name, "steps") as show,
        Run(spec.path, about, show, stopping) as run,
    ):
        if run.is_done:
            return RunRecord.read(spec.path)
        run.begin(_surroundings())
        try:
            with _repeatable():
                metrics = experiment.execute(spec.config, run)
            run.finish(metrics)
        except KeyboardInterrupt:
            run.mark("interrupted")
            raise
        except Exception as error:
            run.mark("failed", error=failure(error))
            raise
    if not run.writes:  # the first process may not have written it yet
        return RunRecord.of({**about, "status": "done"}, spec.path, {"metrics": metrics})
    return RunRecord.read(spec.path)


def failed_record(spec: RunSpec, message: str) -> RunRecord:
    """The record of a run that failed without saying so in its folder."""
    error = {"type": "Failed", "message": message}
    return RunRecord.of({**spec.about(), "status": "failed", "error": error}, spec.path, {})


def inside(specs: Sequence[RunSpec], progress: Progress | bool = False) -> list[RunRecord]:
    """Do the runs one after the other in this process; one that fails does not stop the others.

    Under a launcher every process calls this with the same runs.

    Args:
        specs: the runs.
        progress: counts hundredths of a run; True shows a bar.

    Returns:
        Their records, in the order of ``specs``.
    """
    records = []
    with progress_bar(progress, "experiment", "%") as show:
        for number, spec in enumerate(specs):

            def show_run(done: int, total: int, before: int = number) -> None:
                part = PARTS * done // max(total, 1)
                show(PARTS * before + part, PARTS * len(specs))

            try:
                records.append(execute(spec, show_run))
            except Exception as error:
                records.append(failed_record(spec, failure(error)["message"]))
    return records


def local(
    specs: Sequence[RunSpec], jobs: int = 1, progress: Progress | bool = False
) -> list[RunRecord]:
    """Do the runs in processes of their own, ``jobs`` at a time.

    A run that fails, or whose process dies, has the status "failed" and the others go on; its
    output is in its ``log.txt``. Finished runs are only read. On a CPU each process uses one
    thread unless OMP_NUM_THREADS says otherwise. An interrupt lets every run write a checkpoint;
    the same call goes on from there.

    Args:
        specs: the runs.
        jobs: processes at a time, at least 1.
        progress: counts hundredths of a run; True shows a bar.

    Returns:
        Their records, in the order of ``specs``.
    """
    check_jobs(jobs)
    left = [spec for spec in specs if not spec.is_done]
    before, whole = PARTS * (len(specs) - len(left)), PARTS * len(specs)
    tasks = [Task(_TASK, spec.document(), spec.path / LOG) for spec in left]
    with progress_bar(progress, "experiment", "%") as show:
        outcomes = run_processes(tasks, jobs, lambda done, _: show(before + done, whole), True)
        show(whole, whole)
    errors = {
        spec.path: one.error["message"]
        for spec, one in zip(left, outcomes, strict=True)
        if one.error is not None
    }
    return [
        failed_record(spec, errors[spec.path]) if spec.path in errors else RunRecord.read(spec.path)
        for spec in specs
    ]


def execute_document(
    document: Mapping[str, Any], progress: Progress, stopping: Callable[[], bool]
) -> dict[str, Any]:
    """`execute` the run that a `RunSpec.document` names: the function of its task."""
    execute(RunSpec.of(document), progress, stopping)
    return {}


def default_jobs(device: str) -> int:
    """Runs at a time: one on a GPU, else one for each core that this process may use."""
    if not device.startswith("cpu"):
        import torch

        if torch.cuda.is_available():
            return 1
    return core_count()


@contextmanager
def _repeatable() -> Iterator[None]:
    """Let torch pick GPU kernels that give the same result every time, where it has such."""
    import torch

    if not torch.cuda.is_available():  # on CPUs all do
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warned)


def _surroundings() -> dict[str, Any]:
    """Versions and hardware, for those who read the results later."""
    import torch

    versions = {}
    for name, package in (("memoria", _DISTRIBUTION), *zip(_PACKAGES, _PACKAGES, strict=True)):
        with suppress(PackageNotFoundError):
            versions[name] = version(package)
    return {
        "versions": versions,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "tensorboard": has_tensorboard(),
        "threads": torch.get_num_threads(),
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
    }
