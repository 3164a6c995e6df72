"""The engrams of all lanes as arrays that change in place.

Every lane holds its engrams in order of creation at *positions* 0, 1, 2, ...; a forgotten engram
leaves a hole until the arrays are packed. Users see *indices*: ranks among the living engrams of a
lane. Shapes: B lanes, C positions (the capacity), N engrams asked about; -1 pads on the right.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from memoria.core.ranks import LivingRanks, whole_blocks
from memoria.core.vectors import Vectors
from memoria.timeline import rules
from memoria.timeline.engram_type import EngramType

NULL, WORKING, SHORTTERM, LONGTERM = (int(t) for t in EngramType)

_SPARE: Final = (1.5, 1.25)  # capacity over the living when packing up to, and above, `_MANY`
_MANY: Final = 2**16
_HORIZON: Final = 64  # steps between two scans of all lifespans


def positions_of(mask: Tensor) -> Tensor:
    """Columns of the true entries of each row.

    Args:
        mask: bool [B, C].

    Returns:
        Columns in ascending order, int64 [B, N], -1 on the right; N is the largest row's count.
    """
    counts = mask.sum(dim=1)
    width = int(counts.max()) if mask.shape[0] else 0
    lane, position = mask.nonzero(as_tuple=True)
    rank = torch.arange(lane.numel(), device=mask.device) - (counts.cumsum(0) - counts)[lane]
    out = torch.full((mask.shape[0], width), -1, dtype=torch.int64, device=mask.device)
    out[lane, rank] = position
    return out


def mask_of(positions: Tensor, width: int) -> Tensor:
    """Bool [B, width], true at ``positions`` [B, N]; -1 is ignored."""
    shape = (positions.shape[0], width + 1)
    hit = torch.zeros(shape, dtype=torch.bool, device=positions.device)
    return hit.scatter_(1, torch.where(positions < 0, width, positions), True)[:, :-1]


def counts_between(counts: Tensor, positions: Tensor) -> Tensor:
    """``counts`` [B, C, C] between all of ``positions`` [B, N]: [B, N, N], -1 where one is -1."""
    at, null = positions.clamp_min(0), positions < 0
    lane = torch.arange(at.shape[0], device=at.device).view(-1, 1, 1)
    taken = counts[lane, at.unsqueeze(2), at.unsqueeze(1)]
    return taken.masked_fill_(null.unsqueeze(2) | null.unsqueeze(1), -1)


class EngramState:
    """Everything about every engram except its connections.

    A lifespan is kept as the step at which it ends: ``lifespan = expiry - step``. So ageing costs
    nothing, and never stalls as a float32 countdown does past 2^24.

    Attributes:
        ids: lane-local id, never reused, int64 [B, C]; -1 at unused positions.
        types: `EngramType`, uint8 [B, C]; NULL at unused positions and holes.
        expiry: step at which the engram is forgotten, float64 [B, C].
        born: steps finished when it was added, int32 [B, C].
        fires: steps at which it fired, int32 [B, C].
        pinned: whether it loses no lifespan, bool [B, C].
        pinned_cells: (lane, position) of each pinned engram, int64 [P] both.
        length: positions used in each lane, int64 [B]; ``used`` is their maximum.
        capacity: C, a multiple of 64.
        next_id: local id of the next engram.
        vectors: the engrams' vectors.
    """

    def __init__(self, lanes: int, vectors: Vectors, device: torch.device) -> None:
        self.lanes, self.device, self.vectors = lanes, device, vectors
        self.capacity = 0
        self.used = 0
        self.length = torch.zeros(lanes, dtype=torch.int64, device=device)
        self.next_id = 0
        self._recent = 0  # no engram before this position is working or short-term memory
        self._horizon = -1  # `_soon` holds every engram that may expire up to this step
        self._soon: list[Tensor] = []
        self.ids = self._array(torch.int64, -1)
        self.types = self._array(torch.uint8, NULL)
        self.expiry = self._array(torch.float64, -1.0)
        self.born = self._array(torch.int32, -1)
        self.fires = self._array(torch.int32, 0)
        self.pinned = self._array(torch.bool, False)
        self.pinned_cells = self._find_pinned()
        self._ranks = LivingRanks(self.types != NULL)

    def load(
        self,
        ids: Tensor,
        types: Tensor,
        expiry: Tensor,
        born: Tensor,
        fires: Tensor,
        next_id: int,
        pinned: Tensor | None = None,
    ) -> None:
        """Replace all engrams by these.

        Args:
            ids, types, expiry, born, fires, pinned: as the attributes, [B, M]; -1 and NULL on the
                right. Without ``pinned`` no engram is pinned.
            next_id: local id of the next engram.
        """
        self.ids, self.types, self.expiry, self.born, self.fires = ids, types, expiry, born, fires
        self.pinned = torch.zeros_like(types, dtype=torch.bool) if pinned is None else pinned
        self.capacity = self.used = ids.shape[1]
        self.next_id = next_id
        self._resize(positions_of(types != NULL), ids.shape[1])

    def has_room(self, count: int) -> bool:
        """Whether ``count`` more engrams a lane fit without packing."""
        return self.used + count <= self.capacity

    def pack(self, count: int) -> Tensor:
        """Close holes, make room for ``count`` more a lane; returns the old positions [B, K]."""
        kept = positions_of(self.types != NULL)
        needed = kept.shape[1] + count
        self._resize(kept, max(1, int(needed * _SPARE[needed > _MANY])))
        self.vectors.pack(kept, self.capacity)
        return kept

    def append(self, data: Tensor, step: int, lifespan: float) -> Tensor:
        """Add working memory ``data`` [B, W, D], given room; returns its positions [B, W]."""
        count = data.shape[1]
        new = torch.arange(count, device=self.device)
        positions = self.length.unsqueeze(1) + new
        self.ids.scatter_(1, positions, (self.next_id + new).expand(self.lanes, -1))
        self.types.scatter_(1, positions, WORKING)
        self.expiry.scatter_(1, positions, step + lifespan)
        self.born.scatter_(1, positions, step)
        self.fires.scatter_(1, positions, 0)
        self.vectors.append(positions, data)
        lane = torch.arange(self.lanes, device=self.device).unsqueeze(1).expand_as(positions)
        self._ranks.change(lane, positions, +1)
        self._soon.append(positions)
        self.length += count
        self.used += count
        self.next_id += count
        return positions

    def at(self, values: Tensor, positions: Tensor, null: int) -> Tensor:
        """``values`` [B, C] at ``positions`` [B, N]; ``null`` where the position is -1."""
        taken = values.gather(1, positions.clamp_min(0))
        return taken.masked_fill_(positions < 0, null)

    def find(self, ids: Tensor) -> Tensor:
        """Positions [B, N] of the engrams ``ids`` [B, N], which must exist; -1 stays -1."""
        found = [
            torch.searchsorted(known[:length], wanted)
            for known, length, wanted in zip(self.ids, self.length.tolist(), ids, strict=True)
        ]
        return torch.stack(found).masked_fill_(ids < 0, -1)

    def find_living(self, ids: Tensor) -> Tensor:
        """Positions [B, N] of the engrams ``ids`` [B, N]; -1 where none lives with that id."""
        if self.capacity == 0:
            return torch.full_like(ids, -1)
        at = self.find(ids).clamp_(0, self.capacity - 1)
        lives = (self.ids.gather(1, at) == ids) & (self.types.gather(1, at) != NULL)
        return at.masked_fill_(~lives | (ids < 0), -1)

    def data_at(self, positions: Tensor) -> Tensor:
        """Vectors [B, N, D] at ``positions``; zeros where -1."""
        return self.vectors.gather(positions, self.at(self.ids, positions, -1))

    def working(self) -> Tensor:
        """Positions of the working memory, [B, W]."""
        return self._recent_ones(WORKING)

    def shortterm(self) -> Tensor:
        """Positions of the short-term memory, ascending, [B, S], -1 on the right."""
        return self._recent_ones(SHORTTERM)

    def first_shortterm(self) -> Tensor:
        """Local id of each lane's oldest short-term engram, [B]; older ones are long-term."""
        types, ids = self.types[:, self._recent :], self.ids[:, self._recent :]
        if types.shape[1] == 0:
            return torch.full_like(self.length, self.next_id)
        return torch.where(types == SHORTTERM, ids, self.next_id).amin(dim=1)

    def longterm_count(self) -> Tensor:
        """Long-term engrams of each lane, [B]."""
        recent = self.types[:, self._recent :]
        return self._ranks.living() - ((recent == WORKING) | (recent == SHORTTERM)).sum(1)

    def living_count(self) -> Tensor:
        """Engrams of each lane, [B]."""
        return self._ranks.living()

    def nth_living(self, ranks: Tensor) -> Tensor:
        """Positions [B, N] of the living engrams of ``ranks`` [B, N], 0 the oldest; -1 stays -1.

        Long-term engrams are the oldest, so a rank among them is a rank among all living ones.
        """
        if self.capacity == 0:
            return ranks
        found = self._ranks.select(self.types != NULL, ranks.clamp_min(0))
        return found.masked_fill_(ranks < 0, -1)

    def fire(self, positions: Tensor) -> None:
        """Count one firing for the distinct ``positions`` [B, N]; -1 is ignored."""
        self.fires.scatter_add_(1, positions.clamp_min(0), (positions >= 0).to(self.fires))

    def mask(self, positions: Tensor) -> Tensor:
        """Boolean [B, C], true at ``positions``."""
        return mask_of(positions, self.capacity)

    def extend(self, positions: Tensor, delta: Tensor) -> None:
        """``expiry += delta``; for pinned engrams ``expiry += max(0, delta)``. Repeats add up.

        Args:
            positions: int64 [B, N], -1 ignored.
            delta: steps [B, N].
        """
        padded = positions < 0
        gain = delta.to(self.expiry).masked_fill(padded, 0.0)
        if self._any_pinned():
            gain = rules.effective_gain(gain, self.at(self.pinned, positions, 0))
        self.expiry.scatter_add_(1, positions.clamp_min(0), gain)
        self._soon.append(positions)

    def recall(self, positions: Tensor, gain: float, step: int) -> None:
        """The engrams at ``positions`` [B, N] gain lifespan between two steps."""
        self.extend(positions, torch.full(positions.shape, gain, dtype=torch.float64))
        cells = self.cells(positions.masked_fill(self.at(self.pinned, positions, 0) == 0, -1))
        self.expiry[cells] = rules.pin(self.expiry[cells], step)

    def promote(self, stm_capacity: int) -> None:
        """Working memory becomes short-term; the oldest above the capacity become long-term."""
        types = self.types[:, self._recent :]
        types.copy_(rules.promote(types, stm_capacity))
        if types.shape[1]:
            older = (types != SHORTTERM).to(torch.uint8).cumprod(1).sum(1)
            self._recent = int(torch.minimum(self._recent + older, self.length).min())

    def hold(self, step: int) -> None:
        """At the end of ``step``: pinned engrams expire one step later, at a whole number."""
        if self._any_pinned():
            self.expiry[self.pinned_cells] = rules.hold(self.expiry[self.pinned_cells], step)

    def pin(self, positions: Tensor, step: int) -> None:
        """Pin the engrams at ``positions`` [B, N]; their lifespan is rounded up to whole steps."""
        lane, position = self.cells(positions)
        self.expiry[lane, position] = rules.pin(self.expiry[lane, position], step)
        self.pinned[lane, position] = True
        self.pinned_cells = self._find_pinned()

    def unpin(self, positions: Tensor) -> None:
        """Let the engrams at ``positions`` [B, N] age again."""
        self.pinned[self.cells(positions)] = False
        self.pinned_cells = self._find_pinned()

    def forget(self, positions: Tensor, step: int) -> None:
        """Forget the engrams at ``positions`` [B, N] now, after ``step`` steps."""
        cells = self.cells(positions)
        self.expiry[cells] = step
        self._forget(*cells)
        if self._any_pinned():
            self.unpin(positions)

    def expire(self, step: int) -> None:
        """Forget every engram with ``expiry <= step``."""
        if step > self._horizon:
            self._horizon = step + _HORIZON
            due = (self.types != NULL) & ~rules.is_alive(self.expiry, self._horizon)
            self._soon = [positions_of(due)]
        soon = torch.cat(self._soon, dim=1)
        there = self.at(self.types, soon, NULL) != NULL
        gone = there & ~rules.is_alive(self.at(self.expiry, soon, 0), step)
        lane, column = gone.nonzero(as_tuple=True)
        self._forget(lane, soon[lane, column])

    def cells(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """(lane, position) of each of ``positions`` [B, N] except -1."""
        lane, column = (positions >= 0).nonzero(as_tuple=True)
        return lane, positions[lane, column]

    def indices(self, positions: Tensor) -> Tensor:
        """Indices [B, N], ranks among the living, of ``positions`` [B, N]; -1 stays -1."""
        return self._ranks.rank(self.types != NULL, positions)

    def _forget(self, lane: Tensor, position: Tensor) -> None:
        """Make the cells null; a cell may be given twice."""
        width = max(1, self.capacity)
        cells = torch.unique(lane * width + position)
        lane, position = cells // width, cells % width
        self.types[lane, position] = NULL
        self._ranks.change(lane, position, -1)

    def _find_pinned(self) -> tuple[Tensor, Tensor]:
        lane, position = self.pinned.nonzero(as_tuple=True)
        return lane, position

    def _any_pinned(self) -> bool:
        return self.pinned_cells[0].numel() > 0

    def _recent_ones(self, kind: int) -> Tensor:
        found = positions_of(self.types[:, self._recent :] == kind)
        return torch.where(found < 0, found, found + self._recent)

    def _resize(self, kept: Tensor, capacity: int) -> None:
        """Move positions ``kept`` [B, K] to 0..K-1 in arrays of ``capacity``, rounded to blocks."""
        self.capacity = whole_blocks(capacity)
        self.ids = self._packed(self.ids, kept, -1)
        self.types = self._packed(self.types, kept, NULL)
        self.expiry = self._packed(self.expiry, kept, -1.0)
        self.born = self._packed(self.born, kept, -1)
        self.fires = self._packed(self.fires, kept, 0)
        self.pinned = self._packed(self.pinned, kept, False)
        self.pinned_cells = self._find_pinned()
        self._ranks = LivingRanks(self.types != NULL)
        self.length = (kept >= 0).sum(dim=1)
        self.used = kept.shape[1]
        self._recent, self._horizon, self._soon = 0, -1, []

    def _array(self, dtype: torch.dtype, fill: float) -> Tensor:
        shape = (self.lanes, self.capacity)
        return torch.full(shape, fill, dtype=dtype, device=self.device)

    def _packed(self, values: Tensor, kept: Tensor, fill: float) -> Tensor:
        packed = self._array(values.dtype, fill)
        packed[:, : kept.shape[1]] = self.at(values, kept, int(fill))
        return packed
