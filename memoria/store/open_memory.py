"""A memory as it stands in an opened store: what was committed, and what is staged since then."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from memoria.config import MemoriaConfig
from memoria.core.arrays import ArrayOps
from memoria.core.memory_core import MemoryCore
from memoria.errors import StateError
from memoria.store.attributes import Pending, Settings, Snapshot
from memoria.store.digest import chain_after, chain_over_events, next_digest, state_digest
from memoria.store.edits import happen
from memoria.store.life import StepTable, fold
from memoria.store.loading import life_of_core, load_core, load_whole
from memoria.store.memory_files import MemoryFiles
from memoria.store.schema import EventColumn
from memoria.store.state import written_state
from memoria.store.texts import StoredTexts
from memoria.timeline.engram_type import EngramType
from memoria.timeline.log import EventKind, FloatArray, IntArray

if TYPE_CHECKING:
    from memoria.store.information import InformedLifespans

IDLE: Final = Pending()
_TIDY_AT_CLOSE: Final = 16_384  # living engrams up to which closing writes the state out
_LOG_PER_STATE: Final = 65_536  # log entries after which a commit writes it out in any case


class OpenMemory:
    """The files of a store, the memory that they hold, and what a commit will add to them.

    Args:
        files: the store's files.
        ops: of the arrays that steps run on; None: numpy's, with vectors read as they are needed.

    Attributes:
        files: the store's files, staged rows too.
        texts: the texts in them.
        config: what the memory is.
        settings: what may change in its life.
        steps: steps finished.
        pending: the step that was begun.
        chain: digest of all finished steps and events.
        snapshots: names for earlier states.
        place: where the store is to be recorded to lie; None: as it is recorded.
    """

    def __init__(self, files: MemoryFiles, ops: ArrayOps | None) -> None:
        self.files = files
        self.texts = StoredTexts(files)
        self.place: str | None = None
        self._ops = ops
        self._command: tuple[tuple[int, int, int], Any] | None = None
        self._load()

    def _load(self) -> None:
        """Take over what the files hold."""
        attributes = self.files.attributes
        self._table = table = StepTable.read(self.files)  # as committed
        self.steps = len(table)
        self._done_rows = int(table.rows()[-1]) if self.steps else 0
        self.chain = chain_after(self.files, table, self.steps, self.files.events)
        self.pending = attributes.pending
        self.snapshots: dict[str, Snapshot] = dict(attributes.snapshots)
        self._state = attributes.state
        self._count_again = 0  # log entries not written out, from which on the living are counted
        self.settings: Settings = attributes.settings
        self.config: MemoriaConfig = self.files.config
        self._core: MemoryCore | None = None
        self._lifespans: InformedLifespans | None = None
        self.texts.forget_staged()

    @property
    def core(self) -> MemoryCore:
        """The engrams and connections, read when they are first needed."""
        if self._core is None:
            if self._ops is None:
                self._core = load_core(self.files, self.config, self._table)
            else:
                life = fold(self.files, self.config, self._table)
                self._core = load_whole(self.files, self.config, life, self._ops)
        return self._core

    @property
    def lifespans(self) -> InformedLifespans | None:
        """What knows the words read so far; None where all engrams begin with as long a life."""
        if self._lifespans is None and self.config.lifespan_by != "constant":
            from memoria.store.information import InformedLifespans

            self._lifespans = InformedLifespans(self.files, self.texts)
        return self._lifespans

    def digest(self) -> str:
        """sha256 of the state, the same on every machine and however steps were committed."""
        return state_digest(self.chain, self.files, self.texts, self.pending, self._done_rows)

    def check_writable(self) -> None:
        """Raise `StateError` where the store is open for reading."""
        if self.files.mode != "r+":
            raise StateError(f"{self.files.name} is open for reading", "open it with mode='r+'")

    def check_idle(self) -> None:
        """Raise `StateError` between the beginning and the end of a step."""
        if self.pending.phase != "idle":
            raise StateError(
                f"a step is under way ({self.pending.phase})", "remind and adjust it first"
            )

    def log_step(self, entries: IntArray, expiry: FloatArray) -> None:
        """Stage what the step that just ended leaves behind: who fired, and until when they live.

        Args:
            entries: global ids in the log's order, [N].
            expiry: step at whose end each is forgotten, [N].
        """
        files, core = self.files, self.core
        first_short = core.ops.numpy(core.state.first_shortterm())
        before = files.log_end
        files.append("log/ids", entries)
        files.append("log/expiry", expiry)
        rows, after = files.created, before + len(entries)
        span = (self._done_rows, rows)
        self.chain = next_digest(self.chain, files, self.texts, span, (before, after), first_short)
        words = np.frombuffer(self.chain, ">i8").astype(np.int64)
        head = [time.time_ns() // 1_000_000, rows, after]
        files.append("log/steps", np.concatenate((head, words, first_short))[None])
        self.steps += 1
        self._done_rows = rows
        self.pending = IDLE

    def change_by_hand(
        self,
        kind: EventKind,
        ids: Sequence[int] | IntArray,
        gain: float = 0.0,
        payload: bytes = b"",
    ) -> IntArray:
        """Let an event happen to the engrams ``ids`` between two steps, and stage it.

        Returns:
            The engrams that it changed, ascending.

        Raises:
            StateError: the store is open for reading, or a step is under way.
            InputError: an engram is unknown, forgotten or named twice.
        """
        self.check_writable()
        self.check_idle()
        changed = happen(self.core, self.files, kind, ids, gain)
        self.stage_events(kind, changed, gain, payload)
        return changed

    def stage_events(
        self, kind: EventKind, ids: IntArray, value: float = 0.0, payload: bytes = b""
    ) -> None:
        """Stage one event of ``kind`` for each engram, all with this value and payload."""
        if len(ids) == 0:
            return
        files, first = self.files, self.files.events
        rows = np.empty((len(ids), len(EventColumn)), np.int64)
        rows[:] = (self.steps, kind, 0, time.time_ns() // 1_000_000, 0)
        rows[:, EventColumn.ENGRAM] = ids
        rows[:, EventColumn.END] = files.rows("events/bytes") + len(payload) * (
            np.arange(len(ids)) + 1
        )
        files.append("events/index", rows)
        files.append("events/values", np.full(len(ids), value))
        if payload:
            files.append("events/bytes", np.frombuffer(payload * len(ids), np.uint8))
        self.chain = chain_over_events(self.chain, files, first, first + len(ids))

    def begin_command(self, words: str) -> None:
        """Let the next commit that changes the memory record where it stood before ``words``."""
        raw = np.frombuffer(words.encode("utf-8", "replace"), np.uint8)
        begun = (self.steps, self.files.events, time.time_ns() // 1_000_000)
        self._command = (begun, raw)

    def commit(self, tidy: bool = False) -> None:
        """Make everything since the last commit durable, at once; ``tidy``: as at closing."""
        self._write_state_if_due(tidy)
        digest = self.digest()
        if self._command is not None and digest != self.files.attributes.digest:
            (step, events, now), raw = self._command
            end = self.files.rows("commands/bytes") + len(raw)
            self.files.append("commands/index", np.array([[step, events, now, end]]))
            self.files.append("commands/bytes", raw)
            self._command = None
        attributes = self.files.attributes.model_copy(
            update={
                "step": self.steps,
                "pending": self.pending,
                "digest": digest,
                "state": self._state,
                "snapshots": self.snapshots,
                "settings": self.settings,
                "place": self.place or self.files.attributes.place,
            }
        )
        try:
            self.files.commit(attributes.document(), attributes)
        except BaseException:
            self._load()
            raise

    def rollback(self) -> None:
        """Drop everything since the last commit."""
        self.files.rollback()
        self._load()

    def close(self, tidy: bool) -> None:
        """Release the files and what is held; ``tidy``: commit what is staged before."""
        try:
            if tidy:
                self.commit(tidy=True)
                if self._lifespans is not None:
                    self._lifespans.save()
        finally:
            self.files.close()
            self._core = None

    def _write_state_if_due(self, tidy: bool) -> None:
        files, state = self.files, self._state
        fresh = files.log_end - state.log_end + files.events - state.events
        due = fresh >= max(_LOG_PER_STATE, self._count_again)
        if self.pending.phase != "idle" or fresh == 0 or not (due or tidy):
            return
        self._count_again = fresh + _LOG_PER_STATE // 16  # counting is work for all engrams
        living = int((self.core.state.types != EngramType.NULL).sum())
        if fresh >= max(_LOG_PER_STATE, 4 * living) or (tidy and living <= _TIDY_AT_CLOSE):
            self._count_again = 0
            generation = (state.generation or 0) + 1
            core = self.core
            core.close_holes()
            self._state, arrays = written_state(
                life_of_core(core),
                core.connections.by_lane(),
                generation,
                files.created,
                files.log_end,
                files.events,
            )
            files.replace_state(generation, arrays)
