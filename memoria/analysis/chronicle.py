"""`Chronicle`: the whole life of a memory as arrays, from a store or from a `HistoryManager`.

Steps count from 1, and only finished ones are told of; step t is what it left behind. Torch-free.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from memoria.errors import InputError
from memoria.io.data_frame import data_frame
from memoria.store.firings import endings, read_firings
from memoria.store.life import FloatArray, StepTable, fold
from memoria.store.memory_files import MemoryFiles
from memoria.store.past import finished_view
from memoria.store.reading import open_files
from memoria.store.texts import TextShelf
from memoria.timeline.cofiring import FiringLog
from memoria.timeline.engram_type import EngramType
from memoria.timeline.fold import Expiries
from memoria.timeline.log import Firings, IntArray

if TYPE_CHECKING:
    import pandas

    from memoria.timeline.history import HistoryManager

__all__ = ["Chronicle", "open_chronicle"]

Texts = Callable[[IntArray], list[str | None]]


@dataclass(frozen=True, eq=False)
class Chronicle:
    """Everything that is known of a memory's life. E engrams, N firings, T steps.

    ``ids`` [E] ascend, and so does creation; an engram stands at its *place* in them, and its lane
    is ``id % lanes``. ``born``, ``gone`` and ``longterm`` [E]: the steps in which it was made, at
    whose end it was forgotten and at whose end it became long-term; 0: it has not. ``added`` [T]:
    engrams made a step, of all lanes. ``fired_ids`` and ``fired_steps`` [N], by step: who was in
    the working memory (its step is ``born``) or reminded, once a step; those of step t are
    ``ends[t - 1]`` to ``ends[t]``. ``first_step``: from here on all is known; compaction may have
    removed engrams and firings of the steps before. ``settings`` makes `expiries` once they are
    asked for.
    """

    lanes: int
    steps: int
    first_step: int
    ids: IntArray
    born: IntArray
    gone: IntArray
    longterm: IntArray
    added: IntArray
    fired_ids: IntArray
    fired_steps: IntArray
    settings: Callable[[], Expiries]
    shelf: Texts | None = None
    name: str = ""  # of the store, as messages name it

    @classmethod
    def of_store(cls, files: MemoryFiles) -> Chronicle:
        """The life of a store, `memoria.store.reading.open_files`, as far as its log goes back.

        A step begun is left out. `texts` reads from ``files``. Raises `DamageError`.
        """
        if files.attributes.pending.phase != "idle":
            files = finished_view(files)
        lanes = files.config.lanes
        table = StepTable.read(files)
        life, done = fold(files, files.config, table), len(table)
        firings = read_firings(files, table, life)
        ended = endings(firings, files.created, done)
        known = ended.fires > 0  # every engram that is there has fired at least in its first step
        ids, gone = ended.ids[known], ended.gone[known]
        born = table.born(ids) + 1
        rows = table.rows()
        longterm = _became_longterm(ids, table, lanes, done)
        longterm[(gone > 0) & (longterm >= gone)] = 0

        def settings() -> Expiries:
            events = firings.events
            events = events.take(np.isin(events.ids, ids))
            named = replace(events, ids=_places(ids, events.ids))
            return Expiries.of(replace(firings, ids=_places(ids, firings.ids), events=named), done)

        lost = len(ids) < files.created
        return cls(
            lanes=lanes,
            steps=done,
            first_step=min(files.attributes.era.step, done) + 1 if lost else 1,
            ids=ids,
            born=born,
            gone=gone,
            longterm=longterm,
            added=np.diff(rows, prepend=0),
            fired_ids=firings.ids,
            fired_steps=firings.steps,
            settings=settings,
            shelf=TextShelf(files).texts,
            name=files.name,
        )

    @classmethod
    def of_history(cls, histories: HistoryManager | Sequence[HistoryManager]) -> Chronicle:
        """The life of a `Memoria` with ``keep_history``: of one lane, or of ``memoria.history``.

        The id of engram i of lane b of B is ``i * B + b``, as in stores. Several firings in one
        step are one. Raises `InputError` for lanes of different lives.
        """
        lanes = list(histories) if isinstance(histories, Sequence) else [histories]
        if not lanes or len({len(one) for one in lanes}) > 1:
            lengths = ", ".join(str(len(one)) for one in lanes) or "none"
            raise InputError(f"histories of {lengths} steps", "give all lanes of one memory")
        parts = [one.arrays() for one in lanes]
        count, steps = len(lanes), len(lanes[0])
        bounds = [part["bounds"] for part in parts]
        if any((one[:, 1] != bounds[0][:, 1]).any() for one in bounds):
            raise InputError("histories of different memories", "give all lanes of one memory")
        made = bounds[0][:, 1]
        ids = np.arange(count * (int(made[-1]) if steps else 0))
        born = np.searchsorted(made, ids // count, side="right") + 1
        fired, entries = _fired(parts, count), _settings(parts, count)
        last = np.full(len(ids), -1)
        last[entries.ids] = np.arange(len(entries.ids))  # of repeats the last one stays
        set_at, expiry = born.copy(), np.zeros(len(ids))
        was = last >= 0
        set_at[was], expiry[was] = entries.steps[last[was]], entries.expiry[last[was]]
        due = np.ceil(expiry).clip(0, steps + 1).astype(np.int64)
        gone = np.maximum(due, set_at)
        gone[gone > steps] = 0
        longterm = np.zeros(len(ids), np.int64)
        for lane, one in enumerate(bounds):
            at = np.searchsorted(one[:, 0], ids[lane::count] // count, side="right")
            longterm[lane::count] = np.where(at < steps, at + 1, 0)
        longterm[(gone > 0) & (longterm >= gone)] = 0
        return cls(
            lanes=count,
            steps=steps,
            first_step=1,
            ids=ids,
            born=born,
            gone=gone,
            longterm=longterm,
            added=np.diff(made, prepend=0) * count,
            fired_ids=fired[0],
            fired_steps=fired[1],
            settings=lambda: Expiries.of(entries, steps),
        )

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def lane(self) -> IntArray:
        """The lane of every engram, [E]."""
        return self.ids % self.lanes

    @cached_property
    def ends(self) -> IntArray:
        """Where each step's firings end, [T + 1]; the first is 0."""
        return np.searchsorted(self.fired_steps, np.arange(self.steps + 1), side="right")

    @cached_property
    def fired_places(self) -> IntArray:
        """The place of who fired, [N]."""
        return _places(self.ids, self.fired_ids)

    @cached_property
    def expiries(self) -> Expiries:
        """When everyone expires, as it was set again and again."""
        return self.settings()

    @cached_property
    def fires(self) -> IntArray:
        """How often every engram fired, its first step too, [E]."""
        return np.bincount(self.fired_places, minlength=len(self))

    @cached_property
    def fired_expiry(self) -> FloatArray:
        """What its step made of the expiry of who fired, [N]; less the step, the lifespan."""
        return self.expiries.fired(self.fired_places, self.fired_steps)

    @cached_property
    def gains(self) -> FloatArray:
        """Steps that each firing gained, [N]; the first of an engram is what it began with."""
        places = self.fired_places
        return self.expiries.gains(places, self.fired_steps, self.born[places])

    def places(self, ids: npt.ArrayLike) -> IntArray:
        """Where engrams stand in ``ids``. Raises `InputError` for one that is not there."""
        wanted = np.asarray(ids, np.int64).reshape(-1)
        at = np.searchsorted(self.ids, wanted)
        wrong = wanted[np.append(self.ids, -1)[at] != wanted]
        if len(wrong):
            made = int(self.added.sum())
            there = 0 <= int(wrong[0]) < made
            known = f"the ids are 0 to {made - 1}" if made else "there are no engrams yet"
            why = "compaction has removed it" if there else "there is none"
            raise InputError(f"engram {wrong[0]}: {why}", None if there else known)
        return at

    def living(self, step: int) -> IntArray:
        """The places of who is alive after ``step``, ascending."""
        alive = (self.born <= step) & ((self.gone == 0) | (self.gone > step))
        return np.flatnonzero(alive)

    def fired(self, step: int) -> IntArray:
        """The places of who fired in ``step``."""
        return self.fired_places[self.ends[step - 1] : self.ends[step]]

    def types(self, places: IntArray, step: int | IntArray) -> npt.NDArray[np.uint8]:
        """In which memory (`EngramType`) engrams take part in a step; NULL before and after.

        As the step reminds: WORKING in its first step, LONGTERM in the steps after the one at
        whose end it became long-term, until the step at whose end it is forgotten.
        """
        born, gone, longterm = self.born[places], self.gone[places], self.longterm[places]
        old = (longterm > 0) & (longterm < step)
        kinds = np.where(old, EngramType.LONGTERM, EngramType.SHORTTERM)
        kinds = np.where(born == step, EngramType.WORKING, kinds)
        outside = (born > step) | ((gone > 0) & (gone < step))
        return np.where(outside, EngramType.NULL, kinds).astype(np.uint8)

    def types_after(self, places: IntArray, step: int | IntArray) -> npt.NDArray[np.uint8]:
        """In which memory engrams are after a step: SHORTTERM, LONGTERM, or NULL if not alive."""
        born, gone, longterm = self.born[places], self.gone[places], self.longterm[places]
        old = (longterm > 0) & (longterm <= step)
        kinds = np.where(old, EngramType.LONGTERM, EngramType.SHORTTERM)
        outside = (born > step) | ((gone > 0) & (gone <= step))
        return np.where(outside, EngramType.NULL, kinds).astype(np.uint8)

    def lifespan(self, places: IntArray, step: int | IntArray) -> FloatArray:
        """Steps that engrams have left after ``step``; 0 or less when forgotten, NaN unborn."""
        return self.expiries.at(places, step) - step

    def log(self, places: IntArray) -> FiringLog:
        """What fired together among the engrams at ``places``, ascending, each lane by itself.

        Its positions are ranks in ``places``.
        """
        rank = np.full(len(self), -1, np.int64)
        rank[places] = np.arange(len(places))
        position = rank[self.fired_places]
        here = position >= 0
        position, group = position[here], self.fired_steps[here]
        if self.lanes > 1:
            group = group * self.lanes + self.lane[places][position]
            order = np.argsort(group, kind="stable")
            position, group = position[order], group[order]
        starts = np.flatnonzero(np.diff(group, prepend=-1))
        return FiringLog(position, starts)

    def texts(self, ids: npt.ArrayLike) -> list[str | None]:
        """The texts of engrams; None where there is none. Reads from the store."""
        wanted = np.asarray(ids, np.int64).reshape(-1)
        return [None] * len(wanted) if self.shelf is None else self.shelf(wanted)

    def text(self, engram: int) -> str | None:
        """The text of one engram."""
        return self.texts([engram])[0]

    def frames(self, texts: bool = True) -> dict[str, dict[str, npt.NDArray[Any]]]:
        """All that is known as tables of columns; 0 for a step that has not come.

        ``engrams``: id, lane, created, longterm, forgotten, memory (its name, or "forgotten") and
        lifespan after the last step, fires, and ``text`` where ``texts`` are wanted. ``firings``:
        step, id, lane, gain, and the lifespan that the step left. ``steps``: step, made, reminded,
        promoted, forgotten in it, shortterm, longterm after it, and whether it is known whole.
        """
        every, steps = np.arange(len(self)), np.arange(1, self.steps + 1)
        kinds = self.types_after(every, self.steps)
        names = np.array(["forgotten", "working", "shortterm", "longterm"], object)
        gone, longterm = self.counted(self.gone), self.counted(self.longterm)
        old = np.flatnonzero(self.longterm > 0)
        alive = np.cumsum(self.counted(self.born) - gone)
        of_old = np.cumsum(longterm - self.counted(self.gone[old]))
        again = self.born[self.fired_places] < self.fired_steps
        engrams: dict[str, npt.NDArray[Any]] = {
            "id": self.ids,
            "lane": self.lane,
            "created": self.born,
            "longterm": self.longterm,
            "forgotten": self.gone,
            "memory": names[kinds],
            "lifespan": self.lifespan(every, self.steps),
            "fires": self.fires,
        }
        if texts:
            engrams["text"] = np.array([*self.texts(self.ids), None], object)[:-1]
        firings = {
            "step": self.fired_steps,
            "id": self.fired_ids,
            "lane": self.fired_ids % self.lanes,
            "gain": self.gains,
            "lifespan": self.fired_expiry - self.fired_steps,
        }
        table = {
            "step": steps,
            "made": self.added,
            "reminded": self.counted(self.fired_steps[again]),
            "promoted": longterm,
            "forgotten": gone,
            "shortterm": alive - of_old,
            "longterm": of_old,
            "known": steps >= self.first_step,
        }
        return {"engrams": engrams, "firings": firings, "steps": table}

    def to_pandas(self, texts: bool = True) -> dict[str, pandas.DataFrame]:
        """`frames` as data frames. Needs the extra ``viz``."""
        return {name: data_frame(columns) for name, columns in self.frames(texts).items()}

    def counted(self, steps: IntArray) -> IntArray:
        """How often each step, from 1, is among ``steps``."""
        return np.bincount(steps, minlength=self.steps + 1)[1:]


