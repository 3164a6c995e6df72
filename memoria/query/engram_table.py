"""The engrams of a store as columns: what lists, comparisons and exports are made of.

Steps are numbered from 1. numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.query.documents import finite_or_none, iso_times, or_none, records
from memoria.store.firings import Endings
from memoria.store.life import FloatArray, Life, StepTable
from memoria.store.texts import StoredTexts
from memoria.timeline.engram_type import EngramType
from memoria.timeline.log import IntArray

# Names of `EngramType` by number; NULL, a position without a living engram, is a forgotten one.
TYPE_NAMES: Final = ("forgotten", "working", "shortterm", "longterm")
FIELDS: Final = (
    *("id", "lane", "index", "type", "lifespan", "age", "fire_count", "pinned"),
    *("created_step", "created_time", "forgotten_step", "text", "source", "offset"),
    *("time", "meta"),
)


@dataclass(frozen=True)
class EngramTable:
    """Engrams as columns, all [N].

    Attributes:
        ids: global ids.
        lanes: lane of each.
        index: rank among the living engrams of the lane; -1 if forgotten.
        types: `EngramType`; NULL if forgotten.
        lifespan: steps left; 0 or less if forgotten.
        age: steps since its creation, until it was forgotten.
        fires: steps at which it fired.
        pinned: whether it loses no lifespan.
        created_step: step that added it.
        created_time: when that step ended, milliseconds since 1970; -1 while it runs.
        forgotten_step: step at whose end it was forgotten; 0 if it lives.
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
        """The living engrams, ascending by id."""
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
    def forgotten(cls, endings: Endings, steps: StepTable, lanes: int) -> EngramTable:
        """The engrams that ``endings`` has as forgotten, ascending by id."""
        ended = endings.forgotten()
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

    def take(self, rows: npt.NDArray[Any] | slice) -> EngramTable:
        """The given ``rows`` (numbers, a mask or a slice), in that order."""
        return EngramTable(**{name: column[rows] for name, column in self._columns().items()})

    def joined(self, other: EngramTable) -> EngramTable:
        """Both, ascending by id."""
        first, second = self._columns(), other._columns()
        whole = {name: np.concatenate((first[name], second[name])) for name in first}
        return EngramTable(**whole).take(np.argsort(whole["ids"], kind="stable"))

    def documents(self, stored_texts: StoredTexts) -> list[dict[str, Any]]:
        """One record of `FIELDS` an engram; None where there is no value.

        ``time`` is the engram's own, in milliseconds since 1970, and ``meta`` its JSON object.
        """
        return records(self.columns(stored_texts))

    def columns(self, stored_texts: StoredTexts) -> dict[str, npt.NDArray[Any] | list[Any]]:
        """The values of `documents` by field, [N] each."""
        places = stored_texts.places(self.ids)
        columns = (
            self.ids,
            self.lanes,
            or_none(self.index, -1),
            [TYPE_NAMES[kind] for kind in self.types.tolist()],
            finite_or_none(self.lifespan),
            self.age,
            self.fires,
            self.pinned,
            self.created_step,
            iso_times(self.created_time),
            or_none(self.forgotten_step, 0),
            stored_texts.texts(self.ids),
            [None if place is None else place[0] for place in places],
            [None if place is None else place[1] for place in places],
            stored_texts.times(self.ids),
            stored_texts.meta(self.ids),
        )
        return dict(zip(FIELDS, columns, strict=True))

    def _columns(self) -> dict[str, npt.NDArray[Any]]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _ranks(lanes: IntArray) -> IntArray:
    """Number of entries of the same lane before each, [N]."""
    order = np.argsort(lanes, kind="stable")
    ordered = lanes[order]
    ranks = np.empty(len(lanes), np.int64)
    ranks[order] = np.arange(len(lanes)) - np.searchsorted(ordered, ordered)
    return ranks


def _times(steps: StepTable, born: IntArray) -> IntArray:
    """When the steps ``born`` (counted from 0) ended; -1 for the running one."""
    times = np.append(steps.times(), -1)
    return times[np.minimum(born, len(steps))]
