"""Names for states of a memory. A snapshot is a step's number and digest, and costs no copy."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from memoria.errors import InputError
from memoria.io.checked import RefusedError
from memoria.store.attributes import NAMES, Snapshot
from memoria.store.memory_files import MemoryFiles
from memoria.store.reading import finished_view, named, open_files, past_view


def new_snapshot(
    files: MemoryFiles,
    taken: Mapping[str, Snapshot],
    name: str,
    note: str,
    step: int,
    chain: bytes,
) -> Snapshot:
    """A snapshot of what ``step`` finished steps and all events left behind."""
    if not isinstance(name, str) or re.fullmatch(NAMES, name) is None:
        raise InputError(
            f"snapshot = {name!r}: not a name",
            "begin with a letter; then letters, digits, . _ and -, 64 at most",
        )
    if name in taken:
        raise InputError(f"snapshot = {name!r}: there is one of this name", "choose another one")
    created = time.time_ns() // 1_000_000
    try:
        return Snapshot(
            step=step, events=files.events, digest=chain.hex(), created=max(0, created), note=note
        )
    except RefusedError as error:
        raise InputError(f"{error.place[0]}: {error.message}") from None


def create_snapshot(
    path: str | os.PathLike[str], name: str, note: str = "", at: int | str | None = None
) -> Snapshot:
    """Name what the last finished step of the store at ``path`` left behind. Durable on return.

    A step that has been begun is no part of it. ``at`` names another step, or a snapshot again.
    Raises `InputError` for a name that is taken or is none, and for a moment that is not there.
    """
    with closing(open_files(path, mode="r+")) as files:
        taken = files.attributes.snapshots
        view = finished_view(files) if at is None else past_view(files, at)
        chain = bytes.fromhex(view.attributes.digest)
        made = new_snapshot(view, taken, name, note, view.attributes.step, chain)
        _commit(files, {**taken, name: made})
        return made


def delete_snapshot(path: str | os.PathLike[str], name: str) -> Snapshot:
    """Take a name back; what it named stays until it is compacted. Durable on return."""
    with closing(open_files(path, mode="r+")) as files:
        taken = dict(files.attributes.snapshots)
        gone = named(files.name, taken, name)
        del taken[name]
        _commit(files, taken)
        return gone


def list_snapshots(path: str | os.PathLike[str]) -> dict[str, Snapshot]:
    """The snapshots of the store at ``path`` by name, the earliest state first."""
    with closing(open_files(path)) as files:
        found = files.attributes.snapshots
    order = sorted(found, key=lambda name: (found[name].step, found[name].events, name))
    return {name: found[name] for name in order}


def snapshot_record(name: str, snapshot: Snapshot) -> dict[str, Any]:
    """As plain values: the name, and the fields of `Snapshot`; ``created`` in milliseconds."""
    return {"name": name, **snapshot.model_dump(mode="json")}


def _commit(files: MemoryFiles, snapshots: dict[str, Snapshot]) -> None:
    plain = {name: snapshot.model_dump(mode="json") for name, snapshot in snapshots.items()}
    files.commit({"snapshots": plain})
