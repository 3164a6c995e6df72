"""The engrams of a store as columns: what lists, comparisons and exports are made of.

Steps are numbered from 1, as in `memoria.store.firings`. Torch-free.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.query.engram_record import plain_numbers
from memoria.store.firings import endings
from memoria.store.life import FloatArray, Life, StepTable
from memoria.store.texts import TextShelf
from memoria.timeline.engram_type import EngramType
from memoria.timeline.log import Firings, IntArray

__all__ = ["FIELDS", "TYPE_NAMES", "EngramTable"]

# Names of the types by their number; NULL stands for what is no longer there.
TYPE_NAMES: Final = ("forgotten", "working", "shortterm", "longterm")
FIELDS: Final = (
    *("id", "lane", "index", "type", "lifespan", "age", "fire_count", "pinned"),
    *("created_step", "created_time", "forgotten_step", "text", "source", "offset"),
)


@dataclass(frozen=True)
class EngramTable:
    """Engrams, all columns [N].

    ``index`` is the rank among the lane's living, -1 for the forgotten; ``lifespan`` of those is
    what was left at their end, 0 or less. ``created_time`` is in milliseconds since 1970, -1
    where the step has not ended; ``forgotten_step`` is 0 for the living.
    """

    ids: IntArray
    lanes: IntArray
    index: IntArray
    types: npt.NDArray[np.uint8]
    lifespan: FloatArray
    age: IntArray
    fires: IntArray
    pinned: npt.NDArray[np.bool_]
    created_step: IntArray
    created_time: IntArray
    forgotten_step: IntArray

    @classmethod
    def living(cls, life: Life, steps: StepTable) -> EngramTable:
        """Everyone alive, ascending by id."""
        lanes = life.ids % life.lanes
        return cls(
            ids=life.ids,
            lanes=lanes,
            index=_ranks(lanes),
            types=life.types,
            lifespan=life.lifespan(),
            age=life.step - life.born,
            fires=life.fires,
            pinned=life.pinned,
            created_step=life.born + 1,
            created_time=_times(steps, life.born),
            forgotten_step=np.zeros(len(life.ids), np.int64),
        )

    @classmethod
    def forgotten(cls, firings: Firings, steps: StepTable, lanes: int, rows: int) -> EngramTable:
        """Everyone forgotten of the ``rows`` ever created, ascending by id."""
        ended = endings(firings, rows, len(steps)).forgotten()
        ids, gone = ended.ids, ended.gone
        born = steps.born(ids)
        return cls(
            ids=ids,
            lanes=ids % lanes,
            index=np.full(len(ids), -1, np.int64),
            types=np.full(len(ids), EngramType.NULL, np.uint8),
            lifespan=np.minimum(ended.expiry - gone, 0.0),
            age=gone - born,
            fires=ended.fires,
            pinned=np.zeros(len(ids), np.bool_),
            created_step=born + 1,
            created_time=_times(steps, born),
            forgotten_step=gone,
        )

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, places: npt.NDArray[Any] | slice) -> EngramTable:
        """The rows at ``places`` (numbers, a mask or a slice), in that order."""
        return EngramTable(**{name: column[places] for name, column in self._columns().items()})

    def joined(self, other: EngramTable) -> EngramTable:
        """Both, ascending by id."""
        mine, others = self._columns(), other._columns()
        whole = {name: np.concatenate((mine[name], others[name])) for name in mine}
        return EngramTable(**whole).take(np.argsort(whole["ids"], kind="stable"))

    def documents(self, shelf: TextShelf) -> list[dict[str, Any]]:
        """One record of `FIELDS` an engram; None where there is none."""
        places = shelf.places(self.ids)
        columns = zip(
            self.ids.tolist(),
            self.lanes.tolist(),
            _or_none(self.index, -1),
            [TYPE_NAMES[kind] for kind in self.types.tolist()],
            plain_numbers(self.lifespan),
            self.age.tolist(),
            self.fires.tolist(),
            self.pinned.tolist(),
            self.created_step.tolist(),
            _iso_times(self.created_time),
            _or_none(self.forgotten_step, 0),
            shelf.texts(self.ids),
            [None if place is None else place[0] for place in places],
            [None if place is None else place[1] for place in places],
            strict=True,
        )
        return [dict(zip(FIELDS, row, strict=True)) for row in columns]

    def _columns(self) -> dict[str, npt.NDArray[Any]]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _ranks(lanes: IntArray) -> IntArray:
    """How many of the same lane stand before each, [A]."""
    order = np.argsort(lanes, kind="stable")
    ordered = lanes[order]
    ranks = np.empty(len(lanes), np.int64)
    ranks[order] = np.arange(len(lanes)) - np.searchsorted(ordered, ordered)
    return ranks


def _times(steps: StepTable, born: IntArray) -> IntArray:
    """When the steps ``born`` (counted from 0) ended; -1 for the running one."""
    times = np.append(steps.times(), -1)
    return times[np.minimum(born, len(steps))]


def _iso_times(times: IntArray) -> list[str | None]:
    """As `iso_time`, far faster for many; None for -1."""
    told = np.datetime_as_string(times.astype("M8[ms]"))
    return [
        None if time < 0 else f"{text}Z"
        for time, text in zip(times.tolist(), told.tolist(), strict=True)
    ]


def _or_none(values: IntArray, nothing: int) -> list[int | None]:
    return [None if value == nothing else value for value in values.tolist()]
