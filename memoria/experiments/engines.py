"""Do runs: one here (`execute`), several in turn (`inside`), or each in a process (`local`)."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from memoria.errors import ConfigError, MemoriaError
from memoria.experiments.config import ExperimentConfig
from memoria.experiments.experiment import find_experiment
from memoria.experiments.records import LOG, RunRecord, difference
from memoria.experiments.run import Run, has_tensorboard
from memoria.io.progress import Progress, progress_bar

_GRACE_SECONDS: Final = 60.0  # for a checkpoint, before a process is killed
_LOOK_SECONDS: Final = 0.1  # between two looks at how far the processes are
_PARTS: Final = 100  # of one run, as progress counts them
_LOG_TAIL: Final = 4096  # bytes of a log in which a process may have said why it ended
_PACKAGES: Final = ("torch", "numpy", "zarr", "transformers", "accelerate")
_DISTRIBUTION: Final = "memoria-engrams"


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


def failure(error: Exception) -> dict[str, str]:
    """An error as ``run.json`` keeps it: its type and its message."""
    message = error.message if isinstance(error, MemoriaError) else str(error)
    return {"type": type(error).__name__, "message": message or type(error).__name__}


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
                part = _PARTS * done // max(total, 1)
                show(_PARTS * before + part, _PARTS * len(specs))

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
    if jobs < 1:
        raise ConfigError(f"jobs = {jobs}: must be at least 1")
    processes = _Processes(specs)
    with progress_bar(progress, "experiment", "%") as show, ThreadPoolExecutor(jobs) as pool:
        runs = [pool.submit(processes.do, number) for number in range(len(specs))]
        waiting: set[Future[str | None]] = set(runs)
        try:
            while waiting:
                waiting = wait(waiting, _LOOK_SECONDS, FIRST_COMPLETED).not_done
                show(sum(processes.parts), _PARTS * len(specs))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            processes.stop()
            raise
    errors = [run.result() for run in runs]
    return [
        RunRecord.read(spec.path) if error is None else failed_record(spec, error)
        for spec, error in zip(specs, errors, strict=True)
    ]


def default_jobs(device: str) -> int:
    """Runs at a time: one on a GPU, else one for each core that this process may use."""
    if not device.startswith("cpu"):
        import torch

        if torch.cuda.is_available():
            return 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def package_path() -> str:
    """PYTHONPATH with this package in front, for processes that must import the same one."""
    root = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])


class _Processes:
    """The processes of ``specs``, and how far each run is in hundredths (``parts``)."""

    def __init__(self, specs: Sequence[RunSpec]) -> None:
        self.specs = specs
        self.parts = [0] * len(specs)
        self._alive: dict[int, subprocess.Popen[str]] = {}
        self._stopped = threading.Event()

    def do(self, number: int) -> str | None:
        """Do one run in a process of its own; what went wrong, None if nothing did."""
        spec = self.specs[number]
        try:
            return None if spec.is_done or self._stopped.is_set() else self._do(number, spec)
        except OSError as error:
            return error.strerror or str(error)
        finally:
            self.parts[number] = _PARTS

    def _do(self, number: int, spec: RunSpec) -> str | None:
        spec.path.mkdir(parents=True, exist_ok=True)
        reading, writing = os.pipe()
        with open(spec.path / LOG, "ab") as log, os.fdopen(reading, encoding="utf-8") as lines:
            try:
                process = subprocess.Popen(
                    [sys.executable, "-m", "memoria.experiments.worker", str(writing)],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    pass_fds=(writing,),
                    start_new_session=True,  # Ctrl-C reaches the parent only
                    env=_environment(),
                    text=True,
                )
            finally:
                os.close(writing)
            self._alive[number] = process
            if self._stopped.is_set():
                process.terminate()
            assert process.stdin is not None
            with suppress(BrokenPipeError), process.stdin as file:  # its exit code says why it died
                file.write(json.dumps(spec.document()))
            end: dict[str, Any] = {}
            for line in lines:
                message = json.loads(line)
                if "status" in message:
                    end = message
                else:
                    self.parts[number] = _PARTS * message["done"] // max(message["total"], 1)
            code = process.wait()
            del self._alive[number]
        if not end:
            return None if self._stopped.is_set() else _cause_of_death(code, spec.path / LOG)
        return str(end["error"]["message"]) if end["status"] == "failed" else None

    def stop(self) -> None:
        """Ask every process to stop; kill those that have not within the time of a checkpoint."""
        self._stopped.set()
        processes = list(self._alive.values())
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + _GRACE_SECONDS
        try:
            for process in processes:
                process.wait(max(0.0, deadline - time.monotonic()))
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            for process in processes:
                process.kill()


def _environment() -> dict[str, str]:
    """The parent's, with this package, one thread, and repeatable matrix products on a GPU."""
    default = {"OMP_NUM_THREADS": "1", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    return {**default, **os.environ, "PYTHONPATH": package_path()}


def _cause_of_death(code: int, log: Path) -> str:
    """How a process ended that could not say it itself."""
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - _LOG_TAIL))
        lines = file.read().decode("utf-8", "replace").strip().splitlines()
    last = f": {lines[-1]}" if lines else ""
    if code >= 0:
        return f"the process ended with code {code}{last}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    more = ", as when memory runs out" if code == -signal.SIGKILL else ""
    return f"the process was ended by {name}{more}"


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
