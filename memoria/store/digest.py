"""The digest: a sha256 chained over the steps, the same on every machine for the same state.

``d_0 = sha256("memoria store 1" + configuration)`` and ``d_t = sha256(d_(t-1) + content of step
t)``, so it costs what a step adds and not what is remembered, and does not depend on how steps
were grouped into commits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import numpy as np

from memoria.store.attributes import Pending
from memoria.store.life import StepTable
from memoria.store.memory_files import MemoryFiles
from memoria.store.schema import EventColumn
from memoria.store.texts import TextShelf

__all__ = [
    "chain_after",
    "chain_start",
    "current_digest",
    "event_digest",
    "next_digest",
    "state_digest",
    "step_digest",
]

_BYTES_AT_ONCE: Final = 2**24


def chain_start(config: Mapping[str, Any]) -> bytes:
    """``d_0`` of a store with this configuration."""
    text = json.dumps(config, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(b"memoria store 1\n" + text.encode()).digest()


def next_digest(
    chain: bytes,
    files: MemoryFiles,
    shelf: TextShelf,
    rows: tuple[int, int],
    entries: tuple[int, int],
    first_short: np.ndarray[Any, np.dtype[np.int64]],
) -> bytes:
    """The digest after a step that added ``rows`` and log ``entries``, both [first, last)."""
    content = _content(files, shelf, rows, entries)
    return step_digest(chain, rows, entries, first_short, content)


def step_digest(
    chain: bytes,
    rows: tuple[int, int],
    entries: tuple[int, int],
    first_short: np.ndarray[Any, np.dtype[np.int64]],
    content: Iterable[bytes],
) -> bytes:
    """The digest after a step whose ``content`` is vectors, log ids, log expiry, texts."""
    digest = hashlib.sha256(chain)
    digest.update(np.array([*rows, *entries], "<i8").tobytes())
    digest.update(np.asarray(first_short, "<i8").tobytes())
    for part in content:
        digest.update(part)
    return digest.digest()


def state_digest(
    chain: bytes, files: MemoryFiles, shelf: TextShelf, pending: Pending, first_row: int
) -> str:
    """The digest of the chain and of the step begun since, whose engrams start at ``first_row``."""
    if pending.phase == "idle":
        return chain.hex()
    rows = (first_row, files.created)
    digest = hashlib.sha256(chain)
    digest.update(json.dumps([pending.phase, pending.reminded]).encode())
    for part in _vectors(files, rows):
        digest.update(part)
    digest.update(shelf.content(*rows))
    return digest.hexdigest()


def _content(
    files: MemoryFiles, shelf: TextShelf, rows: tuple[int, int], entries: tuple[int, int]
) -> Iterator[bytes]:
    yield from _vectors(files, rows)
    first, last = (files.log_row(entry) for entry in entries)
    for name in ("log/ids", "log/expiry"):
        yield files.read(name, first, last).tobytes()
    yield shelf.content(*rows)


def _vectors(files: MemoryFiles, rows: tuple[int, int]) -> Iterator[bytes]:
    """Part by part: a step may be larger than memory."""
    at_once = max(1, _BYTES_AT_ONCE // (4 * files.config.hidden_dim))
    for first in range(*rows, at_once):
        yield files.new_vectors(first, min(first + at_once, rows[1])).tobytes()


def chain_after(files: MemoryFiles, steps: StepTable, step: int, events: int) -> bytes:
    """The chain after ``step`` finished steps and the first ``events`` events."""
    chain = steps.digest(step) if step else chain_start(files.attributes.config)
    happened = files.read("events", 0, events) if events else np.empty((0, 4), np.int64)
    for event in happened[happened[:, EventColumn.STEP] == step]:
        chain = event_digest(chain, event)
    return chain


def event_digest(chain: bytes, event: np.ndarray[Any, np.dtype[np.int64]]) -> bytes:
    """The digest after one event, a row of ``events``; its time is no part of it."""
    kind = event[[EventColumn.STEP, EventColumn.KIND, EventColumn.ENGRAM]]
    return hashlib.sha256(chain + b"event" + kind.astype("<i8").tobytes()).digest()


def current_digest(files: MemoryFiles, lanes: int) -> str:
    """The digest of what ``files`` hold."""
    steps = StepTable.read(files)
    done = len(steps)
    chain = chain_after(files, steps, done, files.events)
    first = int(steps.rows()[-1]) if done else 0
    return state_digest(chain, files, TextShelf(files), files.attributes.pending, first)
