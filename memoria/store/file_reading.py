"""Inputs read into a store: files, folders and texts, all of them or what has changed of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from memoria.backbones import Backbone, OptionValue, split_name
from memoria.backbones.streams import InputStream
from memoria.errors import InputError, MemoriaError
from memoria.io.files import Kind
from memoria.io.folders import Listing, is_of, list_inputs
from memoria.io.inputs import Piece, WorkingMemory
from memoria.io.progress import Progress, no_progress
from memoria.io.read_options import ReadOptions, as_options
from memoria.store.arguments import Delta
from memoria.store.distinct_units import DistinctUnits
from memoria.store.file_contents import FileContents
from memoria.store.kept_lines import KeptLines
from memoria.store.reading_recorder import ReadingRecorder
from memoria.store.store import MemoryStore
from memoria.store.syncing import Syncing

OnDelete = Literal["forget", "keep"]

_INDEX: Final = "index"  # what is derived from a store lies there


class FileReading:
    """What is read into a store, and what came of it.

    Args:
        store: open for writing; for reading it can be told only what would be read.
        inputs: files, folders, patterns and ``-``.
        sync: read only what the store does not hold yet, and forget or keep what its sources
            have no more; None: read everything.
        texts: texts themselves, read after the inputs.
        knows_texts: with ``sync``, pass over texts that were given at the same place before.
        dedup: pass over texts that repeat others, the same or nearly: see `DistinctUnits`.
        unit, wm_length, limit, backbone, loaded, run_options: as `InputStream` takes them.

    Attributes:
        listing: the inputs.
        stream: the working memories.
        syncing: what has changed; None: everything is read.
        distinct: what repeats others; None: everything is taken.
        is_done: everything has been stepped through.

    Raises:
        InputError: something is missing or unknown.
    """

    def __init__(
        self,
        store: MemoryStore,
        inputs: Sequence[str | os.PathLike[str]],
        sync: OnDelete | None = None,
        *,
        texts: Sequence[str] = (),
        knows_texts: bool = False,
        unit: str | ReadOptions | None = None,
        wm_length: int | None = None,
        limit: int | None = None,
        dedup: Literal["exact", "near"] | None = None,
        backbone: str | None = None,
        loaded: Backbone | None = None,
        **run_options: OptionValue | None,
    ) -> None:
        config = store.config
        self._store = store
        each_once = sync is not None and config.lanes == 1
        names = [os.fspath(one) for one in inputs]
        self.listing = list_inputs(names, str(store.path), each_once)
        self.listing.keep_kinds(_wanted_kinds(config.backbone, self.listing))
        self._empty = self.listing.empty_folders()
        if self._empty and sync is None:
            raise InputError(
                f"{self._empty[0]}: is a directory without anything to read",
                "`memoria step --help` tells what is passed over",
            )
        options = as_options(config.unit if unit is None else unit).key()
        self._contents = FileContents()
        self.syncing: Syncing | None = None
        if sync is not None:
            self._contents = FileContents(Path(store.path, _INDEX))
            self.syncing = Syncing(
                store.held_units(),
                self.listing,
                options,
                sync == "keep",
                self._contents,
                places=(store.files.attributes.place, os.path.realpath(store.path)),
                lanes=config.lanes,
                knows_text=self._is_known if knows_texts else None,
                omits_repeats=dedup is not None,
                kept_lines=KeptLines(Path(store.path, _INDEX), options),
            )
            named = [file.found for file in self.syncing.files]
        else:
            named = [one for one in self.listing.inputs if not (one.listed and _is_empty(one.path))]
        self.distinct = None
        if dedup is not None:
            self.distinct = DistinctUnits(store, self.syncing, dedup == "near")
        self.stream = InputStream(
            config,
            [one.name for one in named],
            texts=texts,
            unit=unit,
            wm_length=wm_length,
            limit=limit,
            choice=self.syncing if self.distinct is None else self.distinct,
            may_fail=[one.name for one in named if one.listed],
            may_be_none=bool(inputs),
            backbone=backbone,
            loaded=loaded,
            place=store.files.attributes.settings.backbone,
            **run_options,
        )
        self._recorder: ReadingRecorder | None = None
        self.is_done = False
        self._options = options

    def begin(self, progress: Progress = no_progress) -> int:
        """Look at all inputs, which finds their faults; returns how many steps they make."""
        total = self.stream.count(progress)
        self._recorder = ReadingRecorder(
            self._store, self.stream, self._options, self.syncing, self.distinct
        )
        if self.syncing is None and self._store.files.attributes.place is None:
            self._store.record_place()
        return total

    @property
    def recorder(self) -> ReadingRecorder:
        """What is stepped through, once it has begun."""
        assert self._recorder is not None
        return self._recorder

    def step(
        self,
        rule: Delta | None = None,
        *,
        progress: Progress | bool = False,
        total: int = 0,
        commit_every: float = 0.25,
        until: Callable[[], bool] = lambda: False,
    ) -> int:
        """Step through what is read, as `MemoryStore.step_stream`, until that is true."""
        self.is_done = False

        def memories() -> Iterator[WorkingMemory]:
            for memory in self.recorder:
                yield memory
                if until():
                    return
            self.is_done = True

        return self._store.step_stream(
            memories(),
            rule,
            progress=progress,
            total=total,
            commit_every=commit_every,
            before_commit=self.recorder.before_commit,
        )

    def finish(self) -> None:
        """Stage what has been read to its end, and forget what is there no more."""
        self.recorder.finish()
        self.stream.notices += [f"{name}: holds nothing to read" for name in self._empty]
        if self.distinct is not None:
            self.stream.notices += self.distinct.notices()
        if self.syncing is not None:  # from now on: what lay elsewhere has been found, or given up
            self._store.record_place()
            self.syncing.keep_lines()
        self._contents.save()

    @property
    def faults(self) -> dict[str, MemoriaError]:
        """What was found and could not be read, by its name."""
        before = {} if self.syncing is None else self.syncing.faults
        return {**self.listing.faults, **before, **self.stream.faults}

    def document(self) -> dict[str, Any]:
        """What has come of it so far, as JSON tells it."""
        document = self.recorder.document()
        if self.distinct is not None:
            document["duplicates"] = self.distinct.passed_over
        if self.syncing is None and not self.listing.scopes:
            return document
        return {
            **document,
            "forgotten": self.recorder.forgotten,
            "moved": 0 if self.syncing is None else self.syncing.moved,
            "files": self._count(),
            "unreadable": [
                {"name": name, "error": error.message} for name, error in self.faults.items()
            ],
        }

    def _count(self) -> dict[str, int]:
        if self.syncing is None:
            read = sum(bool(one.path) for one in self.listing.inputs)
            return {"read": read, "other": len(self.listing.others)}
        return {
            "read": sum(bool(file.found.path) for file in self.syncing.files),
            "unchanged": len(self.syncing.unchanged),
            "renamed": len(self.syncing.renamed),
            "vanished": len(self.syncing.vanished),
            "other": len(self.listing.others),
        }

    def _is_known(self, piece: Piece) -> bool:
        (engram,) = self._store.engrams_at([piece.place])
        return engram >= 0 and self._store.first_text(engram) == piece.text


def _wanted_kinds(backbone: str, listing: Listing) -> frozenset[Kind]:
    """Which kinds of files below a folder a store of this backbone reads."""
    if backbone == "array":
        return frozenset({"array"})
    if split_name(backbone)[0] == "hf":  # a model of texts, or of images
        found = [one.name for one in listing.inputs if one.listed]
        text = frozenset[Kind]({"text"})
        if found and not any(is_of(name, text) for name in found):
            return frozenset({"image"})
    return frozenset({"text"})


def _is_empty(path: str) -> bool:
    try:
        return os.path.getsize(path) == 0
    except OSError:
        return False
