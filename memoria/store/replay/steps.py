"""The finished steps of a store, one after another, as they were logged. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from memoria.errors import InputError
from memoria.store.life import FloatArray, StepTable
from memoria.store.memory_files import MemoryFiles
from memoria.store.schema import EventColumn, StepColumn
from memoria.store.texts import Place, TextShelf
from memoria.timeline.log import IntArray

__all__ = ["LoggedStep", "logged_steps", "steps_there"]


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
    table, shelf = StepTable.read(files), TextShelf(files)
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
            texts=_by_lane(shelf.first_texts(flat), lanes) if with_texts else nothing,
            places=_by_lane(shelf.places(flat), lanes) if with_texts else nothing,
            times=_by_lane(shelf.times(flat), lanes) if with_texts else nothing,
            meta=_by_lane(shelf.first_meta(flat), lanes) if with_texts else nothing,
        )


def _by_lane(values: list[Any], lanes: int) -> list[list[Any]]:
    return [values[lane::lanes] for lane in range(lanes)]
