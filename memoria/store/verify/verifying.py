"""`verify`: everything there is to check in a store, in one pass after another."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from memoria.chunkstore.files import source_at
from memoria.chunkstore.locks import ReaderLease
from memoria.chunkstore.root import FORMAT, ROOT_NAME
from memoria.chunkstore.sources.local import LocalSource, Source
from memoria.errors import DamageError
from memoria.io.progress import Progress, progress_bar
from memoria.store.memory_files import Cut, MemoryFiles
from memoria.store.schema import ERA_GROUP, EventColumn, TextColumn, era_prefix
from memoria.store.verify.content import read_all
from memoria.store.verify.damaged import Damage, LooseFiles
from memoria.store.verify.digests import check_digests
from memoria.store.verify.edges import check_edges
from memoria.store.verify.events import EventList, FoldedLog
from memoria.store.verify.findings import Findings, Report
from memoria.store.verify.log import LogCheck
from memoria.store.verify.pending import check_counts, check_lengths, check_pending
from memoria.store.verify.records import check_records
from memoria.store.verify.root_check import FoundRoot, read_what_there_is, said
from memoria.store.verify.state import check_head, check_state
from memoria.store.verify.steps import Steps
from memoria.store.verify.texts import check_texts
from memoria.store.verify.tree import Tree, walk

_MOST_MISSING: Final = 2**26  # rows of vectors that may be missing and still be counted in


@dataclass(frozen=True)
class Known:
    """What of a store could be read, the ``lost_snapshots`` that name nothing, and bad arrays."""

    steps: Steps
    events: EventList
    lost_snapshots: frozenset[str]
    bad_records: frozenset[str]


def verify(path: str | os.PathLike[str], progress: Progress | bool = False) -> Report:
    """Read every byte of the store at ``path`` and compare everything with everything.

    It may be a directory, an archive or an s3:// URL.

    Nothing is changed, and a writer may go on meanwhile: the state that is committed now is
    checked. ``progress`` counts bytes; True shows a bar. Memory stays below about a gigabyte for
    a million engrams. Raises `StoreNotFoundError`, `OtherFormatError`, and nothing for whatever
    else the bytes may be: that is what findings are for.
    """
    with verified(path, progress) as (report, _):
        return report


@contextmanager
def verified(
    path: str | os.PathLike[str], progress: Progress | bool = False
) -> Iterator[tuple[Report, Known | None]]:
    """`verify`, and what it read, as long as the block lasts."""
    findings = Findings()
    source: Source
    lease = None
    try:
        if os.path.isdir(path):  # what has lost its root may still be a store
            source = LocalSource(Path(os.path.abspath(path)))
            lease = ReaderLease.take(source.path)  # before the root is read
        else:
            source = source_at(path, writable=False)
    except DamageError as error:
        findings.add("archive", ".", said(error, os.path.abspath(path)))
        yield _report(os.path.abspath(path), Tree(), findings, None, None), None
        return
    place = source.place("")
    try:
        found = read_what_there_is(source, findings)
        tree = walk(source, None if found is None else found.root, findings)
        if found is None:
            yield _report(place, tree, findings, None, None), None
            return
        loose = LooseFiles(source, lease, found.root)
        total = 2 * sum(size for files in tree.present.values() for size in files.values())
        with progress_bar(progress, "verifying", "bytes") as show:
            meter = _Meter(show, total)
            damages = tree.damages + read_all(source, found.root, tree, meter)
            loose.mark(damages)
            known = _checked(found, loose, damages, findings, meter)
        yield _report(place, tree, findings, found, known), known
    finally:
        source.close()
        if lease is not None:
            lease.release()


def _checked(
    found: FoundRoot,
    loose: LooseFiles,
    damages: list[Damage],
    findings: Findings,
    show: Callable[[int], None],
) -> Known | None:
    """Check what the numbers mean, as far as they can be read."""
    steps = _steps(found, loose, findings)
    for damage in damages:
        _tell(damage, steps, findings)
    if steps is None:
        return None
    check_counts(steps, findings)
    events = EventList(steps)
    vectors = steps.array("vectors")
    rows = loose.committed_rows(vectors)
    if rows - loose.readable_end(vectors) <= _MOST_MISSING:
        _check_log(steps, events, rows, findings)
    check_texts(steps, findings)
    bad_records = check_records(steps, events)
    return Known(steps, events, check_digests(steps, events, findings, show), bad_records)


def _steps(found: FoundRoot, loose: LooseFiles, findings: Findings) -> Steps | None:
    if found.attributes is None or not found.whole:
        return None
    era = found.attributes.era
    prefix = era_prefix(era)
    kept = [f"{prefix}kept/{name}" for name in ("ids", "ends", "places")] if prefix else []
    if not all(loose.is_sound(name, 0, loose.committed_rows(name)) for name in kept):
        return None  # which has been named
    if not check_lengths(loose, prefix, findings):
        return None
    now = found.attributes
    rows, log = (loose.committed_rows(prefix + name) for name in ("vectors", "log/ids"))
    # as a view, since the attribute may count other steps than there are
    cut = Cut(now, {}, rows + era.rows - era.kept, log + era.log_end - era.log_kept)
    try:
        files = MemoryFiles(loose, cut)
        if prefix:
            _check_era(files, findings)
        return Steps(files, loose, findings)
    except DamageError as error:
        message = error.message.removeprefix(f"{loose.path}: ")
        findings.add("era" if prefix else "attributes", ROOT_NAME, message)
        return None


def _check_era(files: MemoryFiles, findings: Findings) -> None:
    """What the last compaction kept. Raises `DamageError` where nothing can be counted on."""
    era = files.attributes.era
    place = f"{ERA_GROUP}/{era.generation}/kept/places"
    if era.step > files.rows("log/steps"):
        raise DamageError(f"era.step is {era.step}, log/steps has {files.rows('log/steps')} rows")
    if era.events > files.events:
        raise DamageError(f"era.events is {era.events}, there are {files.events}")
    files.log_rows(np.zeros(era.step, np.int64))
    files.engram_rows(np.zeros(1, np.int64))
    width = files.all_kept_places.shape[1]
    if width > files.rows("sources/index"):
        text = f"tells of {width} sources, there are {files.rows('sources/index')}"
        findings.add("era", place, text, array=place)


def _check_log(steps: Steps, events: EventList, rows: int, findings: Findings) -> None:
    """Fold the log from nothing, and compare the written state and the step begun with it."""
    folded = FoldedLog(rows)
    folded.known = events.known
    state = steps.files.attributes.state
    with_state = check_head(steps, events, findings)
    stops = events.steps() | ({state.step} if with_state else set()) | {steps.done}
    for step in LogCheck(steps).run(folded, stops):
        if with_state and step == state.step and folded.known:
            events.fold(folded, step, state.events)
            ids, fires = check_state(steps, folded, findings)
            check_edges(steps, ids, fires, findings)
        events.fold(folded, step)
    check_pending(steps, folded, findings)


def _tell(damage: Damage, steps: Steps | None, findings: Findings) -> None:
    """One damage, with the first step that it spoils."""
    step = lane = None
    touched = damage.last > damage.first or damage.kind == "vector"
    if steps is not None and touched:
        step = _first_step(damage.array, damage.first, steps)
        if damage.kind == "vector":
            engram = int(steps.engrams(np.array([damage.first]))[0])
            lane = engram % steps.lanes
        elif steps.lanes == 1:
            lane = 0
    message = damage.message
    if damage.kind == "vector" and lane is not None:
        message = f"the vector of engram {engram} {message}"
    spoils = step is not None and not damage.array.startswith("state/")
    if steps is not None and damage.array.startswith(steps.array("events/")):
        spoils = False  # the steps before the first that is lost have their digests
        findings.spoilt = min(findings.spoilt, steps.done + 1)
    findings.add(
        damage.kind, damage.path, message, array=damage.array, lane=lane, step=step, spoils=spoils
    )


def _first_step(array: str, row: int, steps: Steps) -> int | None:
    """The first step that needs row ``row`` of an array, or one behind it."""
    if array.startswith("state/"):
        return steps.files.attributes.state.step
    name = array.removeprefix(steps.array(""))
    if name == "log/steps":
        return row + 1
    if name in ("log/ids", "log/expiry"):
        return steps.of_entry(row)
    if name in ("vectors", "scales", "texts/index"):
        return steps.of_engram(int(steps.engrams(np.array([row]))[0]))
    if name == "texts/bytes":
        return _step_of_text(row, steps)
    if name == "events/bytes":
        index = steps.array("events/index")
        end = steps.loose.sound_end(index)
        ends = steps.loose.read(index, 0, end)[:, EventColumn.END]
        row, name = int(np.searchsorted(ends, row, side="right")), "events/index"
    if name in ("events/index", "events/values"):
        return _step_of_event(row, steps)
    return 1 if name in ("sources/index", "sources/bytes") else None


def _step_of_text(byte: int, steps: Steps) -> int:
    """The step of the text in which a byte lies, as far as the index can be read."""
    name = steps.array("texts/index")
    end = steps.loose.sound_end(name)
    low, high = 0, end  # the ends should ascend: halve
    while low < high:
        middle = (low + high) // 2
        if int(steps.loose.read(name, middle, middle + 1)[0, TextColumn.META_END]) <= byte:
            low = middle + 1
        else:
            high = middle
    if low == 0:
        return 1
    return steps.of_engram(int(steps.engrams(np.array([min(low, end - 1)]))[0]))


def _step_of_event(row: int, steps: Steps) -> int | None:
    """The step that begins after the last event that can be read, if one can."""
    name = steps.array("events/index")
    if row == 0 or not steps.loose.is_sound(name, 0, row):
        return None
    return max(0, int(steps.loose.read(name, row - 1, row)[0, 0])) + 1


class _Meter:
    """Adds up bytes and shows them."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def __call__(self, count: int) -> None:
        self._done = min(self._total, self._done + count)
        self._progress(self._done, self._total)


def _report(
    path: str, tree: Tree, findings: Findings, found: FoundRoot | None, known: Known | None
) -> Report:
    attributes = found.attributes if found is not None else None
    step = attributes.step if attributes is not None else 0
    sound = 0 if known is None else min(known.steps.done, findings.spoilt - 1, step)
    end = known is not None and findings.spoilt > step + 1
    begun = attributes is not None and attributes.pending.phase != "idle"
    return Report(
        path=path,
        format=FORMAT if found is not None else None,
        step=step,
        sound_step=max(0, sound),
        files=tree.files,
        bytes=tree.bytes,
        garbage=tree.garbage,
        findings=tuple(findings.listed),
        more=findings.more,
        begun=begun,
        end_sound=end,
        begun_sound=begun and end,
        notes=tuple(findings.notes),
    )
