"""The engrams of all lanes as arrays that change in place.

Every lane holds its engrams in order of creation at *positions* 0, 1, 2, ...; a forgotten engram
leaves a hole until the arrays are packed. Users see *indices*: ranks among the living engrams of a
lane. Shapes: B lanes, C positions (the capacity), N engrams asked about; -1 pads on the right.
"""

from __future__ import annotations

from typing import Final

from memoria.core.arrays import Array, ArrayOps
from memoria.core.ranks import LivingRanks, whole_blocks
from memoria.core.vectors import Vectors
from memoria.timeline import rules
from memoria.timeline.engram_type import EngramType

NULL, WORKING, SHORTTERM, LONGTERM = (int(t) for t in EngramType)

_SPARE: Final = (1.5, 1.25)  # capacity over the living when packing up to, and above, `_MANY`
_MANY: Final = 2**16
_HORIZON: Final = 64  # steps between two scans of all lifespans
_FEW: Final = 2**15  # engrams of all lanes that are gone through at every step


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

    def __init__(self, lanes: int, vectors: Vectors, ops: ArrayOps) -> None:
        self.lanes, self.ops, self.vectors = lanes, ops, vectors
        self.capacity = 0
        self.used = 0
        self.length = ops.full((lanes,), 0, "int64")
        self.next_id = 0
        self._recent = 0  # no engram before this position is working or short-term memory
        self._of_kind: dict[int, Array] = {}  # positions of those two, once they were asked for
        self._horizon = -1  # `_soon` holds every engram that may expire up to this step
        self._soon: list[Array] = []
        self.ids = self._array("int64", -1)
        self.types = self._array("uint8", NULL)
        self.expiry = self._array("float64", -1.0)
        self.born = self._array("int32", -1)
        self.fires = self._array("int32", 0)
        self.pinned = self._array("bool", False)
        self.pinned_cells = self._find_pinned()
        self._ranks = LivingRanks(self.types != NULL, self.ops)

    def load(
        self,
        ids: Array,
        types: Array,
        expiry: Array,
        born: Array,
        fires: Array,
        next_id: int,
        pinned: Array | None = None,
    ) -> None:
        """Replace all engrams by these.

        Args:
            ids, types, expiry, born, fires, pinned: as the attributes, [B, M]; -1 and NULL on the
                right. Without ``pinned`` no engram is pinned.
            next_id: local id of the next engram.
        """
        self.ids, self.types, self.expiry, self.born, self.fires = ids, types, expiry, born, fires
        empty = self.ops.full(types.shape, False, "bool")
        self.pinned = empty if pinned is None else pinned
        self.capacity = self.used = ids.shape[1]
        self.next_id = next_id
        self._resize(self.ops.columns(types != NULL), ids.shape[1])

    def has_room(self, count: int) -> bool:
        """Whether ``count`` more engrams a lane fit without packing."""
        return self.used + count <= self.capacity

    def pack(self, count: int) -> Array:
        """Close holes, make room for ``count`` more a lane; returns the old positions [B, K]."""
        kept = self.ops.columns(self.types != NULL)
        needed = kept.shape[1] + count
        wanted = max(1, int(needed * _SPARE[needed > _MANY]))
        spare = wanted - needed
        if needed + spare // 2 <= self.capacity <= needed + 2 * spare:
            wanted = self.capacity  # arrays of the same size are packed in place
        self._resize(kept, wanted)
        self.vectors.pack(kept, self.capacity)
        return kept

    def append(self, data: Array, step: int, expiry: Array | float) -> Array:
        """Add working memory ``data`` [B, W, D], given room; returns its positions [B, W].

        ``expiry``: one number, or that of each engram [B, W].
        """
        count = data.shape[1]
        new = self.ops.arange(count)
        positions = self.length[:, None] + new
        at = self._rectangle(positions)
        self.ids[at] = self.next_id + new
        self.types[at] = WORKING
        self.expiry[at] = expiry
        self.born[at] = step
        self.fires[at] = 0
        self.vectors.append(positions, data)
        self._ranks.change(*self.cells(positions), +1)
        self._soon.append(positions)
        self._of_kind.clear()
        self.length += count
        self.used += count
        self.next_id += count
        return positions

    def at(self, values: Array, positions: Array, null: int) -> Array:
        """``values`` [B, C] at ``positions`` [B, N]; ``null`` where the position is -1."""
        return self.ops.take(values, positions, null)

    def find(self, ids: Array) -> Array:
        """Positions [B, N] of the engrams ``ids`` [B, N], which must exist; -1 stays -1."""
        return self.ops.fill(self.ops.search(self.ids, ids, self.length), ids < 0, -1)

    def find_living(self, ids: Array) -> Array:
        """Positions [B, N] of the engrams ``ids`` [B, N]; -1 where none lives with that id."""
        ops = self.ops
        if self.capacity == 0:
            return ops.full(ids.shape, -1, "int64")
        found = self.find(ids)
        at = ops.where(found < self.capacity, found, -1)
        lives = (self.at(self.ids, at, -1) == ids) & (self.at(self.types, at, NULL) != NULL)
        return ops.where(lives, at, -1)

    def data_at(self, positions: Array) -> Array:
        """Vectors [B, N, D] at ``positions``; zeros where -1."""
        return self.vectors.gather(positions, self.ids)

    def working(self) -> Array:
        """Positions of the working memory, [B, W]."""
        return self._recent_ones(WORKING)

    def shortterm(self) -> Array:
        """Positions of the short-term memory, ascending, [B, S], -1 on the right."""
        return self._recent_ones(SHORTTERM)

    def first_shortterm(self) -> Array:
        """Local id of each lane's oldest short-term engram, [B]; older ones are long-term."""
        oldest = self.shortterm()[:, :1]
        if oldest.shape[1] == 0:
            return self.ops.full((self.lanes,), self.next_id, "int64")
        return self.at(self.ids, oldest, self.next_id)[:, 0]

    def longterm_count(self) -> Array:
        """Long-term engrams of each lane, [B]."""
        newer = (self.working() >= 0).sum(1) + (self.shortterm() >= 0).sum(1)
        return self._ranks.living() - newer

    def living_count(self) -> Array:
        """Engrams of each lane, [B]."""
        return self._ranks.living()

    def nth_living(self, ranks: Array) -> Array:
        """Positions [B, N] of the living engrams of ``ranks`` [B, N], 0 the oldest; -1 stays -1.

        Long-term engrams are the oldest, so a rank among them is a rank among all living ones.
        """
        if self.capacity == 0:
            return ranks
        found = self._ranks.select(self.types != NULL, self.ops.maximum(ranks, 0))
        return self.ops.fill(found, ranks < 0, -1)

    def fire(self, positions: Array) -> None:
        """Count one firing for the distinct ``positions`` [B, N]; -1 is ignored."""
        self.ops.add_at(self.fires, positions, positions >= 0)

    def mask(self, positions: Array) -> Array:
        """Boolean [B, C], true at ``positions``."""
        return self.ops.mask(positions, self.capacity)

    def extend(self, positions: Array, delta: Array) -> None:
        """``expiry += delta``; for pinned engrams ``expiry += max(0, delta)``. Repeats add up.

        Args:
            positions: int64 [B, N], -1 ignored.
            delta: steps [B, N].
        """
        gain = self.ops.cast(delta, "float64")
        if self._any_pinned():
            gain = rules.effective_gain(gain, self.at(self.pinned, positions, False))
        self.ops.add_at(self.expiry, positions, gain)
        self._soon.append(positions)

    def recall(self, positions: Array, gain: float, step: int) -> None:
        """The engrams at ``positions`` [B, N] gain lifespan between two steps."""
        self.extend(positions, self.ops.full(positions.shape, gain, "float64"))
        pinned = self.at(self.pinned, positions, False)
        cells = self.cells(self.ops.where(pinned, positions, -1))
        self.expiry[cells] = rules.pin(self.expiry[cells], step)

    def promote(self, stm_capacity: int) -> None:
        """Working memory becomes short-term; the oldest above the capacity become long-term."""
        recent, types = self._recent, self._recent_of(self.types)
        types[...] = rules.promote(types, stm_capacity)
        self._of_kind.clear()
        if types.shape[1]:
            short = types == SHORTTERM
            first = self.ops.where(short.any(1), self.ops.argmax(short), types.shape[1]) + recent
            self._recent = int(self.ops.where(first < self.length, first, self.length).min())

    def hold(self, step: int) -> None:
        """At the end of ``step``: pinned engrams expire one step later, at a whole number."""
        if self._any_pinned():
            self.expiry[self.pinned_cells] = rules.hold(self.expiry[self.pinned_cells], step)

    def expire_at(self, positions: Array, cells: tuple[Array, Array], expiry: Array) -> None:
        """The engrams at ``positions`` [B, N], of ``cells``, expire at ``expiry`` instead."""
        self.expiry[cells] = expiry
        self._soon.append(positions)

    def retype(self, cells: tuple[Array, Array], types: Array) -> None:
        """The engrams at ``cells`` are of other ``types``, none of them NULL."""
        self.types[cells] = types
        self._recent = 0
        self._of_kind.clear()

    def pin(self, positions: Array, step: int) -> None:
        """Pin the engrams at ``positions`` [B, N]; their lifespan is rounded up to whole steps."""
        lane, position = self.cells(positions)
        self.expiry[lane, position] = rules.pin(self.expiry[lane, position], step)
        self.pinned[lane, position] = True
        self.pinned_cells = self._find_pinned()

    def unpin(self, positions: Array) -> None:
        """Let the engrams at ``positions`` [B, N] age again."""
        self.pinned[self.cells(positions)] = False
        self.pinned_cells = self._find_pinned()

    def forget(self, positions: Array, step: int) -> None:
        """Forget the engrams at ``positions`` [B, N] now, after ``step`` steps."""
        cells = self.cells(positions)
        self.expiry[cells] = step
        self._forget(*self._distinct_cells(*cells))
        if self._any_pinned():
            self.unpin(positions)

    def expire(self, step: int) -> None:
        """Forget every engram with ``expiry <= step``."""
        if self.lanes * self.capacity <= _FEW:
            self._horizon, self._soon = -1, []
            return self._forget(*self.ops.nonzero(self._due(step)))
        if step > self._horizon:
            self._horizon = step + _HORIZON
            self._soon = [self.ops.columns(self._due(self._horizon))]
        soon = self.ops.concatenate(self._soon, 1)
        there = self.at(self.types, soon, NULL) != NULL
        gone = there & ~rules.is_alive(self.at(self.expiry, soon, 0), step)
        lane, column = self.ops.nonzero(gone)
        self._forget(*self._distinct_cells(lane, soon[lane, column]))

    def cells(self, positions: Array) -> tuple[Array, Array]:
        """(lane, position) of each of ``positions`` [B, N] except -1."""
        lane, column = self.ops.nonzero(positions >= 0)
        return lane, positions[lane, column]

    def indices(self, positions: Array) -> Array:
        """Indices [B, N], ranks among the living, of ``positions`` [B, N]; -1 stays -1."""
        return self._ranks.rank(self.types != NULL, positions)

    def _due(self, step: int) -> Array:
        """Bool [B, C], which engrams are not alive after ``step``."""
        return (self.types != NULL) & ~rules.is_alive(self.expiry, step)

    def _distinct_cells(self, lane: Array, position: Array) -> tuple[Array, Array]:
        width = max(1, self.capacity)
        cells = self.ops.unique(lane * width + position)
        return cells // width, cells % width

    def _forget(self, lane: Array, position: Array) -> None:
        """Make the distinct cells null."""
        if len(lane):
            self.types[lane, position] = NULL
            self._of_kind.clear()
            self._ranks.change(lane, position, -1)

    def _rectangle(self, positions: Array) -> tuple[Array, Array] | tuple[slice, slice]:
        """What selects the new ``positions`` [B, W]: columns of all lanes where these are equal."""
        first = int(self.length[0])
        if self.ops.is_host and bool((self.length == first).all()):
            return slice(None), slice(first, first + positions.shape[1])
        return self.ops.arange(self.lanes)[:, None], positions

    def _find_pinned(self) -> tuple[Array, Array]:
        return self.ops.nonzero(self.pinned)

    def _any_pinned(self) -> bool:
        return len(self.pinned_cells[0]) > 0

    def _recent_of(self, values: Array) -> Array:
        """``values`` [B, C] where working and short-term memory are."""
        return values[:, self._recent : self.used]

    def _recent_ones(self, kind: int) -> Array:
        known = self._of_kind.get(kind)
        if known is None:
            found = self.ops.columns(self._recent_of(self.types) == kind)
            known = self._of_kind[kind] = self.ops.where(found < 0, found, found + self._recent)
        return known

    def _resize(self, kept: Array, capacity: int) -> None:
        """Move positions ``kept`` [B, K] to 0..K-1 in arrays of ``capacity``, rounded to blocks."""
        self.capacity = whole_blocks(capacity)
        self.ids = self._packed(self.ids, kept, "int64", -1)
        self.types = self._packed(self.types, kept, "uint8", NULL)
        self.expiry = self._packed(self.expiry, kept, "float64", -1.0)
        self.born = self._packed(self.born, kept, "int32", -1)
        self.fires = self._packed(self.fires, kept, "int32", 0)
        self.pinned = self._packed(self.pinned, kept, "bool", False)
        self.pinned_cells = self._find_pinned()
        self._ranks = LivingRanks(self.types != NULL, self.ops)
        self.length = (kept >= 0).sum(1)
        self.used = kept.shape[1]
        self._recent, self._horizon, self._soon = 0, -1, []
        self._of_kind.clear()

    def _array(self, dtype: str, fill: float) -> Array:
        return self.ops.full((self.lanes, self.capacity), fill, dtype)

    def _packed(self, values: Array, kept: Array, dtype: str, fill: float) -> Array:
        packed = self._array(dtype, fill)
        packed[:, : kept.shape[1]] = self.at(values, kept, int(fill))
        return packed
