"""The living engrams of a store, folded from its last written state and the log since.

Torch-free: `inspect` reads a memory through this alone. ``ids`` here are the store's: engram
``local`` of lane b has id ``local * lanes + b``, which is its row in ``vectors``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from memoria.config import MemoriaConfig
from memoria.errors import DamageError
from memoria.store.attributes import Pending, StateHead
from memoria.store.events import read_events
from memoria.store.memory_files import MemoryFiles, may_be_ids
from memoria.store.schema import STATE_GROUP, StepColumn
from memoria.timeline import cofiring
from memoria.timeline.cofiring import FiringLog, ranks
from memoria.timeline.engram_type import EngramType
from memoria.timeline.fold import Lifespans
from memoria.timeline.fold import fold as fold_log
from memoria.timeline.log import ENDINGS, TURNS, Events, Firings, IntArray
from memoria.timeline.rules import is_alive, memory_of, pinned_after

FloatArray = npt.NDArray[np.float64]


class StepTable:
    """``log/steps``: what each finished step left behind."""

    def __init__(self, table: IntArray, log_rows: IntArray) -> None:
        self._table = table
        self._log_rows = log_rows

    @classmethod
    def read(cls, files: MemoryFiles) -> StepTable:
        """The table of ``files``; raises `DamageError` where it cannot be one."""
        table = files.read("log/steps")
        counted = [StepColumn.ROWS, StepColumn.LOG_END]
        if len(table):
            counts = table[:, counted]
            short = table[:, StepColumn.FIRST_SHORT :]
            lanes = short.shape[1]
            most = (files.created, files.log_end)
            if not (
                _grows(counts, most)
                and _grows(short, most[0] // lanes)
                and not (counts[:, 0] % lanes).any()
                and (short <= counts[:, :1] // lanes).all()
            ):
                raise DamageError(f"{files.name}: log/steps is not a table of steps")
        era = files.attributes.era
        if era.step <= len(table) or not files.is_past:
            began = table[era.step - 1 : era.step, counted].tolist() if era.step else [[0, 0]]
            if began != [[era.rows, era.log_end]]:
                raise DamageError(f"{files.name}: log/steps is not what the era began with")
        return cls(table, files.log_rows(table[:, StepColumn.LOG_END]))

    def __len__(self) -> int:
        return len(self._table)

    def times(self) -> IntArray:
        """Milliseconds since 1970 at which each step ended, [T]."""
        return self._table[:, StepColumn.TIME]

    def rows(self) -> IntArray:
        """Vectors there were after each step, [T]."""
        return self._table[:, StepColumn.ROWS]

    def log_ends(self) -> IntArray:
        """The row of ``log/ids`` at which each step ends, [T]."""
        return self._log_rows

    def row(self, step: int) -> IntArray:
        """What ``step`` finished steps (at least 1) left behind, [columns]."""
        row: IntArray = self._table[step - 1]
        return row

    def first_short(self, lanes: int) -> IntArray:
        """First short-term engram (local) of each lane after the last step, [lanes]."""
        if len(self) == 0:
            return np.zeros(lanes, np.int64)
        return self._table[-1, StepColumn.FIRST_SHORT :]

    def born(self, ids: IntArray) -> IntArray:
        """Step (counted from 0) at which each engram was created; the running one if pending."""
        return np.searchsorted(self.rows(), ids, side="right")

    def became_longterm(self, local: int, lane: int) -> int | None:
        """Step at whose end the engram moved to long-term memory, if alive by then."""
        at = int(self.all_became_longterm(np.array([local]), lane)[0])
        return at if at < len(self) else None

    def all_became_longterm(self, local: IntArray, lane: int) -> IntArray:
        """As `became_longterm` for many engrams of a lane; the number of steps for not yet."""
        boundary = self._table[:, StepColumn.FIRST_SHORT + lane]
        return np.searchsorted(boundary, local, side="right")

    def digests(self) -> IntArray:
        """The chained sha256 after each step as four words, [T, 4]."""
        return self._table[:, StepColumn.DIGEST : StepColumn.FIRST_SHORT]

    def digest(self, step: int) -> bytes:
        """The chained sha256 after ``step`` finished steps (at least 1)."""
        words = self._table[step - 1, StepColumn.DIGEST : StepColumn.FIRST_SHORT]
        return words.astype(">i8").tobytes()


@dataclass(frozen=True)
class Life:
    """Everything alive, ascending by id; all arrays [A]."""

    step: int
    lanes: int
    ids: IntArray
    types: npt.NDArray[np.uint8]
    expiry: FloatArray
    born: IntArray
    fires: IntArray
    pinned: npt.NDArray[np.bool_]
    first_short: IntArray
    next_id: int
    pending: Pending

    def of_lane(self, lane: int) -> npt.NDArray[np.bool_]:
        """Which engrams belong to the lane, bool [A]."""
        if self.lanes == 1:
            return np.ones(len(self.ids), np.bool_)
        in_lane: npt.NDArray[np.bool_] = self.ids % self.lanes == lane
        return in_lane

    def lifespan(self) -> FloatArray:
        """Steps left."""
        return self.expiry - self.step


def fold(
    files: MemoryFiles, config: MemoriaConfig, steps: StepTable, pending: Pending | None = None
) -> Life:
    """The state after the last finished step, and of the step begun since.

    ``pending`` is the committed one unless given: a writer's own may be ahead of it.
    """
    lanes = config.lanes
    base = files.attributes.state
    if pending is None:
        pending = files.attributes.pending
    rows, log_end = files.created, files.rows("log/ids")
    base_log = 0 if base.generation is None else files.log_row(base.log_end)
    done_rows = int(steps.rows()[-1]) if len(steps) else 0
    done_log = int(steps.log_ends()[-1]) if len(steps) else 0
    begun = pending.phase != "idle"
    if not (
        base.rows <= done_rows <= rows
        and base_log <= done_log == log_end
        and base.step <= len(steps)
        and base.events <= files.events
        and (rows > done_rows) == begun
    ):
        raise DamageError(f"{files.name}: the step table disagrees with the arrays it counts")

    old_ids, expiry, fires = _base(files, base)
    since, first_new = files.ids_from(base.rows)
    ids = np.concatenate((old_ids, since))
    old = len(ids) - (rows - first_new)
    expiry = np.concatenate((expiry, np.full(len(since), -1.0)))
    fires = np.concatenate((fires, np.zeros(len(since), np.int64)))
    logged, then = files.read("log/ids", base_log), files.read("log/expiry", base_log)
    sizes = np.diff(steps.log_ends()[base.step :], prepend=base_log)
    if (sizes < 0).any() or sizes.sum() != len(logged) or len(then) != len(logged):
        raise DamageError(f"{files.name}: the step table disagrees with the arrays it counts")
    firings = Firings(
        _positions(ids, old, first_new, logged),
        np.repeat(np.arange(base.step + 1, len(steps) + 1), sizes),
        then,
        _events_since(files, base, ids, len(steps)),
    )
    pinned = np.zeros(len(ids), np.bool_)
    if base.events:
        held = pinned_after(read_events(files, base.step, 0, base.events))
        pinned[_of_living(ids, held)] = True
    first = -1 if base.generation is None else base.step
    since = np.full(len(ids), first)
    state = fold_log(Lifespans(first, expiry, pinned, fires, since), firings, len(steps), names=ids)
    expiry, fires, pinned = state.expiry, state.fires, state.pinned
    if pending.expiry and len(pending.expiry) != rows - done_rows:
        raise DamageError(f"{files.name}: pending.expiry is not of the step begun")
    expiry[ids >= done_rows] = pending.expiry or len(steps) + config.initial_lifespan
    if pending.phase == "reminded":
        fired = np.concatenate([ids[ids >= done_rows], *map(_as_ids, pending.reminded)])
        fires[_positions(ids, old, first_new, fired)] += 1

    alive = is_alive(expiry, len(steps)) | (ids >= done_rows)  # T + a tiny lifespan may round to T
    ids = ids[alive]
    first_short = steps.first_short(lanes)
    types = memory_of(ids // lanes, first_short[ids % lanes])
    types[ids >= done_rows] = EngramType.WORKING
    return Life(
        step=len(steps),
        lanes=lanes,
        ids=ids,
        types=types,
        expiry=expiry[alive],
        born=_counted_in(steps.rows(), ids),
        fires=fires[alive],
        pinned=pinned[alive],
        first_short=first_short,
        next_id=rows // lanes,
        pending=pending,
    )


def lane_logs(files: MemoryFiles, steps: StepTable, life: Life) -> list[FiringLog]:
    """What fired together, lane by lane, in positions: ranks among the lane's living engrams."""
    logged = files.read("log/ids")
    if len(logged) and not 0 <= int(logged.min()) <= int(logged.max()) < files.created:
        raise DamageError(f"{files.name}: log/ids names an engram that is not there")
    ends = np.concatenate(([0], steps.log_ends()))
    if life.pending.phase == "reminded":
        working = life.ids[life.types == EngramType.WORKING]
        logged = np.concatenate([logged, working, *map(_as_ids, life.pending.reminded)])
        ends = np.append(ends, len(logged))
    return cofiring.lane_logs(logged, ends, life.ids, life.lanes)


