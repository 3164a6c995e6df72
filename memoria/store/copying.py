"""A memory written anew: whole or as it was, with all it ever knew or only what it still needs.

Copies, restored snapshots, archives and compaction are all made of `contents`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from memoria.chunkstore.disk import Disk
from memoria.chunkstore.files import StoreFiles
from memoria.chunkstore.root import Root, encode_attributes
from memoria.chunkstore.spec import ArraySpec
from memoria.chunkstore.staged import LazyRows, counted_rows
from memoria.io.progress import Progress, no_progress
from memoria.store.attributes import Era, Snapshot, StateHead, StoreAttributes
from memoria.store.digest import chain_after, chain_start
from memoria.store.life import StepTable, fold
from memoria.store.memory_files import MemoryFiles
from memoria.store.reading import finished_view, past_view
from memoria.store.schema import EventColumn, StepColumn, array_specs, era_prefix
from memoria.store.state import state_arrays
from memoria.store.texts import StoredTexts
from memoria.timeline.log import IntArray


@dataclass(frozen=True)
class Contents:
    """What a store is to hold: its attributes, and each array with its rows."""

    attributes: StoreAttributes
    arrays: list[tuple[ArraySpec, Any]]

    def root(self) -> Root:
        """The root of a store that holds this and nothing else."""
        sizes = {spec.name: (spec, len(rows)) for spec, rows in self.arrays}
        return Root(encode_attributes(self.attributes.document()), sizes)

    def values(self) -> dict[str, Any]:
        """The rows by the arrays' names."""
        return {spec.name: rows for spec, rows in self.arrays}

    def counted(self, progress: Progress) -> Contents:
        """The same; ``progress`` hears how many bytes of all have been written."""
        rows = counted_rows({spec.name: (spec, rows) for spec, rows in self.arrays}, progress)
        return Contents(self.attributes, [(spec, rows[spec.name]) for spec, _ in self.arrays])


def contents(
    files: MemoryFiles,
    kept: IntArray | None = None,
    generation: int | None = None,
    state: int = 1,
    snapshots: Mapping[str, Snapshot] | None = None,
) -> Contents:
    """What a copy of ``files`` holds, now or in the past that it is a view of.

    With ``kept``, ascending ids of engrams, only these and what the log says of them; without,
    everything there is. It lies in the era ``generation``; None: the first, and in none if none
    is needed. The state is generation ``state``. ``snapshots`` go along, None: all there are.
    """
    before = files.attributes
    if snapshots is None:
        snapshots = before.snapshots
    era, rows = Era(), _as_they_are(files)
    if kept is not None:
        steps = {snapshot.step for snapshot in snapshots.values()}
        era, rows = _compacted(files, kept, generation or 1, steps)
    elif before.era.generation is not None:
        era, held = _same_era(files, generation or 1)
        rows |= held
    elif generation is not None:
        era = Era(generation=generation, digest=chain_start(before.config).hex())
        rows |= dict.fromkeys(("kept/ids", "kept/ends", "kept/places"), np.empty(0, np.int64))
    specs = array_specs(files.config, era)
    prefix = era_prefix(era)
    arrays = [(spec, rows[spec.name.removeprefix(prefix)]) for spec in specs]
    head, written = StateHead(), list[Any]()
    if before.step or generation is not None:  # generations of a store count upwards
        head, written = state_arrays(finished_view(files), state)
    known = {
        name: snapshot
        for name, snapshot in snapshots.items()
        if snapshot.step <= before.step and snapshot.events <= files.events
    }
    if kept is not None:  # of earlier steps nothing is left but what was asked for
        known = {n: s for n, s in known.items() if s.step in (*era.steps, before.step)}
    changed = {"era": era, "state": head, "snapshots": known}
    return Contents(before.model_copy(update=changed), [*arrays, *written])


def copy_memory(
    files: MemoryFiles,
    path: str | os.PathLike[str],
    kept: IntArray | None = None,
    disk: Disk | None = None,
    snapshots: Mapping[str, Snapshot] | None = None,
    progress: Progress = no_progress,
) -> None:
    """Write `contents` as a new store at ``path``, which is there as a whole or not at all.

    Args:
        files: the memory, now or in the past that it is a view of.
        path: where nothing is yet.
        kept, snapshots: as in `contents`.
        disk: what writes; None: a disk of its own.
        progress: called with (bytes written, bytes of all).

    Raises:
        StoreExistsError: something is at ``path``.
    """
    held = contents(files, kept, snapshots=snapshots).counted(progress)
    specs = [spec for spec, _ in held.arrays]
    StoreFiles.create(path, specs, held.attributes.document(), disk, held.values()).close()


