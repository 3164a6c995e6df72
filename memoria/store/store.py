"""`MemoryStore`: a memory on disk that many processes can step, one after another."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal

import numpy as np
import torch
from torch import Tensor

from memoria.config import MemoriaConfig
from memoria.connections.firing_log import IntArray
from memoria.core import MemoryCore
from memoria.engram_type import EngramType
from memoria.errors import StateError
from memoria.recall import Recalled
from memoria.store.arguments import (
    Data,
    Delta,
    Places,
    Texts,
    as_cue,
    as_gains,
    by_row,
    check_delta,
)
from memoria.store.attributes import Pending, StateHead, StoreAttributes
from memoria.store.digest import chain_start, next_digest, state_digest
from memoria.store.files import StoreFiles
from memoria.store.life import StepTable
from memoria.store.loading import load_core, write_state
from memoria.store.reading import config_of
from memoria.store.reminded import Reminded
from memoria.store.schema import array_specs, expected_specs
from memoria.store.shelf import TextShelf

__all__ = ["MemoryStore"]


_IDLE: Final = Pending()
_TIDY_AT_CLOSE: Final = 16_384  # living engrams up to which closing writes the state out
_LOG_PER_STATE: Final = 65_536  # log entries after which a commit writes it out in any case


class MemoryStore:
    """A memory in a directory: plain Zarr, changed by atomic durable commits.

    ``add`` -> ``remind`` -> ``adjust`` is one step. Nothing is written before `commit`; leaving a
    ``with`` block without an error commits, leaving it with one drops what was not committed. One
    writer at a time, any number of readers.
    """

    def __init__(self, files: StoreFiles) -> None:
        self._files = files
        self._config = config_of(files)
        self._shelf = TextShelf(files)
        self._core: MemoryCore | None = None
        self._load()

    @classmethod
    def create(cls, path: str | os.PathLike[str], config: MemoriaConfig) -> MemoryStore:
        """A new store at ``path``, open for writing. Raises `StoreExistsError`."""
        values = config.model_dump(mode="json")
        attributes = {
            "config": values,
            "step": 0,
            "pending": _IDLE.model_dump(mode="json"),
            "digest": chain_start(values).hex(),
            "state": StateHead().model_dump(),
        }
        return cls(StoreFiles.create(path, array_specs(config), attributes))

    @classmethod
    def open(cls, path: str | os.PathLike[str], mode: Literal["r", "r+"] = "r") -> MemoryStore:
        """The store at ``path``; ``"r"`` reads the state committed now, ``"r+"`` steps it.

        Raises `StoreNotFoundError`, `StoreLockedError`, `NewerFormatError`, `DamageError`.
        """
        files = StoreFiles.open(path, mode, expected_specs)
        try:
            return cls(files)
        except BaseException:
            files.close()
            raise

    @property
    def path(self) -> Path:
        """The store's directory."""
        return self._files.path

    @property
    def mode(self) -> str:
        """``"r"`` or ``"r+"``."""
        return self._files.mode

    @property
    def config(self) -> MemoriaConfig:
        """The configuration it was created with."""
        return self._config

    @property
    def timestep(self) -> int:
        """Steps finished."""
        return self._steps

    @property
    def phase(self) -> str:
        """``idle`` between steps, ``working`` after `add`, ``reminded`` after `remind`."""
        return self._pending.phase

    def digest(self) -> str:
        """sha256 of the state, the same on every machine and however steps were committed."""
        return state_digest(self._chain, self._files, self._shelf, self._pending, self._done_rows)

    def last_place(self, source: str) -> int | None:
        """The greatest character offset ever remembered from ``source``; None if nothing was."""
        return self._shelf.last_place(source)

    def add(
        self,
        data: Data,
        texts: Texts | None = None,
        places: Places | None = None,
    ) -> IntArray:
        """Make ``data`` [B, W, D], or [W, D] with one lane, working memory; returns its ids [B, W].

        ``texts`` [B][W] (or [W]) stay beside the engrams, ``places`` are (source, offset) each.
        Called again before `remind`, it adds to the working memory.
        """
        self._check_writable()
        if self.phase == "reminded":
            raise StateError("the step has been reminded already", "adjust first")
        taken = as_cue(self._config, data)
        lanes, count, dimension = taken.shape
        flat_texts = by_row(texts, lanes, count, "texts")
        flat_places = by_row(places, lanes, count, "places")
        core = self._memory()
        first = self._files.rows("vectors")
        rows = taken.transpose(0, 1).reshape(count * lanes, dimension).numpy()
        self._shelf.stage(first, flat_texts, flat_places)
        self._files.append("vectors", rows)
        core.add(taken)
        self._pending = Pending(phase="working")
        return np.arange(first, first + count * lanes).reshape(count, lanes).T

    def remind(self) -> Reminded:
        """Remind with the working memory and let everything fire; a second call repeats the answer.

        Raises `StateError` without working memory.
        """
        self._check_writable()
        if self.phase == "idle":
            raise StateError("there is no working memory", "add something first")
        if self.phase == "working":
            core = self._memory()
            found = core.recall()
            core.fire(found)
            self._pending = self._as_pending(found)
        return self._answer(self._pending)

    def peek(self, cue: Data | None = None) -> Reminded:
        """What ``cue`` [B, W, D] or [W, D] (default: the working memory) brings back.

        Changes nothing, and works in a store opened for reading.
        """
        core = self._memory()
        if cue is None and core.working_positions().shape[1] == 0:
            raise StateError("there is no working memory to ask with", "give a cue")
        taken = None if cue is None else as_cue(self._config, cue)
        return self._answer(self._as_pending(core.recall(taken)))

    def adjust(self, delta: Delta | None = None) -> None:
        """End the step: reminded engrams gain ``delta``, all lose 1, memories move up or end.

        ``delta``: numbers [B, R] as `remind` returned its ids, one number for all, or a rule
        (``"uniform:5"``, ``"correlation:8"``; None takes the configuration's).
        """
        self._check_writable()
        if self.phase != "reminded":
            raise StateError("the step has not been reminded", "remind first")
        core, lanes = self._memory(), self._config.lanes
        working = core.working_positions()
        ids = self._padded_ids(self._pending)
        wanted = self._config.rule if delta is None else delta
        gains = as_gains(wanted, ids, self._pending.scores)
        positions = self._positions(ids)
        core.adjust(positions, gains)
        fired = torch.cat((working, positions), dim=1)
        expiry = core.traces.expiry.gather(1, fired.clamp_min(0))
        local = core.traces.at(core.traces.ids, fired, -1)
        order = _log_order(working.shape[1], lanes, fired)
        entries = (local * lanes + torch.arange(lanes).unsqueeze(1)).numpy()[order]
        self._log_step(entries, expiry.numpy()[order])

    def step(
        self,
        data: Data,
        rule: Delta | None = None,
        texts: Texts | None = None,
        places: Places | None = None,
    ) -> Reminded:
        """``add``, ``remind``, ``adjust`` in one; returns what was reminded."""
        if self.phase != "idle":
            raise StateError(f"a step is under way ({self.phase})", "remind and adjust it first")
        check_delta(rule)
        self.add(data, texts, places)
        reminded = self.remind()
        self.adjust(rule)
        return reminded

    def commit(self) -> None:
        """Make everything since the last commit durable, at once; it is, when this returns."""
        self._check_writable()
        self._commit(tidy=False)

    def rollback(self) -> None:
        """Drop everything since the last commit."""
        self._files.rollback()
        self._load()

    def close(self) -> None:
        """Release the store; what was not committed is dropped."""
        self._files.close()

    def __enter__(self) -> MemoryStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None and self.mode == "r+":
                self._commit(tidy=True)
        finally:
            self.close()

    def _load(self) -> None:
        """Take over what the files hold."""
        attributes = StoreAttributes.of(self._files.attributes)
        steps = StepTable.read(self._files)
        self._steps = len(steps)
        self._done_rows = int(steps.rows()[-1]) if self._steps else 0
        first = chain_start(attributes.config)
        self._chain = steps.digest(self._steps) if self._steps else first
        self._pending = attributes.pending
        self._state = attributes.state
        self._core = None
        self._shelf.forget_staged()

    def _memory(self) -> MemoryCore:
        if self._core is None:
            self._core = load_core(self._files, self._config)
        return self._core

    def _check_writable(self) -> None:
        if self.mode != "r+":
            raise StateError(f"{self.path} is open for reading", "open it with mode='r+'")

    def _as_pending(self, found: Recalled) -> Pending:
        positions, scores = found.packed()
        lanes = self._config.lanes
        ids = self._memory().traces.at(self._memory().traces.ids, positions, -1)
        valid = [row >= 0 for row in ids]
        return Pending(
            phase="reminded",
            reminded=tuple(
                tuple((row[keep] * lanes + lane).tolist())
                for lane, (row, keep) in enumerate(zip(ids, valid, strict=True))
            ),
            scores=tuple(
                tuple(row[keep].tolist()) for row, keep in zip(scores, valid, strict=True)
            ),
            longterm=tuple((found.longterm >= 0).sum(1).tolist()),
            partial=tuple(found.partial.tolist()),
        )

    def _padded_ids(self, pending: Pending) -> Tensor:
        width = max(
            (len(row) + more for row, more in zip(pending.reminded, pending.partial, strict=True)),
            default=0,
        )
        return torch.tensor([[*row, *[-1] * (width - len(row))] for row in pending.reminded])

    def _positions(self, ids: Tensor) -> Tensor:
        """Positions of the store's ids [B, R], -1 stays."""
        local = ids.div(self._config.lanes, rounding_mode="floor")
        return self._memory().traces.find(local.masked_fill(ids < 0, -1))

    def _answer(self, pending: Pending) -> Reminded:
        core = self._memory()
        ids = self._padded_ids(pending).to(torch.int64)
        positions = self._positions(ids)
        width = ids.shape[1]
        scores = torch.tensor(
            [[*row, *[-torch.inf] * (width - len(row))] for row in pending.scores],
            dtype=torch.float64,
        )
        expiry = core.traces.expiry.gather(1, positions.clamp_min(0)) - core.step
        rows = [row[row >= 0].numpy() for row in ids]
        texts = [self._shelf.texts(row) for row in rows]
        return Reminded(
            ids=ids,
            indices=core.traces.indices(positions),
            memories=core.traces.data_at(positions),
            correlation=scores.exp(),
            types=core.traces.at(core.traces.types, positions, EngramType.NULL),
            lifespans=expiry.masked_fill(positions < 0, -1.0),
            longterm=torch.tensor(pending.longterm),
            texts=[[*row, *[None] * (width - len(row))] for row in texts],
        )

    def _log_step(self, entries: IntArray, expiry: np.ndarray[Any, np.dtype[Any]]) -> None:
        """Stage what the step that just ended leaves behind."""
        files = self._files
        first_short = self._memory().traces.first_shortterm().numpy()
        before = files.rows("log/ids")
        files.append("log/ids", entries)
        files.append("log/expiry", expiry)
        rows, after = files.rows("vectors"), before + len(entries)
        span = (self._done_rows, rows)
        self._chain = next_digest(
            self._chain, files, self._shelf, span, (before, after), first_short
        )
        words = np.frombuffer(self._chain, ">i8").astype(np.int64)
        head = [time.time_ns() // 1_000_000, rows, after]
        files.append("log/steps", np.concatenate((head, words, first_short))[None])
        self._steps += 1
        self._done_rows = rows
        self._pending = _IDLE

    def _commit(self, tidy: bool) -> None:
        self._write_state_if_due(tidy)
        attributes = {
            **self._files.attributes,
            "step": self._steps,
            "pending": self._pending.model_dump(mode="json"),
            "digest": self.digest(),
            "state": self._state.model_dump(),
        }
        try:
            self._files.commit(attributes)
        except BaseException:
            self._load()
            raise

    def _write_state_if_due(self, tidy: bool) -> None:
        fresh = self._files.rows("log/ids") - self._state.log_end
        if self.phase != "idle" or fresh == 0:
            return
        living = int((self._memory().traces.types != EngramType.NULL).sum())
        if fresh >= max(_LOG_PER_STATE, 4 * living) or (tidy and living <= _TIDY_AT_CLOSE):
            generation = (self._state.generation or 0) + 1
            self._state = write_state(self._files, self._config, generation)


def _log_order(working: int, lanes: int, fired: Tensor) -> tuple[Any, Any]:
    """Cells of ``fired`` [B, W + R] as the log holds them: new engrams by id, then the reminded."""
    new = np.indices((working, lanes)).reshape(2, -1)
    lane, column = (fired[:, working:] >= 0).nonzero(as_tuple=True)
    return (
        np.concatenate((new[1], lane.numpy())),
        np.concatenate((new[0], column.numpy() + working)),
    )
