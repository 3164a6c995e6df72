"""`Recorder`: what a memory in tensors keeps of its past, each firing once.

A memory in tensors needs only counts to go on. For stores it keeps a `FiringRecord` of the living
beside them: the forgotten never fire again, and their firings are dropped; 16 bytes for each firing
of a living engram, and some numbers a step. With ``keep_history`` the same firings go to a
`HistoryManager` for each lane, which drops nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from memoria.core.arrays import Array, ArrayOps
from memoria.core.state import NULL, EngramState
from memoria.errors import InputError
from memoria.timeline.history import HistoryManager
from memoria.timeline.log import EventKind, FiringRecord, IntArray
from memoria.timeline.rules import carry

_ENTRIES: Final = 2**17  # firings of the last steps that are kept as they came
_STEPS: Final = 4096
_PREFIX: Final = "log."

_Cells = tuple[Array, Array]  # lane and position of each engram


class _Firing(NamedTuple):
    """One firing of the step under way, [B, N] each; -1 for none."""

    positions: Array
    ids: Array


class _Step(NamedTuple):
    """A finished step: [B, N] ids and expiry of its firing, None where a store cannot tell it."""

    next_id: int
    working: int
    ids: Array | None
    expiry: Array | None
    first_short: Array


class _Changes(NamedTuple):
    """Expiries that were set: lane, id and expiry of each engram, [N]."""

    lanes: IntArray
    ids: IntArray
    expiry: npt.NDArray[np.float64]

    @classmethod
    def of(cls, state: EngramState, cells: _Cells) -> _Changes:
        values = (cells[0], state.ids[cells], state.expiry[cells])
        return cls(*(state.ops.numpy(one) for one in values))


class Recorder:
    """Grows with every step of a memory; `record` is all that is known of the living.

    Attributes:
        histories: a `HistoryManager` for each lane once a step was recorded with
            ``keep_history``, else None.
        odd_until: engrams with smaller ids lived through a step that a store cannot tell of: one
            that reminded twice or never, or let an engram gain that had not fired.
    """

    def __init__(self, lanes: int, ops: ArrayOps, record: FiringRecord | None = None) -> None:
        self.histories: list[HistoryManager] | None = None
        self._lanes = lanes
        self._record = FiringRecord.empty(lanes) if record is None else record
        self._steps: list[_Step] = []
        self._events: list[IntArray] = []
        self._values: list[npt.NDArray[np.float64]] = []  # of the events
        self._entries = 0
        self._firings: list[_Firing] = []  # of the step under way
        self._changes: list[_Changes] = []  # since the last step, for the histories
        self._odd = False  # the step so far
        self._odd_until = ops.full((), 0, "int64")

    def add(self) -> None:
        """Working memory was added: what has fired in this step fired without it."""
        self._odd = self._odd or bool(self._firings)

    def fire(self, state: EngramState, positions: Array) -> None:
        """``positions`` [B, N] fired: the working memory, then the reminded, -1 for none."""
        self._odd = self._odd or bool(self._firings)
        self._firings.append(_Firing(positions, state.at(state.ids, positions, -1)))

    def gain(self, state: EngramState, positions: Array, keep_history: bool) -> None:
        """The engrams at ``positions`` [B, N] are about to gain lifespan, and the step to end."""
        if keep_history:
            held = _Changes.of(state, state.pinned_cells)  # what a pin alone makes of them
            self._changes.append(held._replace(expiry=carry(held.expiry, 1)))
        if positions.shape[1] == 0 or self._odd:
            return
        stray = positions >= 0
        if self._firings:
            fired = self._firings[-1].positions
            same = fired[:, -positions.shape[1] :]
            may_ask = state.ops.is_host and same.shape == positions.shape  # on a GPU it is to wait
            if may_ask and bool((same == positions).all()):
                return
            stray &= ~state.at(state.mask(fired), positions, False)
        self._odd_until = state.ops.where(stray.any(), state.next_id, self._odd_until)

    def end(self, state: EngramState, working: Array, gained: Array, keep_history: bool) -> None:
        """The step has ended, of ``working`` [B, W] and ``gained`` [B, N] positions."""
        width, ids, expiry = working.shape[1], None, None
        if self._odd or (not self._firings and width):
            self._odd_until = state.ops.full((), state.next_id, "int64")
        elif self._firings:
            positions, ids = self._firings[-1]
            expiry = state.at(state.expiry, positions, 0)
            self._entries += ids.shape[0] * ids.shape[1]
        first_short = state.first_shortterm()
        self._steps.append(_Step(state.next_id, width, ids, expiry, first_short))
        if keep_history:
            changed = state.ops.concatenate((working, gained), 1)
            self._add_to_histories(state, changed, first_short)
        self._firings, self._changes, self._odd = [], [], False
        if self._entries > max(_ENTRIES, len(self._record.ids)) or len(self._steps) >= _STEPS:
            self._settle(state)

    def happen(
        self,
        step: int,
        kind: EventKind,
        state: EngramState,
        positions: Array,
        keep_history: bool,
        value: float = 0.0,
    ) -> None:
        """After ``step`` steps an event of ``kind`` happened at ``positions`` [B, N].

        ``value`` is that of `Events.values`.
        """
        cells = state.cells(positions)
        ids = np.unique(_store_ids(state, cells))
        rows = np.empty((len(ids), 4), np.int64)
        rows[:] = (step, kind, 0, 0)
        rows[:, 2] = ids
        self._events.append(rows)
        self._values.append(np.full(len(ids), value))
        if keep_history:
            self._changes.append(_Changes.of(state, cells))

    def written(self, state: EngramState, positions: Array, keep_history: bool) -> None:
        """A user wrote into the engrams, also into the lifespans at ``positions`` [B, N]."""
        self._odd_until = state.ops.full((), state.next_id, "int64")
        if keep_history:
            self._changes.append(_Changes.of(state, state.cells(positions)))

    def relocate(self, state: EngramState) -> None:
        """Find the fired engrams again after packing has moved them."""
        self._firings = [_Firing(state.find(ids), ids) for _, ids in self._firings]

    @property
    def odd_until(self) -> int:
        """Ids, of a lane, from which on everything is as a store can tell it."""
        return int(self._odd_until)

    def record(self, state: EngramState) -> FiringRecord:
        """All that is known of the living, between two steps."""
        self._settle(state)
        return self._record

    def begin_histories(self, state: EngramState, steps: int) -> None:
        """Rebuild a `HistoryManager` for each lane from the record, unless there are any.

        Forgotten engrams are absent, and of the ``steps`` those before the record began appear as
        empty steps. Steps are numbered from the memory's first step.
        """
        if self.histories is None and steps:
            self.histories = _histories(state, self.record(state), steps)

    def _add_to_histories(self, state: EngramState, changed: Array, first_short: Array) -> None:
        """Append the step; it set the expiry at ``changed`` [B, N] and of the pinned."""
        if self.histories is None:
            self.histories = [HistoryManager() for _ in range(self._lanes)]
        own, held = state.cells(changed), state.pinned_cells
        width = max(1, state.capacity)
        every = [lane * width + position for lane, position in (own, held)]
        cells = state.ops.unique(state.ops.concatenate(every, 0))
        now = _Changes.of(state, (cells // width, cells % width))
        lanes, ids, expiry = map(np.concatenate, zip(*self._changes, now, strict=True))
        fired = [state.ops.numpy(ids) for _, ids in self._firings]
        for lane, (history, short) in enumerate(
            zip(self.histories, first_short.tolist(), strict=True)
        ):
            firings = [one[lane][one[lane] >= 0] for one in fired]
            in_lane = lanes == lane
            history.record(firings, ids[in_lane], expiry[in_lane], short, state.next_id)

    def _settle(self, state: EngramState) -> None:
        """Bring the last steps into the record, and drop what is known of the forgotten."""
        before, ops = self._record, state.ops
        parts = [_logged(step, ops) for step in self._steps]
        sizes = np.array([len(ids) for ids, _ in parts], np.int64)
        ids = np.concatenate([before.ids, *(ids for ids, _ in parts)])
        expiry = np.concatenate([before.expiry, *(values for _, values in parts)])
        counts = np.concatenate((before.counts, sizes))
        kept = before.ends[-1:].sum()
        ends = np.concatenate((before.ends, kept + np.cumsum(sizes)))
        lane, position = ops.nonzero(state.types != NULL)
        living = np.sort(_store_ids(state, (lane, position)))
        alive = np.isin(ids, living)
        shorts = [ops.numpy(step.first_short)[None] for step in self._steps]
        self._record = FiringRecord(
            ids=ids[alive],
            expiry=expiry[alive],
            ends=np.concatenate(([0], np.cumsum(alive)))[ends],
            made=np.concatenate((before.made, _ints([step.next_id for step in self._steps]))),
            counts=counts,
            first_short=np.concatenate([before.first_short, *shorts]),
            events=np.concatenate([before.events, *self._events]),
            values=np.concatenate([before.values, *self._values]),
            times=before.times,
            digests=before.digests,
            texts={i: before.texts[i] for i in living.tolist() if i in before.texts},
        )
        self._steps, self._events, self._values, self._entries = [], [], [], 0


def log_state(log: Recorder, state: EngramState) -> dict[str, Tensor]:
    """The log as tensors, for checkpoints; names begin with ``log.``."""
    tables = log.record(state)
    texts = [text.encode() for text in tables.texts.values()]
    arrays = {
        **{one.name: getattr(tables, one.name) for one in fields(tables) if one.name != "texts"},
        "odd": _ints([log.odd_until, log._odd]),
        "text_ids": _ints(list(tables.texts)),
        "text_sizes": _ints([len(text) for text in texts]),
        "text_bytes": np.frombuffer(b"".join(texts), np.uint8),
    }
    saved = {_PREFIX + name: torch.from_numpy(values.copy()) for name, values in arrays.items()}
    fired = {f"{_PREFIX}fired": torch.as_tensor(firing.ids) for firing in log._firings[-1:]}
    return saved | fired


def fill_log(state: EngramState, saved: Mapping[str, Tensor]) -> Recorder:
    """What `log_state` saw; of a state without it an empty log. Raises `InputError`."""
    if f"{_PREFIX}odd" not in saved:
        return Recorder(state.lanes, state.ops)
    try:
        return _filled(state, saved)
    except (KeyError, ValueError, TypeError, IndexError, RuntimeError):
        raise InputError(
            "the log of the state does not fit together", "give it unchanged"
        ) from None


def _filled(state: EngramState, saved: Mapping[str, Tensor]) -> Recorder:
    names = [one.name for one in fields(FiringRecord) if one.name != "texts"]
    taken = {name: saved[_PREFIX + name].cpu().numpy().copy() for name in names}
    ids, sizes, raw = (saved[f"{_PREFIX}text_{one}"] for one in ("ids", "sizes", "bytes"))
    texts = torch.split(raw, sizes.tolist())
    by_id = {i: bytes(text.tolist()).decode() for i, text in zip(ids.tolist(), texts, strict=True)}
    tables = FiringRecord(**taken, texts=by_id)
    steps, entries = int(saved["step"]), int(tables.ends[-1:].sum())
    known = len(tables.made)  # of a memory whose engrams were replaced, those since
    whole = {len(part) for part in (tables.made, tables.counts, tables.ends)}
    if whole != {known} or known > steps or tables.first_short.shape != (known, state.lanes):
        raise ValueError("steps")
    if not len(tables.ids) == len(tables.expiry) == entries:
        raise ValueError("entries")
    log = Recorder(state.lanes, state.ops, tables)
    odd_until, odd = saved[f"{_PREFIX}odd"].tolist()
    log._odd_until = state.ops.full((), odd_until, "int64")
    log._odd = bool(odd)
    fired = saved.get(f"{_PREFIX}fired")
    if fired is not None:
        ids = state.ops.array(fired)
        log._firings = [_Firing(ids, ids)]
        log.relocate(state)
    return log


def _logged(step: _Step, ops: ArrayOps) -> tuple[IntArray, npt.NDArray[Any]]:
    """A firing's entries: the new engrams ascending, then lane by lane who was reminded."""
    ids, expiry, working = step.ids, step.expiry, step.working
    if ids is None or expiry is None:
        return np.empty(0, np.int64), np.empty(0)
    local, ends = ops.numpy(ids), ops.numpy(expiry)
    lanes = local.shape[0]
    there = local >= 0
    there[:, :working] = False
    named = local * lanes + np.arange(lanes)[:, None]
    return tuple(
        np.concatenate((values[:, :working].T.ravel(), values[there])) for values in (named, ends)
    )  # type: ignore[return-value]


