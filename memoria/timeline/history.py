"""`HistoryManager`: the life of every engram of one lane, from a log of what each step changed.

A step is kept as who fired and whose expiry was set, some kilobytes, instead of a full summary;
what a summary would have said is worked out when somebody asks. Names as in `memoria-pytorch`;
time t is the t-th step, counted from 0.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import eq
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt
import torch

from memoria.core.engrams import Engrams
from memoria.errors import InputError
from memoria.io.data_frame import data_frame
from memoria.timeline.cofiring import FiringLog
from memoria.timeline.engram_type import EngramType
from memoria.timeline.history_files import check_log, read_parts, write_parts
from memoria.timeline.log import IntArray
from memoria.timeline.step_log import StepLog
from memoria.timeline.summary import EngramHistory, EngramInfo, EngramsInfo, Firing
from memoria.timeline.summary_codec import decoded, encoded

if TYPE_CHECKING:
    import pandas

__all__ = ["HistoryManager"]


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
        self._log = StepLog()
        self._told: dict[int, EngramsInfo] = {}

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
        self._log.record(firings, ids, expiry, first_short, next_id)

    def add_summary(self, summary: EngramsInfo | Engrams) -> None:
        """Append a step that is told by a summary, or by the engrams of one lane.

        Engrams seen first are made in it, whose fire count has grown fired, who is missing was
        forgotten. The whole summary is kept, as in memoria-pytorch: some hundred bytes for each
        engram and each connection, where a step of a memory with ``keep_history`` costs
        16 for each that fired. Raises `InputError` for new ids below earlier ones: they count
        upwards, and nobody comes back.
        """
        told = _as_summary(summary)
        time, made = len(self), int(self._log.made()[-1]) if len(self) else 0
        before = self[-1].engrams if time else {}
        new = [i for i in told.engrams if i not in before]
        if new and min(new) < made:
            message = f"engram {min(new)}: not in the summary before, and {made - 1} was made"
            raise InputError(message, "ids count upwards; a forgotten engram does not come back")
        fired, changed, expiry = [], [], []
        for id_, engram in told.engrams.items():
            was = before.get(id_)
            now = engram.lifespan + time + 1
            fires = engram.fire_count > (0 if was is None else was.fire_count)
            if fires:
                fired.append(id_)
            if fires or was is None or engram.lifespan != was.lifespan - 1 or now <= time + 1:
                changed.append(id_)
                expiry.append(max(now, float(np.nextafter(time + 1, np.inf))))  # it lives
        gone = [i for i in before if i not in told.engrams]
        made = max([made, *(i + 1 for i in told.engrams)])
        short = min([*told.working, *told.shortterm], default=made)
        short = max(short, self._log.first_short(time - 1) if time else 0)
        ids = np.array([*changed, *gone], np.int64)
        ends = np.array([*expiry, *[time + 1.0] * len(gone)])
        self._log.record([np.array(sorted(fired), np.int64)], ids, ends, short, made)
        self._told[time] = told

    def __len__(self) -> int:
        return len(self._log)

    @overload
    def __getitem__(self, time: int) -> EngramsInfo: ...
    @overload
    def __getitem__(self, time: slice) -> LazySummaries: ...
    def __getitem__(self, time: int | slice) -> EngramsInfo | LazySummaries:
        return self.summaries[time]

    def _summary(self, at: int) -> EngramsInfo:
        if at in self._told:
            return self._told[at]
        ids, expiry, born = self._log.living(at)
        counts = FiringLog(*self._log.log(at, ids)).rows(np.arange(len(ids)), len(ids))
        first = self._log.first_short(at)
        kinds = np.where(ids >= first, EngramType.SHORTTERM, EngramType.LONGTERM)
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
        who, first = np.unique(ids[order], return_index=True)
        found: dict[int, list[int]] = defaultdict(list)
        parts = np.split(times[order], first[1:])
        found.update((id_, part.tolist()) for id_, part in zip(who.tolist(), parts, strict=False))
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
        times, who, gains = self._log.firings()
        steps = len(self)
        every = np.arange(steps)
        alive = np.bincount(born, minlength=steps) - np.bincount(end, minlength=steps + 1)[:steps]
        engrams = {
            "id": ids,
            "created": born,
            "deleted": np.where(end < steps, end, -1),
            "duration": end - born,
            "firings": np.bincount(np.searchsorted(ids, who), minlength=len(ids)),
        }
        table = {
            "time": every,
            "made": np.diff(self._log.made(), prepend=0),
            "fired": np.bincount(times, minlength=steps),
            "living": np.cumsum(alive),
            "deleted": np.bincount(end, minlength=steps + 1)[:steps],
        }
        firings = {"time": times, "id": who, "gain": gains}
        return {"engrams": engrams, "firings": firings, "steps": table}

    def to_pandas(self) -> dict[str, pandas.DataFrame]:
        """`frames` as data frames. Needs the extra ``viz``."""
        return {name: data_frame(columns) for name, columns in self.frames().items()}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all of it to ``path`` as an .npz file; there is no pickle in it."""
        told = encoded(self._told) if self._told else {}
        write_parts(path, self.arrays() | told)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> HistoryManager:
        """Read what `save` wrote. Raises `StorageError` or `DamageError`."""
        return read_parts(path, cls.of_arrays)

    @classmethod
    def of_arrays(cls, parts: Mapping[str, npt.NDArray[Any]]) -> HistoryManager:
        """The history with these `arrays`. Raises ValueError where they do not fit together."""
        made = cls()
        made._log = StepLog(check_log(parts))
        if "told_times" in parts:
            made._told = decoded(parts, len(made))
        return made

    def _lives(self) -> list[tuple[int, int, int]]:
        """(id, created, forgotten or the number of steps) of all that outlived their first step."""
        return list(zip(*(column.tolist() for column in self._log.lives()), strict=True))

    def _firings(self, engram: int | None = None) -> Iterator[Firing]:
        columns = (column.tolist() for column in self._log.firings(engram))
        return (Firing(*one) for one in zip(*columns, strict=True))


def _as_summary(summary: object) -> EngramsInfo:
    if isinstance(summary, Engrams):
        lanes = summary.status_summary()
        if len(lanes) != 1:
            message = f"engrams of {len(lanes)} lanes: a history is of one"
            raise InputError(message, "iterate over them, with a history for each lane")
        summary = lanes[0]
    if not isinstance(summary, EngramsInfo):
        kind = type(summary).__name__
        raise InputError(f"a summary is {kind}", "give what Engrams.status_summary() returns")
    return summary
