"""The digest: a sha256 chained over the steps, the same on every machine for the same state.

``d_0 = sha256("memoria store 1" + configuration)`` and ``d_t = sha256(d_(t-1) + content of step
t)``, so it costs what a step adds and not what is remembered, and does not depend on how steps
were grouped into commits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import repeat
from typing import Any, Final

import numpy as np

from memoria.store.attributes import Pending
from memoria.store.life import StepTable
from memoria.store.memory_files import MemoryFiles
from memoria.store.schema import EventColumn
from memoria.store.texts import StoredTexts

_BYTES_AT_ONCE: Final = 2**24
_EVENTS_AT_ONCE: Final = 2**16


def chain_start(config: Mapping[str, Any]) -> bytes:
    """``d_0`` of a store with this configuration."""
    text = json.dumps(config, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(b"memoria store 1\n" + text.encode()).digest()


def next_digest(
    chain: bytes,
    files: MemoryFiles,
    stored_texts: StoredTexts,
    rows: tuple[int, int],
    entries: tuple[int, int],
    first_short: np.ndarray[Any, np.dtype[np.int64]],
) -> bytes:
    """The digest after a step that added ``rows`` and log ``entries``, both [first, last)."""
    content = _content(files, stored_texts, rows, entries)
    return step_digest(chain, rows, entries, first_short, content)


def step_digest(
    chain: bytes,
    rows: tuple[int, int],
    entries: tuple[int, int],
    first_short: np.ndarray[Any, np.dtype[np.int64]],
    content: Iterable[bytes],
) -> bytes:
    """The digest after a step whose ``content`` is stored vectors, log ids and expiry, texts."""
    digest = hashlib.sha256(chain)
    digest.update(np.array([*rows, *entries], "<i8").tobytes())
    digest.update(np.asarray(first_short, "<i8").tobytes())
    for part in content:
        digest.update(part)
    return digest.digest()


def state_digest(
    chain: bytes, files: MemoryFiles, stored_texts: StoredTexts, pending: Pending, first_row: int
) -> str:
    """The digest of the chain and of the step begun since, whose engrams start at ``first_row``."""
    if pending.phase == "idle":
        return chain.hex()
    rows = (first_row, files.created)
    digest = hashlib.sha256(chain)
    digest.update(json.dumps([pending.phase, pending.reminded, pending.expiry]).encode())
    for part in _vectors(files, rows):
        digest.update(part)
    digest.update(stored_texts.content(*rows))
    return digest.hexdigest()


def _content(
    files: MemoryFiles, stored_texts: StoredTexts, rows: tuple[int, int], entries: tuple[int, int]
) -> Iterator[bytes]:
    yield from _vectors(files, rows)
    first, last = (files.log_row(entry) for entry in entries)
    for name in ("log/ids", "log/expiry"):
        yield files.read(name, first, last).tobytes()
    yield stored_texts.content(*rows)


def _vectors(files: MemoryFiles, rows: tuple[int, int]) -> Iterator[bytes]:
    """Part by part: a step may be larger than memory."""
    at_once = max(1, _BYTES_AT_ONCE // (4 * files.config.hidden_dim))
    for name in ("vectors", "scales") if files.has_scales else ("vectors",):
        for first in range(*rows, at_once):
            yield files.new_stored(name, first, min(first + at_once, rows[1])).tobytes()


def chain_after(files: MemoryFiles, steps: StepTable, step: int, events: int) -> bytes:
    """The chain after ``step`` finished steps and the first ``events`` events.

    Of a state before the era it is what a snapshot says, since payloads may be gone.
    """
    era = files.attributes.era
    if era.generation is not None and (step, events) < (era.step, era.events):
        for one in files.attributes.snapshots.values():
            if (one.step, one.events) == (step, events):
                return bytes.fromhex(one.digest)
    elif era.generation is not None and step == era.step:
        return chain_over_events(bytes.fromhex(era.digest), files, era.events, events)
    chain = steps.digest(step) if step else chain_start(files.attributes.config)
    happened = files.event_rows(0, events)[:, EventColumn.STEP]
    first, last = np.searchsorted(happened, [step, step + 1]).tolist()
    return chain_over_events(chain, files, first, last)


def chain_over_events(chain: bytes, files: MemoryFiles, first: int, last: int) -> bytes:
    """The chain after the events [first, last)."""
    for begin in range(first, last, _EVENTS_AT_ONCE):
        stop = min(last, begin + _EVENTS_AT_ONCE)
        rows, values = files.event_rows(begin, stop), files.event_values(begin, stop)
        chain = events_digest(chain, rows, values, files.event_payloads(begin, stop))
    return chain


def events_digest(
    chain: bytes,
    rows: np.ndarray[Any, np.dtype[np.int64]],
    values: np.ndarray[Any, np.dtype[np.float64]],
    payloads: Iterable[bytes] = repeat(b""),
) -> bytes:
    """The digest after events, rows of ``events/index``; their times are no part of it."""
    heads = np.empty((len(rows), 4), "<i8")
    heads[:, :3] = rows[:, [EventColumn.STEP, EventColumn.KIND, EventColumn.ENGRAM]]
    heads[:, 3] = np.asarray(values, "<f8").view("<i8")
    raw = heads.tobytes()
    for at, payload in zip(range(0, len(raw), 32), payloads, strict=False):
        chain = hashlib.sha256(chain + b"event" + raw[at : at + 32] + payload).digest()
    return chain


def current_digest(files: MemoryFiles, lanes: int) -> str:
    """The digest of what ``files`` hold."""
    steps = StepTable.read(files)
    done = len(steps)
    chain = chain_after(files, steps, done, files.events)
    first = int(steps.rows()[-1]) if done else 0
    return state_digest(chain, files, StoredTexts(files), files.attributes.pending, first)


_PHASES = ("idle", "working", "reminded")


def contains(more: MemoryFiles, less: MemoryFiles) -> bool:
    """Whether ``more`` is ``less`` or goes on from it: nothing of ``less`` would be lost.

    That is: the same settings, every step and event of ``less``, and the step it has begun.
    """
    steps, others = StepTable.read(more), StepTable.read(less)
    done, events = len(others), less.events
    if more.config != less.config or len(steps) < done or more.events < events:
        return False
    if chain_after(more, steps, done, events) != chain_after(less, others, done, events):
        return False
    began = less.attributes.pending
    first = int(others.rows()[-1]) if done else 0
    last = less.created
    if began.phase == "idle":
        return True
    now = more.attributes.pending
    if len(steps) == done and (
        more.events > events
        or _PHASES.index(now.phase) < _PHASES.index(began.phase)
        or (began.phase == "reminded" and now.reminded != began.reminded)
    ):
        return False
    if more.created < last or more.attributes.era.rows > first:
        return False
    same_vectors = (more.new_vectors(first, last) == less.new_vectors(first, last)).all()
    texts = (StoredTexts(files).content(first, last) for files in (more, less))
    return bool(same_vectors) and next(texts) == next(texts)


def common_steps(a: MemoryFiles, b: MemoryFiles) -> int:
    """How many steps both began with."""
    if a.config != b.config:
        return 0
    own, others = StepTable.read(a).digests(), StepTable.read(b).digests()
    both = min(len(own), len(others))
    differ = (own[:both] != others[:both]).any(1)
    return int(differ.argmax()) if differ.any() else both
