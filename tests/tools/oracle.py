"""The memory written a second time: slow, plain, from the specification alone.

Lists, dictionaries and Python floats; no tensor library. Everything is recomputed at every step and
nothing is cached, so that each line can be read against the rules it stands for. The tests run it
beside `memoria.Memoria` and compare every number.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

NULL, WORKING, SHORTTERM, LONGTERM = 0, 1, 2, 3
_M64 = 2**64 - 1
TIE_STREAM, DRAW_STREAM = 0, 1


def float32(value: float) -> float:
    """The float32 nearest to ``value``, as a Python float; too large becomes an infinity."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def mix(z: int) -> int:
    """A bijection of 64-bit words whose output bits all depend on all input bits."""
    z ^= z >> 30
    z = z * 0xBF58476D1CE4E5B9 & _M64
    z ^= z >> 27
    z = z * 0x94D049BB133111EB & _M64
    return z ^ z >> 31


def hash63(seed: int, stream: int, step: int, lane: int, key: int) -> int:
    """63 bits that depend on nothing but the five numbers."""
    h = 0
    for x in (seed, stream, step, lane, key):
        h = mix(((h ^ (x & _M64)) + 0x9E3779B97F4A7C15) & _M64)
    return h >> 1


def log_mean_correlation(working: Sequence[Sequence[float]], x: Sequence[float]) -> float:
    """log of the mean over w of exp(-||w - x||^2), safe from underflow."""
    distances = [math.fsum((a - b) ** 2 for a, b in zip(w, x, strict=True)) for w in working]
    nearest = min(distances)
    total = math.fsum(math.exp(nearest - d) for d in distances)
    return math.log(total / len(distances)) - nearest


def whole_steps(lifespan: float) -> float:
    """The lifespan of a pinned engram: whole steps, at least 1, so few that doubles count them."""
    return max(1.0, min(2.0**52, lifespan if math.isinf(lifespan) else float(math.ceil(lifespan))))


@dataclass
class Trace:
    """One engram."""

    id: int
    vector: list[float]
    expiry: float
    kind: int = WORKING
    age: int = 0
    pinned: bool = False


@dataclass
class Lane:
    """One memory stream: its traces in order of creation and how often each pair fired."""

    identity: int
    traces: list[Trace] = field(default_factory=list)
    cofire: dict[tuple[int, int], int] = field(default_factory=dict)
    created: int = 0
    forgotten: set[int] = field(default_factory=set)
    fired: list[list[int]] = field(default_factory=list)

    def of(self, kind: int) -> list[Trace]:
        return [trace for trace in self.traces if trace.kind == kind]

    def count(self, a: Trace, b: Trace) -> int:
        return self.cofire.get((a.id, b.id), 0)

    def rank(self, trace: Trace) -> int:
        return next(i for i, other in enumerate(self.traces) if other is trace)


