"""The finished steps of a store read again from its log, and what a replay of them found.

Torch-free: that they would come out so again is for `recompute` to tell.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from memoria.errors import InputError
from memoria.io.inputs import WorkingMemory
from memoria.io.progress import Progress, progress_bar
from memoria.store.digest import chain_over_events, next_digest
from memoria.store.life import FloatArray, StepTable
from memoria.store.memory_files import MemoryFiles
from memoria.store.reading import open_files, past_view
from memoria.store.schema import EventColumn, StepColumn
from memoria.store.texts import StoredTexts
from memoria.timeline.log import IntArray


@dataclass(frozen=True)
class LoggedStep:
    """What one finished step did.

    ``number`` counts from 1. ``memory`` was the working memory, engrams ``new`` [B, W];
    ``reminded`` [B][R] the ids reminded in their order, ``expiry`` the expiry of all that fired,
    by id. ``first_short`` [B] are the lanes' first short-term engrams after it, ``digest`` the
    chain's. ``events`` [E, 5] happened between the step before and this one, those that
    ``happened`` counts; ``rows`` and ``entries`` are its engrams and log entries, [first, last).
    """

    number: int
    rows: tuple[int, int]
    entries: tuple[int, int]
    memory: WorkingMemory
    new: IntArray
    reminded: list[IntArray]
    expiry: dict[int, float]
    first_short: IntArray
    digest: bytes
    events: IntArray
    happened: tuple[int, int]


def steps_there(files: MemoryFiles, first: int | None, last: int | None) -> tuple[int, int]:
    """Numbers of the first and the last step to replay; None: as far as they go.

    Raises `InputError` for steps that are not there, or that compaction has removed.
    """
    done, start = files.rows("log/steps"), files.attributes.era.step + 1
    begin, end = start if first is None else first, done if last is None else last
    if done < start - 1:  # a snapshot from before a compaction
        raise InputError(f"compaction has removed the steps 1 to {done} of this state")
    nothing = (first, last, end) == (None, None, start - 1)
    if not nothing and not start <= begin <= end <= done:
        gone = f"; compaction has removed those up to {start - 1}" if start > 1 else ""
        raise InputError(f"steps {begin} to {end}: the store has {start} to {done}{gone}")
    return begin, end


def logged_steps(
    files: MemoryFiles, first: int, last: int, known: int = 0, with_texts: bool = False
) -> Iterator[LoggedStep]:
    """Steps ``first`` to ``last``, none of them from before the last compaction.

    The first ``known`` events are left out: the state from which these steps go on has them.
    """
    table, stored_texts = StepTable.read(files), StoredTexts(files)
    lanes, events = files.config.lanes, files.event_rows()
    rows = np.concatenate(([0], table.rows()))
    ends = np.concatenate(([0], table.log_ends()))
    entry = int(table.row(first - 1)[StepColumn.LOG_END]) if first > 1 else 0
    for number in range(first, last + 1):
        start, stop = int(rows[number - 1]), int(rows[number])
        width = (stop - start) // lanes
        logged = int(ends[number - 1]), int(ends[number])
        ids: IntArray = files.read("log/ids", *logged)
        expiry: FloatArray = files.read("log/expiry", *logged)
        entries = entry, entry + len(ids)
        entry += len(ids)
        old = ids[stop - start :]
        new = np.arange(start, stop).reshape(width, lanes).T
        flat = np.arange(start, stop)
        vectors = files.new_vectors(start, stop).reshape(width, lanes, -1)
        beside: list[list[list[Any]]] = [[[None] * width for _ in range(lanes)]] * 4
        if with_texts:
            of_rows = (
                stored_texts.first_texts(flat),
                stored_texts.places(flat),
                stored_texts.times(flat),
                stored_texts.first_meta(flat),
            )
            beside = [[values[lane::lanes] for lane in range(lanes)] for values in of_rows]
        after = np.searchsorted(events[:, EventColumn.STEP], [number - 1, number])
        happened = max(known, int(after[0])), max(known, int(after[1]))
        yield LoggedStep(
            number=number,
            rows=(start, stop),
            entries=entries,
            memory=WorkingMemory(np.ascontiguousarray(vectors.transpose(1, 0, 2)), *beside),
            new=new,
            reminded=[old[old % lanes == lane] for lane in range(lanes)],
            expiry=dict(zip(ids.tolist(), expiry.tolist(), strict=True)),
            first_short=table.row(number)[StepColumn.FIRST_SHORT :],
            digest=table.digest(number),
            events=events[slice(*happened)],
            happened=happened,
        )


_MOST: Final = 100  # differences that are told


@dataclass(frozen=True)
class Difference:
    """A step at which something else came out: ``kind`` is reminded, lifespan, type,
    displaced or digest."""

    step: int
    lane: int | None
    kind: str
    logged: list[float]
    recomputed: list[float]


@dataclass
class Replay:
    """What a replay found: `Difference`s (100 at most) and in how many steps.

    ``near_ties`` are those at which rounding decided. In ``given_gains`` steps the lifespan gained
    is not that of the store's rule: it was given otherwise.
    """

    steps: int
    first: int
    last: int
    differences: list[Difference]
    near_ties: list[int]
    different_steps: int = 0
    given_gains: int = 0

    @property
    def identical(self) -> bool:
        """Whether every step came out bit for bit."""
        return not self.different_steps

    def note(self, step: int, differences: list[Difference], near: bool) -> None:
        """Step number ``step`` came out with ``differences``."""
        if differences:
            self.different_steps += 1
            self.differences += differences[: max(0, _MOST - len(self.differences))]
            if near:
                self.near_ties.append(step)

    def record(self) -> dict[str, Any]:
        """As plain values: `memoria replay --json`."""
        first = self.differences[0] if self.differences else None
        return {
            "steps": self.steps,
            "identical": self.identical,
            "first_difference": None if first is None else asdict(first),
            "near_ties": self.near_ties,
            "different_steps": self.different_steps,
            "given_gains": self.given_gains,
            "from": self.first,
            "to": self.last,
        }


StepRun = Callable[[LoggedStep], tuple[list[Difference], bool, IntArray]]


def replay_log(
    path: str | os.PathLike[str],
    first: int | None = None,
    last: int | None = None,
    at: int | str | None = None,
    progress: Progress | bool = False,
) -> Replay:
    """Read steps ``first`` to ``last`` and compare the digest of each with the one it left.

    That the log is what it was when each step ended: not that the steps would come out so again,
    which `recompute` tells. Raises `InputError` for steps that are not there.
    """
    with (
        closing(open_files(path, at)) as files,
        progress_bar(progress, "replaying", "steps") as show,
    ):
        found = Replay(0, *steps_there(files, first, last), [], [])
        follow_log(files, found, lambda step: ([], False, step.first_short), show)
        return found


def follow_log(
    files: MemoryFiles, found: Replay, run: StepRun, show: Progress, lane: int | None = None
) -> None:
    """``run`` each step of ``found``, compare the digests, and note what differs in ``lane``.

    ``run`` returns what came out differently, whether rounding may have decided that, and the
    first short-term engrams [B] that it led to. The logged digest counts after each step.
    """
    stored_texts, before = StoredTexts(files), past_view(files, found.first - 1)
    chain = bytes.fromhex(before.attributes.digest)
    for step in logged_steps(files, found.first, found.last, before.events):
        chain = chain_over_events(chain, files, *step.happened)
        differences, near, first_short = run(step)
        chain = next_digest(chain, files, stored_texts, step.rows, step.entries, first_short)
        if chain != step.digest:
            differences.append(Difference(step.number, None, "digest", [], []))
            near, chain = False, step.digest
        found.steps += 1
        found.note(step.number, [d for d in differences if lane in (None, d.lane)], near)
        show(found.steps, found.last - found.first + 1)
