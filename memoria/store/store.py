"""`MemoryStore`: a memory on disk that many processes can step, one after another."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from contextlib import closing
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from memoria.chunkstore.files import StoreFiles
from memoria.config import MemoriaConfig
from memoria.core.arrays import ArrayOps
from memoria.errors import InputError, ShapeError, StateError
from memoria.io.inputs import WorkingMemory
from memoria.io.progress import Progress, progress_bar
from memoria.store.arguments import (
    Data,
    Delta,
    Metas,
    Places,
    Texts,
    Times,
    as_cue,
    as_gains,
    by_row,
    check_delta,
)
from memoria.store.attributes import Pending, Snapshot, StateHead, StoreAttributes
from memoria.store.confirmed_cues import ConfirmedCue, confirmed_cues
from memoria.store.deferred_signals import deferred_signals
from memoria.store.digest import (
    chain_start,
)
from memoria.store.edits import are_alive, displaced_ids, revise
from memoria.store.events import checked_ids
from memoria.store.frames import engram_columns, to_arrow, to_pandas, to_xarray
from memoria.store.held_units import HeldUnits
from memoria.store.memory_files import MemoryFiles
from memoria.store.open_memory import IDLE, OpenMemory
from memoria.store.payloads import Meta, encode_cue, encode_revision
from memoria.store.reading import named, open_files
from memoria.store.reminded import (
    Reminded,
    answer,
    as_pending,
    log_order,
    padded_ids,
    positions_of_ids,
)
from memoria.store.schema import array_specs
from memoria.store.snapshots import new_snapshot
from memoria.store.sources import (
    Reading,
    Unit,
    UnitRows,
    encode_rows,
    read_readings,
    read_units,
    stage_reading,
    unit_rows,
)
from memoria.store.texts import Place
from memoria.store.vector_codec import decode_vectors, encode_vectors
from memoria.timeline.log import EventKind, IntArray

if TYPE_CHECKING:
    import pandas
    import pyarrow
    import xarray

    from memoria.backbones.base import Backbone
    from memoria.store.answers import Answers
    from memoria.store.asking import Asking, Question


class MemoryStore:
    """A memory in a directory: plain Zarr, changed by atomic durable commits.

    ``add`` -> ``remind`` -> ``adjust`` is one step. Nothing is written before `commit`; leaving a
    ``with`` block without an error commits, leaving it with one drops what was not committed. One
    writer at a time, any number of readers.
    """

    def __init__(self, files: MemoryFiles, device: str | None = None) -> None:
        self._memory = OpenMemory(files, None if device is None else _torch_ops(device))

    @classmethod
    def create(cls, path: str | os.PathLike[str], config: MemoriaConfig) -> MemoryStore:
        """A new store, open for writing.

        Args:
            path: where nothing is yet, or an empty directory.
            config: what the memory is.

        Raises:
            StoreExistsError: something is at ``path``.
            StateError: this version cannot keep to ``config``.
            StorageError: the system refuses.
        """
        values, settings = StoreAttributes.of_config(config)
        _check_known(config)
        attributes = StoreAttributes(
            config=values,
            settings=settings,
            step=0,
            pending=IDLE,
            digest=chain_start(values).hex(),
            state=StateHead(),
        )
        specs = array_specs(config)
        return cls(MemoryFiles(StoreFiles.create(path, specs, attributes.document())))

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        mode: Literal["r", "r+"] = "r",
        at: int | str | None = None,
        device: str | None = None,
    ) -> MemoryStore:
        """The store at ``path``.

        Args:
            path: a directory; to be read only also an archive or an ``s3://`` URL.
            mode: ``"r"`` reads the state committed now, ``"r+"`` steps it.
            at: opens the past for reading: a snapshot by its name, a finished step by its number.
            device: such as ``"cuda"``: all that lives is held there, and steps run on torch.

        Raises:
            StoreNotFoundError: there is no store.
            StoreLockedError: with ``"r+"``, somebody else writes to it.
            OtherFormatError: another version made it.
            DamageError: its files are not what the root says.
            InputError: there is no such snapshot or step.
        """
        files = open_files(path, at, mode)
        try:
            return cls(files, device)
        except BaseException:
            files.close()
            raise

    @property
    def path(self) -> Path:
        """The store's directory."""
        return self.files.path

    @property
    def files(self) -> MemoryFiles:
        """The arrays, staged rows too: to look on, never to change them."""
        return self._memory.files

    @property
    def mode(self) -> str:
        """``"r"`` or ``"r+"``."""
        return self.files.mode

    @property
    def config(self) -> MemoriaConfig:
        """The configuration it was created with."""
        return self._memory.config

    @property
    def timestep(self) -> int:
        """Steps finished."""
        return self._memory.steps

    @property
    def phase(self) -> str:
        """``idle`` between steps, ``working`` after `add`, ``reminded`` after `remind`."""
        return self._memory.pending.phase

    def digest(self) -> str:
        """sha256 of the state, the same on every machine and however steps were committed."""
        return self._memory.digest()

    def __repr__(self) -> str:
        try:
            made, step = self.files.created, self.timestep
        except StateError:
            return f"MemoryStore({os.fspath(self.path)!r}, closed)"
        begun = "" if self.phase == "idle" else f", {self.phase}"
        how = "for writing" if self.mode == "r+" else "for reading"
        return (
            f"MemoryStore({os.fspath(self.path)!r}, step {step}{begun}, {made} engrams made, "
            f"backbone {self.config.backbone}, open {how})"
        )

    def _repr_html_(self) -> str:
        """The store as a notebook shows it: what it is, and the engrams made last."""
        from memoria.io.notebook import SHOWN_ROWS, html_table

        try:
            columns = engram_columns(self.files, self._memory.pending)
        except StateError:
            return html_table(repr(self), (), ())
        names = ("id", "type", "lifespan", "text", "source", "time")
        last = slice(None, -SHOWN_ROWS - 1, -1)
        rows = zip(*(list(columns[name])[last] for name in names), strict=True)
        return html_table(repr(self), names, rows, len(columns["id"]) - SHOWN_ROWS)

    def to_pandas(self) -> pandas.DataFrame:
        """The living engrams as a data frame, the id as its index. Needs the extra ``viz``."""
        return to_pandas(self.files, self._memory.pending)

    def to_arrow(self, vectors: bool = False) -> pyarrow.Table:
        """The living engrams as an Arrow table, with their vectors. Needs ``parquet``."""
        return to_arrow(self.files, self._memory.pending, vectors)

    def to_xarray(self) -> xarray.Dataset:
        """The vectors of the living engrams, and what stands beside them. Needs ``xarray``."""
        return to_xarray(self.files, self._memory.pending)

    @property
    def backbone(self) -> Backbone:
        """The backbone that encodes for this store, loaded when it is first needed."""
        return self._asking.backbone

    def take_over(self, other: MemoryStore, with_texts: bool = True) -> None:
        """Keep what another opening of the same store has loaded for `ask`: its backbone.

        Args:
            other: the other opening.
            with_texts: its index of texts too, and ``other`` is not asked any more.
        """
        if "_asking" in other.__dict__:
            self.__dict__["_asking"] = other._asking.reopened(self.files, with_texts)

    def last_offset(self, source: str) -> int | None:
        """The greatest character offset ever remembered from ``source``; None if nothing was."""
        return self._memory.texts.last_offset(source)

    def add(
        self,
        data: Data,
        texts: Texts | None = None,
        places: Places | None = None,
        times: Times | None = None,
        meta: Metas | None = None,
    ) -> IntArray:
        """Make vectors working memory; called again before `remind`, it adds to them.

        Args:
            data: [B, W, D], or [W, D] with one lane; rounded to the configuration's
                ``vector_dtype``.
            texts: texts that stay beside the engrams, [B][W] (or [W]); None: no text.
            places: (source, offset in characters) of each.
            times: each engram's own time, milliseconds since 1970-01-01 UTC.
            meta: an object of JSON values for each, at most 64 KiB as JSON.

        Returns:
            Ids of the new engrams, int64 [B, W].
        """
        self._memory.check_writable()
        _check_known(self.config)
        if self.phase == "reminded":
            raise StateError("the step has been reminded already", "adjust first")
        taken = as_cue(self.config, data)
        lanes, count, dimension = taken.shape
        named = {"texts": texts, "places": places, "times": times, "meta": meta}
        beside = [by_row(values, lanes, count, name) for name, values in named.items()]
        core, lifespans = self._memory.core, self._memory.lifespans
        first = self.files.created
        rows = taken.swapaxes(0, 1).reshape(count * lanes, dimension)
        stored = encode_vectors(rows, self.config.vector_dtype)
        self._memory.texts.stage(first, *beside)
        for name, values in stored.items():
            self.files.append(name, values)
        if self.config.vector_dtype != "float32":
            rounded = decode_vectors(stored["vectors"], stored.get("scales"))
            taken = rounded.reshape(count, lanes, dimension).swapaxes(0, 1)
        by_lane: Any = None
        known: tuple[float, ...] = self._memory.pending.expiry
        if lifespans is not None:
            expiry = lifespans.expiry(self.timestep, beside[0])
            by_lane = core.ops.array(expiry.reshape(count, lanes).T)
            known += tuple(expiry.tolist())
        core.add(core.ops.array(taken), by_lane)
        self._memory.pending = Pending(phase="working", expiry=known)
        return np.arange(first, first + count * lanes).reshape(count, lanes).T

    def remind(self) -> Reminded:
        """Remind with the working memory and let everything fire; a second call repeats the answer.

        Returns:
            What came back, of each lane: ids and indices [B, R], -1 pads.

        Raises:
            StateError: there is no working memory, or the store is open for reading.
        """
        self._memory.check_writable()
        if self.phase == "idle":
            raise StateError("there is no working memory", "add something first")
        if self.phase == "working":
            self._fire()
        return answer(self._memory.core, self._memory.texts, self._memory.pending)

    def _fire(self) -> None:
        """Recall with the working memory, and let it all fire together."""
        core = self._memory.core
        found = core.recall()
        core.fire(found)
        self._memory.pending = as_pending(core, found, self._memory.pending.expiry)

    def peek(self, cue: Data | None = None) -> Reminded:
        """What a cue would bring back; changes nothing, and works in a store opened for reading.

        Args:
            cue: [B, W, D], or [W, D] with one lane; None: the working memory.

        Returns:
            As `remind`.

        Raises:
            StateError: there is neither a cue nor a working memory.
            ShapeError: the cue does not fit the memory.
        """
        core = self._memory.core
        if cue is None and core.working_positions().shape[1] == 0:
            raise StateError("there is no working memory to ask with", "give a cue")
        taken = None if cue is None else as_cue(self.config, cue)
        asked = None if taken is None else core.ops.array(taken)
        return answer(core, self._memory.texts, as_pending(core, core.recall(asked)))

    @cached_property
    def _asking(self) -> Asking:
        from memoria.store.asking import Asking

        return Asking(self.files)

    def ask(
        self,
        question: Question,
        top: int = 10,
        *,
        context: int = 0,
        lane: int | None = None,
        sources: Sequence[str] | None = None,
        since: int | None = None,
        until: int | None = None,
        types: Sequence[str] | None = None,
        meta: Meta | None = None,
        forgotten: bool = False,
    ) -> Answers:
        """The engrams that answer a question best, best first; changes nothing.

        Ranks every living engram, also those of a step that has begun, by its vector, its words,
        what stands around it and what it says of itself (`memoria.search.ranking`). Scores are
        the same whatever the filters leave out.

        Args:
            question: words, or a vector [D].
            top: answers, at most.
            context: engrams before and after that come with each answer.
            lane: only of this lane.
            sources: only from sources whose name fits one of these patterns (``*`` and ``?``).
            since, until: only with a time between these, milliseconds since 1970: its own, or
                where it has none that of its remembering.
            types: only of these memories: ``"working"``, ``"shortterm"``, ``"longterm"``.
            meta: only with these values in its meta.
            forgotten: what has been forgotten and still lies there, instead of what lives.

        Returns:
            At most ``top`` `Answer` s.

        Raises:
            InputError: the question is empty, or a filter names what is not there.
            ShapeError: the vector is not of D numbers.
            BackboneError: the store's backbone does not load.
        """
        from memoria.store.asking import AskFilter

        wanted = AskFilter(lane, sources, since, until, types, meta, forgotten)
        return self._asking.ask(question, top, wanted, context, self._memory.pending)

    def adjust(self, delta: Delta | None = None) -> None:
        """End the step: reminded engrams gain ``delta``, all lose 1, memories move up or end.

        ``delta``: numbers [B, R] as `remind` returned its ids, one number for all, or a rule
        (``"uniform:5"``, ``"correlation:8"``; None takes the configuration's).
        """
        self._memory.check_writable()
        if self.phase != "reminded":
            raise StateError("the step has not been reminded", "remind first")
        core, lanes = self._memory.core, self.config.lanes
        state, ops = core.state, core.ops
        working = core.working_positions()
        ids = padded_ids(self._memory.pending)
        wanted = self.config.rule if delta is None else delta
        gains = as_gains(wanted, ids, self._memory.pending.scores)
        positions = positions_of_ids(core, ids)
        core.adjust(positions, ops.array(gains))
        fired = ops.concatenate((working, positions), 1)
        expiry = ops.numpy(state.at(state.expiry, fired, 0))
        local = ops.numpy(state.at(state.ids, fired, -1))
        order = log_order(working.shape[1], lanes, local)
        entries = (local * lanes + np.arange(lanes)[:, None])[order]
        self._memory.log_step(entries, expiry[order])
        gone = displaced_ids(core)
        if len(gone):
            self._memory.change_by_hand(EventKind.DISPLACE, gone)

    def step(
        self,
        data: Data,
        rule: Delta | None = None,
        texts: Texts | None = None,
        places: Places | None = None,
        times: Times | None = None,
        meta: Metas | None = None,
    ) -> Reminded:
        """`add`, `remind` and `adjust` in one.

        Args:
            data, texts, places, times, meta: as `add` takes them.
            rule: as `adjust` takes it.

        Returns:
            What was reminded, as `remind`.

        Raises:
            StateError: a step is under way, or the store is open for reading.
            ShapeError: the vectors do not fit the memory.
        """
        self._memory.check_idle()
        check_delta(rule)
        self.add(data, texts, places, times, meta)
        reminded = self.remind()
        self.adjust(rule)
        return reminded

    def step_stream(
        self,
        working_memories: Iterable[WorkingMemory | Data],
        rule: Delta | None = None,
        *,
        progress: Progress | bool = False,
        total: int | None = None,
        commit_every: float = 0.25,
        before_commit: Callable[[], None] | None = None,
    ) -> int:
        """`step` through a stream of working memories, with durable commits meanwhile.

        Whatever ends the stream, steps that are finished are committed first. Ctrl-C takes effect
        between two steps. A step that fails is dropped with what was not committed.

        Args:
            working_memories: arrays or tensors [B, W, D], or the `WorkingMemory` objects of an
                `InputStream`, with texts, places, times and meta.
            rule: as `adjust` takes.
            progress: True for a tqdm bar, or what is called with (steps done, ``total``).
            total: length of the stream, for the progress; None: its ``len``, if it has one.
            commit_every: seconds after which finished steps are made durable; 0: after each step.
            before_commit: called before each commit, to stage what belongs to it.

        Returns:
            Number of steps taken.
        """
        self._memory.check_idle()
        check_delta(rule)
        if total is None:
            total = len(working_memories) if isinstance(working_memories, Sized) else 0
        done, in_step, last_commit = 0, False, time.monotonic()
        with progress_bar(progress, "stepping", "steps") as show:
            try:
                for memory in working_memories:
                    with deferred_signals():
                        in_step = True
                        if isinstance(memory, WorkingMemory):
                            beside = memory.texts, memory.places, memory.times, memory.meta
                            self.add(memory.data, *beside)
                        else:
                            self.add(memory)
                        self._fire()
                        self.adjust(rule)
                        if time.monotonic() - last_commit >= commit_every:
                            if before_commit is not None:
                                before_commit()
                            self.commit()
                            last_commit = time.monotonic()
                        in_step = False
                        done += 1
                    show(done, total)
            finally:
                with deferred_signals():
                    if in_step:
                        self.rollback()
                    elif done:
                        if before_commit is not None:
                            before_commit()
                        self.commit()
        return done

    def forget(self, ids: Sequence[int] | IntArray) -> IntArray:
        """Forget the engrams ``ids`` at once, pinned or not, for ever; returns them, ascending.

        Between steps only; durable with the next `commit`. Raises `StateError` while a step is
        under way or where the store's format knows of no events, and `InputError` for an id that
        is unknown, forgotten already or named twice; nothing has happened then.
        """
        return self._memory.change_by_hand(EventKind.FORGET, ids)

    def living(self, ids: Sequence[int] | IntArray) -> IntArray:
        """Those of the engrams ``ids`` that live, each once, ascending."""
        wanted = np.unique(np.asarray(ids, np.int64))
        wanted = wanted[(wanted >= 0) & (wanted < self.files.created)]
        found: IntArray = wanted[are_alive(self._memory.core, wanted)] if len(wanted) else wanted
        return found

    def pin(self, ids: Sequence[int] | IntArray) -> IntArray:
        """Let the engrams ``ids`` lose no lifespan; returns those that were not pinned before.

        Their lifespan is rounded up to whole steps, what they gain when reminded too, and a gain
        below 0 counts as 0. Errors as of `forget`.
        """
        return self._memory.change_by_hand(EventKind.PIN, ids)

    def unpin(self, ids: Sequence[int] | IntArray) -> IntArray:
        """Let the engrams ``ids`` age again from the lifespan they have; returns the pinned ones.

        Errors as of `forget`.
        """
        return self._memory.change_by_hand(EventKind.UNPIN, ids)

    def recall(self, ids: Sequence[int] | IntArray, gain: float) -> IntArray:
        """Let engrams gain lifespan between two steps; durable with the next `commit`.

        Args:
            ids: living engrams, each once.
            gain: steps, 0 to 2^52; what a pinned engram gains is rounded up to whole steps.

        Returns:
            The engrams, ascending. Errors as of `forget`, and `InputError` for another gain.
        """
        if not 0 <= gain <= 2.0**52:
            raise InputError(f"gain = {gain}: not within 0 and 2^52 steps")
        return self._memory.change_by_hand(EventKind.RECALL, ids, float(gain))

    def edit(
        self,
        id: int,
        text: str | None = None,
        vector: Data | None = None,
        meta: Meta | None = None,
    ) -> None:
        """Give the engram ``id`` another text, vector or meta; what is None stays.

        Id, lifespan and connections stay too, and reads of the past see what was in force then.
        Between steps only; durable with the next `commit`.

        Args:
            id: a living engram.
            text: its new text.
            vector: its new vector, floating point [D].
            meta: its new meta, an object of JSON values.

        Raises:
            InputError: nothing is changed, or the engram is unknown or forgotten.
            StateError: a step is under way.
            ShapeError: ``vector`` is not of D numbers.
        """
        self._memory.check_writable()
        self._memory.check_idle()
        given = self._as_vector(vector)
        payload = encode_revision(self.config, text, given, meta)
        if text is None and given is None and meta is None:
            raise InputError("nothing is edited", "give a text, a vector or meta")
        changed = self._memory.change_by_hand(EventKind.EDIT, [id], payload=payload)
        if given is not None:
            revise(self._memory.core, id, self.files.vectors(changed)[0])

    def confirm(
        self,
        text: str | None,
        vector: Data | None,
        ids: Sequence[int] | IntArray,
        gain: float = 0.0,
    ) -> IntArray:
        """Keep a cue and the engrams ``ids`` confirmed as its answer, which gain lifespan.

        `confirmed_cues` gives it back. Between steps only; durable with the next `commit`.

        Args:
            text: the cue in words.
            vector: the cue as a vector, floating point [D]; one of the two must be there.
            ids: living engrams.
            gain: steps of lifespan, as of `recall`.

        Returns:
            The engrams, ascending. Errors as of `recall` and `edit`.
        """
        if text is None and vector is None:
            raise InputError("no cue is given", "give its text or its vector")
        given = self._as_vector(vector)
        wanted = checked_ids(ids, self.files.created)
        payload = encode_cue(self.config, text, given, wanted.tolist())
        confirmed = self.recall(wanted, gain)
        self._memory.stage_events(EventKind.CONFIRM, confirmed, payload=payload)
        return confirmed

    def teach(
        self, ids: Sequence[int] | IntArray, gain: float = 20.0, cue: Question | None = None
    ) -> IntArray:
        """Let engrams that answered gain lifespan; a ``cue`` is kept with them as `confirm` does.

        Args:
            ids: living engrams.
            gain: steps of lifespan.
            cue: what they answered, in words or as a vector [D]; words are encoded by the store's
                backbone.

        Returns:
            The engrams, ascending. Errors as of `confirm`.
        """
        self._memory.check_writable()
        self._memory.check_idle()
        if cue is None:
            return self.recall(ids, gain)
        if not isinstance(cue, str):
            return self.confirm(None, np.asarray(cue, np.float32), ids, gain)
        checked_ids(ids, self.files.created)  # before a backbone loads
        encoded = self._asking.encode([cue])
        return self.confirm(cue, None if encoded is None else encoded[0], ids, gain)

    def used(self, ids: Sequence[int] | IntArray, cue: Question | None = None) -> IntArray:
        """`teach` what was used as an answer: it gains 50 steps.

        Args:
            ids, cue: as `teach` takes them.

        Returns:
            The engrams, ascending.
        """
        return self.teach(ids, 50.0, cue)

    def confirmed_cues(self) -> list[ConfirmedCue]:
        """The cues that were confirmed, the oldest first."""
        return confirmed_cues(self.files)

    @property
    def settings(self) -> dict[str, Any]:
        """What may change in the life of the memory: ``ask``, ``backbone``, ``notes``, ``unit``."""
        settings: dict[str, Any] = self._memory.settings.model_dump()
        return settings

    def change_settings(self, changes: Mapping[str, Any]) -> None:
        """Change some of `settings`, which are no part of the digest; durable with `commit`.

        Args:
            changes: ``ask`` (constants of asking: texts, booleans, numbers), ``backbone`` (where
                the backbone lies), ``notes``, ``unit`` (`MemoriaConfig.unit`).

        Raises:
            ConfigError: there is no such setting, or it cannot have this value.
        """
        self._memory.check_writable()
        settings = self._memory.settings.changed(changes)
        if first_pass := settings.ask.get("first_pass"):
            from memoria.search.first_pass import check_first_pass

            check_first_pass(str(first_pass), self.config.backbone)
        self._memory.settings = settings
        self._memory.config = self.config.replace(unit=self._memory.settings.unit)

    def name_source(self, source: str, resolved: str = "") -> int:
        """Tell of a source before its first engram comes, and as what its name is resolved.

        Args:
            source: the name that ``places`` use: from now on for this source.
            resolved: such as an absolute path; of a source that is known another one is another
                source of the same name.

        Returns:
            The number of the source.
        """
        self._memory.check_writable()
        return self._memory.texts.name_source(source, resolved)

    def record_reading(self, source: str, content: bytes, units: Sequence[Unit]) -> None:
        """Record that ``source`` was read to its end; durable with the next `commit`.

        What is recorded outlives forgetting and compaction, and is no part of the digest.

        Args:
            source: its name, as in `name_source`.
            content: sha256 of what was read, 32 bytes.
            units: its units, and which engram holds each.

        Raises:
            InputError: a hash has not its length, or an engram or offset cannot be one.
        """
        self._memory.check_writable()
        rows = unit_rows(units)
        stage_reading(self.files, self._memory.texts, self.timestep, source, content, rows)

    def record_units(self, source: int, content: bytes, units: UnitRows | IntArray) -> None:
        """Record what is held of a source, by its number: as `record_reading`.

        Args:
            source: its number, as `name_source` returns it.
            content: as in `record_reading`; `memoria.store.sources.ADDED`: the units come to those
                that are held.
            units: units that have no row yet, or whole rows of ``sources/units``.
        """
        self._memory.check_writable()
        rows = encode_rows(self.files, units) if isinstance(units, UnitRows) else units
        stage_reading(self.files, self._memory.texts, self.timestep, source, content, rows)

    def record_place(self) -> None:
        """Record where the store lies: what its sources resolve to are paths as seen from there."""
        self._memory.check_writable()
        self._memory.place = os.path.realpath(self.path)

    def held_units(self) -> HeldUnits:
        """What is held of each source now."""
        return HeldUnits(self.files, self._memory.texts)

    def readings(self) -> list[Reading]:
        """Every reading of a source to its end, the oldest first."""
        return read_readings(self.files, self._memory.texts)

    def units(self, reading: Reading) -> list[Unit]:
        """The units of one of `readings`."""
        return read_units(self.files, reading)

    def first_text(self, id: int) -> str | None:
        """The text of an engram at birth; None where it has none."""
        return self._memory.texts.first_texts(np.array([id]))[0]

    def engrams_at(self, places: Sequence[Place]) -> list[int]:
        """The newest engram that came from each (source, offset); -1 where there is none."""
        return self._memory.texts.engrams_at(places)

    def begin_command(self, words: str) -> None:
        """Record, with the next commit that changes the memory, where it stood before ``words``.

        ``words`` say what is done, such as ``"step diary.txt"``. Steps and events are recorded, so
        that the command can be undone.
        """
        self._memory.check_writable()
        self._memory.begin_command(words)

    def undo(self, drop_later: bool = False) -> dict[str, Any]:
        """Go back to the state before the last command, as `compacting.undo`; durable on return.

        What is not committed yet is committed first.

        Args:
            drop_later: snapshots of later states are lost.

        Returns:
            ``commands`` taken back, ``step`` and ``digest`` now, and what was lost.

        Raises:
            StateError: no command is recorded, or later snapshots would be lost.
            InputError: compaction has removed the state before it.
        """
        self.commit()
        with closing(open_files(self.path)) as source:
            from memoria.store.compacting import undo_last

            outcome = undo_last(source, self.files.store, drop_later)
        self.rollback()
        return outcome

    @property
    def snapshots(self) -> Mapping[str, Snapshot]:
        """Names for earlier states, to `open` with ``at``."""
        return MappingProxyType(self._memory.snapshots)

    def snapshot(self, name: str, note: str = "") -> Snapshot:
        """Name what the last finished step left behind; durable with the next `commit`.

        A step that has been begun is no part of it. Costs nothing: the log keeps the past.

        Args:
            name: by which the state is opened from then on.
            note: what it is for.

        Raises:
            InputError: the name is taken, or cannot be told from a step.
        """
        self._memory.check_writable()
        made = new_snapshot(
            self.files, self._memory.snapshots, name, note, self.timestep, self._memory.chain
        )
        self._memory.snapshots[name] = made
        return made

    def delete_snapshot(self, name: str) -> Snapshot:
        """Take a name back; what it named stays until it is compacted.

        Args:
            name: of a snapshot.

        Returns:
            What it named.

        Raises:
            InputError: there is no snapshot of this name.
        """
        self._memory.check_writable()
        named(self.files.name, self._memory.snapshots, name)
        return self._memory.snapshots.pop(name)

    def commit(self) -> None:
        """Make everything since the last commit durable, at once; it is, when this returns."""
        self._memory.check_writable()
        self._memory.commit()

    def rollback(self) -> None:
        """Drop everything since the last commit."""
        self._memory.rollback()

    def close(self) -> None:
        """Release the store and what it holds in memory; what was not committed is dropped."""
        self._memory.close(tidy=False)

    def __enter__(self) -> MemoryStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._memory.close(tidy=kind is None and self.mode == "r+")

    def _as_vector(self, vector: Data | None) -> np.ndarray[Any, np.dtype[np.float32]] | None:
        """One vector [D], checked."""
        if vector is None:
            return None
        if np.ndim(vector) != 1:
            raise ShapeError("vector", f"[{self.config.hidden_dim}]", list(vector.shape))
        checked: np.ndarray[Any, np.dtype[np.float32]]
        checked = np.asarray(as_cue(self.config.replace(lanes=1), vector[None]))[0, 0]
        return checked


def _torch_ops(device: str) -> ArrayOps:
    from memoria.core.checks import as_device
    from memoria.core.torch_arrays import TorchOps

    return TorchOps(as_device(device) or device)


def _check_known(config: MemoriaConfig) -> None:
    """Raise `StateError` for what this version cannot keep to."""
    if config.lifespan_by not in ("constant", "information"):
        raise StateError(
            f"lifespan_by = {config.lifespan_by!r}: this version cannot keep to it",
            "choose constant or information, or use a later version",
        )
