"""`MemoryStore`: a memory on disk that many processes can step, one after another."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from contextlib import closing
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from memoria.chunkstore.files import StoreFiles
from memoria.config import MemoriaConfig
from memoria.core.arrays import ArrayOps
from memoria.core.memory_core import MemoryCore
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
from memoria.store.attributes import Pending, Settings, Snapshot, StateHead, StoreAttributes
from memoria.store.confirmed_cues import ConfirmedCue, confirmed_cues
from memoria.store.deferred_signals import deferred_signals
from memoria.store.digest import (
    chain_after,
    chain_over_events,
    chain_start,
    next_digest,
    state_digest,
)
from memoria.store.edits import are_alive, displaced_ids, happen, revise
from memoria.store.events import checked_ids
from memoria.store.frames import engram_columns, to_arrow, to_pandas, to_xarray
from memoria.store.held_units import HeldUnits
from memoria.store.life import StepTable, fold
from memoria.store.loading import life_of_core, load_core, load_whole
from memoria.store.memory_files import MemoryFiles
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
from memoria.store.schema import EventColumn, array_specs
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
from memoria.store.state import written_state
from memoria.store.texts import Place, StoredTexts
from memoria.store.vector_codec import decode_vectors, encode_vectors
from memoria.timeline.engram_type import EngramType
from memoria.timeline.log import EventKind, IntArray

if TYPE_CHECKING:
    import pandas
    import pyarrow
    import xarray

    from memoria.backbones.base import Backbone
    from memoria.store.answers import Answers
    from memoria.store.asking import Asking, Question
    from memoria.store.information import InformedLifespans

_IDLE: Final = Pending()
_TIDY_AT_CLOSE: Final = 16_384  # living engrams up to which closing writes the state out
_LOG_PER_STATE: Final = 65_536  # log entries after which a commit writes it out in any case


class MemoryStore:
    """A memory in a directory: plain Zarr, changed by atomic durable commits.

    ``add`` -> ``remind`` -> ``adjust`` is one step. Nothing is written before `commit`; leaving a
    ``with`` block without an error commits, leaving it with one drops what was not committed. One
    writer at a time, any number of readers.
    """

    def __init__(self, files: MemoryFiles, device: str | None = None) -> None:
        self._files = files
        self._ops = None if device is None else _torch_ops(device)
        self._config = files.config
        self._settings: Settings = files.attributes.settings
        self._stored_texts = StoredTexts(files)
        self._core: MemoryCore | None = None
        self._pending = _IDLE
        self._lifespans: InformedLifespans | None = None
        self._command: tuple[tuple[int, int, int], Any] | None = None
        self._place: str | None = None
        self._load()

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
            pending=_IDLE,
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
        return self._files.path

    @property
    def files(self) -> MemoryFiles:
        """The arrays, staged rows too: to look on, never to change them."""
        return self._files

    @property
    def mode(self) -> str:
        """``"r"`` or ``"r+"``."""
        return self._files.mode

    @property
    def config(self) -> MemoriaConfig:
        """The configuration it was created with."""
        return self._config

    @property
    def timestep(self) -> int:
        """Steps finished."""
        return self._steps

    @property
    def phase(self) -> str:
        """``idle`` between steps, ``working`` after `add`, ``reminded`` after `remind`."""
        return self._pending.phase

    def digest(self) -> str:
        """sha256 of the state, the same on every machine and however steps were committed."""
        return state_digest(
            self._chain, self._files, self._stored_texts, self._pending, self._done_rows
        )

    def __repr__(self) -> str:
        try:
            made, step = self._files.created, self._steps
        except StateError:
            return f"MemoryStore({os.fspath(self.path)!r}, closed)"
        begun = "" if self.phase == "idle" else f", {self.phase}"
        how = "for writing" if self.mode == "r+" else "for reading"
        return (
            f"MemoryStore({os.fspath(self.path)!r}, step {step}{begun}, {made} engrams made, "
            f"backbone {self._config.backbone}, open {how})"
        )

    def _repr_html_(self) -> str:
        """The store as a notebook shows it: what it is, and the engrams made last."""
        from memoria.io.notebook import SHOWN_ROWS, html_table

        try:
            columns = engram_columns(self._files, self._pending)
        except StateError:
            return html_table(repr(self), (), ())
        names = ("id", "type", "lifespan", "text", "source", "time")
        last = slice(None, -SHOWN_ROWS - 1, -1)
        rows = zip(*(list(columns[name])[last] for name in names), strict=True)
        return html_table(repr(self), names, rows, len(columns["id"]) - SHOWN_ROWS)

    def to_pandas(self) -> pandas.DataFrame:
        """The living engrams as a data frame, the id as its index. Needs the extra ``viz``."""
        return to_pandas(self._files, self._pending)

    def to_arrow(self, vectors: bool = False) -> pyarrow.Table:
        """The living engrams as an Arrow table, with their vectors. Needs ``parquet``."""
        return to_arrow(self._files, self._pending, vectors)

    def to_xarray(self) -> xarray.Dataset:
        """The vectors of the living engrams, and what stands beside them. Needs ``xarray``."""
        return to_xarray(self._files, self._pending)

    @property
    def backbone(self) -> Backbone:
        """The backbone that encodes for this store, loaded when it is first needed."""
        return self._asking.backbone

    def take_over(self, other: MemoryStore, with_texts: bool = True) -> None:
        """Keep what another opening of the same store has loaded for `ask`: its backbone.

        ``with_texts``: its index of texts too, and ``other`` is not asked any more.
        """
        if "_asking" in other.__dict__:
            self.__dict__["_asking"] = other._asking.reopened(self._files, with_texts)

    def last_offset(self, source: str) -> int | None:
        """The greatest character offset ever remembered from ``source``; None if nothing was."""
        return self._stored_texts.last_offset(source)

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
        self._check_writable()
        _check_known(self._config)
        if self.phase == "reminded":
            raise StateError("the step has been reminded already", "adjust first")
        taken = as_cue(self._config, data)
        lanes, count, dimension = taken.shape
        named = {"texts": texts, "places": places, "times": times, "meta": meta}
        beside = [by_row(values, lanes, count, name) for name, values in named.items()]
        core, lifespans = self._memory(), self._informed_lifespans()
        first = self._files.created
        rows = taken.swapaxes(0, 1).reshape(count * lanes, dimension)
        stored = encode_vectors(rows, self._config.vector_dtype)
        self._stored_texts.stage(first, *beside)
        for name, values in stored.items():
            self._files.append(name, values)
        if self._config.vector_dtype != "float32":
            rounded = decode_vectors(stored["vectors"], stored.get("scales"))
            taken = rounded.reshape(count, lanes, dimension).swapaxes(0, 1)
        by_lane: Any = None
        known: tuple[float, ...] = self._pending.expiry
        if lifespans is not None:
            expiry = lifespans.expiry(self._steps, beside[0])
            by_lane = core.ops.array(expiry.reshape(count, lanes).T)
            known += tuple(expiry.tolist())
        core.add(core.ops.array(taken), by_lane)
        self._pending = Pending(phase="working", expiry=known)
        return np.arange(first, first + count * lanes).reshape(count, lanes).T

    def remind(self) -> Reminded:
        """Remind with the working memory and let everything fire; a second call repeats the answer.

        Returns:
            What came back, of each lane: ids and indices [B, R], -1 pads.

        Raises:
            StateError: there is no working memory, or the store is open for reading.
        """
        self._check_writable()
        if self.phase == "idle":
            raise StateError("there is no working memory", "add something first")
        if self.phase == "working":
            self._fire()
        return answer(self._memory(), self._stored_texts, self._pending)

    def _fire(self) -> None:
        """Recall with the working memory, and let it all fire together."""
        core = self._memory()
        found = core.recall()
        core.fire(found)
        self._pending = as_pending(core, found, self._pending.expiry)

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
        core = self._memory()
        if cue is None and core.working_positions().shape[1] == 0:
            raise StateError("there is no working memory to ask with", "give a cue")
        taken = None if cue is None else as_cue(self._config, cue)
        asked = None if taken is None else core.ops.array(taken)
        return answer(core, self._stored_texts, as_pending(core, core.recall(asked)))

    @cached_property
    def _asking(self) -> Asking:
        from memoria.store.asking import Asking

        return Asking(self._files)

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
        return self._asking.ask(question, top, wanted, context, self._pending)

    def adjust(self, delta: Delta | None = None) -> None:
        """End the step: reminded engrams gain ``delta``, all lose 1, memories move up or end.

        ``delta``: numbers [B, R] as `remind` returned its ids, one number for all, or a rule
        (``"uniform:5"``, ``"correlation:8"``; None takes the configuration's).
        """
        self._check_writable()
        if self.phase != "reminded":
            raise StateError("the step has not been reminded", "remind first")
        core, lanes = self._memory(), self._config.lanes
        state, ops = core.state, core.ops
        working = core.working_positions()
        ids = padded_ids(self._pending)
        wanted = self._config.rule if delta is None else delta
        gains = as_gains(wanted, ids, self._pending.scores)
        positions = positions_of_ids(core, ids)
        core.adjust(positions, ops.array(gains))
        fired = ops.concatenate((working, positions), 1)
        expiry = ops.numpy(state.at(state.expiry, fired, 0))
        local = ops.numpy(state.at(state.ids, fired, -1))
        order = log_order(working.shape[1], lanes, local)
        entries = (local * lanes + np.arange(lanes)[:, None])[order]
        self._log_step(entries, expiry[order])
        gone = displaced_ids(core)
        if len(gone):
            self._stage_events(
                EventKind.DISPLACE, happen(core, self._files, EventKind.DISPLACE, gone)
            )

    def step(
        self,
        data: Data,
        rule: Delta | None = None,
        texts: Texts | None = None,
        places: Places | None = None,
        times: Times | None = None,
        meta: Metas | None = None,
    ) -> Reminded:
        """``add``, ``remind``, ``adjust`` in one; returns what was reminded."""
        self._check_idle()
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
        self._check_idle()
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
        return self._by_hand(EventKind.FORGET, ids)

    def living(self, ids: Sequence[int] | IntArray) -> IntArray:
        """Those of the engrams ``ids`` that live, each once, ascending."""
        wanted = np.unique(np.asarray(ids, np.int64))
        wanted = wanted[(wanted >= 0) & (wanted < self._files.created)]
        found: IntArray = wanted[are_alive(self._memory(), wanted)] if len(wanted) else wanted
        return found

    def pin(self, ids: Sequence[int] | IntArray) -> IntArray:
        """Let the engrams ``ids`` lose no lifespan; returns those that were not pinned before.

        Their lifespan is rounded up to whole steps, what they gain when reminded too, and a gain
        below 0 counts as 0. Errors as of `forget`.
        """
        return self._by_hand(EventKind.PIN, ids)

    def unpin(self, ids: Sequence[int] | IntArray) -> IntArray:
        """Let the engrams ``ids`` age again from the lifespan they have; returns the pinned ones.

        Errors as of `forget`.
        """
        return self._by_hand(EventKind.UNPIN, ids)

    def recall(self, ids: Sequence[int] | IntArray, gain: float) -> IntArray:
        """Let the engrams ``ids`` gain ``gain`` steps of lifespan; returns them, ascending.

        What a pinned engram gains is rounded up to whole steps. Errors as of `forget`, and
        `InputError` for a gain below 0 or beyond 2^52.
        """
        if not 0 <= gain <= 2.0**52:
            raise InputError(f"gain = {gain}: not within 0 and 2^52 steps")
        return self._by_hand(EventKind.RECALL, ids, float(gain))

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
        self._check_writable()
        self._check_idle()
        given = self._as_vector(vector)
        payload = encode_revision(self._config, text, given, meta)
        if text is None and given is None and meta is None:
            raise InputError("nothing is edited", "give a text, a vector or meta")
        changed = happen(self._memory(), self._files, EventKind.EDIT, [id])
        self._stage_events(EventKind.EDIT, changed, payload=payload)
        if given is not None:
            revise(self._memory(), id, self._files.vectors(changed)[0])

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
        wanted = checked_ids(ids, self._files.created)
        payload = encode_cue(self._config, text, given, wanted.tolist())
        confirmed = self.recall(wanted, gain)
        self._stage_events(EventKind.CONFIRM, confirmed, payload=payload)
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
        self._check_writable()
        self._check_idle()
        if cue is None:
            return self.recall(ids, gain)
        if not isinstance(cue, str):
            return self.confirm(None, np.asarray(cue, np.float32), ids, gain)
        checked_ids(ids, self._files.created)  # before a backbone loads
        encoded = self._asking.encode([cue])
        return self.confirm(cue, None if encoded is None else encoded[0], ids, gain)

    def used(self, ids: Sequence[int] | IntArray, cue: Question | None = None) -> IntArray:
        """`teach` what was used as an answer: it gains 50 steps."""
        return self.teach(ids, 50.0, cue)

    def confirmed_cues(self) -> list[ConfirmedCue]:
        """The cues that were confirmed, the oldest first."""
        return confirmed_cues(self._files)

    @property
    def settings(self) -> dict[str, Any]:
        """What may change in the life of the memory: ``ask``, ``backbone``, ``notes``, ``unit``."""
        settings: dict[str, Any] = self._settings.model_dump()
        return settings

    def change_settings(self, changes: Mapping[str, Any]) -> None:
        """Change some of `settings`, which are no part of the digest; durable with `commit`.

        Args:
            changes: ``ask`` (constants of asking: texts, booleans, numbers), ``backbone`` (where
                the backbone lies), ``notes``, ``unit`` (`MemoriaConfig.unit`).

        Raises:
            ConfigError: there is no such setting, or it cannot have this value.
        """
        self._check_writable()
        settings = self._settings.changed(changes)
        if first_pass := settings.ask.get("first_pass"):
            from memoria.search.first_pass import check_first_pass

            check_first_pass(str(first_pass), self._config.backbone)
        self._settings = settings
        self._config = self._config.replace(unit=self._settings.unit)

    def name_source(self, source: str, resolved: str = "") -> int:
        """Tell of a source before its first engram comes, and as what its name is resolved.

        Args:
            source: the name that ``places`` use: from now on for this source.
            resolved: such as an absolute path; of a source that is known another one is another
                source of the same name.

        Returns:
            The number of the source.
        """
        self._check_writable()
        return self._stored_texts.name_source(source, resolved)

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
        self._check_writable()
        rows = unit_rows(units)
        stage_reading(self._files, self._stored_texts, self._steps, source, content, rows)

    def record_units(self, source: int, content: bytes, units: UnitRows | IntArray) -> None:
        """Record what is held of a source, by its number: as `record_reading`.

        ``units`` that have no row yet, or whole rows of ``sources/units``. Where ``content`` is
        `memoria.store.sources.ADDED`, they come to those that are held.
        """
        self._check_writable()
        rows = encode_rows(self._files, units) if isinstance(units, UnitRows) else units
        stage_reading(self._files, self._stored_texts, self._steps, source, content, rows)

    def record_place(self) -> None:
        """Record where the store lies: what its sources resolve to are paths as seen from there."""
        self._check_writable()
        self._place = os.path.realpath(self.path)

    def held_units(self) -> HeldUnits:
        """What is held of each source now."""
        return HeldUnits(self._files, self._stored_texts)

    def readings(self) -> list[Reading]:
        """Every reading of a source to its end, the oldest first."""
        return read_readings(self._files, self._stored_texts)

    def units(self, reading: Reading) -> list[Unit]:
        """The units of one of `readings`."""
        return read_units(self._files, reading)

    def first_text(self, id: int) -> str | None:
        """The text of an engram at birth; None where it has none."""
        return self._stored_texts.first_texts(np.array([id]))[0]

    def engrams_at(self, places: Sequence[Place]) -> list[int]:
        """The newest engram that came from each (source, offset); -1 where there is none."""
        return self._stored_texts.engrams_at(places)

    def begin_command(self, words: str) -> None:
        """Record, with the next commit that changes the memory, where it stood before ``words``.

        ``words`` say what is done, such as ``"step diary.txt"``. Steps and events are recorded, so
        that the command can be undone.
        """
        self._check_writable()
        raw = np.frombuffer(words.encode("utf-8", "replace"), np.uint8)
        begun = (self._steps, self._files.events, time.time_ns() // 1_000_000)
        self._command = (begun, raw)

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

            outcome = undo_last(source, self._files.store, drop_later)
        self.rollback()
        return outcome

    @property
    def snapshots(self) -> Mapping[str, Snapshot]:
        """Names for earlier states, to `open` with ``at``."""
        return MappingProxyType(self._snapshots)

    def snapshot(self, name: str, note: str = "") -> Snapshot:
        """Name what the last finished step left behind; durable with the next `commit`.

        A step that has been begun is no part of it. Costs nothing: the log keeps the past.

        Args:
            name: by which the state is opened from then on.
            note: what it is for.

        Raises:
            InputError: the name is taken, or cannot be told from a step.
        """
        self._check_writable()
        made = new_snapshot(self._files, self._snapshots, name, note, self._steps, self._chain)
        self._snapshots[name] = made
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
        self._check_writable()
        named(self._files.name, self._snapshots, name)
        return self._snapshots.pop(name)

    def commit(self) -> None:
        """Make everything since the last commit durable, at once; it is, when this returns."""
        self._check_writable()
        self._commit(tidy=False)

    def rollback(self) -> None:
        """Drop everything since the last commit."""
        self._files.rollback()
        self._load()

    def close(self) -> None:
        """Release the store and what it holds in memory; what was not committed is dropped."""
        self._files.close()
        self._core = None

    def __enter__(self) -> MemoryStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None and self.mode == "r+":
                self._commit(tidy=True)
                if self._lifespans is not None:
                    self._lifespans.save()
        finally:
            self.close()

    def _load(self) -> None:
        """Take over what the files hold."""
        attributes = self._files.attributes
        self._table = steps = StepTable.read(self._files)  # as committed
        self._steps = len(steps)
        self._done_rows = int(steps.rows()[-1]) if self._steps else 0
        self._chain = chain_after(self._files, steps, self._steps, self._files.events)
        self._pending = attributes.pending
        self._snapshots = dict(attributes.snapshots)
        self._state = attributes.state
        self._count_again = 0  # log entries not written out, from which on the living are counted
        self._settings = attributes.settings
        self._config = self._files.config
        self._core = None
        self._lifespans = None
        self._stored_texts.forget_staged()

    def _memory(self) -> MemoryCore:
        if self._core is None:
            if self._ops is None:
                self._core = load_core(self._files, self._config, self._table)
            else:
                life = fold(self._files, self._config, self._table)
                self._core = load_whole(self._files, self._config, life, self._ops)
        return self._core

    def _check_writable(self) -> None:
        if self.mode != "r+":
            raise StateError(f"{self._files.name} is open for reading", "open it with mode='r+'")

    def _by_hand(
        self, kind: EventKind, ids: Sequence[int] | IntArray, gain: float = 0.0
    ) -> IntArray:
        self._check_writable()
        self._check_idle()
        changed = happen(self._memory(), self._files, kind, ids, gain)
        self._stage_events(kind, changed, gain)
        return changed

    def _stage_events(
        self, kind: EventKind, ids: IntArray, value: float = 0.0, payload: bytes = b""
    ) -> None:
        """Stage one event of ``kind`` for each engram, all with this value and payload."""
        if len(ids) == 0:
            return
        files, first = self._files, self._files.events
        rows = np.empty((len(ids), len(EventColumn)), np.int64)
        rows[:] = (self._steps, kind, 0, time.time_ns() // 1_000_000, 0)
        rows[:, EventColumn.ENGRAM] = ids
        rows[:, EventColumn.END] = files.rows("events/bytes") + len(payload) * (
            np.arange(len(ids)) + 1
        )
        files.append("events/index", rows)
        files.append("events/values", np.full(len(ids), value))
        if payload:
            files.append("events/bytes", np.frombuffer(payload * len(ids), np.uint8))
        self._chain = chain_over_events(self._chain, files, first, first + len(ids))

    def _as_vector(self, vector: Data | None) -> np.ndarray[Any, np.dtype[np.float32]] | None:
        """One vector [D], checked."""
        if vector is None:
            return None
        if np.ndim(vector) != 1:
            raise ShapeError("vector", f"[{self._config.hidden_dim}]", list(vector.shape))
        checked: np.ndarray[Any, np.dtype[np.float32]]
        checked = np.asarray(as_cue(self._config.replace(lanes=1), vector[None]))[0, 0]
        return checked

    def _informed_lifespans(self) -> InformedLifespans | None:
        """What knows the words read so far; None where all engrams begin with as long a life."""
        if self._lifespans is None and self._config.lifespan_by != "constant":
            from memoria.store.information import InformedLifespans

            self._lifespans = InformedLifespans(self._files, self._stored_texts)
        return self._lifespans

    def _check_idle(self) -> None:
        if self.phase != "idle":
            raise StateError(f"a step is under way ({self.phase})", "remind and adjust it first")

    def _log_step(self, entries: IntArray, expiry: np.ndarray[Any, np.dtype[Any]]) -> None:
        """Stage what the step that just ended leaves behind."""
        files = self._files
        core = self._memory()
        first_short = core.ops.numpy(core.state.first_shortterm())
        before = files.log_end
        files.append("log/ids", entries)
        files.append("log/expiry", expiry)
        rows, after = files.created, before + len(entries)
        span = (self._done_rows, rows)
        self._chain = next_digest(
            self._chain, files, self._stored_texts, span, (before, after), first_short
        )
        words = np.frombuffer(self._chain, ">i8").astype(np.int64)
        head = [time.time_ns() // 1_000_000, rows, after]
        files.append("log/steps", np.concatenate((head, words, first_short))[None])
        self._steps += 1
        self._done_rows = rows
        self._pending = _IDLE

    def _commit(self, tidy: bool) -> None:
        self._write_state_if_due(tidy)
        digest = self.digest()
        if self._command is not None and digest != self._files.attributes.digest:
            (step, events, now), raw = self._command
            end = self._files.rows("commands/bytes") + len(raw)
            self._files.append("commands/index", np.array([[step, events, now, end]]))
            self._files.append("commands/bytes", raw)
            self._command = None
        attributes = self._files.attributes.model_copy(
            update={
                "step": self._steps,
                "pending": self._pending,
                "digest": digest,
                "state": self._state,
                "snapshots": self._snapshots,
                "settings": self._settings,
                "place": self._place or self._files.attributes.place,
            }
        )
        try:
            self._files.commit(attributes.document(), attributes)
        except BaseException:
            self._load()
            raise

    def _write_state_if_due(self, tidy: bool) -> None:
        files, state = self._files, self._state
        fresh = files.log_end - state.log_end + files.events - state.events
        due = fresh >= max(_LOG_PER_STATE, self._count_again)
        if self.phase != "idle" or fresh == 0 or not (due or tidy):
            return
        self._count_again = fresh + _LOG_PER_STATE // 16  # counting is work for all engrams
        living = int((self._memory().state.types != EngramType.NULL).sum())
        if fresh >= max(_LOG_PER_STATE, 4 * living) or (tidy and living <= _TIDY_AT_CLOSE):
            self._count_again = 0
            generation = (state.generation or 0) + 1
            core = self._memory()
            core.close_holes()
            self._state, arrays = written_state(
                life_of_core(core),
                core.connections.by_lane(),
                generation,
                files.created,
                files.log_end,
                files.events,
            )
            files.replace_state(generation, arrays)


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
