"""Engrams that a running memory hands out: what is written into them reaches the memory.

`memoria-pytorch` keeps its engrams in one `Engrams`, so its users write
``memoria.engrams.lifespan += 100``. Here the memory keeps arrays of its own, and before it does
anything else it looks whether the copy that it handed out has been written to.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from memoria.core.arrays import Array, ArrayOps
from memoria.core.connections.dense import DenseConnections
from memoria.core.engrams import ENGRAM_FIELDS, Engrams
from memoria.core.memory_core import MemoryCore
from memoria.core.vectors import ArrayVectors
from memoria.errors import InputError, ShapeError, StateError
from memoria.timeline.engram_type import EngramType


class LiveEngrams(Engrams):
    """The living engrams of a memory at one moment; it knows what was written or deleted since."""

    def track(self) -> None:
        """Take all fields as they are for unwritten, and all engrams for present."""
        self._seen: dict[str, _Seen | None] = {
            name: _Seen(getattr(self, name)) for name in ENGRAM_FIELDS
        }
        ranks = torch.arange(self.memory_length, device=self.data.device)
        self._ranks = ranks.expand(self.engrams_types.shape).masked_fill(self._null_mask, -1)
        self._deleted = False

    def delete(self, indices: Tensor) -> None:
        """Remove the engrams at ``indices`` [B, N]; -1 is ignored."""
        keep = ~self.get_mask_with_indices(indices) & ~self._null_mask
        kept = self.get_indices_with_mask(keep)
        if kept.shape[1]:
            self._ranks = self._ranks.gather(1, kept.clamp_min(0)).masked_fill(kept < 0, -1)
        else:
            self._ranks = kept
        written = self._written()
        super().delete(indices)
        self._deleted = True
        self._seen = {
            name: None if name in written else _Seen(getattr(self, name)) for name in ENGRAM_FIELDS
        }

    def is_changed(self) -> bool:
        """Whether anything was written or deleted since `track`."""
        return self._deleted or bool(self._written())

    def write_to(self, core: MemoryCore) -> Array:
        """Bring what was written and deleted into ``core``.

        Args:
            core: the memory, with the engrams that this had at `track`; unchanged after an error.

        Returns:
            Positions [B, N] of the engrams whose lifespan was written, -1 for none.

        Raises:
            ShapeError, InputError: what was written fits no engrams of this memory.
            StateError: co-fire counts were written to a memory that keeps a log of firings.
        """
        names, ops, state = self._written(), core.ops, core.state
        check_fields(self, self._ranks.shape, core.state.vectors.dimension)
        connections = core.connections
        if "engram_ids" in names:
            raise InputError("engram_ids: an engram keeps its id", "give new Engrams to `engrams`")
        if "induce_counts" in names and not isinstance(connections, DenseConnections):
            hint = 'only a memory with layout="dense" takes co-fire counts'
            raise StateError("induce_counts: the connections are a log of firings", hint)
        positions = state.nth_living(ops.array(self._ranks))
        kept = ops.where(ops.array(self._null_mask), -1, positions)
        cells = ops.nonzero(kept >= 0)
        at = (cells[0], kept[cells])

        def values(field: Tensor | None) -> Array:
            return ops.array(field)[cells]

        if "data" in names:
            assert isinstance(state.vectors, ArrayVectors)
            state.vectors.overwrite(*at, values(self.data))
        if "age" in names and self.age is not None:
            state.born[at] = core.step - values(self.age)
        if "induce_counts" in names:
            assert isinstance(connections, DenseConnections)
            connections.overwrite(kept, ops.array(self.induce_counts))
            state.fires[at] = values(self.fire_count)
        if "engrams_types" in names:
            state.retype(at, values(self.engrams_types))
        moved = kept if "lifespan" in names else ops.full((state.lanes, 0), -1, "int64")
        if "lifespan" in names:
            expiry = core.step + ops.cast(ops.array(self.lifespan), "float64")
            state.expire_at(moved, at, expiry[cells])
        living = core.living_positions()
        stays = state.at(state.mask(kept), living, False)
        state.forget(ops.where(stays, -1, living), core.step)
        return moved

    def _written(self) -> set[str]:
        return {
            name
            for name, seen in self._seen.items()
            if seen is None or not seen.is_still(getattr(self, name))
        }


class _Seen:
    """A tensor at one moment: itself and its version, or a copy where torch counts no versions."""

    def __init__(self, tensor: Tensor | None) -> None:
        self._tensor = tensor
        uncounted = tensor is not None and tensor.is_inference()
        self._copy = tensor.clone() if tensor is not None and uncounted else None
        self._version = 0 if tensor is None or uncounted else tensor._version

    def is_still(self, tensor: Tensor | None) -> bool:
        """Whether ``tensor`` is that one, and unchanged."""
        if tensor is None or tensor is not self._tensor:
            return tensor is self._tensor
        if self._copy is not None:
            return torch.equal(tensor, self._copy)
        return tensor._version == self._version


def check_fields(engrams: Engrams, shape: Sequence[int], dimension: int) -> None:
    """Raise `ShapeError` or `InputError` unless a memory can hold these.

    Args:
        engrams: what was given.
        shape: [B, M] that its fields must have.
        dimension: D that its vectors must have.
    """
    wanted = list(shape)
    shapes = {"data": [*wanted, dimension], "induce_counts": [*wanted, wanted[1]]}
    for name in ENGRAM_FIELDS:
        field = getattr(engrams, name)
        if field is not None and list(field.shape) != shapes.get(name, wanted):
            raise ShapeError(name, str(shapes.get(name, wanted)), list(field.shape))
    null = engrams.engrams_types == EngramType.NULL
    for name in ("data", "lifespan"):
        if not bool(getattr(engrams, name)[~null].isfinite().all()):
            raise InputError(f"{name} holds NaN or Inf", "clean it first")
    if bool((engrams.engrams_types > max(EngramType)).any()):
        raise InputError("engrams_types holds no EngramType", "0 to 3: NULL to LONGTERM")
    for kinds in engrams.engrams_types:
        living = kinds[kinds != EngramType.NULL].int()
        if bool((living.diff() > 0).any()):
            message = "engrams_types: engrams stand in order of creation"
            raise InputError(message, "long-term ones first, then short-term, then working")


def replace_engrams(core: MemoryCore, engrams: Engrams) -> None:
    """Make ``engrams``, which `check_fields` has let pass, all that ``core``, an empty one, holds.

    Ids are those of ``engrams``; where they are not tracked, engrams are counted through.
    """
    ops, state = core.ops, core.state
    kept = ops.columns(ops.array(engrams.engrams_types != EngramType.NULL))
    width = kept.shape[1]

    def packed(field: Tensor, null: int) -> Array:
        return ops.take(ops.array(field), kept, null)

    ids = ops.where(kept < 0, -1, kept)
    if engrams.engram_ids is not None:
        ids = packed(engrams.engram_ids, -1)
        _check_ids(ops, ids)
    ages = engrams.age if engrams.age is not None else torch.zeros_like(engrams.engrams_types)
    state.load(
        ids=ids,
        types=packed(engrams.engrams_types, int(EngramType.NULL)),
        expiry=core.step + ops.cast(packed(engrams.lifespan, -1), "float64"),
        born=core.step - ops.cast(packed(ages.int(), 0), "int32"),
        fires=ops.cast(packed(engrams.fire_count.contiguous(), 0), "int32"),
        next_id=int(ids.max()) + 1 if width else 0,
    )
    vectors = ArrayVectors(state.lanes, engrams.hidden_dim, ops)
    vectors.load(ops.array(engrams.data))
    vectors.pack(kept, state.capacity)
    state.vectors = vectors
    connections = DenseConnections.from_counts(ops.array(engrams.induce_counts), ops)
    connections.pack(kept, state.capacity)
    core.connections = connections


def _check_ids(ops: ArrayOps, ids: Array) -> None:
    for lane in ops.numpy(ids):
        known = lane[: int(np.count_nonzero(lane >= 0))]
        if (lane[len(known) :] != -1).any() or (np.diff(known) <= 0).any():
            raise InputError("engram_ids: ids of a lane ascend, 0 or more each", "leave them out")
