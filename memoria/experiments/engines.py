"""Engines: who does the runs. `local` in processes of this machine, `inside` in this very one."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from memoria.errors import ConfigError, MemoriaError
from memoria.experiments.records import LOG, RunRecord, difference
from memoria.experiments.running import RunSpec, execute
from memoria.io.progress import Progress, progress_bar

__all__ = ["default_jobs", "failed_record", "inside", "is_launched", "local"]

_GRACE_SECONDS: Final = 60.0  # for a checkpoint, before a process is killed
_STEPS: Final = 100  # of one run, as the advance counts them
_LAST_WORDS: Final = 4096


def is_launched() -> bool:
    """Whether this is one of several processes of a launcher such as ``accelerate launch``."""
    return "ACCELERATE_MIXED_PRECISION" in os.environ or int(os.environ.get("WORLD_SIZE", "1")) > 1


def default_jobs(device: str) -> int:
    """Runs at a time: one on a GPU, on processors one for each core that is ours."""
    if not device.startswith("cpu"):
        import torch

        if torch.cuda.is_available():
            return 1
    return len(os.sched_getaffinity(0))


def inside(specs: Sequence[RunSpec], progress: Progress | bool = False) -> list[RunRecord]:
    """Do the runs one after the other in this process; a failing one does not keep the others.

    ``progress`` counts hundredths of a run; True shows a bar. Under a launcher every
    process calls this with the same runs.
    """
    records = []
    with progress_bar(progress, "experiment", "%") as show:
        for number, spec in enumerate(specs):

            def show_run(done: int, total: int, before: int = number) -> None:
                part = _STEPS * done // max(total, 1)
                show(_STEPS * before + part, _STEPS * len(specs))

            try:
                records.append(execute(spec, show_run))
            except Exception as error:
                message = error.message if isinstance(error, MemoriaError) else str(error)
                records.append(failed_record(spec, message or type(error).__name__))
    return records


def local(
    specs: Sequence[RunSpec], jobs: int = 1, progress: Progress | bool = False
) -> list[RunRecord]:
    """Do the runs in processes of their own, ``jobs`` at a time; the records in their order.

    A run that fails, or whose process dies, has the status "failed" and the others go on; its
    output is in its ``log.txt``. Runs that are done are only read. On a processor each uses one
    thread unless OMP_NUM_THREADS says otherwise. An interrupt lets every run write a checkpoint;
    the same call goes on from there.
    """
    if jobs < 1:
        raise ConfigError(f"jobs = {jobs}: must be at least 1")
    with progress_bar(progress, "experiment", "%") as show:
        crew = _Crew(specs, show)
        crew.work(min(jobs, len(specs)) or 1)
    return [_record(spec, crew.errors.get(number)) for number, spec in enumerate(specs)]


def failed_record(spec: RunSpec, message: str) -> RunRecord:
    """A record of a run that ended before, or without, saying so in its folder."""
    document = {
        "experiment": spec.experiment,
        "variant": spec.name,
        "seed": spec.config.seed,
        "config": spec.config.model_dump(mode="json"),
        "status": "failed",
        "error": {"type": "Failed", "message": message},
    }
    return RunRecord.of(document, spec.path, {})


def _record(spec: RunSpec, error: str | None) -> RunRecord:
    if error is not None:
        return failed_record(spec, error)
    return RunRecord.read(spec.path)


@dataclass
class _Crew:
    """Threads that each see to one process at a time, while the caller listens to all."""

    specs: Sequence[RunSpec]
    progress: Progress
    errors: dict[int, str] = field(default_factory=dict)
    _parts: dict[int, int] = field(default_factory=dict)
    _alive: dict[int, subprocess.Popen[str]] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _told: queue.Queue[tuple[int, dict[str, Any] | None]] = field(default_factory=queue.Queue)

    def work(self, jobs: int) -> None:
        waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(len(self.specs)):
            waiting.put(number)
        threads = [threading.Thread(target=self._see_to, args=(waiting,)) for _ in range(jobs)]
        for thread in threads:
            thread.start()
        try:
            for _ in self.specs:
                self._listen()
        except BaseException:
            self._stop()
            raise
        finally:
            for thread in threads:
                thread.join()

    def _listen(self) -> None:
        """Until one more run has ended."""
        while True:
            number, told = self._told.get()
            if told is None:
                self._parts[number] = _STEPS
            elif "done" in told:
                self._parts[number] = _STEPS * told["done"] // max(told["total"], 1)
            elif told.get("status") == "failed":
                self.errors[number] = str(told["error"]["message"])
            self.progress(sum(self._parts.values()), _STEPS * len(self.specs))
            if told is None:
                return

    def _see_to(self, waiting: queue.SimpleQueue[int]) -> None:
        while not self._stopped.is_set():
            try:
                number = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                self._run(number)
            except OSError as error:
                self._told.put((number, _failure(error.strerror or str(error))))
            self._told.put((number, None))

    def _run(self, number: int) -> None:
        spec = self.specs[number]
        if _is_done(spec):
            return
        spec.path.mkdir(parents=True, exist_ok=True)
        ear, mouth = os.pipe()
        with open(spec.path / LOG, "ab") as log, os.fdopen(ear, encoding="utf-8") as lines:
            try:
                process = subprocess.Popen(
                    [sys.executable, "-m", "memoria.experiments.worker", str(mouth)],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    pass_fds=(mouth,),
                    start_new_session=True,  # Ctrl-C reaches the parent only
                    env=_environment(),
                    text=True,
                )
            finally:
                os.close(mouth)
            self._alive[number] = process
            if self._stopped.is_set():
                process.terminate()
            _hand_over(process, spec)
            ended = False
            for line in lines:
                told = json.loads(line)
                ended = ended or "status" in told
                self._told.put((number, told))
            code = process.wait()
            del self._alive[number]
            if not ended and not self._stopped.is_set():
                self._told.put((number, _failure(_obituary(code, spec.path / LOG))))

    def _stop(self) -> None:
        """Ask every process to stop; kill what does not within the time of a checkpoint."""
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


def _is_done(spec: RunSpec) -> bool:
    """Whether there is nothing left to do; a process is started for anything else."""
    try:
        held = RunRecord.read(spec.path)
    except MemoriaError:
        return False
    config = spec.config.model_dump(mode="json")
    same = held.experiment == spec.experiment and held.variant == spec.name
    return same and held.status == "done" and difference(held.config, config, "config") is None


def _hand_over(process: subprocess.Popen[str], spec: RunSpec) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin as file:  # one that died says so by its code
        file.write(json.dumps(spec.document()))


def _environment() -> dict[str, str]:
    """The parent's, with our package to be found, one thread, and repeatable products on a GPU."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {"OMP_NUM_THREADS": "1", "CUBLAS_WORKSPACE_CONFIG": ":4096:8", **os.environ} | {
        "PYTHONPATH": path
    }


def _failure(message: str) -> dict[str, Any]:
    return {"status": "failed", "error": {"message": message}}


def _obituary(code: int, log: Path) -> str:
    """How a process ended that could not say it itself."""
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - _LAST_WORDS))
        lines = file.read().decode("utf-8", "replace").strip().splitlines()
    last = f": {lines[-1]}" if lines else ""
    if code >= 0:
        return f"the process ended with code {code}{last}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    more = ", as when memory runs out" if code == -signal.SIGKILL else ""
    return f"the process was ended by {name}{more}"
