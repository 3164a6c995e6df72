"""Leaving behind what a memory no longer needs, and going back to what it was.

Both write every array anew in an era of its own and switch to it by one commit, so that readers
go on with what they opened, and a failure changes nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from memoria.chunkstore.codec import rows_bytes
from memoria.chunkstore.disk import Disk
from memoria.chunkstore.files import StoreFiles, source_at
from memoria.errors import StateError
from memoria.io.progress import Progress, progress_bar
from memoria.store.attributes import StoreAttributes
from memoria.store.copying import Contents, contents, living_ids
from memoria.store.memory_files import MemoryFiles
from memoria.store.reading import named, open_files, past_view, view_of_state
from memoria.store.schema import (
    DERIVED,
    ERA_GROUP,
    STATE_GROUP,
    CommandColumn,
    ReadingColumn,
    expected_specs,
)
from memoria.store.sources import RUN
from memoria.timeline.log import IntArray

_UNIT_HASH: Final = 2  # column of ``sources/units`` at which the hash begins


@dataclass(frozen=True)
class Compaction:
    """What compacting leaves behind, or has left.

    ``entries`` are those of the firing log, ``bytes`` those of all files of the store: measured,
    but ``bytes_after`` is reckoned where nothing was written. ``steps_kept`` are the steps up to
    now after which the state is still known. ``held_by``: how many forgotten engrams each snapshot
    that stays still needs. While ``waiting``, readers hold what was dropped, and a later writer
    removes it.
    """

    engrams_kept: int
    engrams_dropped: int
    entries_kept: int
    entries_dropped: int
    snapshots_dropped: tuple[str, ...]
    steps_kept: tuple[int, ...]
    bytes_before: int
    bytes_after: int
    held_by: dict[str, int]
    waiting: bool = False

    @property
    def changes(self) -> bool:
        """Whether there is anything to drop."""
        return bool(self.engrams_dropped or self.snapshots_dropped)

    def record(self) -> dict[str, Any]:
        """As plain values."""
        return {name: list(v) if type(v) is tuple else v for name, v in asdict(self).items()}


def compact(
    path: str | os.PathLike[str],
    dry_run: bool = False,
    snapshots: Iterable[str] | None = None,
    disk: Disk | None = None,
    progress: Progress | bool = False,
) -> Compaction:
    """Drop engrams that neither the memory nor a snapshot of it needs, and their log.

    What is left goes on as if nothing had happened: same ids, same results, same digests. The
    states of steps up to now are gone but for those of snapshots that stay. Where there is nothing
    to drop nothing is written.

    Args:
        path: the store.
        dry_run: say only what would be dropped.
        snapshots: names of those that stay; the others lose their names. None: all stay.
        disk: what writes; None: a disk of its own.
        progress: called with (bytes written, bytes of all); True shows a bar.

    Returns:
        What was dropped.

    Raises:
        InputError: a snapshot is not there.
        StoreLockedError: somebody else writes to the store.
    """
    with progress_bar(progress, "compacting", "bytes") as show:
        return _compact(path, dry_run, snapshots, disk, np.empty(0, np.int64), show)


def _compact(
    path: str | os.PathLike[str],
    dry_run: bool,
    snapshots: Iterable[str] | None,
    disk: Disk | None,
    erased: IntArray,
    progress: Progress,
) -> Compaction:
    """As `compact`; no reading tells the hash of what was in an engram of ``erased``."""
    place = source_at(path, writable=True)
    before = place.total_bytes()
    with _rewriting(path, dry_run, disk) as (source, target):
        taken = source.attributes.snapshots
        names = sorted(taken) if snapshots is None else sorted(set(snapshots))
        wanted = {name: named(source.name, taken, name) for name in names}
        living = living_ids(source)
        then = {name: living_ids(past_view(source, name)) for name in names}
        kept = np.unique(np.concatenate((living, *then.values())))
        beside = {name: len(np.setdiff1d(ids, living)) for name, ids in then.items()}
        held = contents(source, kept, *next_generations(source.attributes), wanted)
        told = _forget_hashes(held, erased)
        era = held.attributes.era
        reckoned = sum(rows_bytes(spec, len(rows)) for spec, rows in held.arrays)
        report = Compaction(
            engrams_kept=len(kept),
            engrams_dropped=source.rows("vectors") - len(kept),
            entries_kept=era.log_kept,
            entries_dropped=source.rows("log/ids") - era.log_kept,
            snapshots_dropped=tuple(sorted(taken.keys() - wanted.keys())),
            steps_kept=(*era.steps, era.step),
            bytes_before=before,
            bytes_after=max(0, before - source.stored_bytes() + reckoned),
            held_by={name: count for name, count in beside.items() if count},
        )
        if not report.changes and not told:
            return replace(report, bytes_after=before)
        old = source.path / source.prefix / "vectors"
        if target is not None:
            switch_to(source, target, held.counted(progress))
    if dry_run:
        return report
    return replace(report, bytes_after=place.total_bytes(), waiting=os.path.lexists(old))


def _forget_hashes(held: Contents, erased: IntArray) -> bool:
    """Blank the hashes of units of the engrams ``erased``, and of the readings that have them.

    A short text can be guessed from its hash, and what is missing in a file from that of the file.
    Returns whether any was there.
    """
    arrays = {spec.name.rpartition("sources/")[2]: at for at, (spec, _) in enumerate(held.arrays)}
    units, readings = (np.array(held.arrays[arrays[n]][1][:]) for n in ("units", "readings"))
    gone = np.isin(units[:, 0], erased)
    if not gone.any():
        return False
    ends = readings[:, ReadingColumn.UNITS_END]
    of_reading = np.unique(np.searchsorted(ends, np.flatnonzero(gone), side="right"))
    for row in np.flatnonzero(units[:, 0] == RUN).tolist():
        first, count = units[row, _UNIT_HASH:].tolist()
        if gone[first : first + count].any():
            of_reading = np.append(of_reading, np.searchsorted(ends, row, side="right"))
    whole = of_reading[readings[of_reading, ReadingColumn.HASH :].any(1)]
    told = units[gone, _UNIT_HASH:].any() or (readings[whole, ReadingColumn.HASH :] != -1).any()
    units[gone, _UNIT_HASH:] = 0
    readings[whole, ReadingColumn.HASH :] = -1
    for name, rows in (("units", units), ("readings", readings)):
        held.arrays[arrays[name]] = held.arrays[arrays[name]][0], rows
    return bool(told)


@dataclass(frozen=True)
class Erasure:
    """What became of engrams to be erased.

    Attributes:
        erased: those of which nothing is left in the store, ascending.
        held: the others, ascending.
        snapshots: whose states hold them.
        waiting: readers hold files of before, which a later writer removes.
    """

    erased: tuple[int, ...]
    held: tuple[int, ...]
    snapshots: tuple[str, ...]
    waiting: bool


def erase(
    path: str | os.PathLike[str],
    ids: Iterable[int],
    disk: Disk | None = None,
    progress: Progress | bool = False,
) -> Erasure:
    """Remove vectors, texts, meta and log of forgotten engrams from every file, by `compact`.

    Derived indexes are removed too, and hashes of what was read into them: a source that still
    holds the text is read as new. What snapshots hold stays. Of copies, archives and buckets the
    store knows nothing.

    Args:
        path: the store.
        ids: forgotten engrams.
        disk, progress: as in `compact`.

    Returns:
        What became of them.

    Raises:
        StoreLockedError: somebody else writes to the store.
    """
    wanted = np.unique(np.array([*ids], np.int64))
    with closing(open_files(path)) as files:
        names = files.attributes.snapshots
        alive = {name: living_ids(past_view(files, name)) for name in names}
    holding = {name: np.intersect1d(wanted, found) for name, found in alive.items()}
    held = np.unique(np.concatenate([wanted[:0], *holding.values()]))
    with progress_bar(progress, "erasing", "bytes") as show:
        found = _compact(path, False, None, disk, np.setdiff1d(wanted, held), show)
    shutil.rmtree(Path(path) / DERIVED, ignore_errors=True)
    return Erasure(
        tuple(np.setdiff1d(wanted, held).tolist()),
        tuple(held.tolist()),
        tuple(sorted(name for name, some in holding.items() if len(some))),
        found.waiting,
    )


def go_back(
    path: str | os.PathLike[str],
    at: int | str,
    drop_later: bool = False,
    dry_run: bool = False,
    disk: Disk | None = None,
) -> dict[str, Any]:
    """Make the state of snapshot or step ``at`` the memory's state; what came later is gone.

    Returns ``step`` and ``digest`` of the state, and ``lost_steps``, ``lost_events``,
    ``lost_snapshots`` and ``lost_begun``, whether a step had been begun. With ``dry_run`` nothing
    is written. Raises `StateError` where later snapshots would be lost, unless ``drop_later``.
    """
    with _rewriting(path, dry_run, disk) as (source, target):
        return _go_back(source, target, past_view(source, at), drop_later)


def undo(
    path: str | os.PathLike[str],
    drop_later: bool = False,
    dry_run: bool = False,
    disk: Disk | None = None,
) -> dict[str, Any]:
    """Go back to the state before the last command that changed the memory.

    An undo is no command, so a second one takes back the command before; nothing brings back what
    was undone. A step begun is no part of a state: with the command that ended or went on with it,
    those that began it are taken back too. Later snapshots are as for `go_back`.

    Returns:
        What `go_back` does, and the ``commands`` taken back, the last one first.

    Raises:
        StateError: no command is recorded, or later snapshots would be lost.
        InputError: compaction has removed the state before it.
    """
    with _rewriting(path, dry_run, disk) as (source, target):
        return undo_last(source, target, drop_later)


def undo_last(source: MemoryFiles, target: StoreFiles | None, drop_later: bool) -> dict[str, Any]:
    """As `undo`; ``source`` reads what ``target`` writes."""
    begun = source.read("commands/index")[:, [CommandColumn.STEP, CommandColumn.EVENTS]]
    if len(begun) == 0:
        raise StateError(f"{source.name}: there is no command to undo")
    past = view_of_state(source, *begun[-1].tolist())
    words = [source.command(at) for at in range(past.rows("commands/index"), len(begun))]
    return {"commands": words[::-1], **_go_back(source, target, past, drop_later)}


def _go_back(
    source: MemoryFiles, target: StoreFiles | None, past: MemoryFiles, drop_later: bool
) -> dict[str, Any]:
    """Make ``past``, a view of ``source``, what ``target`` holds; None only looks."""
    now = source.attributes
    held = contents(past, None, *next_generations(now))
    lost = sorted(now.snapshots.keys() - held.attributes.snapshots.keys())
    if lost and not drop_later:
        raise StateError(
            f"going back to step {held.attributes.step} would lose the later snapshots "
            f"{', '.join(lost)}",
            "--drop-later does so, -o NEW makes a copy instead",
        )
    if target is not None and (held.attributes.digest != now.digest or lost):
        switch_to(source, target, held)
    return {
        "step": held.attributes.step,
        "lost_steps": now.step - held.attributes.step,
        "lost_events": source.events - past.events,
        "lost_begun": now.pending.phase != "idle",
        "lost_snapshots": lost,
        "digest": held.attributes.digest,
    }


@contextmanager
def _rewriting(
    path: str | os.PathLike[str], look: bool, disk: Disk | None
) -> Iterator[tuple[MemoryFiles, StoreFiles | None]]:
    """A store opened twice: to read from, and as its writer (None when only looking).

    The reader's lease keeps the old arrays until it is closed; the writer collects them after.
    """
    target = None if look else StoreFiles.open(path, "r+", expected_specs, disk)
    with (
        nullcontext() if target is None else closing(target),
        closing(open_files(path)) as source,
    ):
        yield source, target


def next_generations(attributes: StoreAttributes) -> tuple[int, int]:
    """The numbers of the era and of the state that may follow."""
    return (attributes.era.generation or 0) + 1, (attributes.state.generation or 0) + 1


def switch_to(source: MemoryFiles, target: StoreFiles, held: Contents) -> None:
    """Commit ``held`` as the next era of ``target``, which ``source`` reads."""
    era, state = held.attributes.era.generation, held.attributes.state.generation
    under = f"{ERA_GROUP}/{era}/"
    top = [name for name in target.names() if not name.startswith((ERA_GROUP, STATE_GROUP))]
    moved = [one for one in held.arrays if one[0].name.startswith(under)]
    target.replace_group(under.rstrip("/"), moved, instead_of=top)
    written = [one for one in held.arrays if one[0].name.startswith(STATE_GROUP)]
    if written:
        target.replace_group(f"{STATE_GROUP}/{state}", written)
    target.commit({**target.attributes, **held.attributes.document()})
