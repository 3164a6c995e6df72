"""Runs as tasks of a Ray cluster, one each (extra ``sweep``).

Where a node sees the runs' folder, a task works in it. Where it does not, the folder travels with
the task, and what the run has left there comes back: results, arrays, and the checkpoint of a run
that has not ended.
"""

from __future__ import annotations

import os
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from memoria.chunkstore.root import LOCK_NAME
from memoria.errors import ConfigError, MissingExtraError, first_line
from memoria.experiments.engines import (
    RunSpec,
    execute,
    failed_record,
    failure,
    package_path,
)
from memoria.experiments.records import CHECKPOINT, RunRecord
from memoria.io.progress import Progress

_STORE_BYTES: Final = 100 << 20  # of objects in a local cluster: folders of runs, no more
_MARK: Final = ".sweep-"

Files = dict[str, bytes]
_Outcome = tuple[str | None, Files]


@dataclass(frozen=True)
class Resources:
    """What runs take of a cluster, and which cluster it is.

    Attributes:
        cpus: CPU cores of a run.
        gpus: GPUs of a run; 0.5 shares one between two.
        jobs: workers of a local cluster, where no ``address`` is named.
        address: of the cluster, HOST:PORT.
        shared: None looks whether a node sees the runs' folder; False sends the folder.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    jobs: int = 1
    address: str | None = None
    shared: bool | None = None


@contextmanager
def on_ray(
    resources: Resources,
) -> Iterator[Callable[[Sequence[RunSpec], Progress], list[RunRecord]]]:
    """An engine on the cluster at ``resources.address``, at RAY_ADDRESS, or a local one.

    A local cluster ends with the block. Raises `MissingExtraError`, and `ConfigError` where no
    cluster answers or none of its nodes could ever do a run.
    """
    try:
        import ray
    except ImportError:
        raise MissingExtraError("--engine ray", "sweep") from None
    ours = not ray.is_initialized()
    with redirect_stdout(sys.stderr):  # where Ray prints what it has to say
        if ours:
            _connect(ray, resources)
        try:
            _check_room(ray, resources)
            yield lambda specs, progress: _do(ray, specs, progress, resources)
        finally:
            if ours:
                ray.shutdown()


def packed(folder: Path, checkpoint: bool = True) -> Files:
    """The files of a run's folder by relative path, without the lock."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not path.is_symlink()
        and path.name != LOCK_NAME
        and (checkpoint or path.name != CHECKPOINT)
    }


def unpacked(files: Files, folder: Path) -> None:
    """Write what `packed` gave, over what is there. Raises `ConfigError` for a path outside."""
    for name, data in files.items():
        target = folder / name
        if not target.resolve().is_relative_to(folder.resolve()):
            raise ConfigError(f"{name!r} leads out of the run's folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def _connect(ray: Any, resources: Resources) -> None:
    address = resources.address or os.environ.get("RAY_ADDRESS") or None
    if address is None:
        ray.init(
            address="local",
            num_cpus=max(1, resources.jobs),
            include_dashboard=False,
            object_store_memory=_STORE_BYTES,
            log_to_driver=False,
            _node_ip_address="127.0.0.1",
            runtime_env={"env_vars": {"PYTHONPATH": package_path(), "OMP_NUM_THREADS": "1"}},
        )
        return
    try:
        ray.init(address=address, log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        hint = "name a cluster that runs, or none for a local one"
        raise ConfigError(f"Ray at {address!r}: {first_line(error)}", hint) from None


def _check_room(ray: Any, resources: Resources) -> None:
    """A task that asks for more than any node has would wait for ever."""
    asked = {"CPU": resources.cpus, "GPU": resources.gpus}
    for node in ray.nodes():
        has = node.get("Resources", {})
        if node.get("Alive") and all(has.get(kind, 0) >= count for kind, count in asked.items()):
            return
    wanted = f"cpus = {resources.cpus:g}, gpus = {resources.gpus:g}"
    raise ConfigError(f"{wanted}: no node of the Ray cluster has as much", "ask for less")


def _do(
    ray: Any, specs: Sequence[RunSpec], progress: Progress, resources: Resources
) -> list[RunRecord]:
    task = ray.remote(_task).options(
        num_cpus=resources.cpus, num_gpus=resources.gpus, max_retries=0
    )
    errors: dict[int, str] = {}
    waiting: dict[Any, int] = {}
    with _marks(specs) as marks:
        for number, spec in enumerate(specs):
            if not spec.is_done:
                files = packed(spec.path) if resources.shared is False else None
                started = task.remote(spec.document(), str(marks[spec.path]), files)
                waiting[started] = number
        try:
            while waiting:
                progress(len(specs) - len(waiting), len(specs))
                ended, _ = ray.wait(list(waiting), num_returns=1)
                number = waiting.pop(ended[0])
                spec = specs[number]
                outcome = _result(ray, ended[0])
                if outcome is None:  # that node does not see the folder: send it
                    waiting[task.remote(spec.document(), "", packed(spec.path))] = number
                    continue
                error, files = outcome
                unpacked(files, spec.path)
                if error is not None:
                    errors[number] = error
        except BaseException:
            for reference in waiting:
                ray.cancel(reference)
            _wait_for(ray, list(waiting))
            raise
    progress(len(specs), len(specs))
    return [
        failed_record(spec, errors[number]) if number in errors else RunRecord.read(spec.path)
        for number, spec in enumerate(specs)
    ]


def _result(ray: Any, reference: Any) -> _Outcome | None:
    try:
        outcome: _Outcome | None = ray.get(reference)
    except ray.exceptions.RayError as lost:
        return f"the task was lost: {type(lost).__name__}", {}
    return outcome


def _task(document: dict[str, Any], mark: str, files: Files | None) -> _Outcome | None:
    """Do one run on a node: (what went wrong, files to bring back).

    Without ``files`` it works in the run's folder; None where it does not see ``mark`` there.
    """
    spec = RunSpec.of(document)
    if files is None:
        return (_tried(spec), {}) if Path(mark).is_file() else None
    with tempfile.TemporaryDirectory(prefix="memoria-run-") as folder:
        unpacked(files, Path(folder))
        error = _tried(replace(spec, path=Path(folder)))
        return error, packed(Path(folder), checkpoint=error is not None)


def _tried(spec: RunSpec) -> str | None:
    try:
        execute(spec)
    except Exception as error:
        return failure(error)["message"]
    return None


@contextmanager
def _marks(specs: Sequence[RunSpec]) -> Iterator[dict[Path, Path]]:
    """A file in every run's folder while the block lasts: who sees it sees the folder."""
    name = f"{_MARK}{uuid.uuid4().hex}"
    marks = {spec.path: spec.path.absolute() / name for spec in specs}
    try:
        for mark in marks.values():
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
        yield marks
    finally:
        for mark in marks.values():
            with suppress(OSError):
                mark.unlink()


def _wait_for(ray: Any, references: list[Any]) -> None:
    """Give cancelled runs the time of a checkpoint."""
    with suppress(Exception):
        ray.wait(references, num_returns=len(references), timeout=30.0)
