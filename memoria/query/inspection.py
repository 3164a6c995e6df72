"""`Inspection`: one committed state of a store, read as plain documents.

Its methods return what `memoria inspect --json` prints. Steps are numbered from 1. Nothing here
changes a store, and nothing loads torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.chunkstore.root import FORMAT
from memoria.errors import InputError
from memoria.io.progress import Progress, progress_bar
from memoria.query.documents import iso_time, iso_times, records
from memoria.query.engram_record import engram_record, step_records
from memoria.query.engram_table import FIELDS, TYPE_NAMES, EngramTable
from memoria.query.listing import EngramFilter, Listing, Order, list_engrams
from memoria.store.attributes import Snapshot
from memoria.store.digest import common_steps, current_digest
from memoria.store.firings import Endings, endings, read_firings
from memoria.store.life import StepTable, fold, lane_logs
from memoria.store.memory_files import MemoryFiles
from memoria.store.reading import check_lane, open_files
from memoria.store.schema import EDGES_PER_ENGRAM, EventColumn
from memoria.store.texts import StoredTexts
from memoria.timeline.cofiring import FiringLog
from memoria.timeline.engram_type import LIVING_TYPES, EngramType
from memoria.timeline.log import EventKind, Firings, IntArray

COUNTED_PAIRS: Final = 1e7  # above so many pairs in the log, counting takes too long
_BINS: Final = 12
_LISTED: Final = (*FIELDS[: FIELDS.index("pinned") + 1], "text")
_LIVING: Final = EngramFilter()


class Inspection:
    """One committed state of a store: ``with Inspection.open(path) as view: view.summary()``.

    A writer may go on meanwhile; this stays with the state it opened. ``lane`` limits a method to
    one lane, ``limit`` to so many records; None means all.

    Attributes:
        at: the snapshot or step that was asked for; None: the present.
        config: the memory's settings.
        steps: what each finished step left behind.
        life: the living engrams.
    """

    def __init__(self, files: MemoryFiles, at: int | str | None = None) -> None:
        self._files = files
        self.at = at
        self.config = files.config
        self.steps = StepTable.read(files)
        self.life = fold(files, self.config, self.steps)
        self._stored_texts = StoredTexts(files)

    @classmethod
    def open(cls, path: str | os.PathLike[str], at: int | str | None = None) -> Inspection:
        """Open a store for reading.

        Args:
            path: the store, a directory, archive or URL.
            at: the name of a snapshot or the number of a finished step; None: the present.

        Raises:
            StoreNotFoundError: no store is there.
            OtherFormatError: it has another format.
            DamageError: it is damaged.
            StorageError: it cannot be read.
        """
        files = open_files(path, at)
        try:
            return cls(files, at)
        except BaseException:
            files.close()
            raise

    def close(self) -> None:
        """Release the store."""
        self._files.close()

    def __enter__(self) -> Inspection:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def created(self) -> int:
        """Engrams ever created; their ids are 0 to this less one."""
        return self._files.created

    @property
    def compacted_steps(self) -> int:
        """The first steps whose forgotten engrams compaction may have removed."""
        return min(self._files.attributes.era.step, self.step)  # a snapshot may be from before it

    @property
    def path(self) -> Path:
        """The store's directory."""
        return self._files.path

    @property
    def name(self) -> str:
        """The store as messages name it: its path, or where it lies elsewhere."""
        return self._files.name

    @property
    def phase(self) -> str:
        """``idle``, or how far the step begun is."""
        return self.life.pending.phase

    @cached_property
    def digest(self) -> str:
        """The sha256 of this state."""
        return current_digest(self._files, self.config.lanes)

    @property
    def step(self) -> int:
        """Steps finished."""
        return self.life.step

    def common_steps(self, other: Inspection) -> int:
        """Steps that both memories began with; 0 if their settings differ."""
        return common_steps(self._files, other._files)

    def events(self) -> IntArray:
        """What was done by hand between steps, [E, 3]: (finished steps, kind, engram)."""
        if self._files.events == 0:
            return np.empty((0, 3), np.int64)
        return self._files.event_rows()[:, : EventColumn.TIME]

    @property
    def snapshots(self) -> Mapping[str, Snapshot]:
        """The snapshots of the store, by name; in the past those of today."""
        return MappingProxyType(self._files.attributes.snapshots)

    @cached_property
    def pairs(self) -> float:
        """Pairs of living engrams in the log, with repeats: the cost of finding connections."""
        return float(sum(log.pair_count() for log in self.logs))

    def summary(self) -> dict[str, Any]:
        """Counts, size and digest.

        ``engrams`` counts the living, ``forgotten`` the other created ones. ``connections`` counts
        the directed pairs of living engrams that fired together; None if `pairs` exceeds
        `COUNTED_PAIRS`. ``bytes`` is the size of the files; with ``at``, of the rows up to there.
        """
        life, config = self.life, self.config
        times = self.steps.times().tolist()
        return {
            "path": self.name,
            "at": self.at,
            "format": FORMAT,
            "step": life.step,
            "phase": self.phase,
            "config": config.model_dump(mode="json"),
            "lanes": self._lanes(),
            "engrams": len(life.ids),
            "connections": (
                sum(log.connected_pairs() for log in self.logs)
                if self.pairs <= COUNTED_PAIRS
                else None
            ),
            "bytes": self._bytes(),
            "digest": self.digest,
            "first_step_time": iso_time(times[0]) if times else None,
            "last_step_time": iso_time(times[-1]) if times else None,
        }

    def histograms(self, lane: int | None = None) -> dict[str, list[dict[str, float]]]:
        """Histograms of ``lifespan`` and ``age`` of the living engrams, in steps.

        Bins of equal width hold ``from`` <= value < ``to``, the last one its end too.
        """
        in_lane = self._in_lane(lane)
        return {
            "lifespan": _histogram(self.life.lifespan()[in_lane]),
            "age": _histogram((self.life.step - self.life.born[in_lane]).astype(np.float64)),
        }

    def engram_list(
        self, limit: int | None = None, lane: int | None = None
    ) -> list[dict[str, Any]]:
        """The living engrams by id, the oldest first; ``index`` is the rank in the lane."""
        chosen = self.table().take(np.flatnonzero(self._in_lane(lane))[:limit])
        return [{key: one[key] for key in _LISTED} for one in chosen.documents(self._stored_texts)]

    def table(self, forgotten: bool = False) -> EngramTable:
        """The living engrams as columns; with ``forgotten``, all engrams that ever were."""
        living = EngramTable.living(self.life, self.steps)
        if not forgotten:
            return living
        return living.joined(EngramTable.forgotten(self.endings, self.steps, self.config.lanes))

    def documents(self, table: EngramTable) -> list[dict[str, Any]]:
        """The rows of ``table`` as records with their texts."""
        return table.documents(self._stored_texts)

    def columns(self, table: EngramTable) -> dict[str, npt.NDArray[Any] | list[Any]]:
        """The values of `documents` by field."""
        return table.columns(self._stored_texts)

    def listing(
        self,
        matching: EngramFilter = _LIVING,
        order: Order = "id",
        reverse: bool = False,
        limit: int | None = None,
    ) -> Listing:
        """The engrams that pass a filter, by ``order``, at most ``limit`` of them."""
        check_lane(matching.lane, self.config.lanes)
        table = self.table(forgotten=matching.kind in ("forgotten", "all"))
        return list_engrams(
            table, self._stored_texts, self.life.step, matching, order, reverse, limit
        )

    def edges(
        self, limit: int | None = None, lane: int | None = None, progress: Progress | bool = False
    ) -> list[dict[str, Any]]:
        """The strongest connections: by weight, then count, then from the oldest source, target.

        ``weight = cofire_count / fire count of the source``. Without ``limit`` every engram's 64
        strongest. ``progress`` counts the engrams whose connections are known.
        """
        check_lane(lane, self.config.lanes)
        chosen = range(self.config.lanes) if lane is None else [lane]
        parts, done = [], 0
        with progress_bar(progress, "connections of", "engrams") as show:
            for one in chosen:
                for block in self._edges(one, limit):
                    parts.append(_strongest(block, limit))
                    done += len(np.unique(block[0]))
                    show(done, len(self.life.ids))
        if not parts or limit == 0:
            return []
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        source, target, count, weight = _strongest(columns, limit)
        return records(
            {
                "source": source,
                "target": target,
                "lane": source % self.config.lanes,
                "weight": weight,
                "cofire_count": count,
            }
        )

    def edge_blocks(self, lane: int, most: int) -> Iterator[tuple[npt.NDArray[Any], ...]]:
        """Every engram's ``most`` strongest connections, in batches; there may be many.

        Yields:
            (source, target, co-fire count, weight), [N] each, by source, from the strongest.
        """
        in_lane = self.life.of_lane(lane)
        ids, fires = self.life.ids[in_lane], self.life.fires[in_lane]
        for source, target, count in self.logs[lane].edges(len(ids), most):
            yield ids[source], ids[target], count, count / fires[source]

    def _edges(self, lane: int, limit: int | None) -> Iterator[tuple[npt.NDArray[Any], ...]]:
        """Blocks as of `edge_blocks`, among them the ``limit`` strongest of the lane."""
        if limit is None:
            yield from self.edge_blocks(lane, EDGES_PER_ENGRAM)
            return
        in_lane = self.life.of_lane(lane)
        ids, fires = self.life.ids[in_lane], self.life.fires[in_lane]
        found = self.logs[lane].strongest(fires, limit)
        if found is None:
            yield from self.edge_blocks(lane, limit)
        else:
            source, target, count = found
            yield ids[source], ids[target], count, count / fires[source]

    def history(self, limit: int | None = None, lane: int | None = None) -> list[dict[str, Any]]:
        """What each finished step did, oldest first; with ``limit`` the last so many.

        ``added``, ``fired`` (the added ones and the ``reminded``), ``forgotten`` at its end, and
        how many were ``living`` after it; None where compaction removed what is needed to know.
        """
        check_lane(lane, self.config.lanes)
        steps = step_records(
            self.firings, self.endings, self.steps, self.life, lane, self.compacted_steps
        )
        return steps if limit is None else steps[max(0, len(steps) - limit) :]

    def forgotten_list(
        self, limit: int | None = None, lane: int | None = None
    ) -> list[dict[str, Any]]:
        """The forgotten engrams, the last first, with the ``step`` at whose end each went.

        ``by_hand`` says that it was forgotten by hand, after that step.
        """
        table = EngramTable.forgotten(self.endings, self.steps, self.config.lanes)
        order = np.lexsort((-table.ids, -table.forgotten_step))
        check_lane(lane, self.config.lanes)
        if lane is not None:
            order = order[table.lanes[order] == lane]
        table = table.take(order[:limit])
        events = self.firings.events.of_kind(EventKind.FORGET)
        by_hand = np.isin(table.ids, events.ids)
        times = self.steps.times()[table.forgotten_step - 1]
        at = np.argsort(events.ids)
        times[by_hand] = events.times[at][np.searchsorted(events.ids[at], table.ids[by_hand])]
        return records(
            {
                "id": table.ids,
                "lane": table.lanes,
                "step": table.forgotten_step,
                "time": iso_times(times),
                "age": table.age,
                "fire_count": table.fires,
                "by_hand": by_hand,
                "text": self._stored_texts.texts(table.ids),
            }
        )

    def engram(self, engram: int) -> dict[str, Any]:
        """The life of one engram, forgotten ones too. Raises `InputError` for an unknown id.

        Of ``firings`` the first is its creation, and its ``gain`` the lifespan it began with.
        ``outgoing`` and ``incoming`` are its ten strongest connections with living engrams; for
        a forgotten one, with any that ever fired with it.
        """
        if not 0 <= engram < self.created:
            last = self.created - 1
            known = f"the ids are 0 to {last}" if self.created else "the store has no engrams yet"
            raise InputError(f"engram = {engram}: there is none", known)
        table = self.table(forgotten=True)
        row = table.take(table.ids == engram)
        if len(row) == 0:
            raise InputError(f"engram {engram}: compaction has removed it")
        return engram_record(
            row, self.firings, self.endings, self.steps, self.life, self._stored_texts
        )

    def texts(self, ids: list[int]) -> list[str | None]:
        """The texts of engrams, forgotten ones too; None where there is none."""
        return self._stored_texts.texts(np.array(ids, np.int64))

    def vectors(self, ids: IntArray) -> npt.NDArray[np.float32]:
        """The vectors [n, D] of engrams."""
        return self._files.vectors(ids)

    @cached_property
    def firings(self) -> Firings:
        """Every firing in the log, of the running step too."""
        return read_firings(self._files, self.steps, self.life)

    @cached_property
    def endings(self) -> Endings:
        """What became of every engram ever created."""
        return endings(self.firings, self.created, self.step)

    @cached_property
    def logs(self) -> list[FiringLog]:
        """What fired together, lane by lane, in ranks among the lane's living engrams."""
        return lane_logs(self._files, self.steps, self.life)

    def _bytes(self) -> int:
        if self._files.is_past:
            return self._files.stored_bytes()
        return self._files.store.total_bytes()

    def _lanes(self) -> list[dict[str, int]]:
        life, kinds = self.life, len(EngramType)
        cells = life.ids % life.lanes * kinds + life.types
        counts = np.bincount(cells, minlength=life.lanes * kinds).reshape(life.lanes, kinds)
        return [
            {
                "lane": lane,
                **{TYPE_NAMES[kind]: row[kind] for kind in LIVING_TYPES},
                "forgotten": life.next_id - sum(row),
            }
            for lane, row in enumerate(counts.tolist())
        ]

    def _in_lane(self, lane: int | None) -> npt.NDArray[np.bool_]:
        check_lane(lane, self.config.lanes)
        return np.ones(len(self.life.ids), np.bool_) if lane is None else self.life.of_lane(lane)


def _strongest(columns: Sequence[npt.NDArray[Any]], limit: int | None) -> list[npt.NDArray[Any]]:
    source, target, count, weight = columns
    best = np.lexsort((target, source, -count, -weight))[:limit]
    return [column[best] for column in columns]


def _histogram(values: npt.NDArray[np.float64]) -> list[dict[str, float]]:
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return []
    low, high = np.floor(finite.min()), np.floor(finite.max()) + 1
    width = max(1.0, float(np.ceil((high - low) / _BINS)))
    ends = low + width * np.arange(int(np.ceil((high - low) / width)) + 1)
    counts: IntArray = np.histogram(finite, ends)[0]
    return records({"from": ends[:-1], "to": ends[1:], "count": counts})