def _events_since(files: MemoryFiles, base: StateHead, ids: IntArray, done: int) -> Events:
    """The events after the written state, with positions in ``ids`` for engrams."""
    events = read_events(files, done, base.events, since=base.step).of_kind(*TURNS, *ENDINGS)
    return replace(events, ids=_of_living(ids, events.ids))


def _of_living(ids: IntArray, wanted: IntArray) -> IntArray:
    at = np.searchsorted(ids, wanted)
    wrong = wanted[np.append(ids, -1)[at] != wanted]
    if len(wrong):
        raise DamageError(f"an event names engram {wrong[0]}, which was not alive")
    return at


def _counted_in(rows: IntArray, ids: IntArray) -> IntArray:
    """As `StepTable.born` of steps that end at ``rows``, for ascending ``ids`` only."""
    ends = np.searchsorted(ids, rows)
    sizes = np.diff(np.concatenate(([0], ends, [len(ids)])))
    return np.repeat(np.arange(len(rows) + 1), sizes)


def _base(files: MemoryFiles, base: StateHead) -> tuple[IntArray, FloatArray, IntArray]:
    if base.generation is None:
        return np.empty(0, np.int64), np.empty(0, np.float64), np.empty(0, np.int64)
    at = f"{STATE_GROUP}/{base.generation}"
    names = ("ids", "expiry", "fires")
    if any(files.rows(f"{at}/{name}") != base.living for name in names):
        raise DamageError(f"{files.name}: {at} is not of {base.living} living engrams")
    ids, expiry, fires = (files.read(f"{at}/{name}") for name in names)
    if not may_be_ids(ids, base.rows):
        raise DamageError(f"{files.name}: {at}/ids are not ascending ids")
    if not ((fires >= 1) & (fires <= base.step)).all():
        raise DamageError(f"{files.name}: {at}/fires are not counts of {base.step} steps")
    return ids, expiry, fires


def _positions(ids: IntArray, old: int, first_new: int, wanted: IntArray) -> IntArray:
    """The positions of ``wanted`` in ``ids``: ``old`` ascending, then all from first_new."""
    known = len(wanted) == 0 or (
        int(wanted.min()) >= 0 and int(wanted.max()) - first_new < len(ids) - old
    )
    early = np.flatnonzero(wanted < first_new) if known else wanted[:0]
    position = wanted - (first_new - old)
    if len(early):
        position[early] = ranks(ids[:old], wanted[early])
        known = int(position.min()) >= 0
    if not known:
        raise DamageError("the firing log names an engram that was not alive")
    return position


def _grows(columns: IntArray, most: int | tuple[int, ...]) -> bool:
    """Whether every column ascends from 0 or more to at most its ``most``."""
    return bool(
        (columns[0] >= 0).all()
        and (columns[1:] >= columns[:-1]).all()
        and (columns[-1] <= np.array(most)).all()
    )


def _as_ids(row: tuple[int, ...]) -> IntArray:
    return np.array(row, np.int64)
