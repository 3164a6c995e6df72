"""`HistoryManager`: the life of every engram of one lane, from a log of what each step changed.

A step is kept as who fired and whose expiry was set, some kilobytes, instead of a full summary;
what a summary would have said is worked out when somebody asks. Names as in `memoria-pytorch`;
time t is the t-th step, counted from 0.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import eq
from typing import TYPE_CHECKING, Any, Final, overload

import numpy as np
import numpy.typing as npt

from memoria.errors import DamageError, InputError, StorageError
from memoria.io.atomic_write import atomic_write
from memoria.io.data_frame import data_frame
from memoria.timeline.cofiring import FiringLog, with_room
from memoria.timeline.fold import Expiries, Lifespans, fold
from memoria.timeline.log import Firings, FloatArray, IntArray
from memoria.timeline.rules import is_alive, memory_of
from memoria.timeline.summary import (
    EngramHistory,
    EngramInfo,
    EngramsInfo,
    Firing,
    decode,
    encode,
    summarize,
)

if TYPE_CHECKING:
    import pandas

_LOG: Final = ("fired", "fired_ends", "firing_ends", "set_ids", "set_ends", "expiry", "bounds")
_GZIP: Final = b"\x1f\x8b"  # how memoria-pytorch's files begin
_UNSOUND: Final = (  # what zipfile and numpy raise for bytes that `HistoryManager.save` never wrote
    *(ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError, OverflowError),
    *(MemoryError, RuntimeError, SyntaxError, zipfile.BadZipFile, zlib.error, struct.error),
)


class LazySummaries(Sequence[EngramsInfo]):
    """The summaries of some steps, each made when it is looked at."""

    def __init__(self, make: Callable[[int], EngramsInfo], times: range) -> None:
        self._make, self._times = make, times

    def __len__(self) -> int:
        return len(self._times)

    @overload
    def __getitem__(self, at: int) -> EngramsInfo: ...
    @overload
    def __getitem__(self, at: slice) -> LazySummaries: ...
    def __getitem__(self, at: int | slice) -> EngramsInfo | LazySummaries:
        if isinstance(at, slice):
            return LazySummaries(self._make, self._times[at])
        if not -len(self) <= at < len(self):
            raise IndexError(f"step {at}: there are {len(self)}")
        return self._make(self._times[at])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]


class HistoryManager:
    """``len(history)`` steps; ``history[t]`` is the memory as step t left it (`EngramsInfo`)."""

    def __init__(self) -> None:
        self._log = _StepLog()
        self._summaries: dict[int, EngramsInfo] = {}

    def record(
        self,
        firings: Sequence[IntArray],
        ids: IntArray,
        expiry: npt.NDArray[np.float64],
        first_short: int,
        next_id: int,
    ) -> None:
        """Append a step.

        Args:
            firings: the ids that fired together, [N] of each firing.
            ids: engrams whose expiry was set, [E]. They may repeat: the last expiry stays, and an
                engram that fired gained what that is above the last but one.
            expiry: step at whose end each of ``ids`` is forgotten, [E].
            first_short: engrams before this id are long-term memory after the step.
            next_id: id that the next engram gets.
        """
        self._log.record(firings, ids, expiry, first_short, next_id)

    def add_summary(self, summary: EngramsInfo | Any) -> None:
        """Append a step known from a summary, or from the engrams of one lane.

        Engrams seen first are made in it, whose fire count has grown fired, who is missing was
        forgotten. The whole summary is kept, as in memoria-pytorch: some hundred bytes for each
        engram and each connection, where a step of a memory with ``keep_history`` costs
        16 for each that fired. Raises `InputError` for new ids below earlier ones: they count
        upwards, and nobody comes back.
        """
        seen = _as_summary(summary)
        time, made = len(self), int(self._log.made()[-1]) if len(self) else 0
        before = self[-1].engrams if time else {}
        new = [i for i in seen.engrams if i not in before]
        if new and min(new) < made:
            message = f"engram {min(new)}: not in the summary before, and {made - 1} was made"
            raise InputError(message, "ids count upwards; a forgotten engram does not come back")
        fired, changed, expiry = [], [], []
        for id_, engram in seen.engrams.items():
            was = before.get(id_)
            now = engram.lifespan + time + 1
            fires = engram.fire_count > (0 if was is None else was.fire_count)
            if fires:
                fired.append(id_)
            if fires or was is None or engram.lifespan != was.lifespan - 1 or now <= time + 1:
                changed.append(id_)
                expiry.append(max(now, float(np.nextafter(time + 1, np.inf))))  # it lives
        gone = [i for i in before if i not in seen.engrams]
        made = max([made, *(i + 1 for i in seen.engrams)])
        short = min([*seen.working, *seen.shortterm], default=made)
        short = max(short, self._log.first_short(time - 1) if time else 0)
        ids = np.array([*changed, *gone], np.int64)
        ends = np.array([*expiry, *[time + 1.0] * len(gone)])
        self._log.record([np.array(sorted(fired), np.int64)], ids, ends, short, made)
        self._summaries[time] = seen

    def __len__(self) -> int:
        return len(self._log)

    @overload
    def __getitem__(self, time: int) -> EngramsInfo: ...
    @overload
    def __getitem__(self, time: slice) -> LazySummaries: ...
    def __getitem__(self, time: int | slice) -> EngramsInfo | LazySummaries:
        return self.summaries[time]

    def _summary(self, at: int) -> EngramsInfo:
        if at in self._summaries:
            return self._summaries[at]
        ids, expiry, born = self._log.living(at)
        fires, edges = self._log.cofires(at, ids).connections(len(ids))
        return summarize(
            ids=ids,
            types=memory_of(ids, self._log.first_short(at)),
            lifespans=(expiry - (at + 1)).astype(np.float32),
            ages=at + 1 - born,
            fires=fires,
            edges=edges,
        )

    def __iter__(self) -> Iterator[EngramsInfo]:
        return iter(self.summaries)

    @property
    def summaries(self) -> LazySummaries:
        """All summaries, each made when it is looked at."""
        return LazySummaries(self._summary, range(len(self)))

    @property
    def timestep(self) -> int:
        """Steps recorded."""
        return len(self)

    @property
    def engram_ids(self) -> list[int]:
        """Every engram that outlived the step it was made in, in order of creation."""
        return list(self.engram_creation_times)

    @property
    def engram_creation_times(self) -> dict[int, int]:
        """When each engram was made."""
        return {id_: born for id_, born, _ in self._lives()}

    @property
    def engram_deletion_times(self) -> dict[int, int]:
        """The step that forgot each engram that is forgotten."""
        return {id_: end for id_, _, end in self._lives() if end < len(self)}

    @property
    def engram_durations(self) -> dict[int, int]:
        """After how many steps each engram was alive."""
        return {id_: end - born for id_, born, end in self._lives()}

    @property
    def alive_engram_ids(self) -> list[int]:
        """Who is alive after the last step."""
        return [id_ for id_, _, end in self._lives() if end == len(self)]

    @property
    def deleted_engram_ids(self) -> list[int]:
        """Who is forgotten, in order of creation."""
        return list(self.engram_deletion_times)

    @property
    def engram_lastest_alive_timestep(self) -> dict[int, int]:
        """The last step after which each engram was alive (the name is memoria-pytorch's)."""
        return {id_: end - 1 for id_, _, end in self._lives()}

    @property
    def latest_engram_infos(self) -> dict[int, EngramInfo]:
        """Each engram as it was last seen alive. Makes a summary of every step that forgot one."""
        by_time: dict[int, list[int]] = {}
        for id_, time in self.engram_lastest_alive_timestep.items():
            by_time.setdefault(time, []).append(id_)
        found = {
            id_: self[time].engrams[id_] for time, ids in sorted(by_time.items()) for id_ in ids
        }
        return dict(sorted(found.items()))

    @property
    def firings_per_time(self) -> list[list[Firing]]:
        """Who fired at each step and what it gained; not the firing an engram is made with."""
        out: list[list[Firing]] = [[] for _ in range(len(self))]
        for firing in self._firings():
            out[firing.timestep].append(firing)
        return out

    @property
    def engram_firings(self) -> dict[int, list[Firing]]:
        """The same by engram; of those that never fired again, nothing."""
        found: dict[int, list[Firing]] = defaultdict(list)
        for firing in self._firings():
            found[firing.engram_id].append(firing)
        return found

    @property
    def engram_firing_times(self) -> dict[int, list[int]]:
        """When each engram fired after its creation; of those that never did, nothing."""
        times, ids, _ = self._log.firings()
        order = np.argsort(ids, kind="stable")
        firing_ids, first = np.unique(ids[order], return_index=True)
        found: dict[int, list[int]] = defaultdict(list)
        parts = np.split(times[order], first[1:])
        found.update(
            (id_, part.tolist()) for id_, part in zip(firing_ids.tolist(), parts, strict=False)
        )
        return found

    @property
    def engram_fire_counts(self) -> dict[int, int]:
        """How often each engram fired after its creation; those that never did are not there."""
        ids, counts = np.unique(self._log.firings()[1], return_counts=True)
        return dict(zip(ids.tolist(), counts.tolist(), strict=True))

    def inspect(self, engram_id: int) -> EngramHistory:
        """The life of one engram. Raises `InputError` for one that never was."""
        ids, births, ends = self._log.lives()
        at = int(np.searchsorted(ids, engram_id)) if isinstance(engram_id, int | np.integer) else -1
        if not 0 <= at < len(ids) or ids[at] != engram_id:
            known = f"{ids[0]} to {ids[-1]}" if len(ids) else "none yet"
            raise InputError(f"engram = {engram_id!r}: there is none", f"the ids are {known}")
        born = int(births[at])
        end = int(ends[at]) if ends[at] < len(self) else None
        firings = list(self._firings(engram_id))
        last = len(self) if end is None else end
        return EngramHistory(
            id=engram_id,
            creation_timestep=born,
            deletion_timestep=end,
            duration=last - born,
            firing_times=[firing.timestep for firing in firings],
            firings=firings,
            summaries=self.summaries[born:last],
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The log as flat arrays, those that `save` writes.

        ``fired`` [N] are the ids of all firings, which end at ``fired_ends`` [F]; the firings of
        each step end at ``firing_ends`` [T]. ``expiry`` [S] was set for ``set_ids`` [S], each
        step's ending at ``set_ends`` [T]. ``bounds`` [T, 2]: first short-term id, next id.
        """
        return self._log.arrays()

    def frames(self) -> dict[str, dict[str, npt.NDArray[Any]]]:
        """All that is known as tables of columns, times counted from 0.

        ``engrams``: id, created, deleted (-1 while alive), duration, firings. ``firings``, those
        that `firings_per_time` tells: time, id, gain. ``steps``: time, made, fired, living,
        deleted.
        """
        ids, born, end = self._log.lives()
        times, firing_ids, gains = self._log.firings()
        steps = len(self)
        every = np.arange(steps)
        alive = np.bincount(born, minlength=steps) - np.bincount(end, minlength=steps + 1)[:steps]
        engrams = {
            "id": ids,
            "created": born,
            "deleted": np.where(end < steps, end, -1),
            "duration": end - born,
            "firings": np.bincount(np.searchsorted(ids, firing_ids), minlength=len(ids)),
        }
        table = {
            "time": every,
            "made": np.diff(self._log.made(), prepend=0),
            "fired": np.bincount(times, minlength=steps),
            "living": np.cumsum(alive),
            "deleted": np.bincount(end, minlength=steps + 1)[:steps],
        }
        firings = {"time": times, "id": firing_ids, "gain": gains}
        return {"engrams": engrams, "firings": firings, "steps": table}

    def to_pandas(self) -> dict[str, pandas.DataFrame]:
        """`frames` as data frames. Needs the extra ``viz``."""
        return {name: data_frame(columns) for name, columns in self.frames().items()}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all of it to ``path`` as an .npz file; there is no pickle in it."""
        parts = self.arrays() | (encode(self._summaries) if self._summaries else {})
        with atomic_write(path, overwrite=True) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **parts)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> HistoryManager:
        """Read what `save` wrote. Raises `StorageError` or `DamageError`.

        A ``.hist`` file of memoria-pytorch is refused: it is a pickle, which runs code when read.
        """
        try:
            with open(path, "rb") as file:
                if file.read(len(_GZIP)) == _GZIP:
                    raise DamageError(
                        f"{path}: a pickle of memoria-pytorch, which would run code when read",
                        "read it there, and give its summaries to add_summary() here",
                    )
            with zipfile.ZipFile(path) as archive:
                if archive.testzip() is not None:  # checksums, before anything is believed
                    raise ValueError("checksum")
            with np.load(path, allow_pickle=False) as file:
                return cls.from_arrays({name: file[name] for name in file.files})
        except OSError as error:
            raise StorageError(f"{path}: cannot read: {error.strerror or error}") from None
        except _UNSOUND:
            raise DamageError(f"{path}: not a history, or damaged") from None

    @classmethod
    def from_arrays(cls, parts: Mapping[str, npt.NDArray[Any]]) -> HistoryManager:
        """The history with these `arrays`. Raises ValueError where they do not fit together."""
        made = cls()
        made._log = _StepLog(_check_log(parts))
        if "told_times" in parts:
            made._summaries = decode(parts, len(made))
        return made

    def _lives(self) -> list[tuple[int, int, int]]:
        """(id, created, forgotten or the number of steps) of all that outlived their first step."""
        return list(zip(*(column.tolist() for column in self._log.lives()), strict=True))

    def _firings(self, engram: int | None = None) -> Iterator[Firing]:
        columns = (column.tolist() for column in self._log.firings(engram))
        return (Firing(*one) for one in zip(*columns, strict=True))


def _as_summary(summary: Any) -> EngramsInfo:
    if hasattr(summary, "status_summary"):
        lanes = summary.status_summary()
        if len(lanes) != 1:
            message = f"engrams of {len(lanes)} lanes: a history is of one"
            raise InputError(message, "iterate over them, with a history for each lane")
        summary = lanes[0]
    if not isinstance(summary, EngramsInfo):
        kind = type(summary).__name__
        raise InputError(f"a summary is {kind}", "give what Engrams.status_summary() returns")
    return summary


class _StepLog:
    """T steps, time t from 0. Ids below ``bounds[t, 0]`` are long-term memory after it, and
    ``bounds[t, 1]`` is the next id.
    """

    def __init__(self, parts: Mapping[str, npt.NDArray[Any]] | None = None) -> None:
        """``parts`` as of `arrays`."""
        none, parts = np.empty(0, np.int64), parts or {}
        self._fired = _Growing(parts.get("fired", none).astype(np.int32))
        self._fired_ends = _Growing(parts.get("fired_ends", none))
        self._firing_ends = _Growing(parts.get("firing_ends", none))
        self._set_ids = _Growing(parts.get("set_ids", none).astype(np.int32))
        self._set_ends = _Growing(parts.get("set_ends", none))
        self._expiry = _Growing(parts.get("expiry", np.empty(0)))
        bounds = parts.get("bounds", np.empty((0, 2), np.int64))
        self._known: tuple[int, tuple[IntArray, IntArray, IntArray]] | None = None
        self._short, self._made = _Growing(bounds[:, 0].copy()), _Growing(bounds[:, 1].copy())

    def __len__(self) -> int:
        return len(self._made)

    def record(
        self, firings: Sequence[IntArray], ids: IntArray, expiry: FloatArray, short: int, made: int
    ) -> None:
        """Append a step."""
        for one in firings:
            self._fired.append(one)
            self._fired_ends.append([len(self._fired)])
        self._firing_ends.append([len(self._fired_ends)])
        self._set_ids.append(ids)
        self._expiry.append(expiry)
        self._set_ends.append([len(self._set_ids)])
        self._short.append([short])
        self._made.append([made])

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All of it, for files: int64 but for ``expiry``."""
        return {
            "fired": self._fired.values.astype(np.int64),
            "fired_ends": self._fired_ends.values.copy(),
            "firing_ends": self._firing_ends.values.copy(),
            "set_ids": self._set_ids.values.astype(np.int64),
            "set_ends": self._set_ends.values.copy(),
            "expiry": self._expiry.values.copy(),
            "bounds": np.column_stack((self._short.values, self._made.values)),
        }

    def first_short(self, time: int) -> int:
        """Engrams before this one are long-term memory after the step."""
        return int(self._short.values[time])

    def made(self) -> IntArray:
        """Engrams ever made, after each step."""
        return self._made.values

    def lives(self) -> tuple[IntArray, IntArray, IntArray]:
        """(id, time made, time forgotten or T) of all that outlived the step they were made in."""
        steps = len(self)
        if steps == 0:
            return (np.empty(0, np.int64),) * 3
        if self._known is None or self._known[0] != steps:
            born = np.repeat(np.arange(steps), np.diff(self._made.values, prepend=0))
            state = fold(Lifespans.nothing(len(born)), self._settings(), steps)
            gone = state.gone()
            end = np.where(gone > 0, gone - 1, np.where(state.fires > 0, steps, 0))
            ids = np.flatnonzero(end > born)
            self._known = steps, (ids, born[ids], end[ids])
        return self._known[1]

    def living(self, time: int) -> tuple[IntArray, FloatArray, IntArray]:
        """(id, expiry, time made) of who lives after a step."""
        made = self._made.values[: time + 1]
        settings = self._settings().take(slice(0, int(self._set_ends.values[time])))
        expiry = fold(Lifespans.nothing(int(made[-1])), settings, time + 1).expiry
        ids = np.flatnonzero(is_alive(expiry, time + 1))
        return ids, expiry[ids], np.searchsorted(made, ids, side="right")

    def cofires(self, time: int, living: IntArray) -> FiringLog:
        """All firings up to a step, in ranks of the ``living``."""
        firings = int(self._firing_ends.values[time])
        ends = self._fired_ends.values[:firings]
        rank = np.full(int(self._made.values[time]) + 1, -1)
        rank[living] = np.arange(len(living))
        entries = self._fired.values[: int(ends[-1]) if firings else 0]
        firing = np.repeat(np.arange(firings), np.diff(ends, prepend=0))
        return FiringLog.of(rank[entries], firing)

    def firings(self, engram: int | None = None) -> tuple[IntArray, IntArray, FloatArray]:
        """(time, id, gain) of every firing after the one an engram is made with, by time and id.

        Once a step. With ``engram`` of this one alone.
        """
        ids, born, end = self.lives()
        fired, times = self._fired.values.astype(np.int64), self._fired_times()
        settings = self._settings()
        if engram is not None:
            of_engram = fired == engram
            fired, times = fired[of_engram], times[of_engram]
            settings = settings.take(settings.ids == engram)
        at = np.minimum(np.searchsorted(ids, fired), max(0, len(ids) - 1))
        is_later = np.zeros(len(fired), np.bool_)
        if len(ids):
            is_later = (ids[at] == fired) & (born[at] < times) & (end[at] > times)
        span = int(fired.max(initial=0)) + 1
        times, firing_ids = np.divmod(np.unique(times[is_later] * span + fired[is_later]), span)
        expiries = Expiries.of(settings, len(self))
        return times, firing_ids, expiries.gains(firing_ids, times + 1, np.ones_like(firing_ids))

    def _settings(self) -> Firings:
        """Every expiry that was set, as if by a firing; steps from 1."""
        times = np.repeat(np.arange(len(self)), np.diff(self._set_ends.values, prepend=0))
        return Firings(self._set_ids.values.astype(np.int64), times + 1, self._expiry.values)

    def _fired_times(self) -> IntArray:
        ends = np.append(0, self._fired_ends.values)[self._firing_ends.values]
        return np.repeat(np.arange(len(self)), np.diff(ends, prepend=0))


class _Growing:
    """Rows of one type, one behind the other."""

    def __init__(self, values: npt.NDArray[Any]) -> None:
        self._held, self._used = values, len(values)

    def __len__(self) -> int:
        return self._used

    @property
    def values(self) -> npt.NDArray[Any]:
        """What is there; a view."""
        return self._held[: self._used]

    def append(self, values: npt.ArrayLike) -> None:
        taken = np.asarray(values)
        end = self._used + len(taken)
        self._held = with_room(self._held, end)
        self._held[self._used : end] = taken
        self._used = end


def _check_log(given: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a `_StepLog` among ``given``; ValueError unless they fit together."""
    parts = {name: given[name] for name in _LOG}
    fired, fired_ends, firing_ends, ids, ends, expiry, bounds = parts.values()
    if any(part.dtype != (float if name == "expiry" else int) for name, part in parts.items()):
        raise ValueError("type")
    if any(part.ndim != 1 for name, part in parts.items() if name != "bounds"):
        raise ValueError("dimensions")
    short, made = bounds.reshape(-1, 2).T
    if bounds.shape != (len(made), 2) or not len(made) == len(ends) == len(firing_ends):
        raise ValueError("number of steps")
    lengths = ((fired_ends, fired), (firing_ends, fired_ends), (ends, ids))
    for reach, over in lengths:
        if (np.diff(reach, prepend=0) < 0).any() or len(over) != (reach[-1] if len(reach) else 0):
            raise ValueError("ends")
    if (np.diff(made, prepend=0) < 0).any() or (short < 0).any() or len(expiry) != len(ids):
        raise ValueError("bounds")
    if np.isnan(expiry).any():
        raise ValueError("expiry")
    fired_reach = np.append(0, fired_ends)[firing_ends]
    for named_ids, reach in ((fired, fired_reach), (ids, ends)):
        most = np.repeat(made, np.diff(reach, prepend=0))
        if ((named_ids < 0) | (named_ids >= most)).any():
            raise ValueError("ids")
    return parts
