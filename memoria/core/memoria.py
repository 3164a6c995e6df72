"""`Memoria`: a memory in tensors, as a model uses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from memoria.config import MemoriaConfig
from memoria.core.arrays import NUMPY, Array, ArrayOps
from memoria.core.checkpoint import core_state, fill_core
from memoria.core.checks import (
    as_delta,
    as_device,
    as_indices,
    as_lane_ids,
    as_lane_mask,
    as_memory_data,
)
from memoria.core.engrams import Engrams, counts_between
from memoria.core.live_engrams import LiveEngrams, check_fields, replace_engrams
from memoria.core.memory_core import MemoryCore, make_connections
from memoria.core.recall import LongTermSearch, graph_search
from memoria.core.recorder import Recorder, fill_log, log_state
from memoria.core.state import NULL
from memoria.core.torch_arrays import TorchOps
from memoria.core.vectors import ArrayVectors
from memoria.errors import ConfigError, InputError, StateError
from memoria.io.notebook import SHOWN_ROWS, html_table
from memoria.timeline.engram_type import LIVING_TYPES
from memoria.timeline.history import HistoryManager
from memoria.timeline.log import EventKind


def choose_ops(device: torch.device) -> ArrayOps:
    """Numpy's on the CPU, whose small operations cost half of torch's; else torch's."""
    return NUMPY if device.type == "cpu" else TorchOps(device)


