"""The digest: a sha256 chained over the steps, the same on every machine for the same state.

``d_0 = sha256("memoria store 1" + configuration)`` and ``d_t = sha256(d_(t-1) + content of step
t)``, so it costs what a step adds and not what is remembered, and does not depend on how steps
were grouped into commits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from memoria.store.attributes import Pending, StoreAttributes
from memoria.store.files import StoreFiles
from memoria.store.life import StepTable
from memoria.store.shelf import TextShelf

__all__ = ["chain_start", "current_digest", "next_digest", "state_digest"]


def chain_start(config: Mapping[str, Any]) -> bytes:
    """``d_0`` of a store with this configuration."""
    text = json.dumps(config, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(b"memoria store 1\n" + text.encode()).digest()


def next_digest(
    chain: bytes,
    files: StoreFiles,
    shelf: TextShelf,
    rows: tuple[int, int],
    entries: tuple[int, int],
    first_short: np.ndarray[Any, np.dtype[np.int64]],
) -> bytes:
    """The digest after a step that added ``rows`` and log ``entries``, both [first, last)."""
    digest = hashlib.sha256(chain)
    digest.update(np.array([*rows, *entries], "<i8").tobytes())
    digest.update(np.asarray(first_short, "<i8").tobytes())
    for name, part in (("vectors", rows), ("log/ids", entries), ("log/expiry", entries)):
        digest.update(files.read(name, *part).tobytes())
    digest.update(shelf.content(*rows))
    return digest.digest()


def state_digest(
    chain: bytes, files: StoreFiles, shelf: TextShelf, pending: Pending, first_row: int
) -> str:
    """The digest of the chain and of the step begun since, whose engrams start at ``first_row``."""
    if pending.phase == "idle":
        return chain.hex()
    rows = (first_row, files.rows("vectors"))
    digest = hashlib.sha256(chain)
    digest.update(json.dumps([pending.phase, pending.reminded]).encode())
    digest.update(files.read("vectors", *rows).tobytes())
    digest.update(shelf.content(*rows))
    return digest.hexdigest()


def current_digest(files: StoreFiles, lanes: int) -> str:
    """The digest of what ``files`` hold."""
    attributes = StoreAttributes.of(files.attributes)
    steps = StepTable.read(files)
    done = len(steps)
    chain = steps.digest(done) if done else chain_start(attributes.config)
    first = int(steps.rows()[-1]) if done else 0
    return state_digest(chain, files, TextShelf(files), attributes.pending, first)
