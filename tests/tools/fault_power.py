"""Power losses of all that is written: operations of the library, verbs, outputs; and controls."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from unittest import mock

from fault_disks import ContentDisk
from fault_operations import OPERATIONS, Acknowledge, Operation
from fault_runs import Recording, Tally, power_loss
from fault_verbs import VERBS, Until, prepare, run_here

from memoria.chunkstore.files import StoreFiles
from memoria.io import atomic_write

# Verbs that write files by `atomic_write`; `remind -o` writes a store as well.
OUTPUTS = ("export .zip", "export .jsonl --force", "export parquet", "replay --sample", "encode")
_NO_STORE = {*OUTPUTS, "plot", "report"}
WAYS = (0.0, 0.5, 0.9, 1.0)  # how likely it is that what was not fsynced survives
ROOTS = ("zarr.json.tmp", "zarr.json.old.tmp")

Group = Callable[[str, str], bool]


def is_chunk(what: str, path: str) -> bool:
    return what == "fsync" and PurePosixPath(path).name.startswith("c.")


def is_root(what: str, path: str) -> bool:
    return what == "fsync" and PurePosixPath(path).name in ROOTS


def is_directory(what: str, path: str) -> bool:
    return what == "fsync_dir" and len(PurePosixPath(path).parts) > 1


def is_store_directory(what: str, path: str) -> bool:
    return what == "fsync_dir" and len(PurePosixPath(path).parts) == 1


def is_parent(what: str, path: str) -> bool:
    return what == "fsync_dir" and path == "."


def is_output(what: str, path: str) -> bool:
    return what == "fsync" and path.endswith(".partial")


_EVERY_GROUP = (is_chunk, is_root, is_directory, is_store_directory)
CONTROLS: list[tuple[str, Group]] = [
    *(("step", group) for group in _EVERY_GROUP),
    *(("many commits", group) for group in _EVERY_GROUP),
    *(("checkpoint", group) for group in _EVERY_GROUP),
    *(("compact", group) for group in _EVERY_GROUP),
    *(("restore in place", group) for group in _EVERY_GROUP),
    *(("copy to a new store", group) for group in (*_EVERY_GROUP, is_parent)),
    *(("init", group) for group in (is_root, is_directory, is_store_directory, is_parent)),
    ("add, remind, adjust", is_chunk),
    ("snapshot", is_root),
    ("snapshot", is_store_directory),
    ("memoria export .zip", is_output),
    ("memoria export .jsonl --force", is_output),
    ("memoria export .jsonl --force", is_parent),
]


def losses(
    folder: Path, rng: random.Random, is_over: Until, names: Sequence[str] | None = None
) -> Tally:
    """Every prefix of what operations and verbs did to the disk, as many as time allows."""
    total = Tally("power loss")
    chosen = [f"memoria {name}" for name in names or VERBS if name != "plot" and name != "report"]
    chosen += [] if names else [*OPERATIONS]
    rng.shuffle(chosen)
    for name in chosen:
        if not is_over():
            recording = recorded(name, folder)
            total += power_loss(recording, folder / "after", survivals=WAYS, step_on=5)
    return total


def controls(folder: Path, rng: random.Random, is_over: Until, most: int | None = None) -> Tally:
    """Leave out one group of fsyncs after another: one that breaks nothing is a problem."""
    tally = Tally("power loss, control")
    chosen = [*CONTROLS]
    tally.possible = len(chosen)
    rng.shuffle(chosen)
    for name, group in chosen[:most]:
        if is_over():
            break
        tally.tried += 1
        if not breaks(recorded(name, folder), folder / "after", group):
            tally.problems.append(f"{name}: without {group.__name__} nothing breaks")
    return tally


def breaks(recording: Recording, folder: Path, group: Group) -> bool:
    """Whether a power loss breaks something without a group of fsyncs."""
    assert any(group(*one[:2]) for one in recording.done)
    told = power_loss(
        recording, folder, group, survivals=(0.0, 0.6), step_on=10**9, to_the_end=False
    )
    return bool(told.problems)


def recorded(name: str, folder: Path) -> Recording:
    """An operation of the library, or ``memoria VERB``, undisturbed, in a new place below."""
    place = folder / f"{name.replace(' ', '-')}-{os.urandom(3).hex()}"
    place.mkdir(parents=True)
    if name in OPERATIONS:
        return Recording.of(OPERATIONS[name], place)
    verb = name.removeprefix("memoria ")
    outputs = verb in OUTPUTS
    return Recording.of(_operation(verb, outputs), place, outputs)


def _operation(name: str, outputs: bool) -> Operation:
    verb = VERBS[name]

    def run(folder: Path, acknowledge: Acknowledge) -> None:
        commit = StoreFiles.commit

        def noted(self: StoreFiles, attributes: Any = None) -> None:
            before = self.root
            commit(self, attributes)
            if self.root != before:
                acknowledge()

        with mock.patch.object(StoreFiles, "commit", noted), _outputs_through(ContentDisk.newest):
            for line in verb.lines:
                code = run_here(folder, line)
                assert code == verb.code, (line, code)
        made = name in OUTPUTS or (folder / "new").exists()
        if made:
            acknowledge()

    return Operation(f"memoria {name}", run, lambda folder: prepare(verb, folder))


@contextmanager
def _outputs_through(disk: ContentDisk | None) -> Iterator[None]:
    """What `atomic_write` brings to the disk is recorded there, too."""
    if disk is None:
        yield
        return

    def sync_tree(path: Path) -> None:
        below = sorted(path.rglob("*")) if path.is_dir() else []
        for one in (path, *below):
            if one.is_dir():
                disk.keep("mkdir", one, b"")
            else:
                disk.keep("write", one, one.read_bytes())
        _sync_tree(path)

    def sync(path: Path) -> None:
        disk.keep("fsync_dir" if path.is_dir() else "fsync", path, b"")
        _sync(path)

    _sync_tree, _sync = atomic_write._sync_tree, atomic_write._sync
    with (
        mock.patch.object(atomic_write, "_sync_tree", sync_tree),
        mock.patch.object(atomic_write, "_sync", sync),
        mock.patch.object(atomic_write, "os", _RecordedOs(disk)),
    ):
        yield


class _RecordedOs:
    """The module `os` for `atomic_write`, whose renames are recorded."""

    def __init__(self, disk: ContentDisk) -> None:
        self._disk = disk

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def replace(self, source: Path, target: Path) -> None:
        self._disk.keep("rename", source, target.relative_to(self._disk.root).as_posix())
        os.replace(source, target)

    rename = replace