class _Setting:
    """A setting of the memory's `config` as an attribute; a new value holds from then on."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, memory: Memoria | None, owner: type) -> Any:
        return self if memory is None else getattr(memory.config, self._name)

    def __set__(self, memory: Memoria, value: Any) -> None:
        config = MemoriaConfig(**{**memory.config.model_dump(), self._name: value})
        memory.config = config
        if memory.core is not None:
            memory.core.config = config


class Memoria:
    """Working, short-term and long-term memory of B independent lanes (Park & Bak, ICML 2024).

    A step is ``add_working_memory`` -> ``remind`` -> ``adjust_lifespan_and_memories``. Counts are
    engrams per lane, lifespans are steps. Nothing here enters autograd or draws from torch's
    generator: the tie rule and the random entries are hashes of (``seed``, step, lane, engram).

    Args:
        num_reminded_stm: short-term engrams reminded at a step.
        stm_capacity: short-term engrams kept; older ones become long-term.
        ltm_search_depth: rounds of the walk along connections.
        initial_lifespan: steps that a new engram lives unless reminded.
        num_final_ltms: long-term engrams reminded at a step.
        track_age: ``engrams.age`` holds steps since creation, else it is None.
        track_id: ``engrams.engram_ids`` holds ids that never change, else it is None.
        keep_history: record the life of every engram in ``history``, a `HistoryManager` for each
            lane from the first finished step on (None before); sets both of the above.
        device: where the memory lives; None takes the device of the first data.
        seed: of the hash.
        tie_break: ``"hash"`` or ``"oldest"`` of equally connected entry points.
        random_entries: ``"unreminded"`` adds a random long-term entry point for every short-term
            engram that was not reminded, as the authors' released code does; N adds N; 0 none.
        layout: ``"dense"`` keeps the co-fire matrix, ``"sparse"`` the log of what fired; the
            results are the same. ``"auto"`` is dense.
        lane_ids: the lanes' identities in the hash, 0..B-1 unless given: one lane with
            ``lane_ids=[3]`` repeats what lane 3 of a batch does.

    ``num_reminded_stm``, ``stm_capacity``, ``ltm_search_depth``, ``initial_lifespan`` and
    ``num_final_ltms`` are attributes that may be set: new values hold from the next operation on.

    A subclass may set ``search`` to find long-term engrams in another way (`memoria.core.recall`).

    Raises:
        ConfigError: a setting is out of bounds.
    """

    search: LongTermSearch = staticmethod(graph_search)
    choose_ops: Callable[[torch.device], ArrayOps] = staticmethod(choose_ops)
    num_reminded_stm = _Setting()
    stm_capacity = _Setting()
    ltm_search_depth = _Setting()
    initial_lifespan = _Setting()
    num_final_ltms = _Setting()

    def __init__(
        self,
        num_reminded_stm: int,
        stm_capacity: int,
        ltm_search_depth: int,
        initial_lifespan: float,
        num_final_ltms: int,
        track_age: bool = False,
        track_id: bool = False,
        keep_history: bool = False,
        device: str | torch.device | None = None,
        *,
        seed: int = 0,
        tie_break: str = "hash",
        random_entries: str | int = "unreminded",
        layout: str = "auto",
        lane_ids: Sequence[int] | None = None,
    ) -> None:
        self.config = MemoriaConfig(
            num_reminded_stm=num_reminded_stm,
            stm_capacity=stm_capacity,
            ltm_search_depth=ltm_search_depth,
            initial_lifespan=initial_lifespan,
            num_final_ltms=num_final_ltms,
            seed=seed,
            tie_break=tie_break,
            random_entries=random_entries,
            layout=layout,
        )
        self.track_age = track_age or keep_history
        self.track_id = track_id or keep_history
        self.keep_history = keep_history
        self.lane_ids = as_lane_ids(lane_ids)
        self._wanted_device = as_device(device)
        self._core: MemoryCore | None = None
        self._log: Recorder | None = None
        self._view: LiveEngrams | None = None
        self._outside = torch.device("cpu")
        self.reset_memory()

    def __repr__(self) -> str:
        if self._core is None:
            return f"Memoria(empty, {_told_settings(self.config)})"
        state = self._core.state
        kinds = _counts(self._core.ops.numpy(state.types))
        return (
            f"Memoria(step {self._core.step}, lanes={state.lanes}, {kinds}, "
            f"{_told_settings(self.config)})"
        )

    def _repr_html_(self) -> str:
        """The memory as a notebook shows it: engrams of each memory, lane by lane."""
        names = [kind.name.lower() for kind in LIVING_TYPES]
        rows: list[list[object]] = []
        if self._core is not None:
            for lane, types in enumerate(self._core.ops.numpy(self._core.state.types)):
                rows.append([lane, *(int((types == kind).sum()) for kind in LIVING_TYPES)])
        title = f"Memoria, step {self.timestep}, {_told_settings(self.config)}"
        shown = rows[:SHOWN_ROWS]
        return html_table(title, ("lane", *names), shown, len(rows) - SHOWN_ROWS)

    def reset_memory(self) -> None:
        """Forget everything; the next data may have other lanes and another dimension."""
        self._core = None
        self._log = None
        self._view = None

    @property
    def history(self) -> list[HistoryManager] | None:
        """A `HistoryManager` for each lane from the first finished step on; None before."""
        return None if self._log is None else self._log.histories

    @property
    def timestep(self) -> int:
        """Steps done since the memory was empty."""
        return 0 if self._core is None else self._core.step

    @property
    def device(self) -> torch.device | None:
        """Where the memory lives; None until it is known."""
        return self._wanted_device if self._core is None else torch.device(self._core.ops.device)

    @property
    def ext_device(self) -> torch.device | None:
        """Where the last working memory came from, and reminders go to; None while empty."""
        return None if self._core is None else self._outside

    @property
    def next_engram_id(self) -> int | None:
        """Local id of the next engram; None while the memory is empty."""
        core = self.core
        return None if core is None else core.state.next_id

    @property
    def engrams(self) -> Engrams:
        """All living engrams, padded to [B, M] on the right.

        What is written into them (``engrams.lifespan += 100``, ``engrams.delete(indices)``) takes
        effect at the next operation, unless another came between: ask for them anew after each.
        Assigning other `Engrams` replaces everything that the memory holds.

        Raises:
            ShapeError, InputError: what was written or assigned is nothing that a memory can hold;
                the memory is unchanged.
            StateError: co-fire counts were written in a memory with ``layout="sparse"``.
        """
        core = self.core
        if core is None:
            return Engrams.empty(track_age=self.track_age, track_engram_id=self.track_id)
        if self._view is None:
            self._view = self._snapshot(core)
            self._view.track()
        return self._view

    @engrams.setter
    @torch.no_grad()
    def engrams(self, engrams: Engrams) -> None:
        if self.config.layout == "sparse":
            hint = 'only a memory with layout="dense" takes co-fire counts'
            raise StateError("engrams: the connections are a log of firings", hint)
        old = self.core
        if len(engrams) == 0:
            return self.reset_memory()
        data = as_memory_data(engrams.data, None, None, self.device)
        check_fields(engrams, data.shape[:2], data.shape[2])
        core = self._new_core(data.shape[0], data.shape[2], data.device)
        core.step = 0 if old is None else old.step
        replace_engrams(core, engrams)
        self.reset_memory()
        self._core, self._log = core, Recorder(core.state.lanes, core.ops)
        self._outside = engrams.data.device

    @property
    def pinned(self) -> Tensor:
        """Which of ``engrams`` are pinned, bool [B, M]; false at nulls."""
        core = self.core
        if core is None:
            return torch.zeros([0, 0], dtype=torch.bool)
        state = core.state
        return torch.as_tensor(state.at(state.pinned, core.living_positions(), False))

    @property
    def core(self) -> MemoryCore | None:
        """What runs underneath, None while the memory is empty. For saving; not to be changed."""
        if self._view is not None and self._core is not None and self._view.is_changed():
            self._take_writes(self._view, self._core)
        return self._core

    @property
    def log(self) -> Recorder | None:
        """Who of the living fired when: what a store is written from. None with `core`."""
        return None if self.core is None else self._log

    def resume(self, config: MemoriaConfig, core: MemoryCore, log: Recorder) -> None:
        """Go on from elsewhere.

        Args:
            config: the settings from now on.
            core: the engrams and connections, made with ``config``.
            log: their past.
        """
        self.reset_memory()
        self.config, self._core, self._log = config, core, log

    @torch.no_grad()
    def state(self) -> dict[str, Tensor]:
        """Everything that later steps depend on, as tensors, for checkpoints; not `history`.

        Returns:
            Tensors by name, copied; nothing for an empty memory.
        """
        core, log = self.core, self._log
        if core is None or log is None:
            return {}
        saved = core_state(core)
        log.relocate(core.state)
        return saved | log_state(log, core.state)

    @torch.no_grad()
    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Resume from what `state` returned, bit for bit, under the same settings.

        ``history`` then begins with what the living engrams went through.

        Raises:
            InputError: the tensors do not fit together; the memory is unchanged.
        """
        core = log = None
        if state:
            data = state.get("data")
            if data is None or data.dim() != 3:
                raise InputError("the state holds no vectors", "give what state() returned")
            device = data.device if self._wanted_device is None else self._wanted_device
            core = self._new_core(data.shape[0], data.shape[2], device)
            fill_core(core, state)
            log = fill_log(core.state, state)
        self.reset_memory()
        self._core, self._log = core, log
        self._outside = torch.device("cpu") if core is None else torch.device(core.ops.device)

    @torch.no_grad()
    def add_working_memory(self, data: Tensor, active: Tensor | None = None) -> None:
        """Make ``data`` the working memory, or add to it.

        Args:
            data: floating point [B, W, D]; converted to float32 and detached.
            active: bool [B]; a lane where it is false stands still in this step: of ``data`` it
                gets nothing, it is reminded of nothing, and its lifespans stay. None: all lanes.

        Raises:
            ShapeError: another B or D than before, or a size of 0.
            InputError: NaN, Inf or integers, or no lane is active. After an error the memory is
                unchanged.
            StateError: lanes stand still, and this step has working memory already.
        """
        core = self.core
        lanes = None if core is None else core.state.lanes
        dimension = None if core is None else core.state.vectors.dimension
        taken = as_memory_data(data, lanes, dimension, self.device)
        idle = _idle_lanes(core, active, taken.shape[0])
        if core is None:
            core = self._new_core(taken.shape[0], taken.shape[2], taken.device)
        added = core.add(core.ops.array(taken))
        if self._log is None:
            self._log = Recorder(core.state.lanes, core.ops)
        if self.keep_history:
            self._log.begin_histories(core.state, core.step)
        self._log.add()
        self._core, self._view, self._outside = core, None, data.device
        if idle is not None:
            self._stand_still(core, core.ops.array(idle), added)

    @torch.no_grad()
    def remind(self) -> tuple[Tensor, Tensor]:
        """Bring back what the working memory is connected to, and let it all fire together.

        Returns:
            (memories, indices), float32 [B, R, D] and int64 [B, R]: long-term reminders, then
            short-term ones, each from newest to oldest, then -1 with zero vectors. One -1 closes a
            lane of which some short-term engram was not reminded.

        Raises:
            StateError: there is no working memory.
        """
        core, log = self._running("remind")
        working = core.working_positions()
        if working.shape[1] == 0:
            raise StateError("there is no working memory", "call add_working_memory() first")
        found = core.recall()
        core.fire(found)
        self._view = None
        positions = found.packed(core.ops)
        log.fire(core.state, core.ops.concatenate((working, positions), 1))
        answer = core.state.data_at(positions), core.state.indices(positions)
        memories, indices = (torch.as_tensor(one, device=self._outside) for one in answer)
        return memories, indices

    @torch.no_grad()
    def adjust_lifespan_and_memories(self, indices: Tensor, lifespan_delta: Tensor) -> None:
        """End the step: ``lifespan[indices] += delta``, then ``lifespan -= 1`` for every engram.

        Working memory becomes short-term, the oldest short-term engrams above the capacity become
        long-term, and engrams with no lifespan left are forgotten.

        Args:
            indices: engrams that gain, int64 [B, N] as `remind` returned them; -1 is ignored,
                repeats add up.
            lifespan_delta: steps gained, real [B, N].

        Raises:
            ShapeError: the shapes differ, or B is another.
            InputError: an index out of range, NaN or Inf. After an error the memory is unchanged.
        """
        core, log = self._running("adjust_lifespan_and_memories")
        state = core.state
        if self.keep_history:
            log.begin_histories(state, core.step)
        at = self._checked(core, indices)
        delta = as_delta(lifespan_delta, at, at.device)
        positions, working = state.nth_living(core.ops.array(at)), core.working_positions()
        log.gain(state, positions, self.keep_history)
        core.adjust(positions, core.ops.array(delta))
        log.end(state, working, positions, self.keep_history)
        self._view = None

    @torch.no_grad()
    def forget(self, indices: Tensor) -> None:
        """Forget engrams at once, pinned or not. Only between steps.

        Args:
            indices: int64 [B, N]; -1 is ignored.

        Raises:
            StateError: there is working memory.
            ShapeError, InputError: as `adjust_lifespan_and_memories`. After an error the memory is
                unchanged.
        """
        core, positions = self._between_steps("forget", indices)
        core.forget(positions)
        self._happened(core, positions, EventKind.FORGET)

    @torch.no_grad()
    def pin(self, indices: Tensor) -> None:
        """Let the engrams ``indices`` [B, N] lose no lifespan until `unpin`; errors as `forget`.

        ``lifespan = ceil(lifespan)``; at the end of a step ``ceil(lifespan + max(0, delta))``.
        """
        core, positions = self._between_steps("pin", indices)
        held = core.state.at(core.state.pinned, positions, False)
        core.pin(positions)
        self._happened(core, core.ops.where(held, -1, positions), EventKind.PIN)

    @torch.no_grad()
    def unpin(self, indices: Tensor) -> None:
        """Let the engrams ``indices`` [B, N] age again; errors as `forget`."""
        core, positions = self._between_steps("unpin", indices)
        held = core.state.at(core.state.pinned, positions, False)
        core.unpin(positions)
        self._happened(core, core.ops.where(held, positions, -1), EventKind.UNPIN)

    @torch.no_grad()
    def reset_lanes(self, mask: Tensor) -> None:
        """Forget every engram of some lanes, pinned or not; the others go on. Only between steps.

        Args:
            mask: bool [B], true for the lanes that start anew, as where a document ends.

        Raises:
            StateError: there is working memory.
            ShapeError, InputError: ``mask`` is no bool [B]. After an error the memory is unchanged.
        """
        core = self.core
        if core is None:
            return
        lanes = core.ops.array(as_lane_mask("mask", mask, core.state.lanes))
        self._check_between_steps("reset_lanes", core)
        positions = core.ops.where(lanes[:, None], core.living_positions(), -1)
        core.forget(positions)
        self._happened(core, positions, EventKind.FORGET)

    def _stand_still(self, core: MemoryCore, idle: Array, added: Array) -> None:
        """The lanes ``idle`` [B] have no part in this step, nor of what was ``added`` [B, W]."""
        ops, state = core.ops, core.state
        core.forget(ops.where(idle[:, None], added, -1))
        living = core.living_positions()
        ages = idle[:, None] & ~state.at(state.pinned, living, False)
        held = ops.where(ages, living, -1)
        core.recall_by_hand(held, 1.0)  # the step that its end takes away
        self._happened(core, held, EventKind.RECALL, 1.0)

    def _between_steps(self, verb: str, indices: Tensor) -> tuple[MemoryCore, Array]:
        core, _ = self._running(verb)
        self._check_between_steps(verb, core)
        at = core.ops.array(self._checked(core, indices))
        return core, core.state.nth_living(at)

    def _check_between_steps(self, verb: str, core: MemoryCore) -> None:
        if core.working_positions().shape[1]:
            message = f"{verb}: there is working memory, so a step is under way"
            raise StateError(message, "end it with adjust_lifespan_and_memories() first")

    def _checked(self, core: MemoryCore, indices: Tensor) -> Tensor:
        living = torch.as_tensor(core.state.living_count())
        return as_indices(indices, living, living.device)

    def _happened(
        self, core: MemoryCore, positions: Array, kind: EventKind, value: float = 0.0
    ) -> None:
        self._view = None
        if self._log is not None:
            self._log.happen(core.step, kind, core.state, positions, self.keep_history, value)

    def _running(self, verb: str) -> tuple[MemoryCore, Recorder]:
        core, log = self.core, self._log
        if core is None or log is None:
            raise StateError(f"{verb}: the memory is empty", "call add_working_memory() first")
        return core, log

    @torch.no_grad()
    def _take_writes(self, view: LiveEngrams, core: MemoryCore) -> None:
        """Bring what a user wrote into the engrams into the memory."""
        self._view = None
        moved = view.write_to(core)
        if self._log is not None:
            self._log.written(core.state, moved, self.keep_history)

    def _new_core(self, lanes: int, dimension: int, device: torch.device) -> MemoryCore:
        lane_ids = list(range(lanes)) if self.lane_ids is None else self.lane_ids
        if len(lane_ids) != lanes:
            message = f"lane_ids = {lane_ids}: the data has {lanes} lanes"
            raise ConfigError(message, "name every lane once")
        ops = self.choose_ops(device)
        vectors = ArrayVectors(lanes, dimension, ops)
        connections = make_connections(self.config.layout, lanes, ops)
        return MemoryCore(self.config, vectors, connections, lane_ids, ops, self.search)

    def _snapshot(self, core: MemoryCore) -> LiveEngrams:
        state, living = core.state, core.living_positions()

        def column(values: Array, null: int) -> Tensor:
            return torch.as_tensor(state.at(values, living, null))

        null = torch.as_tensor(living) < 0
        age = core.step - column(state.born, 0)
        return LiveEngrams(
            data=torch.as_tensor(state.data_at(living)),
            induce_counts=counts_between(
                torch.as_tensor(core.connections.counts()), torch.as_tensor(living)
            ),
            engrams_types=column(state.types, NULL),
            lifespan=(column(state.expiry, 0) - core.step).masked_fill(null, -1.0),
            age=age.masked_fill(null, -1) if self.track_age else None,
            engram_ids=column(state.ids, -1) if self.track_id else None,
            track_age=self.track_age,
            track_engram_id=self.track_id,
        )


def _idle_lanes(core: MemoryCore | None, active: Tensor | None, lanes: int) -> Tensor | None:
    """Lanes that stand still in the step that begins, bool [B]; None where none does."""
    working = None if core is None else core.working_positions()
    begun = working is not None and working.shape[1] > 0
    hint = "add the working memory of such a step at once"
    if begun and working is not None and bool((working < 0).any()):
        raise StateError("add_working_memory: lanes stand still in this step", hint)
    if active is None:
        return None
    idle = ~as_lane_mask("active", active, lanes)
    if begun:
        raise StateError("active: this step has working memory already", hint)
    if bool(idle.all()):
        raise InputError("active: every lane stands still", "leave the step out")
    return idle if bool(idle.any()) else None


def _counts(types: npt.NDArray[np.uint8]) -> str:
    """Engrams of each memory, in words."""
    return ", ".join(f"{kind.name.lower()}={int((types == kind).sum())}" for kind in LIVING_TYPES)


def _told_settings(config: MemoriaConfig) -> str:
    names = ("num_reminded_stm", "stm_capacity", "ltm_search_depth", "initial_lifespan")
    return ", ".join(f"{name}={getattr(config, name)}" for name in (*names, "num_final_ltms"))
