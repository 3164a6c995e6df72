"""The runs below a folder, however deep, with those that cannot be read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from memoria.errors import MemoriaError, StoreNotFoundError
from memoria.experiments.records import EXPERIMENT_FILE, RUN_FILE, RunRecord, read_document

__all__ = ["Gathered", "Unreadable", "gather"]


@dataclass(frozen=True)
class Unreadable:
    """A folder that looks like a run and cannot be read as one."""

    path: Path
    message: str


@dataclass(frozen=True)
class Gathered:
    """All runs below a folder: of one experiment together, its variants as they were asked for."""

    records: list[RunRecord]
    unreadable: list[Unreadable]

    def by_experiment(self) -> dict[str, list[RunRecord]]:
        """The runs of each experiment, by name."""
        found: dict[str, list[RunRecord]] = {}
        for record in sorted(self.records, key=lambda one: one.experiment):
            found.setdefault(record.experiment, []).append(record)
        return found


def gather(folder: Path) -> Gathered:
    """Read every run below ``folder``, or ``folder`` itself; links are not followed.

    Variants of the same name in different folders are told apart by the folder's name, where one
    has run with the same seed in both. Raises `StoreNotFoundError` where there is no run.
    """
    records, unreadable = [], []
    for path in _runs(folder):
        try:
            records.append(RunRecord.read(path))
        except (MemoriaError, OSError) as error:
            unreadable.append(Unreadable(path, str(error)))
    if not records and not unreadable:
        raise StoreNotFoundError(f"{folder}: no runs in it", "name a folder of `experiment run`")
    ranks: dict[Path, dict[str, int]] = {}
    for record in records:
        above = record.path.parent
        ranks.setdefault(above, _order(above))

    def place(record: RunRecord) -> tuple[Any, ...]:
        rank = ranks[record.path.parent]
        first = next((rank[one] for one in _names(record.variant) if one in rank), len(rank))
        return os.fspath(record.path.parent), first, record.variant, record.seed

    return Gathered(_told_apart(sorted(records, key=place), folder), unreadable)


def _runs(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise StoreNotFoundError(f"{folder}: no such folder")
    for inner, names, files in os.walk(folder, followlinks=False):
        names.sort()
        if RUN_FILE in files:
            names.clear()  # runs hold no runs
            yield Path(inner)


def _order(folder: Path) -> dict[str, int]:
    """The variants of an experiment's folder, in the order in which they were asked for."""
    try:
        found = read_document(folder / EXPERIMENT_FILE).get("variants")
    except MemoriaError:
        found = None
    listed = found if isinstance(found, list) else []
    return {str(name): number for number, name in enumerate(listed)}


def _names(variant: str) -> Iterator[str]:
    """``"memoria depth=2"`` was asked for as it is, or as ``"memoria"`` at a point of a sweep."""
    yield variant
    yield variant.partition(" ")[0]


def _told_apart(records: list[RunRecord], folder: Path) -> list[RunRecord]:
    seen: dict[tuple[str, str, int], set[Path]] = {}
    for record in records:
        key = (record.experiment, record.variant, record.seed)
        seen.setdefault(key, set()).add(record.path.parent)
    twice = {key[:2] for key, folders in seen.items() if len(folders) > 1}
    return [
        replace(record, variant=f"{_inner(record.path.parent, folder)}: {record.variant}")
        if (record.experiment, record.variant) in twice
        else record
        for record in records
    ]


def _inner(path: Path, folder: Path) -> str:
    inner = os.path.relpath(path, folder)
    return path.name if inner == "." else inner
