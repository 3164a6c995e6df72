"""What a run leaves in its folder, read back: by reports, by the next attempt, by anybody.

``run.json`` who and how far, ``results.jsonl`` rows as they came, ``arrays.zarr`` named arrays,
``summary.json`` the final numbers, ``checkpoint.pt`` where to go on, ``tensorboard/``, ``log.txt``.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from memoria.chunkstore.root import LOCK_NAME
from memoria.errors import DamageError, StoreNotFoundError
from memoria.io.bounds import open_regular, parse_json

RUN_FILE: Final = "run.json"
EXPERIMENT_FILE: Final = "experiment.json"
RESULTS: Final = "results.jsonl"
ARRAYS: Final = "arrays.zarr"
CHECKPOINT: Final = "checkpoint.pt"
SUMMARY: Final = "summary.json"
TENSORBOARD: Final = "tensorboard"
LOG: Final = "log.txt"
_MOST_BYTES: Final = 1 << 26


@dataclass(frozen=True)
class RunRecord:
    """One run, as its folder says.

    Attributes:
        path: the folder.
        experiment, variant, seed: which run it is.
        status: "done", "failed", "interrupted" or "running"; a killed run counts as interrupted.
        config: its settings.
        document: all of ``run.json``.
        metrics: the final numbers by name, empty until it is done.
        seconds: time spent on it.
        error: why it failed.
        peak_bytes: the most memory it held at a time, the GPU's where it trained on one; None
            until it is done, and where nobody counted.
    """

    path: Path
    experiment: str
    variant: str
    seed: int
    status: str
    config: Mapping[str, Any]
    document: Mapping[str, Any]
    metrics: Mapping[str, Any]
    seconds: float
    error: str | None
    peak_bytes: int | None = None

    @classmethod
    def read(cls, path: Path) -> RunRecord:
        """Read the folder. Raises `StoreNotFoundError` without one, `DamageError` if broken."""
        document = read_document(path / RUN_FILE)
        done = document.get("status") == "done"
        return cls.of(document, path, read_document(path / SUMMARY) if done else {})

    @classmethod
    def of(cls, document: Mapping[str, Any], path: Path, summary: Mapping[str, Any]) -> RunRecord:
        """From what the two files of a run hold.

        Args:
            document: of ``run.json``.
            path: folder of the run.
            summary: of ``summary.json``.

        Raises:
            DamageError: they are no such files.
        """
        try:
            status, error = str(document["status"]), document.get("error")
            peak = document.get("peak_bytes")
            if status == "running" and not _is_held(path):
                status = "interrupted"
            return cls(
                path=path,
                experiment=str(document["experiment"]),
                variant=str(document["variant"]),
                seed=int(document["seed"]),
                status=status,
                config=dict(document["config"]),
                document=document,
                metrics=dict(summary.get("metrics", {})),
                seconds=float(document.get("seconds", 0.0)),
                error=None if error is None else str(error["message"]),
                peak_bytes=None if peak is None else int(peak),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DamageError(f"{path / RUN_FILE}: no run of ours: {error!r}") from None

    def row(self, variant: str = "variant") -> dict[str, Any]:
        """One line about the run, as plain values; ``variant`` is the key of its name."""
        return {
            variant: self.variant,
            "seed": self.seed,
            "status": self.status,
            "path": os.fspath(self.path),
            "seconds": self.seconds,
            "peak_bytes": self.peak_bytes,
            "summary": dict(self.metrics),
            "error": self.error,
        }

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows of ``results.jsonl``; a last line cut short by a kill is left out."""
        try:
            with open(open_regular(self.path / RESULTS), "rb") as file:
                for line in file:
                    if not line.endswith(b"\n"):
                        return
                    row = parse_json(line)
                    if isinstance(row, dict):
                        yield row
        except FileNotFoundError:
            return
        except ValueError as error:
            raise DamageError(f"{self.path / RESULTS}: not JSON lines: {error}") from None

    def arrays(self) -> dict[str, Any]:
        """The arrays of ``arrays.zarr`` by name, as numpy arrays."""
        if not (self.path / ARRAYS).is_dir():
            return {}
        import zarr

        group = zarr.open_group(self.path / ARRAYS, mode="r")
        return {name: array[...] for name, array in sorted(group.arrays())}


def finished_runs(records: Iterable[RunRecord]) -> dict[str, list[RunRecord]]:
    """The runs of each variant that are done, by name; a variant without one has an empty list."""
    found: dict[str, list[RunRecord]] = {}
    for record in records:
        found.setdefault(record.variant, []).extend([record] if record.status == "done" else [])
    return found


def plain_name(variant: str) -> str:
    """The name of a variant without the folder and the point of a sweep that it was run at."""
    return variant.rpartition(": ")[2].partition(" ")[0]


def run_folders(folder: Path) -> list[Path]:
    """The folders of runs in ``folder``, or ``folder`` itself if it is one; sorted by name."""
    if (folder / RUN_FILE).is_file():
        return [folder]
    try:
        return sorted(path for path in folder.iterdir() if (path / RUN_FILE).is_file())
    except OSError as error:
        raise StoreNotFoundError(f"{folder}: {error.strerror or error}") from None


def read_document(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises `StoreNotFoundError` without the file, `DamageError` if broken."""
    try:
        with open(open_regular(path), "rb") as file:
            found = parse_json(file.read(_MOST_BYTES))
    except OSError as error:
        raise StoreNotFoundError(f"{path}: {error.strerror or error}", "no run there") from None
    except ValueError as error:
        raise DamageError(f"{path}: not JSON: {error}") from None
    if not isinstance(found, dict):
        raise DamageError(f"{path}: not a JSON object but {type(found).__name__}")
    return found


def as_json(document: Mapping[str, Any]) -> str:
    """The text that files hold, readable for people too."""
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def difference(held: Any, asked: Any, key: str) -> str | None:
    """The first value of ``key`` that differs, in words; the device does not count."""
    if isinstance(held, Mapping) and isinstance(asked, Mapping):
        for name in sorted({*held, *asked} - {"device"}):
            if held.get(name) != asked.get(name):
                return f"{name} = {held.get(name)!r}, asked for {asked.get(name)!r}"
        return None
    return None if held == asked else f"{key} = {held!r}, asked for {asked!r}"


def _is_held(path: Path) -> bool:
    """Whether a living process holds the run's lock; it is not taken for longer than the look."""
    try:
        descriptor = os.open(path / LOCK_NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
