"""`SegmentMemory`: the memory of a model that reads segment after segment."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from os import PathLike
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from memoria.core.abstractor import Abstractor
from memoria.core.checks import as_lane_mask
from memoria.core.memoria import Memoria
from memoria.core.memory_core import MemoryCore
from memoria.errors import ConfigError, InputError, ShapeError
from memoria.models.segment import Segment, lifespan_gains
from memoria.store.save_load import load_memory, save_memory
from memoria.timeline.engram_type import EngramType

_PREFIX = "memoria."
_Function = TypeVar("_Function", bound=Callable[..., Any])


def untraced(function: _Function) -> _Function:
    """``function``, of which torch.compile traces nothing: a break in the graph, one call."""
    return cast(_Function, torch.compiler.disable(function))  # type: ignore[no-untyped-call]


class SegmentMemory:
    """The memory of a model that reads segment after segment: a `Memoria`, one lane a batch row.

    It also holds the hidden states of the segment read last, which become the next engrams. No
    gradient passes from one segment to the next. Assigning ``memoria`` (another `Memoria`, or
    anything with its methods) starts from an empty memory.

    A batch of fewer rows than there are lanes, as the last of an epoch, is read by the first lanes;
    the others stand still.

    Attributes:
        lanes: rows that a batch may have; None while nothing has been read.
        seen: last hidden states [B, N, D] of the segment read last, which become engrams next.
        seen_mask: bool [B, N], false at padding; None if there was none.
        last: what the segment read last was reminded of, and how much attention that got.
        alpha, reset_period: as given.

    Args:
        memoria: the memory itself.
        host: the module whose ``abstractor``, whichever it is at the time (PEFT puts its own in its
            place), makes the engrams; the memory lives where its weights are. Its ``reader``, if it
            has one, makes the keys and values of engrams that all layers share.
        alpha: scale of the lifespan gains.
        reset_period: segments read in training mode between two resets; None never.
    """

    def __init__(
        self,
        memoria: Memoria,
        host: nn.Module,
        alpha: float = 8.0,
        reset_period: int | None = None,
    ) -> None:
        if reset_period is not None and reset_period < 1:
            raise ConfigError(f"reset_period = {reset_period}: must be 1 or more, or None")
        self._memoria, self._host = memoria, host
        self.alpha, self.reset_period = float(alpha), reset_period
        self._paused = self._generating = False
        self._forget_all()

    def __repr__(self) -> str:
        return f"SegmentMemory(lanes={self.lanes}, step={self.timestep}, {self._memoria.engrams})"

    @property
    def memoria(self) -> Memoria:
        """The memory itself: its engrams, its history."""
        return self._memoria

    @memoria.setter
    def memoria(self, memoria: Memoria) -> None:
        self._memoria = memoria
        self.reset()

    @property
    def _abstractor(self) -> Abstractor:
        abstractor: Abstractor = self._host.abstractor  # type: ignore[assignment]
        return abstractor

    @property
    def _device(self) -> torch.device:
        return self._abstractor.query_embeddings.device

    @property
    def timestep(self) -> int:
        """Steps the memory has done since it was empty."""
        return self._memoria.timestep

    @property
    def texts(self) -> tuple[str, ...] | None:
        """The text of each lane [B], for the batch read next: kept beside its engrams, for stores.

        A smaller batch takes those of its rows.
        """
        return self._texts.coming

    @texts.setter
    def texts(self, texts: Sequence[str] | None) -> None:
        self._texts.coming = None if texts is None else checked_texts(texts, self.lanes)

    def reset(self) -> None:
        """Forget everything; the next batch may have another size."""
        self._memoria.reset_memory()
        self._forget_all()

    def _forget_all(self) -> None:
        self.seen: Tensor | None = None
        self.seen_mask: Tensor | None = None
        self.last: Segment | None = None
        self.lanes: int | None = None
        self._rows = 0  # of the batch read last
        self._fresh: Tensor | None = None  # bool [B], lanes of which `seen` holds nothing
        self._pending: Tensor | None = None  # indices of a step that was begun and not ended
        self._trained = 0
        self._texts = SegmentTexts()

    def reset_lanes(self, mask: Tensor) -> None:
        """Forget everything of some lanes, as where a document ends; the others go on bit for bit.

        Their next segment reads and remembers nothing of what was before.

        Args:
            mask: bool [B], true for the lanes that start anew.

        Raises:
            ShapeError, InputError: ``mask`` is no bool [B]; the memory is unchanged.
        """
        self._end_pending()
        if self.lanes is None:
            return
        anew = as_lane_mask("mask", mask, self.lanes)
        if not bool(anew.any()):
            return
        self._memoria.reset_lanes(anew)
        if self.seen is not None:
            self.seen = self.seen.masked_fill(anew.to(self.seen.device)[:, None, None], 0.0)
            self._fresh = anew if self._fresh is None else anew | self._fresh

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within the block the model works without memory, and the memory stays as it is."""
        before, self._paused = self._paused, True
        try:
            yield
        finally:
            self._paused = before

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Within the block the memory is another, empty one, as for validation."""
        kept = dict(self.__dict__)
        self._memoria = copy(self._memoria)
        self.reset()
        try:
            yield
        finally:
            self.__dict__.update(kept)

    @contextmanager
    def one_segment(self) -> Iterator[None]:
        """Within the block all forward passes are one segment: only the first steps the memory."""
        before, self._generating, self.last = self._generating, True, None
        try:
            yield
        finally:
            self._generating = before

    def begin(
        self, lanes: int, mask: Tensor | None, continued: bool, training: bool
    ) -> Segment | None:
        """Begin a forward pass.

        Args:
            lanes: rows of the batch; those of the memory beyond stand still.
            mask: bool [B, N], false at padding; None where nothing is padding.
            continued: these tokens go on in the segment that was begun before, as with a cache of
                keys and values.
            training: whether the model is in training mode, in which ``reset_period`` counts.

        Returns:
            What the layers may read; None while paused.

        Raises:
            ShapeError: the memory has fewer lanes.
        """
        if self._paused:
            return None
        self._check_lanes(lanes)
        self._end_pending()
        self._rows = lanes
        if self.last is not None and (continued or self._generating):
            return self.last.again()
        coming, self._texts.coming = self._texts.coming, None
        if training and self.reset_period is not None and self._trained >= self.reset_period:
            known = self.lanes or 0
            self.reset()
            self.lanes, self._rows = max(known, lanes), lanes
        elif not self._holds:
            self.lanes = lanes
        self._texts.now = None if coming is None else self._of_all_lanes(coming)
        self._trained += training
        self.last = Segment(mask, getattr(self._host, "reader", None))
        return self.last

    def remember_seen(self, segment: Segment | None) -> None:
        """Turn the hidden states of the segment before, if any, into engrams and remind."""
        if segment is None or segment.read or not segment.empty or self.seen is None:
            return
        active = self._lanes_read()
        if self._fresh is not None:
            active &= ~self._fresh
            if not bool(active.any()):
                return
        rows, mask = self._rows, self.seen_mask
        working = self._engrams_of(self.seen[:rows], None if mask is None else mask[:rows])
        self._remember(segment, working, self._texts.seen, active)

    @untraced
    def remember_now(self, segment: Segment, hidden: Tensor, mask: Tensor | None) -> None:
        """Turn hidden states of this segment into engrams and remind.

        Args:
            segment: the segment under way.
            hidden: [B, N, D].
            mask: bool [B, N], false at padding; None where nothing is padding.
        """
        working = self._engrams_of(hidden, mask)
        self._remember(segment, working, self._texts.now, self._lanes_read())

    def end(
        self, segment: Segment | None, hidden: Tensor | None, mask: Tensor | None, continued: bool
    ) -> None:
        """End a forward pass: give the reminded their lifespan and end the memory's step.

        Args:
            segment: what `begin` returned.
            hidden: last hidden states [B, N, D] of which the next segment's engrams are made,
                behind those of earlier passes if ``continued``; None to keep none.
            mask: bool [B, N], false at padding.
            continued: as in `begin`.
        """
        if segment is None:
            return
        if not segment.read:
            self._adjust(segment)
            segment.read = True
            self.last = segment.again()
            self.last.gains = segment.gains
        if hidden is not None:
            self._see(hidden.detach(), mask, continued)

    def _engrams_of(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        queries = self._abstractor.query_embeddings  # the model may have moved since
        mask = None if mask is None else mask.to(queries.device)
        made: Tensor = self._abstractor(hidden.to(queries), mask)
        return made

    @property
    def _holds(self) -> bool:
        """Whether there is anything that a batch of another size would not fit to."""
        return self.seen is not None or self.timestep > 0

    def _lanes_read(self) -> Tensor:
        """Which lanes have a row in the batch, bool [B]."""
        return torch.arange(self.lanes or 0) < self._rows

    def _of_all_lanes(self, texts: Sequence[str]) -> tuple[str, ...]:
        """The texts of the batch's rows, and empty ones for lanes beyond."""
        lanes, rows = self.lanes or 0, self._rows
        of_rows = tuple(texts)[:rows] if len(texts) == lanes else checked_texts(texts, rows)
        return of_rows + ("",) * (lanes - rows)

    def _remember(
        self, segment: Segment, working: Tensor, texts: tuple[str, ...] | None, active: Tensor
    ) -> None:
        """``working`` enters the memory and brings back what ``segment`` may read.

        Args:
            segment: that of the rows of the batch.
            working: engrams [rows, W, D].
            texts: texts [B] that they were made of.
            active: bool [B], false for lanes that stand still.
        """
        rows = working.shape[0]
        given = functional.pad(working.detach(), (0, 0, 0, 0, 0, len(active) - rows))
        all_active = bool(active.all())
        try:
            if all_active:
                self._memoria.add_working_memory(given)
            else:
                self._memoria.add_working_memory(given, active)
        except InputError:
            if bool(given.isfinite().all()):
                raise
            raise _overflow(given) from None
        if texts is not None and self._memoria.core is not None:
            self._texts.add(self._memoria.core, working.shape[1], texts)
        reminded, self._pending = self._memoria.remind()
        segment.remember(working, reminded[:rows], self._pending[:rows])
        if not bool(active[:rows].all()):
            segment.lanes = active[:rows].to(working.device)

    def _adjust(self, segment: Segment) -> None:
        if segment.indices is None or self._pending is None:
            return
        received, indices = segment.received, segment.indices
        if received is None:
            gains = torch.zeros_like(indices, dtype=torch.float64)
        else:
            gains = lifespan_gains(received, segment.valid, self.alpha)
        beyond = self._pending.shape[0] - gains.shape[0]
        given = functional.pad(gains, (0, 0, 0, beyond))
        self._memoria.adjust_lifespan_and_memories(self._pending, given)
        segment.gains, self._pending = gains, None

    def _end_pending(self) -> None:
        """A forward pass that failed half-way left its step open: end it without gains."""
        if self._pending is not None:
            nothing = torch.zeros_like(self._pending, dtype=torch.float64)
            self._memoria.adjust_lifespan_and_memories(self._pending, nothing)
            self._pending = None

    def _see(self, hidden: Tensor, mask: Tensor | None, continued: bool) -> None:
        """Keep ``hidden`` [rows, N, D] for the next segment; lanes beyond keep what they have."""
        rows, lanes, texts = hidden.shape[0], self.lanes or 0, self._texts
        before, before_mask = self.seen, self.seen_mask
        if continued and before is not None:
            behind = (before[:rows], None if before_mask is None else before_mask[:rows])
            hidden, mask = _joined([behind, (hidden, mask)], 1)
        if rows == lanes:
            self._fresh, texts.seen = None, texts.now
        else:
            fresh = torch.arange(lanes) >= rows
            if before is None:
                others: _States = (hidden.new_zeros(lanes - rows, *hidden.shape[1:]), None)
            else:
                others = (before[rows:], None if before_mask is None else before_mask[rows:])
                fresh &= (
                    torch.zeros(lanes, dtype=torch.bool) if self._fresh is None else self._fresh
                )
            hidden, mask = _joined([(hidden, mask), others], 0)
            self._fresh = fresh if bool(fresh.any()) else None
            now, old = (one or ("",) * lanes for one in (texts.now, texts.seen))
            texts.seen = None if texts.now is texts.seen is None else now[:rows] + old[rows:]
        self.seen, self.seen_mask = hidden, mask

    def _check_lanes(self, lanes: int) -> None:
        if self._holds and self.lanes is not None and lanes > self.lanes:
            raise ShapeError(
                "batch",
                f"[{self.lanes}, ...]: the memory has a lane for each row",
                f"[{lanes}, ...]",
                "call model.memory.reset() to begin anew",
            )

    def state(self) -> dict[str, Tensor]:
        """Everything that coming segments depend on, as tensors, for a checkpoint."""
        self._end_pending()
        state = {_PREFIX + name: value for name, value in self._memoria.state().items()}
        state["trained"] = torch.tensor(self._trained)
        state["lanes"] = torch.tensor(self.lanes or 0)
        if self._fresh is not None:
            state["fresh"] = self._fresh.clone()
        if self.seen is not None:
            state["seen"] = self.seen.clone()
        if self.seen_mask is not None:
            state["seen_mask"] = self.seen_mask.clone()
        if self._memoria.core is not None:
            self._texts.forget(self._memoria.core)
        state["texts"] = self._texts.state()
        return state

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a `state`.

        Raises:
            InputError: it is no such state; the memory is then unchanged.
        """
        lacking = {"trained", "lanes"} - state.keys()
        if lacking:
            message = f"the state of a model's memory lacks {', '.join(sorted(lacking))}"
            raise InputError(message, "give what state() returned")
        inner = {
            name.removeprefix(_PREFIX): value
            for name, value in state.items()
            if name.startswith(_PREFIX)
        }
        if "data" in inner:
            inner["data"] = inner["data"].to(self._device)
        self._memoria.load_state(inner)
        self._forget_all()
        self._trained, self.lanes = int(state["trained"]), int(state["lanes"]) or None
        self.seen, self.seen_mask = state.get("seen"), state.get("seen_mask")
        fresh = state.get("fresh")
        self._fresh = None if fresh is None else fresh.cpu()
        if "texts" in state:
            self._texts = SegmentTexts.from_state(state["texts"])

    def state_dict(self) -> dict[str, Tensor]:
        """`state`, under the name that modules and optimisers have for it."""
        return self.state()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """`load_state`, under the name that modules and optimisers have for it."""
        self.load_state(state)

    def to_store(self, path: str | PathLike[str]) -> None:
        """Write the memory as a new store, for every verb of the command line.

        Texts that were given with segments stand beside their engrams. The segment read last is no
        engram yet and is not in it.

        Raises:
            StateError: before the first step.
            StoreExistsError: ``path`` exists already.
        """
        self._end_pending()
        core = self._memoria.core
        texts = None if core is None else self._texts.of_engrams(core)
        rule = f"correlation:{self.alpha:g}"
        save_memory(self._memoria, path, texts if texts and any(texts) else None, rule=rule)

    def from_store(self, path: str | PathLike[str], at: int | str | None = None) -> None:
        """Go on from a store, with the store's settings.

        Args:
            path: the store; the batch must have its lanes.
            at: snapshot or step to go on from; None is the newest.

        Raises:
            InputError: its vectors have another size than the model's; the memory is then
                unchanged, as after any error of opening a store.
        """
        loaded = load_memory(path, at, self._device, track_id=True)
        size, wanted = loaded.config.hidden_dim, self._abstractor.query_embeddings.shape[2]
        if size != wanted:
            message = f"{path}: its engrams have {size} numbers, the model's {wanted}"
            raise InputError(message, "choose a store that this model, or one of its size, wrote")
        loaded.keep_history = self._memoria.keep_history
        loaded.track_age = loaded.track_age or loaded.keep_history
        self._memoria = loaded
        self._forget_all()
        self.lanes = loaded.config.lanes


_States = tuple[Tensor, Tensor | None]  # hidden states [B, N, D], and their mask [B, N]


def _joined(parts: Sequence[_States], axis: int) -> _States:
    """Hidden states after each other along tokens (1), or along rows (0), padded on the right."""
    lengths = {states.shape[1] for states, _ in parts}
    masked = any(mask is not None for _, mask in parts) or (axis == 0 and len(lengths) > 1)
    masks = [_full(states) if mask is None else mask for states, mask in parts]
    found = [states for states, _ in parts]
    if axis == 0:
        missing = [max(lengths) - states.shape[1] for states in found]
        found = [functional.pad(one, (0, 0, 0, m)) for one, m in zip(found, missing, strict=True)]
        masks = [functional.pad(one, (0, m)) for one, m in zip(masks, missing, strict=True)]
    return torch.cat(found, axis), torch.cat(masks, axis) if masked else None


def _full(states: Tensor) -> Tensor:
    return torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)


def _overflow(engrams: Tensor) -> InputError:
    """The error for ``engrams`` that are not finite, which says what the model did."""
    dtype = str(engrams.dtype).removeprefix("torch.")
    value = engrams[~engrams.isfinite()][0].item()
    hint = "lower the learning rate or clip gradients; model.memory.reset() drops what was read"
    if engrams.dtype == torch.float16:
        hint = "train in bfloat16 or float32; model.memory.reset() drops what was read"
        return InputError(f"float16 overflowed: the engrams of this segment hold {value}", hint)
    return InputError(f"the engrams of this segment hold {value} ({dtype})", hint)


_SPARE = 256  # entries kept before the forgotten are looked for


class SegmentTexts:
    """The texts of segments, kept beside the engrams that were made of them.

    Every step with texts has an entry: the ids [first, first + count) of its engrams, the same in
    all lanes, and one text a lane.

    Attributes:
        coming: texts [B] of the segment read next.
        now: of the segment being read.
        seen: of the segment before.
    """

    def __init__(self) -> None:
        self.coming: tuple[str, ...] | None = None
        self.now: tuple[str, ...] | None = None
        self.seen: tuple[str, ...] | None = None
        self._entries: list[tuple[int, int, tuple[str, ...]]] = []
        self._limit = _SPARE

    def add(self, core: MemoryCore, count: int, texts: tuple[str, ...]) -> None:
        """Record that the newest ``count`` engrams of each lane were made of ``texts`` [B]."""
        self._entries.append((core.state.next_id - count, count, texts))
        if len(self._entries) > self._limit:
            self.forget(core)

    def forget(self, core: MemoryCore) -> None:
        """Drop entries of which no engram lives."""
        living = {number for lane in _living(core) for number in lane}
        self._entries = [
            entry
            for entry in self._entries
            if any(number in living for number in range(entry[0], entry[0] + entry[1]))
        ]
        self._limit = 2 * len(self._entries) + _SPARE

    def of_engrams(self, core: MemoryCore) -> list[dict[int, str]]:
        """The texts of living engrams by id, a dictionary for each lane."""
        found: list[dict[int, str]] = []
        for lane, living in enumerate(_living(core)):
            in_lane = {
                number: texts[lane]
                for first, count, texts in self._entries
                for number in range(first, first + count)
            }
            found.append({number: in_lane[number] for number in living if number in in_lane})
        return found

    def state(self) -> Tensor:
        """The entries as bytes in a tensor, uint8 [N]."""
        text = json.dumps([self._entries, self.seen])
        return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)

    @classmethod
    def from_state(cls, state: Tensor) -> SegmentTexts:
        """Read back what `state` wrote."""
        made = cls()
        entries, seen = json.loads(bytes(state.cpu().tolist()))
        made.seen = None if seen is None else tuple(seen)
        made._entries = [(int(at), int(count), tuple(texts)) for at, count, texts in entries]
        return made


def checked_texts(texts: Sequence[str], lanes: int | None = None) -> tuple[str, ...]:
    """The texts as a tuple. Raises `InputError` unless they are one string for each lane."""
    if isinstance(texts, str) or not all(isinstance(one, str) for one in texts):
        raise InputError(f"texts = {texts!r}: must be one string for each row of the batch")
    if lanes is not None and len(texts) != lanes:
        raise InputError(f"{len(texts)} texts for a batch of {lanes}", "give one for each row")
    return tuple(texts)


def _living(core: MemoryCore) -> list[list[int]]:
    ids, types = core.ops.numpy(core.state.ids), core.ops.numpy(core.state.types)
    return [
        in_lane[kinds != EngramType.NULL].tolist()
        for in_lane, kinds in zip(ids, types, strict=True)
    ]
