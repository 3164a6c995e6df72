"""Names for states of a memory. A snapshot is a step's number and digest, and costs no copy."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from pydantic import ValidationError

from memoria.errors import InputError
from memoria.store.attributes import NAMES, Snapshot
from memoria.store.memory_files import MemoryFiles


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
    except ValidationError as error:
        raise InputError(f"note: {error.errors()[0]['msg']}") from None


def named(store: str, snapshots: Mapping[str, Snapshot], name: str) -> Snapshot:
    """The snapshot of that name; `InputError` if there is none."""
    if name not in snapshots:
        some = ", ".join(sorted(snapshots)[:8])
        raise InputError(
            f"snapshot = {name!r}: {store} has none of this name",
            f"it has: {some}" if some else "make one with `memoria snapshot create`",
        )
    return snapshots[name]
