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
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from operator import eq
from pathlib import Path
from typing import Any, Final, overload

import numpy as np
import numpy.typing as npt
import torch

from memoria.connections.firing_log import FiringLog, IntArray
from memoria.engram_type import EngramType
from memoria.engrams import Engrams
from memoria.errors import DamageError, InputError, StorageError
from memoria.summary import EngramHistory, EngramInfo, EngramsInfo, Firing

__all__ = ["HistoryManager"]

_Ids = npt.NDArray[np.int32]

_PARTS: Final = ("fired", "fired_ends", "firing_ends", "set_ids", "set_ends", "expiry", "bounds")

_UNSOUND: Final = (  # what zipfile and numpy raise for bytes that `save` never wrote
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
        self._firings: list[list[_Ids]] = []  # of each step: the ids of each firing
        self._ids: list[_Ids] = []  # of each step: whose expiry was set,
        self._expiry: list[npt.NDArray[np.float64]] = []  # and to what
        self._bounds: list[tuple[int, int]] = []  # of each step: first short-term id, next id

    def record(
        self,
        firings: Sequence[IntArray],
        ids: IntArray,
        expiry: npt.NDArray[np.float64],
        first_short: int,
        next_id: int,
    ) -> None:
        """Append a step: its firings (ids each), the expiry set for ``ids``, and what was made.

        Engrams before ``first_short`` are long-term memory after the step. ``ids`` may repeat: the
        last expiry stays, and an engram that fired gained what that is above the last but one.
        """
        self._firings.append([one.astype(np.int32) for one in firings])  # half the memory
        self._ids.append(ids.astype(np.int32))
        self._expiry.append(expiry)
        self._bounds.append((first_short, next_id))

    def __len__(self) -> int:
        return len(self._bounds)

    @overload
    def __getitem__(self, time: int) -> EngramsInfo: ...
    @overload
    def __getitem__(self, time: slice) -> LazySummaries: ...
    def __getitem__(self, time: int | slice) -> EngramsInfo | LazySummaries:
        return self.summaries[time]

    def _summary(self, at: int) -> EngramsInfo:
        ids, expiry, born = self._living(at)
        counts = FiringLog(*self._log(at, ids)).rows(np.arange(len(ids)), len(ids))
        kinds = np.where(ids >= self._bounds[at][0], EngramType.SHORTTERM, EngramType.LONGTERM)
        engrams = Engrams(
            data=torch.zeros(1, len(ids), 0),
            induce_counts=torch.from_numpy(counts)[None],
            engrams_types=torch.from_numpy(kinds)[None],
            lifespan=torch.from_numpy(expiry - (at + 1))[None],
            age=torch.from_numpy(at + 1 - born)[None],
            engram_ids=torch.from_numpy(ids)[None],
            track_age=True,
            track_engram_id=True,
        )
        return engrams.status_summary()[0]

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
        """Each engram as it was last seen alive."""
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
        births = self.engram_creation_times
        ends = self.engram_deletion_times
        held: dict[int, float] = {}
        out: list[list[Firing]] = []
        for time, firings in enumerate(self._firings):
            before = {int(i): held.get(int(i), 0.0) for one in firings for i in one}
            for id_, expiry in zip(
                self._ids[time].tolist(), self._expiry[time].tolist(), strict=True
            ):
                if id_ in before:
                    before[id_] = held.get(id_, 0.0)
                held[id_] = expiry
            out.append(
                [
                    Firing(time, id_, held[id_] - before[id_])
                    for id_ in sorted(before)
                    if births.get(id_, time) < time and ends.get(id_, time + 1) > time
                ]
            )
        return out

    @property
    def engram_firings(self) -> dict[int, list[Firing]]:
        """The same by engram; those that never fired again are not there."""
        found: dict[int, list[Firing]] = {}
        for firings in self.firings_per_time:
            for firing in firings:
                found.setdefault(firing.engram_id, []).append(firing)
        return found

    @property
    def engram_firing_times(self) -> dict[int, list[int]]:
        """When each engram fired after its creation."""
        return {id_: [f.timestep for f in fired] for id_, fired in self.engram_firings.items()}

    @property
    def engram_fire_counts(self) -> dict[int, int]:
        """How often each engram fired after its creation."""
        return {id_: len(fired) for id_, fired in self.engram_firings.items()}

    def inspect(self, engram_id: int) -> EngramHistory:
        """The life of one engram. Raises `InputError` for one that never was."""
        births = self.engram_creation_times
        if not isinstance(engram_id, int | np.integer) or engram_id not in births:
            known = f"{min(births)} to {max(births)}" if births else "none yet"
            raise InputError(f"engram = {engram_id!r}: there is none", f"the ids are {known}")
        born, end = births[engram_id], self.engram_deletion_times.get(engram_id)
        firings = self.engram_firings.get(engram_id, [])
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
        fired = [one for step in self._firings for one in step]
        return {
            "fired": _joined(fired, np.int64),
            "fired_ends": np.cumsum([len(one) for one in fired], dtype=np.int64),
            "firing_ends": np.cumsum([len(step) for step in self._firings], dtype=np.int64),
            "set_ids": _joined(self._ids, np.int64),
            "set_ends": np.cumsum([len(ids) for ids in self._ids], dtype=np.int64),
            "expiry": _joined(self._expiry, np.float64),
            "bounds": np.array(self._bounds, np.int64).reshape(-1, 2),
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the log to ``path`` as an .npz file; there is no pickle in it."""
        arrays = self.arrays()
        aside = Path(f"{os.fspath(path)}.part")  # what is at the path stays until all is written
        try:
            with aside.open("wb") as file:
                np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
            aside.replace(path)
        except OSError as error:
            if aside.is_file():
                aside.unlink()
            raise StorageError(f"{path}: cannot write: {error.strerror or error}") from None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> HistoryManager:
        """Read what `save` wrote. Raises `StorageError` or `DamageError`."""
        made = cls()
        try:
            with zipfile.ZipFile(path) as archive:
                if archive.testzip() is not None:  # checksums, before anything is believed
                    raise ValueError("checksum")
            with np.load(path, allow_pickle=False) as file:
                parts = {name: file[name] for name in _PARTS}
            _check(parts)
            fired, fired_ends, firing_ends, ids, ends, expiry, bounds = parts.values()
            firings = np.split(fired.astype(np.int32), fired_ends[:-1]) if len(fired_ends) else []
            made._firings = [firings[a:b] for a, b in pairwise([0, *firing_ends.tolist()])]
            made._ids = np.split(ids.astype(np.int32), ends[:-1]) if len(ends) else []
            made._expiry = np.split(expiry, ends[:-1]) if len(ends) else []
            made._bounds = [(int(short), int(next_id)) for short, next_id in bounds]
        except OSError as error:
            raise StorageError(f"{path}: cannot read: {error.strerror or error}") from None
        except _UNSOUND:
            raise DamageError(f"{path}: not a history, or damaged") from None
        return made

    def _lives(self) -> list[tuple[int, int, int]]:
        """(id, created, forgotten or the number of steps) of all that outlived their first step."""
        if not self._bounds:
            return []
        born = np.repeat(
            np.arange(len(self)), np.diff([next_id for _, next_id in self._bounds], prepend=0)
        )
        end = np.zeros(len(born), np.int64)
        for time, (ids, expiry) in enumerate(zip(self._ids, self._expiry, strict=True)):
            # dead at the first step whose number its expiry does not exceed
            end[ids] = np.maximum(np.ceil(np.minimum(expiry, 2.0**62)) - 1, time)
        end = np.minimum(end, len(self))
        rows = zip(range(len(born)), born.tolist(), end.tolist(), strict=True)
        return [(id_, made, gone) for id_, made, gone in rows if gone > made]

    def _living(self, at: int) -> tuple[IntArray, npt.NDArray[np.float64], IntArray]:
        """Ids, expiry and step of creation of who lives after step ``at``."""
        made = np.array([next_id for _, next_id in self._bounds[: at + 1]])
        expiry = np.zeros(int(made[-1]))
        for changed, values in zip(self._ids[: at + 1], self._expiry[: at + 1], strict=True):
            expiry[changed] = values
        ids = np.flatnonzero(expiry > at + 1)
        return ids, expiry[ids], np.searchsorted(made, ids, side="right")

    def _log(self, at: int, living: IntArray) -> tuple[IntArray, IntArray]:
        """Entries and starts, in ranks of the living, of all firings up to step ``at``."""
        fired = [one for step in self._firings[: at + 1] for one in step]
        rank = np.full(self._bounds[at][1] + 1, -1)
        rank[living] = np.arange(len(living))
        kept = [rank[one][rank[one] >= 0] for one in fired]
        sizes = np.array([len(one) for one in kept], np.int64)
        return _joined(kept, np.int64), np.cumsum(sizes) - sizes


def _joined(
    parts: Sequence[npt.NDArray[np.generic]], dtype: npt.DTypeLike
) -> npt.NDArray[np.int64]:
    joined: npt.NDArray[np.int64] = np.concatenate([np.empty(0, dtype), *parts]).astype(dtype)
    return joined


def _check(parts: dict[str, npt.NDArray[Any]]) -> None:
    """Raise ValueError unless the parts fit together."""
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
    for who, reach in ((fired, fired_reach), (ids, ends)):
        most = np.repeat(made, np.diff(reach, prepend=0))
        if ((who < 0) | (who >= most)).any():
            raise ValueError("ids")
