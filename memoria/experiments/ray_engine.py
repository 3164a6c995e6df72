"""Runs as tasks of a Ray cluster, one each (extra ``sweep``).

Where a node sees the runs' folder, a task works in it. Where it does not, the folder travels with
the task, and what the run has left there comes back: results, arrays, and the checkpoint of a run
that has not ended.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from memoria.chunkstore.root import LOCK_NAME
from memoria.engines.cluster import Cluster, Resources, ray_cluster
from memoria.engines.task import failure
from memoria.errors import ConfigError
from memoria.experiments.engines import RunSpec, execute, failed_record
from memoria.experiments.records import CHECKPOINT, RunRecord
from memoria.io.progress import Progress

_MARK: Final = ".sweep-"

Files = dict[str, bytes]
_Call = tuple[dict[str, Any], str, Files | None]  # the arguments of `_task`
_Outcome = tuple[str | None, Files]


@contextmanager
def on_ray(
    resources: Resources, shared: bool | None = None
) -> Iterator[Callable[[Sequence[RunSpec], Progress], list[RunRecord]]]:
    """An engine for runs on a `ray_cluster`, whose arguments and errors these are.

    ``shared``: None looks whether a node sees the runs' folder; False sends the folder.
    """
    with ray_cluster(resources) as cluster:
        yield lambda specs, progress: _do(cluster, specs, progress, shared)


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


def _do(
    cluster: Cluster, specs: Sequence[RunSpec], progress: Progress, shared: bool | None
) -> list[RunRecord]:
    errors: dict[int, str] = {}

    def receive(number: int, outcome: _Outcome | None, lost: str | None) -> _Call | None:
        spec = specs[number]
        if lost is not None:
            errors[number] = lost
        elif outcome is None:  # that node does not see the folder: send it
            return spec.document(), "", packed(spec.path)
        else:
            error, files = outcome
            unpacked(files, spec.path)
            if error is not None:
                errors[number] = error
        return None

    with _marks(specs) as marks:
        calls: dict[int, _Call] = {}
        for number, spec in enumerate(specs):
            if not spec.is_done:
                files = packed(spec.path) if shared is False else None
                calls[number] = spec.document(), str(marks[spec.path]), files
        cluster.call(_task, calls, receive, progress, len(specs))
    return [
        failed_record(spec, errors[number]) if number in errors else RunRecord.read(spec.path)
        for number, spec in enumerate(specs)
    ]


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