def living_ids(files: MemoryFiles) -> IntArray:
    """Engrams alive now, or in the past that ``files`` is a view of, ascending."""
    return fold(files, files.config, StepTable.read(files)).ids


def _as_they_are(files: MemoryFiles) -> dict[str, Any]:
    names = [spec.name for spec in array_specs(files.config)]
    return {name: LazyRows(files.rows(name), partial(files.read, name)) for name in names}


def _compacted(
    files: MemoryFiles, kept: IntArray, generation: int, past: set[int]
) -> tuple[Era, dict[str, Any]]:
    steps = StepTable.read(files)
    done = len(steps)
    created = int(steps.rows()[-1]) if done else 0
    old = kept[kept < created]
    begun = np.arange(created, files.created)  # of the step under way: behind the era
    ids = files.read("log/ids")
    chosen = np.isin(ids, old)
    held = np.cumsum(chosen)
    ends = np.concatenate(([0], held))[steps.log_ends()]
    rows = _as_they_are(files)
    wanted = np.concatenate((old, begun))
    for name in ("vectors", "scales") if files.has_scales else ("vectors",):
        rows[name] = LazyRows(len(wanted), partial(_stored, files, name, wanted))
    rows |= _events_of(files, old)
    rows["log/ids"] = ids[chosen]
    rows["log/expiry"] = files.read("log/expiry")[chosen]
    rows |= StoredTexts(files).only(wanted)
    before = sorted(step for step in past if step < done)
    views = [*(past_view(files, step) for step in before), finished_view(files)]
    places = _side_by_side([StoredTexts(view).last_offsets() for view in views])
    rows |= {"kept/ids": old, "kept/ends": ends, "kept/places": places}
    era = Era(
        generation=generation,
        step=done,
        events=files.events,
        rows=created,
        kept=len(old),
        log_end=int(files.read("log/steps", done - 1, done)[0, StepColumn.LOG_END]) if done else 0,
        log_kept=len(rows["log/ids"]),
        steps=tuple(before),
        digest=chain_after(files, steps, done, files.events).hex(),
    )
    return era, rows


def _stored(files: MemoryFiles, name: str, ids: IntArray, start: int, stop: int) -> Any:
    return files.stored_vectors(name, ids[start:stop])


def _events_of(files: MemoryFiles, kept: IntArray) -> dict[str, Any]:
    """All events; those of engrams that are left behind carry nothing any more."""
    index = files.event_rows().copy()
    ends = index[:, EventColumn.END]
    sizes = np.diff(ends, prepend=0)
    carrying = (sizes > 0) & np.isin(index[:, EventColumn.ENGRAM], kept)
    payloads = [files.event_payload(number) for number in np.flatnonzero(carrying).tolist()]
    index[:, EventColumn.END] = np.cumsum(np.where(carrying, sizes, 0))
    return {
        "events/index": index,
        "events/bytes": np.frombuffer(b"".join(payloads), np.uint8),
    }


def _same_era(files: MemoryFiles, generation: int) -> tuple[Era, dict[str, Any]]:
    """The era of ``files`` itself; where they are a view from before it, as it was by then."""
    era, steps = files.attributes.era, StepTable.read(files)
    done = len(steps)
    kept, ends, places = files.kept, files.kept_ends, files.all_kept_places.ravel()
    if done < era.step or files.events < era.events:
        last = files.read("log/steps", done - 1, done)[0] if done else np.zeros(8, np.int64)
        created = int(last[StepColumn.ROWS])
        kept, ends = kept[: files.rows_before(created)], ends[:done]
        before = [step for step in era.steps if step < done]
        places = _side_by_side([files.kept_places(step) for step in (*before, done)])
        era = era.model_copy(
            update={
                "step": done,
                "events": files.events,
                "rows": created,
                "kept": len(kept),
                "log_end": int(last[StepColumn.LOG_END]),
                "log_kept": files.rows("log/ids"),
                "steps": tuple(before),
                "digest": files.attributes.digest,
            }
        )
    held = {"kept/ids": kept, "kept/ends": ends, "kept/places": places}
    return era.model_copy(update={"generation": generation}), held


def _side_by_side(places: list[IntArray]) -> IntArray:
    """The places of each source in several states, state after state; -1 where it comes later."""
    width = max(map(len, places))
    return np.concatenate(
        [np.pad(row, (0, width - len(row)), constant_values=-1) for row in places]
    )
