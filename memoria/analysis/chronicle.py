"""`Chronicle`: the whole life of a memory as arrays, from a store or from a `HistoryManager`.

Steps count from 1, and only finished ones are in it; step t is what it left behind. Torch-free.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from memoria.errors import InputError
from memoria.io.data_frame import data_frame
from memoria.store.firings import endings, read_firings
from memoria.store.life import StepTable
from memoria.store.life import fold as fold_store
from memoria.store.memory_files import MemoryFiles
from memoria.store.reading import finished_view, open_files
from memoria.store.texts import StoredTexts
from memoria.timeline.cofiring import FiringLog
from memoria.timeline.engram_type import EngramType
from memoria.timeline.fold import Expiries, Lifespans, fold
from memoria.timeline.log import BoolArray, Firings, FloatArray, IntArray

if TYPE_CHECKING:
    import pandas

    from memoria.timeline.history import HistoryManager

# Names of the memories by `EngramType`.
MEMORY_NAMES: Final = np.array(["forgotten", "working", "shortterm", "longterm"])


@dataclass(frozen=True, eq=False, repr=False)
class Chronicle:
    """Everything that is known of a memory's life. E engrams, N firings, T steps.

    An engram's *position* is its slot in these arrays.

    Attributes:
        lanes: number of lanes; the lane of an engram is ``id % lanes``.
        steps: T.
        first_step: from here on all is known; compaction may have removed engrams and firings of
            the steps before.
        ids: of the engrams, ascending, and so is their creation, int64 [E].
        born: step in which each was created, int64 [E].
        gone: step at whose end each was forgotten, 0 while it lives, int64 [E].
        longterm: step at whose end each became long-term, 0 where it has not, int64 [E].
        added: engrams created in each step, in all lanes, int64 [T].
        fired_ids: engrams that were in working memory (in the step ``born``) or reminded, each once
            a step, by step, int64 [N].
        fired_steps: step of each firing, int64 [N].
        settings: makes `expiries` once they are asked for.
        read_texts: reads texts from the store by id.
        read_vectors: reads vectors from the store by id.
        name: of the store, for messages.
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
    read_texts: Callable[[IntArray], list[str | None]] | None = None
    read_vectors: Callable[[IntArray], npt.NDArray[np.float32]] | None = None
    name: str = ""
    _release: Callable[[], Any] | None = field(default=None, repr=False)

    def __enter__(self) -> Chronicle:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        name = f"{self.name!r}, " if self.name else ""
        return f"Chronicle({name}{self.steps} steps, {len(self.ids)} engrams, {self.lanes} lanes)"

    def close(self) -> None:
        """Release the store that `open_chronicle` opened; its texts are not there after that."""
        if self._release is not None:
            self._release()

    @classmethod
    def of_store(cls, files: MemoryFiles) -> Chronicle:
        """The life of a store, as far as its log goes back; a step begun is left out.

        Args:
            files: what `memoria.store.reading.open_files` opens; `texts` reads from them.

        Raises:
            DamageError: the store is damaged.
        """
        if files.attributes.pending.phase != "idle":
            files = finished_view(files)
        table = StepTable.read(files)
        life, done = fold_store(files, files.config, table), len(table)
        firings = read_firings(files, table, life)
        ended = endings(firings, files.created, done)
        known = ended.fires > 0  # every engram that is there has fired at least in its first step
        ids, gone = ended.ids[known], ended.gone[known]
        longterm = _became_longterm(ids, table, files.config.lanes)

        def settings() -> Expiries:
            events = firings.events
            events = events.take(np.isin(events.ids, ids))
            named = replace(events, ids=_positions(ids, events.ids))
            log = replace(firings, ids=_positions(ids, firings.ids), events=named)
            return Expiries.of(log, done)

        lost = len(ids) < files.created
        return cls(
            lanes=files.config.lanes,
            steps=done,
            first_step=min(files.attributes.era.step, done) + 1 if lost else 1,
            ids=ids,
            born=table.born(ids) + 1,
            gone=gone,
            longterm=np.where((gone > 0) & (longterm >= gone), 0, longterm),
            added=np.diff(table.rows(), prepend=0),
            fired_ids=firings.ids,
            fired_steps=firings.steps,
            settings=settings,
            read_texts=StoredTexts(files).texts,
            read_vectors=files.vectors,
            name=files.name,
        )

    @classmethod
    def of_history(cls, histories: HistoryManager | Sequence[HistoryManager]) -> Chronicle:
        """The life of a `Memoria` with ``keep_history``.

        Args:
            histories: of one lane, or ``memoria.history``. The id of engram i of lane b of B is
                ``i * B + b``, as in stores. Several firings in one step are one.

        Raises:
            InputError: the lanes are of different lives.
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
        fired, settings = _fired(parts, count), _settings(parts, count)
        state = fold(Lifespans.nothing(len(ids)), settings, steps)
        gone = np.where(state.fires > 0, state.gone(), born)
        longterm = np.zeros(len(ids), np.int64)
        for lane, one in enumerate(bounds):
            at = np.searchsorted(one[:, 0], ids[lane::count] // count, side="right")
            longterm[lane::count] = np.where(at < steps, at + 1, 0)
        return cls(
            lanes=count,
            steps=steps,
            first_step=1,
            ids=ids,
            born=born,
            gone=gone,
            longterm=np.where((gone > 0) & (longterm >= gone), 0, longterm),
            added=np.diff(made, prepend=0) * count,
            fired_ids=fired[0],
            fired_steps=fired[1],
            settings=lambda: Expiries.of(settings, steps),
        )

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def lane(self) -> IntArray:
        """The lane of every engram, [E]."""
        return self.ids % self.lanes

    @cached_property
    def ends(self) -> IntArray:
        """Where each step's firings end, [T + 1]: those of step t are ``ends[t - 1]:ends[t]``."""
        return np.searchsorted(self.fired_steps, np.arange(self.steps + 1), side="right")

    @cached_property
    def fired_positions(self) -> IntArray:
        """The position of the engram of every firing, [N]."""
        return _positions(self.ids, self.fired_ids)

    @cached_property
    def expiries(self) -> Expiries:
        """Every expiry that was set, by position."""
        return self.settings()

    @cached_property
    def fires(self) -> IntArray:
        """How often every engram fired, its first step too, [E]."""
        return np.bincount(self.fired_positions, minlength=len(self))

    @cached_property
    def fired_expiry(self) -> FloatArray:
        """The expiry that each firing left its engram with, [N]; less the step, the lifespan."""
        return self.expiries.fired(self.fired_positions, self.fired_steps)

    @cached_property
    def gains(self) -> FloatArray:
        """Steps that each firing gained, [N]; the first of an engram is what it began with."""
        at = self.fired_positions
        return self.expiries.gains(at, self.fired_steps, self.born[at])

    def positions(self, ids: npt.ArrayLike) -> IntArray:
        """The positions of engrams by id. Raises `InputError` for one that is not there."""
        wanted = np.asarray(ids, np.int64).reshape(-1)
        at = np.searchsorted(self.ids, wanted)
        wrong = wanted[np.append(self.ids, -1)[at] != wanted]
        if len(wrong):
            made = int(self.added.sum())
            removed = 0 <= int(wrong[0]) < made
            known = f"the ids are 0 to {made - 1}" if made else "there are no engrams yet"
            why = "compaction has removed it" if removed else "there is none"
            raise InputError(f"engram {wrong[0]}: {why}", None if removed else known)
        return at

    def ranks(self, positions: IntArray) -> IntArray:
        """The rank of every engram among ``positions``, -1 for the others, [E]."""
        rank = np.full(len(self), -1, np.int64)
        rank[positions] = np.arange(len(positions))
        return rank

    def living(self, step: int) -> IntArray:
        """The positions of the engrams that are alive after ``step``, ascending."""
        alive = (self.born <= step) & ((self.gone == 0) | (self.gone > step))
        return np.flatnonzero(alive)

    def fired(self, step: int) -> IntArray:
        """The positions of the engrams that fired in ``step``."""
        return self.fired_positions[self.ends[step - 1] : self.ends[step]]

    def types(self, positions: IntArray, step: int | IntArray) -> npt.NDArray[np.uint8]:
        """In which memory (`EngramType`) engrams take part in a step; NULL before and after.

        As the step reminds: WORKING in its first step, LONGTERM in the steps after the one at
        whose end it became long-term, until the step at whose end it is forgotten.

        Args:
            positions: of the engrams, [N].
            step: one for all, or one of each, [N].
        """
        born, gone, longterm = self.born[positions], self.gone[positions], self.longterm[positions]
        old = (longterm > 0) & (longterm < step)
        types = np.where(old, EngramType.LONGTERM, EngramType.SHORTTERM)
        types = np.where(born == step, EngramType.WORKING, types)
        outside = (born > step) | ((gone > 0) & (gone < step))
        return np.where(outside, EngramType.NULL, types).astype(np.uint8)

    def types_after(self, positions: IntArray, step: int | IntArray) -> npt.NDArray[np.uint8]:
        """In which memory engrams are after a step: SHORTTERM, LONGTERM, or NULL if not alive.

        Args:
            positions, step: as of `types`.
        """
        types = self.types(positions, step + 1)
        return np.where(self.born[positions] > step, EngramType.NULL, types).astype(np.uint8)

    def lifespan(self, positions: IntArray, step: int | IntArray) -> FloatArray:
        """Steps that engrams have left after a step; 0 or less when forgotten, NaN unborn.

        Args:
            positions, step: as of `types`.
        """
        return self.expiries.at(positions, step) - step

    def log(self, positions: IntArray) -> FiringLog:
        """The firings of some engrams, each lane by itself; in ranks among ``positions``."""
        firing = self.fired_steps
        if self.lanes > 1:
            firing = firing * self.lanes + self.fired_ids % self.lanes
        return FiringLog.of(self.ranks(positions)[self.fired_positions], firing)

    def counts(self, covered: BoolArray | None = None) -> dict[str, IntArray]:
        """How many engrams of ``mine`` [E], or of all, there are, step by step.

        Returns:
            ``born``, ``promoted`` to long-term memory, ``forgotten``, ``fired`` and ``reminded`` in
            each step; ``shortterm`` and ``longterm`` after it; int64 [T] each.
        """
        if covered is None:
            covered = np.ones(len(self), np.bool_)

        def counted(steps: IntArray) -> IntArray:
            return np.bincount(steps, minlength=self.steps + 1)[1:]

        old = covered & (self.longterm > 0)
        born, gone = counted(self.born[covered]), counted(self.gone[covered])
        promoted = counted(self.longterm[covered])
        longterm = np.cumsum(promoted - counted(self.gone[old]))
        fired = covered[self.fired_positions]
        reminded = fired & (self.born[self.fired_positions] < self.fired_steps)
        return {
            "born": born,
            "promoted": promoted,
            "forgotten": gone,
            "fired": counted(self.fired_steps[fired]),
            "reminded": counted(self.fired_steps[reminded]),
            "shortterm": np.cumsum(born - gone) - longterm,
            "longterm": longterm,
        }

    def engrams(self, positions: IntArray) -> dict[str, IntArray]:
        """Columns of some engrams: id, lane, born, longterm, gone and fires."""
        names = ("lane", "born", "longterm", "gone", "fires")
        columns = {name: getattr(self, name)[positions] for name in names}
        return {"id": self.ids[positions], **columns}

    def texts(self, ids: npt.ArrayLike) -> list[str | None]:
        """The texts of engrams; None where there is none. Reads from the store."""
        wanted = np.asarray(ids, np.int64).reshape(-1)
        return [None] * len(wanted) if self.read_texts is None else self.read_texts(wanted)

    def text(self, engram: int) -> str | None:
        """The text of one engram."""
        return self.texts([engram])[0]

    def vectors(self, ids: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """The vectors of engrams, float32 [n, D]. Reads from the store.

        Raises:
            InputError: it is a life in memory, whose record has no vectors.
        """
        if self.read_vectors is None:
            raise InputError("this life has no vectors", "save_memory writes a store that has")
        return self.read_vectors(np.asarray(ids, np.int64).reshape(-1))

    def frames(self, texts: bool = True) -> dict[str, dict[str, npt.NDArray[Any]]]:
        """Everything that is known as tables of columns; 0 for a step that has not come.

        Returns:
            ``engrams``: id, lane, created, longterm, forgotten, memory (its name, or "forgotten")
            and lifespan after the last step, fires, and ``text`` where ``texts`` are wanted.
            ``firings``: step, id, lane, gain, and the lifespan that the step left. ``steps``:
            step, made, reminded, promoted, forgotten in it, shortterm, longterm after it, and
            whether it is known whole.
        """
        every, steps = np.arange(len(self)), np.arange(1, self.steps + 1)
        engrams: dict[str, npt.NDArray[Any]] = {
            "id": self.ids,
            "lane": self.lane,
            "created": self.born,
            "longterm": self.longterm,
            "forgotten": self.gone,
            "memory": MEMORY_NAMES.astype(object)[self.types_after(every, self.steps)],
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
        counts = self.counts()
        table = {
            "step": steps,
            "made": self.added,
            "reminded": counts["reminded"],
            "promoted": counts["promoted"],
            "forgotten": counts["forgotten"],
            "shortterm": counts["shortterm"],
            "longterm": counts["longterm"],
            "known": steps >= self.first_step,
        }
        return {"engrams": engrams, "firings": firings, "steps": table}

    def to_pandas(self, texts: bool = True) -> dict[str, pandas.DataFrame]:
        """`frames` as data frames. Needs the extra ``viz``."""
        return {name: data_frame(columns) for name, columns in self.frames(texts).items()}


def open_chronicle(path: str | os.PathLike[str], at: int | str | None = None) -> Chronicle:
    """The life of a store; texts can be read until it is closed, by `Chronicle.close` or ``with``.

    Args:
        path: the store.
        at: a snapshot or a step to open it at.
    """
    files = open_files(path, at)
    try:
        chronicle = Chronicle.of_store(files)
    except BaseException:
        files.close()
        raise
    # what nobody closes is closed when nobody uses it any more
    object.__setattr__(chronicle, "_release", weakref.finalize(chronicle, files.close))
    return chronicle


def _positions(ids: IntArray, wanted: IntArray) -> IntArray:
    """The positions of ``wanted``, all of them there, in ``ids``."""
    if len(ids) == 0 or int(ids[-1]) == len(ids) - 1:
        return wanted
    return np.searchsorted(ids, wanted)


def _became_longterm(ids: IntArray, table: StepTable, lanes: int) -> IntArray:
    """The step at whose end each engram left short-term memory, if it lived; 0: none yet."""
    became = np.zeros(len(ids), np.int64)
    order = np.argsort(ids % lanes, kind="stable")
    there, starts = np.unique(ids[order] % lanes, return_index=True)
    parts = np.split(order, starts[1:]) if len(there) else []
    for lane, members in zip(there.tolist(), parts, strict=True):
        at = table.all_became_longterm(ids[members] // lanes, lane)
        became[members] = np.where(at < len(table), at + 1, 0)
    return became


def _fired(
    parts: list[dict[str, npt.NDArray[np.generic]]], lanes: int
) -> tuple[IntArray, IntArray]:
    """(ids, steps) of the firings, by step, each once a step."""
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
    """Every expiry that a history has, as if set by firings; those of an engram are in order."""
    columns = []
    for lane, part in enumerate(parts):
        ends = part["set_ends"].astype(np.int64)
        steps = np.repeat(np.arange(1, len(ends) + 1), np.diff(ends, prepend=0))
        columns.append((part["set_ids"].astype(np.int64) * lanes + lane, steps, part["expiry"]))
    ids, steps, expiry = (np.concatenate(column) for column in zip(*columns, strict=True))
    return Firings(ids, steps, expiry.astype(np.float64))