class OracleMemoria:
    """Same steps and settings as `memoria.Memoria`, over nested lists."""

    def __init__(
        self,
        num_reminded_stm: int,
        stm_capacity: int,
        ltm_search_depth: int,
        initial_lifespan: float,
        num_final_ltms: int,
        *,
        seed: int = 0,
        tie_break: str = "hash",
        random_entries: str | int = "unreminded",
        lane_ids: Sequence[int] | None = None,
    ) -> None:
        self.num_reminded_stm = num_reminded_stm
        self.stm_capacity = stm_capacity
        self.ltm_search_depth = ltm_search_depth
        self.initial_lifespan = initial_lifespan
        self.num_final_ltms = num_final_ltms
        self.seed = seed
        self.tie_break = tie_break
        self.random_entries = random_entries
        self.lane_ids = lane_ids
        self.lanes: list[Lane] = []
        self.timestep = 0

    # -- the three public steps ------------------------------------------------------------------

    def add_working_memory(self, data: Sequence[Sequence[Sequence[float]]]) -> None:
        """``data`` [B][W][D]."""
        if not self.lanes:
            identities = self.lane_ids if self.lane_ids is not None else range(len(data))
            self.lanes = [Lane(identity) for identity in identities]
        for lane, vectors in zip(self.lanes, data, strict=True):
            for vector in vectors:
                expiry = self.timestep + float(self.initial_lifespan)
                lane.traces.append(Trace(lane.created, [float32(x) for x in vector], expiry))
                lane.created += 1

    def remind(self) -> tuple[list[list[list[float]]], list[list[int]]]:
        """Memories [B][R][D] and indices [B][R]."""
        rows = [self._remind_lane(lane) for lane in self.lanes]
        width = max((len(row) for row in rows), default=0)
        indices = [row + [-1] * (width - len(row)) for row in rows]
        memories = []
        for lane, row in zip(self.lanes, indices, strict=True):
            zero = [0.0] * len(lane.traces[0].vector)
            memories.append([zero if i < 0 else lane.traces[i].vector for i in row])
        return memories, indices

    def adjust(self, indices: Sequence[Sequence[int]], delta: Sequence[Sequence[float]]) -> None:
        """``indices`` and ``delta`` [B][R]; -1 is passed over."""
        for lane, row, gains in zip(self.lanes, indices, delta, strict=True):
            for index, gain in zip(row, gains, strict=True):
                if index >= 0:
                    trace = lane.traces[index]
                    trace.expiry += max(0.0, gain) if trace.pinned else gain
        self.timestep += 1
        for lane in self.lanes:
            for trace in lane.traces:
                trace.age += 1
                if trace.pinned:
                    trace.expiry = self.timestep + whole_steps(trace.expiry - (self.timestep - 1))
                if trace.kind == WORKING:
                    trace.kind = SHORTTERM
            shortterm = lane.of(SHORTTERM)
            for trace in shortterm[: max(0, len(shortterm) - self.stm_capacity)]:
                trace.kind = LONGTERM
            lane.forgotten |= {t.id for t in lane.traces if t.expiry - self.timestep <= 0}
            lane.traces = [t for t in lane.traces if t.expiry - self.timestep > 0]

    # -- what a person may do between steps --------------------------------------------------------

    def forget(self, indices: Sequence[Sequence[int]]) -> None:
        """``indices`` [B][N]; -1 is passed over, here and below."""
        for lane, row in zip(self.lanes, indices, strict=True):
            gone = {id(lane.traces[index]) for index in row if index >= 0}
            lane.forgotten |= {t.id for t in lane.traces if id(t) in gone}
            lane.traces = [t for t in lane.traces if id(t) not in gone]

    def pin(self, indices: Sequence[Sequence[int]]) -> None:
        for trace in self._named(indices):
            trace.pinned = True
            trace.expiry = self.timestep + whole_steps(trace.expiry - self.timestep)

    def unpin(self, indices: Sequence[Sequence[int]]) -> None:
        for trace in self._named(indices):
            trace.pinned = False

    def _named(self, indices: Sequence[Sequence[int]]) -> list[Trace]:
        rows = zip(self.lanes, indices, strict=True)
        return [lane.traces[index] for lane, row in rows for index in row if index >= 0]

    # -- the parts of remind ---------------------------------------------------------------------

    def _remind_lane(self, lane: Lane) -> list[int]:
        working, shortterm = lane.of(WORKING), lane.of(SHORTTERM)
        chosen_short = self._best(working, shortterm, self.num_reminded_stm)
        if shortterm and not lane.of(LONGTERM):
            oldest = [trace for trace in lane.traces if trace.kind != WORKING][:1]
            chosen_long = oldest[: self.num_final_ltms]
        else:
            entries = self._entries(lane, chosen_short, len(shortterm) - len(chosen_short))
            found = self._search(lane, entries)
            chosen_long = self._best(working, found, self.num_final_ltms)

        long_ranks = {lane.rank(trace) for trace in chosen_long}
        short_ranks = {lane.rank(trace) for trace in chosen_short} - long_ranks
        row = sorted(long_ranks, reverse=True) + sorted(short_ranks, reverse=True)
        self._fire(lane, [*working, *(lane.traces[i] for i in row)])
        return row + [-1] * (len(chosen_short) < len(shortterm))

    def _best(self, working: list[Trace], candidates: list[Trace], number: int) -> list[Trace]:
        """The ``number`` closest to the working memory; equally close: the older first."""
        cue = [trace.vector for trace in working]

        def order(trace: Trace) -> tuple[float, int]:
            return -float32(log_mean_correlation(cue, trace.vector) - 1.0), trace.id

        return sorted(candidates, key=order)[:number]

    def _entries(self, lane: Lane, chosen_short: list[Trace], unreminded: int) -> list[Trace]:
        """Where the search starts, each once, oldest first."""
        longterm = lane.of(LONGTERM)
        if not longterm:
            return []
        entries = set()
        for source in chosen_short:
            most = max(lane.count(source, target) for target in longterm)
            tied = [target for target in longterm if lane.count(source, target) == most]
            entries.add(self._break_tie(lane, tied).id)
        draws = unreminded if self.random_entries == "unreminded" else int(self.random_entries)
        for j in range(draws):
            drawn = hash63(self.seed, DRAW_STREAM, self.timestep, lane.identity, j)
            entries.add(longterm[drawn % len(longterm)].id)
        return [trace for trace in longterm if trace.id in entries]

    def _break_tie(self, lane: Lane, tied: list[Trace]) -> Trace:
        if self.tie_break == "oldest":
            return tied[0]
        return max(  # the first of equals, and the first is the oldest
            tied,
            key=lambda t: hash63(self.seed, TIE_STREAM, self.timestep, lane.identity, t.id),
        )

    def _search(self, lane: Lane, entries: list[Trace]) -> list[Trace]:
        longterm = lane.of(LONGTERM)
        visited = {trace.id for trace in entries}
        paths = list(entries)
        for _ in range(self.ltm_search_depth):
            open_now = [trace for trace in longterm if trace.id not in visited]
            if not open_now:
                break
            # max returns the first of equals, and the first is the oldest
            paths = [max(open_now, key=partial(lane.count, here)) for here in paths]
            visited |= {trace.id for trace in paths}
        return [trace for trace in longterm if trace.id in visited]

    def _fire(self, lane: Lane, traces: Iterable[Trace]) -> None:
        ids = sorted({trace.id for trace in traces})
        lane.fired.append(ids)
        for a in ids:
            for b in ids:
                lane.cofire[a, b] = lane.cofire.get((a, b), 0) + 1

    # -- the state as the padded tensors show it ---------------------------------------------------

    def state(self) -> dict[str, list[Any]]:
        """What every engram is, lane by lane and in order, nulls on the right."""
        width = max((len(lane.traces) for lane in self.lanes), default=0)
        out: dict[str, list[Any]] = {
            key: [] for key in ("data", "types", "lifespan", "age", "ids", "counts", "pinned")
        }
        for lane in self.lanes:
            living = lane.traces
            pad = width - len(living)
            out["data"].append([t.vector for t in living] + [None] * pad)
            out["types"].append([t.kind for t in living] + [NULL] * pad)
            left = [float32(t.expiry - self.timestep) for t in living]
            out["lifespan"].append(left + [-1.0] * pad)
            out["age"].append([t.age for t in living] + [-1] * pad)
            out["ids"].append([t.id for t in living] + [-1] * pad)
            out["pinned"].append([t.pinned for t in living] + [False] * pad)
            counts = [[lane.count(a, b) for b in living] + [-1] * pad for a in living]
            out["counts"].append(counts + [[-1] * width for _ in range(pad)])
        return out
