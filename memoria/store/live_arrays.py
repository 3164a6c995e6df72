"""A live memory as the arrays of a store: what `save_memory` writes and `load_memory` reads."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from memoria.config import MemoriaConfig
from memoria.core.memory_core import MemoryCore
from memoria.store.attributes import Era
from memoria.store.digest import chain_start, events_digest, step_digest
from memoria.store.life import Life, StepTable
from memoria.store.memory_files import MemoryFiles
from memoria.store.schema import EventColumn, StepColumn, array_specs
from memoria.store.texts import StoredTexts, texts_content
from memoria.timeline.cofiring import FiringLog, lane_logs
from memoria.timeline.log import FiringRecord, IntArray


def vectors_of(core: MemoryCore, life: Life) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Of the living, in the order of their ids, [A, D]."""
    state = core.state
    living = core.living_positions()
    data = core.ops.numpy(state.data_at(living))
    out = np.empty((len(life.ids), data.shape[2]), np.float32)
    for lane in range(life.lanes):
        in_lane = life.of_lane(lane)
        out[in_lane] = data[lane, : int(in_lane.sum())]
    return out


def digest_words(
    values: Mapping[str, Any],
    tables: FiringRecord,
    life: Life,
    stored: Mapping[str, np.ndarray[Any, np.dtype[Any]]],
    raw: list[bytes],
) -> tuple[IntArray, bool]:
    """The chain over what there is, [T, 4]: that of the store itself where all of it is there.

    Steps that came from a store have the digests that they had there; and whether these are the
    same.
    """
    created, ends = tables.made * life.lanes, np.cumsum(tables.counts)
    at, kept = np.searchsorted(life.ids, created), tables.ends
    chain, words = chain_start(values), np.empty((life.step, 4), np.int64)
    known = tables.digests[1:]
    if not np.array_equal(tables.digests[:1], [np.frombuffer(chain, ">i8")]):
        known = known[:0]  # of other settings
    first = row = entry = log = 0
    is_same = True
    for step in range(life.step):
        some = slice(*np.searchsorted(tables.events[:, EventColumn.STEP], [step, step + 1]))
        chain = events_digest(chain, tables.events[some], tables.values[some])
        content = (
            *(part[row : at[step]].tobytes() for part in stored.values()),
            tables.ids[log : kept[step]].tobytes(),
            tables.expiry[log : kept[step]].tobytes(),
            texts_content(raw[row : at[step]]),
        )
        rows, entries = (first, int(created[step])), (entry, int(ends[step]))
        chain = step_digest(chain, rows, entries, tables.first_short[step], content)
        words[step] = np.frombuffer(chain, ">i8")
        if step < len(known):
            is_same = is_same and np.array_equal(words[step], known[step])
            words[step] = known[step]
            chain = words[step].astype(">i8").tobytes()
        first, entry = rows[1], entries[1]
        row, log = int(at[step]), int(kept[step])
    return words, is_same


def era_of(tables: FiringRecord, life: Life, is_same: bool, digest: str) -> Era:
    """None where everything that ever was is there and gives the digests it had (``is_same``)."""
    created, entries = life.next_id * life.lanes, int(tables.counts.sum())
    whole = len(life.ids) == created and len(tables.ids) == entries
    empty_steps = bool((tables.counts == 0).any())
    if whole and is_same and not empty_steps:
        return Era()
    return Era(
        generation=1,
        step=life.step,
        events=len(tables.events),
        rows=created,
        kept=len(life.ids),
        log_end=entries,
        log_kept=len(tables.ids),
        digest=digest,
    )


def rows_of(
    config: MemoriaConfig, tables: FiringRecord, life: Life, words: IntArray, raw: list[bytes]
) -> dict[str, Any]:
    """Every append-only array but the vectors."""
    now = time.time_ns() // 1_000_000
    times = np.append(tables.times, np.full(life.step - len(tables.times), now))
    events = np.zeros((len(tables.events), len(EventColumn)), np.int64)
    events[:, : EventColumn.END] = tables.events[:, : EventColumn.END]
    events[events[:, EventColumn.TIME] == 0, EventColumn.TIME] = now
    created, ends = tables.made * life.lanes, np.cumsum(tables.counts)
    none = np.full(len(raw), -1, np.int64)
    text_ends = np.cumsum([len(text) for text in raw], dtype=np.int64)
    last = int(np.flatnonzero([len(text) for text in raw]).max(initial=-1)) + 1
    specs = array_specs(config)
    return {spec.name: spec.empty(0) for spec in specs} | {
        "log/steps": np.column_stack((times, created, ends, words, tables.first_short)),
        "log/ids": tables.ids,
        "log/expiry": tables.expiry,
        "texts/bytes": np.frombuffer(b"".join(raw), np.uint8),
        "texts/index": np.column_stack((text_ends, text_ends, none, none, none))[:last],
        "events/index": events,
        "events/values": tables.values,
        "kept/ids": life.ids,
        "kept/ends": tables.ends,
        "kept/places": np.empty(0, np.int64),
    }


def logs_of(tables: FiringRecord, life: Life) -> list[FiringLog]:
    """As `lane_logs` of a store: in ranks among each lane's living."""
    return lane_logs(tables.ids, np.append(0, tables.ends), life.ids, life.lanes)


def tables_of(files: MemoryFiles, steps: StepTable, life: Life) -> FiringRecord:
    """What the store's log says of the living."""
    ids, expiry = files.read("log/ids"), files.read("log/expiry")
    alive = np.isin(ids, life.ids)
    table = files.read("log/steps")
    ever = table[:, StepColumn.LOG_END]
    start = np.frombuffer(chain_start(files.attributes.config), ">i8").astype(np.int64)[None]
    named = StoredTexts(files).has_more_than_texts()  # which the memory forgets: digests change
    texts = StoredTexts(files).texts(life.ids)
    return FiringRecord(
        ids=ids[alive],
        expiry=expiry[alive],
        ends=np.concatenate(([0], np.cumsum(alive)))[steps.log_ends()],
        made=steps.rows() // life.lanes,
        counts=np.diff(ever, prepend=0),
        times=steps.times(),
        first_short=table[:, StepColumn.FIRST_SHORT :],
        events=files.event_rows()[:, : EventColumn.END],
        values=files.event_values(),
        digests=np.concatenate((start, steps.digests()))[: 0 if named else None],
        texts={i: t for i, t in zip(life.ids.tolist(), texts, strict=True) if t is not None},
    )
