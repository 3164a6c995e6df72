"""`LifeLog`: what a memory must have kept of its past to be written as a store.

A store is a log of who fired when; a memory in tensors needs only the counts. So it keeps the log
beside them, of the living alone: the forgotten never fire again, and their entries are dropped.
What is left takes 16 bytes for every firing of a living engram, and some numbers a step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from memoria.core.state import NULL, EngramState
from memoria.errors import InputError

__all__ = ["FORGET", "PIN", "UNPIN", "LifeLog", "LifeTables", "fill_log", "log_state"]

IntArray = npt.NDArray[np.int64]

FORGET, PIN, UNPIN = 1, 2, 3  # kinds of events, as a store has them

_ENTRIES: Final = 2**17  # of the last steps, kept as they came
_STEPS: Final = 4096
_PREFIX: Final = "log."


@dataclass(frozen=True)
class LifeTables:
    """A `LifeLog` as arrays; T steps, E entries, V events, B lanes.

    Ids are those of a store: the engram ``local`` of lane b is ``local * B + b``. ``ids`` and
    ``expiry`` [E]: who of the living fired, and its expiry when that step had ended; the entries of
    step t (from 1) are [ends[t - 2], ends[t - 1]). Of each step, [T]: ``made`` engrams a lane by
    then, ``counts`` entries that it had, the forgotten too, ``first_short`` [T, B]. ``events``
    [V, 4]: finished steps, kind, engram, time. Of steps that came from a store: ``times`` [up to
    T], and ``digests`` [up to 1 + T, 4], from that of no steps on. ``texts`` by id. Times are
    milliseconds since 1970; 0 where nobody looked, since the same steps make the same log.
    """

    ids: IntArray
    expiry: npt.NDArray[np.float64]
    ends: IntArray
    made: IntArray
    counts: IntArray
    first_short: IntArray
    events: IntArray
    times: IntArray
    digests: IntArray
    texts: dict[int, str] = field(default_factory=dict)

    @classmethod
    def empty(cls, lanes: int) -> LifeTables:
        """Of no steps."""
        none = np.empty(0, np.int64)
        shorts, events, digests = (np.empty((0, width), np.int64) for width in (lanes, 4, 4))
        return cls(none, np.empty(0), none, none, none, shorts, events, none, digests)


class LifeLog:
    """Grows with every step of a memory; `tables` are all of it.

    ``odd_until``: engrams with smaller ids lived through a step that a store cannot tell of: one
    that reminded twice or never, or let somebody gain that had not fired.
    """

    def __init__(self, lanes: int, device: torch.device, tables: LifeTables | None = None) -> None:
        self._lanes = lanes
        self._tables = LifeTables.empty(lanes) if tables is None else tables
        self._steps: list[tuple[int, int, Tensor | None, Tensor | None, Tensor]] = []
        self._events: list[IntArray] = []
        self._entries = 0
        self._fired: Tensor | None = None  # positions [B, N] of the firing of this step
        self._odd = False  # the step so far
        self._odd_until = torch.zeros((), dtype=torch.int64, device=device)

    def add(self) -> None:
        """Working memory was added: what has fired in this step fired without it."""
        self._odd = self._odd or self._fired is not None

    def fire(self, positions: Tensor) -> None:
        """``positions`` [B, N] fired: the working memory, then the reminded, -1 for none."""
        self._odd = self._odd or self._fired is not None
        self._fired = positions

    def gain(self, state: EngramState, positions: Tensor) -> None:
        """The engrams at ``positions`` [B, N] are about to gain lifespan."""
        if positions.shape[1] == 0 or self._odd:
            return
        fired = self._fired
        stray = positions >= 0
        if fired is not None:
            same = fired[:, -positions.shape[1] :]
            if not same.is_cuda and torch.equal(same, positions):  # there, to ask is to wait
                return
            stray &= ~state.mask(fired).gather(1, positions.clamp_min(0))
        self._odd_until = torch.where(stray.any(), state.next_id, self._odd_until)

    def end(self, state: EngramState, working: int) -> None:
        """The step has ended; its working memory was of ``working`` engrams a lane."""
        fired, ids, expiry = self._fired, None, None
        if self._odd or (fired is None and working):
            self._odd_until = torch.full_like(self._odd_until, state.next_id)
        elif fired is not None:
            ids = state.at(state.ids, fired, -1)
            expiry = state.at(state.expiry, fired, 0)
            self._entries += ids.numel()
        self._steps.append((state.next_id, working, ids, expiry, state.first_shortterm()))
        self._fired, self._odd = None, False
        if self._entries > max(_ENTRIES, len(self._tables.ids)) or len(self._steps) >= _STEPS:
            self._settle(state)

    def happen(self, step: int, kind: int, lane: Tensor, ids: Tensor) -> None:
        """After ``step`` steps an event of ``kind`` happened to the engrams ``ids`` [N]."""
        who = np.unique(ids.cpu().numpy() * self._lanes + lane.cpu().numpy())
        rows = np.empty((len(who), 4), np.int64)
        rows[:] = (step, kind, 0, 0)
        rows[:, 2] = who
        self._events.append(rows)

    def fired_ids(self, state: EngramState) -> Tensor | None:
        """Who has fired in this step, [B, N]."""
        return None if self._fired is None else state.at(state.ids, self._fired, -1)

    def found_again(self, state: EngramState, ids: Tensor | None) -> None:
        """They have moved: ``ids`` are what `fired_ids` said before."""
        self._fired = None if ids is None else state.find(ids)

    def tell(self, texts: Mapping[int, str]) -> None:
        """``texts`` of engrams by their ids in a store; kept while they live."""
        self._tables.texts.update(texts)

    @property
    def odd_until(self) -> int:
        """Ids, of a lane, from which on everything is as a store can tell it."""
        return int(self._odd_until)

    def tables(self, state: EngramState) -> LifeTables:
        """All that is known of the living, between two steps."""
        self._settle(state)
        return self._tables

    def _settle(self, state: EngramState) -> None:
        """Bring the last steps into the tables, and drop what is known of the forgotten."""
        before, parts = self._tables, [_logged(*step[1:4]) for step in self._steps]
        sizes = np.array([len(ids) for ids, _ in parts], np.int64)
        ids = np.concatenate([before.ids, *(ids for ids, _ in parts)])
        expiry = np.concatenate([before.expiry, *(values for _, values in parts)])
        counts = np.concatenate((before.counts, sizes))
        kept = before.ends[-1:].sum()
        ends = np.concatenate((before.ends, kept + np.cumsum(sizes)))
        living = _living(state)
        alive = np.isin(ids, living)
        shorts = [step[4].cpu().numpy()[None] for step in self._steps]
        self._tables = LifeTables(
            ids=ids[alive],
            expiry=expiry[alive],
            ends=np.concatenate(([0], np.cumsum(alive)))[ends],
            made=np.concatenate((before.made, _ints([step[0] for step in self._steps]))),
            counts=counts,
            first_short=np.concatenate([before.first_short, *shorts]),
            events=np.concatenate([before.events, *self._events]),
            times=before.times,
            digests=before.digests,
            texts={i: before.texts[i] for i in living.tolist() if i in before.texts},
        )
        self._steps, self._events, self._entries = [], [], 0


def log_state(log: LifeLog, state: EngramState) -> dict[str, Tensor]:
    """The log as tensors, for checkpoints; names begin with ``log.``."""
    tables = log.tables(state)
    texts = [text.encode() for text in tables.texts.values()]
    arrays = {
        **{one.name: getattr(tables, one.name) for one in fields(tables) if one.name != "texts"},
        "odd": _ints([log.odd_until, log._odd]),
        "text_ids": _ints(list(tables.texts)),
        "text_sizes": _ints([len(text) for text in texts]),
        "text_bytes": np.frombuffer(b"".join(texts), np.uint8),
    }
    saved = {_PREFIX + name: torch.from_numpy(values.copy()) for name, values in arrays.items()}
    fired = log.fired_ids(state)
    return saved if fired is None else saved | {f"{_PREFIX}fired": fired}


def fill_log(state: EngramState, saved: Mapping[str, Tensor]) -> LifeLog:
    """What `log_state` saw; of a state without it an empty log. Raises `InputError`."""
    if f"{_PREFIX}odd" not in saved:
        return LifeLog(state.lanes, state.device)
    try:
        return _filled(state, saved)
    except (KeyError, ValueError, TypeError, IndexError, RuntimeError):
        raise InputError(
            "the log of the state does not fit together", "give it unchanged"
        ) from None


def _filled(state: EngramState, saved: Mapping[str, Tensor]) -> LifeLog:
    names = [one.name for one in fields(LifeTables) if one.name != "texts"]
    taken = {name: saved[_PREFIX + name].cpu().numpy().copy() for name in names}
    ids, sizes, raw = (saved[f"{_PREFIX}text_{one}"] for one in ("ids", "sizes", "bytes"))
    texts = torch.split(raw, sizes.tolist())
    told = {i: bytes(text.tolist()).decode() for i, text in zip(ids.tolist(), texts, strict=True)}
    tables = LifeTables(**taken, texts=told)
    steps, entries = int(saved["step"]), int(tables.ends[-1:].sum())
    whole = {len(part) for part in (tables.made, tables.counts, tables.ends)}
    if whole != {steps} or tables.first_short.shape != (steps, state.lanes):
        raise ValueError("steps")
    if not len(tables.ids) == len(tables.expiry) == entries:
        raise ValueError("entries")
    log = LifeLog(state.lanes, state.device, tables)
    odd_until, odd = saved[f"{_PREFIX}odd"].tolist()
    log._odd_until.fill_(odd_until)
    log._odd = bool(odd)
    fired = saved.get(f"{_PREFIX}fired")
    log.found_again(state, None if fired is None else fired.to(state.device))
    return log


def _logged(
    working: int, ids: Tensor | None, expiry: Tensor | None
) -> tuple[IntArray, npt.NDArray[Any]]:
    """A firing's entries: the new engrams ascending, then lane by lane who was reminded."""
    if ids is None or expiry is None:
        return np.empty(0, np.int64), np.empty(0)
    local, ends = ids.cpu().numpy(), expiry.cpu().numpy()
    lanes = local.shape[0]
    there = local >= 0
    there[:, :working] = False
    named = local * lanes + np.arange(lanes)[:, None]
    return tuple(
        np.concatenate((values[:, :working].T.ravel(), values[there])) for values in (named, ends)
    )  # type: ignore[return-value]


def _living(state: EngramState) -> IntArray:
    """Store ids of all that live, ascending."""
    lane, place = (state.types != NULL).nonzero(as_tuple=True)
    ids = state.ids[lane, place] * state.lanes + lane
    return np.sort(ids.cpu().numpy())


def _ints(values: list[int]) -> IntArray:
    return np.array(values, np.int64)