def _histories(state: EngramState, record: FiringRecord, steps: int) -> list[HistoryManager]:
    """The lanes' histories as the record of the living tells them, after ``steps`` steps."""
    lacking = steps - len(record.made)
    lanes = state.lanes
    numpy = state.ops.numpy
    ids, expiry, living = numpy(state.ids), numpy(state.expiry), numpy(state.types != NULL)
    short = state.first_shortterm().tolist()
    made = np.concatenate((np.zeros(lacking, np.int64), record.made))
    made[-1] = state.next_id
    histories = []
    for lane in range(lanes):
        in_lane = record.ids % lanes == lane
        fired, ends = record.ids[in_lane] // lanes, np.append(0, np.cumsum(in_lane))[record.ends]
        ends = np.concatenate((np.zeros(lacking, np.int64), ends))
        last = np.full(state.next_id, np.nan)
        last[fired] = record.expiry[in_lane]
        living_ids, living_expiry = ids[lane][living[lane]], expiry[lane][living[lane]]
        changed = last[living_ids] != living_expiry  # pinned since, or by steps that are not known
        set_ends = ends.copy()
        set_ends[-1] += int(changed.sum())
        first = np.concatenate((np.zeros(lacking, np.int64), record.first_short[:, lane]))
        first[-1] = short[lane]
        histories.append(
            HistoryManager.from_arrays(
                {
                    "fired": fired,
                    "fired_ends": ends,
                    "firing_ends": np.arange(1, steps + 1),
                    "set_ids": np.concatenate((fired, living_ids[changed])),
                    "set_ends": set_ends,
                    "expiry": np.concatenate((record.expiry[in_lane], living_expiry[changed])),
                    "bounds": np.column_stack((first, made)),
                }
            )
        )
    return histories


def _store_ids(state: EngramState, cells: _Cells) -> IntArray:
    """Ids in a store of the engrams at ``cells``."""
    ids: IntArray = state.ops.numpy(state.ids[cells] * state.lanes + cells[0])
    return ids


def _ints(values: list[int]) -> IntArray:
    return np.array(values, np.int64)
