"""Snapshots by name, without tensors: `MemoryStore.snapshot` for those that do nothing else."""

from __future__ import annotations

import os
from typing import Any

from memoria.chunkstore.files import StoreFiles
from memoria.store.attributes import Snapshot
from memoria.store.digest import chain_after
from memoria.store.life import StepTable
from memoria.store.memory_files import MemoryFiles
from memoria.store.reading import open_files
from memoria.store.schema import expected_specs
from memoria.store.snapshots import named, new_snapshot

__all__ = ["create_snapshot", "delete_snapshot", "list_snapshots", "snapshot_record"]


def create_snapshot(path: str | os.PathLike[str], name: str, note: str = "") -> Snapshot:
    """Name what the last finished step of the store at ``path`` left behind. Durable on return.

    A step that has been begun is no part of it. Raises `InputError` for a name that is taken or
    is none.
    """
    files = _open_to_write(path)
    try:
        taken = files.attributes.snapshots
        done = files.attributes.step
        chain = chain_after(files, StepTable.read(files), done, files.events)
        made = new_snapshot(files, taken, name, note, done, chain)
        _commit(files, {**taken, name: made})
        return made
    finally:
        files.close()


def delete_snapshot(path: str | os.PathLike[str], name: str) -> Snapshot:
    """Take a name back; what it named stays until it is compacted. Durable on return."""
    files = _open_to_write(path)
    try:
        taken = dict(files.attributes.snapshots)
        gone = named(files.name, taken, name)
        del taken[name]
        _commit(files, taken)
        return gone
    finally:
        files.close()


def list_snapshots(path: str | os.PathLike[str]) -> dict[str, Snapshot]:
    """The snapshots of the store at ``path`` by name, the earliest state first."""
    files = open_files(path)
    try:
        found = files.attributes.snapshots
    finally:
        files.close()
    order = sorted(found, key=lambda name: (found[name].step, found[name].events, name))
    return {name: found[name] for name in order}


def snapshot_record(name: str, snapshot: Snapshot) -> dict[str, Any]:
    """As plain values: the name, and the fields of `Snapshot`; ``created`` in milliseconds."""
    return {"name": name, **snapshot.model_dump(mode="json")}


def _open_to_write(path: str | os.PathLike[str]) -> MemoryFiles:
    files = StoreFiles.open(path, "r+", expected_specs)
    try:
        return MemoryFiles(files)
    except BaseException:
        files.close()
        raise


def _commit(files: MemoryFiles, snapshots: dict[str, Snapshot]) -> None:
    plain = {name: snapshot.model_dump(mode="json") for name, snapshot in snapshots.items()}
    files.commit({"snapshots": plain})