@contextmanager
def open_chronicle(
    path: str | os.PathLike[str], at: int | str | None = None
) -> Iterator[Chronicle]:
    """The life of the store at ``path``, by ``at`` (a snapshot or a step) if that is given.

    Texts are read as long as the block lasts.
    """
    files = open_files(path, at)
    try:
        yield Chronicle.of_store(files)
    finally:
        files.close()


def _places(ids: IntArray, wanted: IntArray) -> IntArray:
    """Where ``wanted``, all of them there, stand in ``ids``."""
    if len(ids) == 0 or int(ids[-1]) == len(ids) - 1:
        return wanted
    return np.searchsorted(ids, wanted)


def _became_longterm(ids: IntArray, table: StepTable, lanes: int, done: int) -> IntArray:
    """The step at whose end each engram left short-term memory, if it lived; 0: none yet."""
    became = np.zeros(len(ids), np.int64)
    order = np.argsort(ids % lanes, kind="stable")
    there, starts = np.unique(ids[order] % lanes, return_index=True)
    parts = np.split(order, starts[1:]) if len(there) else []
    for lane, mine in zip(there.tolist(), parts, strict=True):
        at = table.all_became_longterm(ids[mine] // lanes, lane)
        became[mine] = np.where(at < done, at + 1, 0)
    return became


def _fired(
    parts: list[dict[str, npt.NDArray[np.generic]]], lanes: int
) -> tuple[IntArray, IntArray]:
    """(ids, steps) of who fired, by step, each once a step."""
    ids, steps = [], []
    for lane, part in enumerate(parts):
        ends = np.append(0, part["fired_ends"])[part["firing_ends"]].astype(np.int64)
        ids.append(part["fired"].astype(np.int64) * lanes + lane)
        steps.append(np.repeat(np.arange(1, len(ends) + 1), np.diff(ends, prepend=0)))
    all_ids, all_steps = np.concatenate(ids), np.concatenate(steps)
    span = int(all_ids.max(initial=0)) + 1
    keys = np.unique(all_steps * span + all_ids)
    return keys % span, keys // span


def _settings(parts: list[dict[str, npt.NDArray[np.generic]]], lanes: int) -> Firings:
    """Every expiry that a history tells of; those of an engram are in order."""
    columns = []
    for lane, part in enumerate(parts):
        ends = part["set_ends"].astype(np.int64)
        steps = np.repeat(np.arange(1, len(ends) + 1), np.diff(ends, prepend=0))
        columns.append((part["set_ids"].astype(np.int64) * lanes + lane, steps, part["expiry"]))
    ids, steps, expiry = (np.concatenate(column) for column in zip(*columns, strict=True))
    return Firings(ids, steps, expiry.astype(np.float64))
