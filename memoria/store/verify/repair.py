"""`repair`: what is sound of a damaged store, as a new one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Literal

import numpy as np

from memoria.chunkstore.disk import check_vacant
from memoria.errors import ConfigError
from memoria.io.progress import Progress
from memoria.store.attributes import Pending, StateHead, StoreAttributes
from memoria.store.copying import copy_memory
from memoria.store.digest import chain_over_events
from memoria.store.memory_files import Cut, MemoryFiles
from memoria.store.reading import rows_done_before
from memoria.store.schema import CommandColumn, EventColumn, ReadingColumn, TextColumn
from memoria.store.verify.findings import Repaired, Report
from memoria.store.verify.steps import Steps
from memoria.store.verify.verifying import Known, verified

_RECORDS: Final = {  # what is counted by what
    "sources/readings": ("sources/readings", "sources/units"),
    "commands/index": ("commands/index", "commands/bytes"),
}


def repair(
    path: str | os.PathLike[str], out: str | os.PathLike[str], progress: Progress | bool = False
) -> tuple[Report, Repaired | None]:
    """Write a new store at ``out`` with the longest run of sound steps of the one at ``path``.

    Returns what was found, and what was written: None where not even one step is sound.
    The store at ``path`` stays as it is. Where all steps are sound, what was done by hand after
    the last and a step begun are kept too, if they are. Ids, texts and digests stay what they
    were; the state is written anew. Raises what `verify` raises, and `StoreExistsError`.
    """
    target = Path(os.path.abspath(out))
    place = Path(os.path.abspath(path))
    if target == place or place in target.parents:
        raise ConfigError(f"{target}: lies in the damaged store", "name a place beside it")
    check_vacant(target)
    with verified(path, progress) as (report, known):
        step = _last_step(report, known)
        if known is None or step == 0:
            return report, None
        whole = step == report.step and report.end_sound
        begun = whole and report.begun_sound
        view = _with_begun(known) if begun else _cut(known, step, whole)
        copy_memory(view, target)
        lost = report.step - step
        return report, Repaired(str(target), step, lost, begun if report.begun else None)


def _last_step(report: Report, known: Known | None) -> int:
    """The last sound step whose state is still known."""
    if known is None:
        return 0
    era = known.steps.files.attributes.era
    if report.sound_step >= era.step:
        return report.sound_step
    kept = (step for step in _named(known) if step in era.steps and step <= report.sound_step)
    return max(kept, default=0)


def _named(known: Known) -> dict[int, int]:
    """The steps that sound snapshots name, with the fewest events of each."""
    snapshots = known.steps.files.attributes.snapshots
    named: dict[int, int] = {}
    for name in snapshots.keys() - known.lost_snapshots:
        one = snapshots[name]
        named[one.step] = min(one.events, named.get(one.step, one.events))
    return named


def _attributes(known: Known, **changed: object) -> StoreAttributes:
    """As they are, without the written state and the snapshots that name nothing."""
    attributes = known.steps.files.attributes
    sound = {
        name: one for name, one in attributes.snapshots.items() if name not in known.lost_snapshots
    }
    return attributes.model_copy(update={"state": StateHead(), "snapshots": sound, **changed})


def _with_begun(known: Known) -> MemoryFiles:
    """Everything there is that can be used, the step begun too."""
    files = known.steps.files
    rows = {name: 0 for bad in known.bad_records for name in _RECORDS[bad]}
    return MemoryFiles(files.store, Cut(_attributes(known), rows, files.created, files.log_end))


def _cut(known: Known, step: int, whole: bool) -> MemoryFiles:
    """What ``step`` left behind; if it is the last and ``whole``, with the events after it."""
    steps, table = known.steps, known.events.table
    era = steps.files.attributes.era
    side: Literal["left", "right"] = "right" if whole else "left"
    events = int(np.searchsorted(table[:, EventColumn.STEP], step, side=side))
    if step < era.step:
        events = _named(known)[step]
    elif step == era.step:
        events = max(events, era.events)
    chain = steps.digest(step) or b""
    chain = chain_over_events(chain, steps.files, *known.events.span(step, events))
    vectors = int(steps.vector_stop[step - 1])
    rows = {
        "vectors": vectors,
        "scales": vectors,
        "log/steps": step,
        "log/ids": int(steps.log_stop[step - 1]),
        "log/expiry": int(steps.log_stop[step - 1]),
        "events/index": events,
        "events/values": events,
        "events/bytes": max(0, int(table[events - 1, EventColumn.END])) if events else 0,
        **_side_tables(known, vectors, step, events),
    }
    attributes = _attributes(known, step=step, pending=Pending(), digest=chain.hex())
    cut = Cut(attributes, rows, steps.created_after(step), steps.end_after(step))
    return MemoryFiles(steps.files.store, cut)


def _texts(steps: Steps, vectors: int, read: int) -> dict[str, int]:
    """Where the texts of the first ``vectors`` engrams end, and their and ``read`` sources."""
    loose = steps.loose
    index, ends = steps.array("texts/index"), steps.array("sources/index")
    last = min(vectors, loose.committed_rows(index))
    table = loose.read(index, 0, last) if last else np.full((1, len(TextColumn)), -1)
    sources = max(read, int(table[:, TextColumn.SOURCE].max()) + 1)
    if steps.files.attributes.era.generation is not None:
        sources = loose.committed_rows(ends)  # all of them are kept
    names = int(loose.read(ends, sources - 1, sources)[0, 1]) if sources else 0
    return {
        "texts/index": last,
        "texts/bytes": max(0, int(table[-1, TextColumn.META_END])),
        "sources/index": sources,
        "sources/bytes": names,
    }


def _side_tables(known: Known, vectors: int, step: int, events: int) -> dict[str, int]:
    """Where texts, sources, readings and commands end; of the last two none if they are bad."""
    steps, rows, read = known.steps, dict[str, int](), 0
    for name, column, end in (
        ("sources/readings", ReadingColumn, ReadingColumn.UNITS_END),
        ("commands/index", CommandColumn, CommandColumn.END),
    ):
        if name in known.bad_records:
            rows |= dict.fromkeys(_RECORDS[name], 0)
            continue
        table = steps.loose.sound_rows(steps.array(name))
        kept = rows_done_before(table, column, step, events)
        rows |= zip(_RECORDS[name], (kept, int(table[kept - 1, end]) if kept else 0), strict=True)
        if column is ReadingColumn:
            read = int(table[:kept, ReadingColumn.SOURCE].max(initial=-1)) + 1
    return _texts(steps, vectors, read) | rows
