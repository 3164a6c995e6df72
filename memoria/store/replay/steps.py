"""The finished steps of a store read again from its log, and what a replay of them found.

Torch-free: that they would come out so again is for `recompute` to tell.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.errors import InputError
from memoria.io.progress import Progress, progress_bar
from memoria.store.digest import chain_over_events, next_digest
from memoria.store.life import FloatArray, StepTable
from memoria.store.memory_files import MemoryFiles
from memoria.store.reading import open_files, past_view
from memoria.store.schema import EventColumn, StepColumn
from memoria.store.texts import Place, StoredTexts
from memoria.timeline.log import IntArray


@dataclass(frozen=True)
class LoggedStep:
    """What one finished step did.

    ``number`` counts from 1. ``data`` [B, W, D] were the working memory, engrams ``new`` [B, W];
    ``reminded`` [B][R] the ids reminded in their order, ``expiry`` the expiry of all that fired,
    by id. ``first_short`` [B] are the lanes' first short-term engrams after it, ``digest`` the
    chain's. ``events`` [E, 5] happened between the step before and this one, those that
    ``happened`` counts; ``rows`` and ``entries`` are its engrams and log entries, [first, last).
    """

    number: int
    rows: tuple[int, int]
    entries: tuple[int, int]
    data: npt.NDArray[np.float32]
    new: IntArray
    reminded: list[IntArray]
    expiry: dict[int, float]
    first_short: IntArray
    digest: bytes
    events: IntArray
    happened: tuple[int, int]
    texts: list[list[str | None]]
    places: list[list[Place | None]]
    times: list[list[int | None]]
    meta: list[list[dict[str, Any] | None]]


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
        nothing: list[list[Any]] = [[None] * width for _ in range(lanes)]
        after = np.searchsorted(events[:, EventColumn.STEP], [number - 1, number])
        happened = max(known, int(after[0])), max(known, int(after[1]))
        yield LoggedStep(
            number=number,
            rows=(start, stop),
            entries=entries,
            data=np.ascontiguousarray(vectors.transpose(1, 0, 2)),
            new=new,
            reminded=[old[old % lanes == lane] for lane in range(lanes)],
            expiry=dict(zip(ids.tolist(), expiry.tolist(), strict=True)),
            first_short=table.row(number)[StepColumn.FIRST_SHORT :],
            digest=table.digest(number),
            events=events[slice(*happened)],
            happened=happened,
            texts=_by_lane(stored_texts.first_texts(flat), lanes) if with_texts else nothing,
            places=_by_lane(stored_texts.places(flat), lanes) if with_texts else nothing,
            times=_by_lane(stored_texts.times(flat), lanes) if with_texts else nothing,
            meta=_by_lane(stored_texts.first_meta(flat), lanes) if with_texts else nothing,
        )


def _by_lane(values: list[Any], lanes: int) -> list[list[Any]]:
    return [values[lane::lanes] for lane in range(lanes)]


_MOST: Final = 100  # differences that are told


@dataclass(frozen=True)
class Difference:
    """A step at which something else came out: ``kind`` is reminded, lifespan, type or digest."""

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
        begin, end = steps_there(files, first, last)
        found = Replay(0, begin, end, [], [])
        if end < begin:
            return found
        stored_texts = StoredTexts(files)
        before = past_view(files, begin - 1)
        chain = bytes.fromhex(before.attributes.digest)
        for step in logged_steps(files, begin, end, before.events):
            chain = chain_over_events(chain, files, *step.happened)
            chain = next_digest(
                chain, files, stored_texts, step.rows, step.entries, step.first_short
            )
            found.steps += 1
            if chain != step.digest:
                found.note(step.number, [Difference(step.number, None, "digest", [], [])], False)
                chain = step.digest
            show(found.steps, end - begin + 1)
        return found
