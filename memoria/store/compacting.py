"""Leaving behind what a memory no longer needs, and going back to what it was.

Both write every array anew in an era of its own and switch to it by one commit, so that readers
go on with what they opened, and a failure changes nothing.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

from memoria.errors import StateError
from memoria.store.chunks import rows_bytes
from memoria.store.copying import Contents, contents, needed_engrams
from memoria.store.disk import Disk
from memoria.store.files import StoreFiles
from memoria.store.memory_files import MemoryFiles
from memoria.store.reading import open_files
from memoria.store.schema import ERA_GROUP, STATE_GROUP, expected_specs
from memoria.store.snapshots import check_format

__all__ = ["Compaction", "compact", "go_back"]


@dataclass(frozen=True)
class Compaction:
    """What compacting leaves behind, or has left: engrams, log entries and bytes."""

    engrams_kept: int
    engrams_dropped: int
    entries_kept: int
    entries_dropped: int
    bytes_before: int
    bytes_after: int
    steps_kept: tuple[int, ...]

    def record(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "steps_kept": list(self.steps_kept)}


def compact(
    path: str | os.PathLike[str], dry_run: bool = False, disk: Disk | None = None
) -> Compaction:
    """Drop engrams that neither the memory nor a snapshot of it needs, and their log.

    What is left goes on as if nothing had happened: same ids, same results, same digests. The
    states of steps up to now are gone but for those of snapshots. With ``dry_run`` nothing is
    written, and ``bytes_after`` is what the arrays would take.
    """
    with _Rewriting(path, dry_run, disk) as (source, target):
        kept = needed_engrams(source)
        held = contents(source, kept, *_next_generations(source))
        before = source.stored_bytes()
        era = held.attributes.era
        there = source.rows("vectors")
        report = Compaction(
            engrams_kept=len(kept),
            engrams_dropped=there - len(kept),
            entries_kept=era.log_kept,
            entries_dropped=source.rows("log/ids") - era.log_kept,
            bytes_before=before,
            bytes_after=sum(rows_bytes(spec, len(rows)) for spec, rows in held.arrays),
            steps_kept=(*era.steps, era.step),
        )
        if target is not None and report.engrams_dropped:
            _switch(source, target, held)
    return report


def go_back(
    path: str | os.PathLike[str],
    name: str,
    drop_later: bool = False,
    disk: Disk | None = None,
) -> dict[str, Any]:
    """Make the state that snapshot ``name`` names the memory's state; later steps are gone.

    Raises `StateError` where a later snapshot would be lost, unless ``drop_later``.
    """
    with _Rewriting(path, False, disk) as (source, target):
        past = open_files(path, at=name)
        try:
            held = contents(past, None, *_next_generations(source))
            lost = sorted(source.attributes.snapshots.keys() - held.attributes.snapshots.keys())
            if lost and not drop_later:
                raise StateError(
                    f"going back to '{name}' would lose the later snapshots {', '.join(lost)}",
                    "--drop-later does so, -o NEW makes a copy instead",
                )
            if target is not None:
                _switch(source, target, held)
        finally:
            past.close()
        return {
            "step": held.attributes.step,
            "lost_steps": source.attributes.step - held.attributes.step,
            "lost_snapshots": lost,
            "digest": held.attributes.digest,
        }


class _Rewriting:
    """A store opened twice: as its writer (None when only looking), and to read from.

    The reader's lease keeps the old arrays until it is closed; the writer collects them after.
    """

    def __init__(self, path: str | os.PathLike[str], look: bool, disk: Disk | None) -> None:
        self._target = None if look else StoreFiles.open(path, "r+", expected_specs, disk)
        try:
            self._source = open_files(path)
            check_format(self._source, "compaction")
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> tuple[MemoryFiles, StoreFiles | None]:
        return self._source, self._target

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "_source"):
            self._source.close()
        if self._target is not None:
            self._target.close()


def _next_generations(files: MemoryFiles) -> tuple[int, int]:
    attributes = files.attributes
    return (attributes.era.generation or 0) + 1, (attributes.state.generation or 0) + 1


def _switch(source: MemoryFiles, target: StoreFiles, held: Contents) -> None:
    era, state = held.attributes.era.generation, held.attributes.state.generation
    under = f"{ERA_GROUP}/{era}/"
    top = [name for name in target.names() if not name.startswith((ERA_GROUP, STATE_GROUP))]
    moved = [one for one in held.arrays if one[0].name.startswith(under)]
    target.replace_group(under.rstrip("/"), moved, instead_of=top)
    written = [one for one in held.arrays if one[0].name.startswith(STATE_GROUP)]
    if written:
        target.replace_group(f"{STATE_GROUP}/{state}", written)
    target.commit({**target.attributes, **held.attributes.written(source.format_version)})
