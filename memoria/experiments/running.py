"""One run from its specification: begun, taken up again, or already done."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from memoria.errors import MemoriaError
from memoria.experiments.config_base import ExperimentConfig
from memoria.experiments.folder import Run
from memoria.experiments.records import RunRecord
from memoria.experiments.registry import find_experiment
from memoria.experiments.tensorboard import is_installed
from memoria.io.progress import Progress, progress_bar

__all__ = ["RunSpec", "execute"]

_PACKAGES: Final = ("memoria", "torch", "numpy", "zarr", "transformers", "accelerate")


@dataclass(frozen=True)
class RunSpec:
    """What to run and where: plain values, fit for another process or another machine.

    ``config`` is that of the single run: one model, one seed. ``variant`` names it in tables,
    ``path`` is its folder.
    """

    experiment: str
    config: ExperimentConfig
    path: Path
    variant: str = ""

    @property
    def name(self) -> str:
        """What tables call it: the variant, else the model."""
        return self.variant or self.config.model

    def document(self) -> dict[str, Any]:
        """As JSON; `of` reads it back."""
        return {
            "experiment": self.experiment,
            "config": self.config.model_dump(mode="json"),
            "path": os.path.abspath(self.path),
            "variant": self.name,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> RunSpec:
        """What `document` gave. Raises `ConfigError`."""
        name = str(document["experiment"])
        config = find_experiment(name).Config(**document["config"])
        return cls(name, config, Path(document["path"]), str(document["variant"]))


def execute(
    spec: RunSpec,
    progress: Progress | bool = False,
    stopping: Callable[[], bool] | None = None,
) -> RunRecord:
    """Do the run here, from where its folder says; one that is done is only read.

    ``progress`` counts steps, True shows a bar; ``stopping`` is asked at every step whether to
    write a checkpoint and raise KeyboardInterrupt. An error is written to ``run.json`` and
    raised; the same call tries again from the last checkpoint.
    """
    experiment = find_experiment(spec.experiment)
    about = {
        "experiment": spec.experiment,
        "variant": spec.name,
        "seed": spec.config.seed,
        "config": spec.config.model_dump(mode="json"),
    }
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
            said = error.message if isinstance(error, MemoriaError) else str(error)
            told = {"type": type(error).__name__, "message": said or type(error).__name__}
            run.mark("failed", error=told)
            raise
    if not run.writes:  # the first process may not have written it yet
        return RunRecord.of({**about, "status": "done"}, spec.path, {"metrics": metrics})
    return RunRecord.read(spec.path)


@contextmanager
def _repeatable() -> Iterator[None]:
    """Torch picks kernels that give the same result every time, where it has such."""
    import torch

    if not torch.cuda.is_available():  # on processors they all do
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
    """With what the run is done, for those who read its results later."""
    import torch

    return {
        "versions": {name: found for name in _PACKAGES if (found := _version(name)) is not None},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "tensorboard": is_installed(),
        "threads": torch.get_num_threads(),
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
