"""`Engrams`: a batch of engrams as padded tensors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor

from memoria.core.checks import as_delta, as_indices
from memoria.core.torch_arrays import TorchOps
from memoria.errors import ShapeError, StateError
from memoria.io.notebook import SHOWN_ROWS, html_table
from memoria.timeline.engram_type import EngramType
from memoria.timeline.summary import EngramsInfo, summarize

ENGRAM_FIELDS: Final = ("data", "induce_counts", "engrams_types", "lifespan", "age", "engram_ids")


class Engrams:
    """Engrams of B lanes, M each, shorter lanes padded with nulls. Arguments become attributes.

    Args:
        data: vectors, float [B, M, D].
        induce_counts: co-fire counts, int32 [B, M, M], -1 at nulls; None: 0.
        engrams_types: `EngramType`, uint8 [B, M], or one for all; None: WORKING.
        lifespan: steps left, float32 [B, M], or one for all; -1 at nulls.
        age: steps since creation, int32 [B, M], or one for all; None unless ``track_age``.
        engram_ids: local ids, int64 [B, M], or the first of consecutive ones; None unless
            ``track_engram_id``; -1 at nulls.
        track_age: keep ``age``.
        track_engram_id: keep ``engram_ids``.

    Raises:
        ShapeError: a tensor has another shape.
    """

    def __init__(
        self,
        data: Tensor,
        induce_counts: Tensor | None = None,
        engrams_types: Tensor | EngramType | None = None,
        lifespan: Tensor | float = 0,
        age: Tensor | int | None = None,
        engram_ids: Tensor | int | None = None,
        track_age: bool = False,
        track_engram_id: bool = False,
    ) -> None:
        if data.dim() != 3:
            raise ShapeError("data", "[B, M, D]", list(data.shape))
        self.data = data.detach().float()
        self.track_age, self.track_engram_id = track_age, track_engram_id
        each = data.shape[:2]
        square = (*each, data.shape[1])
        self.induce_counts = self._field("induce_counts", induce_counts, torch.int32, square)
        kind = EngramType.WORKING if engrams_types is None else engrams_types
        self.engrams_types = self._field("engrams_types", kind, torch.uint8, each)
        self.lifespan = self._field("lifespan", lifespan, torch.float32, each)
        self.age = self._field("age", age, torch.int32, each) if track_age else None
        self.engram_ids: Tensor | None = None
        if track_engram_id:
            if not isinstance(engram_ids, Tensor):
                first = engram_ids or 0
                engram_ids = torch.arange(first, first + each[1], device=data.device).expand(each)
            self.engram_ids = self._field("engram_ids", engram_ids, torch.int64, each)

    @classmethod
    def empty(cls, track_age: bool = False, track_engram_id: bool = False) -> Engrams:
        """No lanes, no engrams.

        Args:
            track_age, track_engram_id: as of the class.
        """
        nothing = torch.zeros([0, 0, 0])
        return cls(nothing, track_age=track_age, track_engram_id=track_engram_id)

    @property
    def batch_size(self) -> int:
        """Lanes, B."""
        return self.data.shape[0]

    @property
    def memory_length(self) -> int:
        """Engrams of the longest lane, M."""
        return self.data.shape[1]

    @property
    def hidden_dim(self) -> int:
        """Length of a vector, D."""
        return self.data.shape[2]

    def __len__(self) -> int:
        return self.engrams_types.numel()

    def __repr__(self) -> str:
        kinds = {t.name.lower(): int((self.engrams_types == t).sum()) for t in EngramType}
        counts = ", ".join(f"{name}={count}" for name, count in kinds.items() if count)
        shape = f"{self.batch_size} x {self.memory_length} x {self.hidden_dim}"
        return f"Engrams({shape}{': ' if counts else ''}{counts})"

    def _repr_html_(self) -> str:
        """The first engrams as a notebook shows them."""
        columns = ["lane", "index", "type", "lifespan", "fire_count"]
        columns += ["age"] if self.age is not None else []
        counts = self.induce_counts.diagonal(dim1=1, dim2=2)
        lanes, indices = (self.engrams_types != EngramType.NULL).nonzero(as_tuple=True)
        rows: list[list[object]] = []
        for lane, index in zip(lanes.tolist(), indices.tolist(), strict=True):
            kind = EngramType(int(self.engrams_types[lane, index])).name.lower()
            life = f"{float(self.lifespan[lane, index]):g}"
            row: list[object] = [lane, index, kind, life, int(counts[lane, index])]
            rows.append(row + ([] if self.age is None else [int(self.age[lane, index])]))
            if len(rows) == SHOWN_ROWS:
                break
        return html_table(repr(self), columns, rows, len(lanes) - SHOWN_ROWS)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Engrams):
            return NotImplemented
        return all(
            (a is None and b is None) or (a is not None and b is not None and torch.equal(a, b))
            for a, b in zip(self._fields(), other._fields(), strict=True)
        )

    __hash__ = None  # type: ignore[assignment]  # changes in place

    def __add__(self, other: Engrams) -> Engrams:
        """Both, side by side in each lane; co-fire counts between the two are 0."""
        if self.batch_size == 0 or other.batch_size == 0:
            return other if self.batch_size == 0 else self
        if self.data.shape[::2] != other.data.shape[::2]:
            expected = f"[{self.batch_size}, M, {self.hidden_dim}]"
            raise ShapeError("engrams to add", expected, list(other.data.shape))
        first = self.memory_length
        length = first + other.memory_length
        counts = self.induce_counts.new_zeros((self.batch_size, length, length))
        counts[:, :first, :first] = self.induce_counts
        counts[:, first:, first:] = other.induce_counts
        null = torch.cat((self._null_mask, other._null_mask), 1)
        counts.masked_fill_(null.unsqueeze(2) | null.unsqueeze(1), -1)
        track_age = self.track_age and other.track_age
        track_id = self.track_engram_id and other.track_engram_id
        return Engrams(
            torch.cat((self.data, other.data), 1),
            counts,
            torch.cat((self.engrams_types, other.engrams_types), 1),
            torch.cat((self.lifespan, other.lifespan), 1),
            _both(self.age, other.age) if track_age else None,
            _both(self.engram_ids, other.engram_ids) if track_id else None,
            track_age,
            track_id,
        )

    def __iter__(self) -> Iterator[Engrams]:
        """Each lane as `Engrams` with B = 1."""
        for lane in range(self.batch_size):
            some = slice(lane, lane + 1)
            yield self._with([None if field is None else field[some] for field in self._fields()])

    @property
    def working_memory_mask(self) -> Tensor:
        """Bool [B, M]."""
        return self.engrams_types == EngramType.WORKING

    @property
    def shortterm_memory_mask(self) -> Tensor:
        """Bool [B, M]."""
        return self.engrams_types == EngramType.SHORTTERM

    @property
    def longterm_memory_mask(self) -> Tensor:
        """Bool [B, M]."""
        return self.engrams_types == EngramType.LONGTERM

    @property
    def fire_count(self) -> Tensor:
        """How often each engram fired, int32 [B, M]: the diagonal of ``induce_counts``."""
        return self.induce_counts.diagonal(dim1=1, dim2=2)

    @fire_count.setter
    def fire_count(self, value: Tensor) -> None:
        self.induce_counts.diagonal(dim1=1, dim2=2).copy_(value)

    def get_indices_with_mask(self, mask: Tensor) -> Tensor:
        """Indices of the true entries of ``mask`` [B, M], ascending, [B, N], -1 on the right."""
        if mask.shape != self.engrams_types.shape:
            raise ShapeError("mask", str(list(self.engrams_types.shape)), list(mask.shape))
        return TorchOps(mask.device).columns(mask)

    def get_mask_with_indices(self, indices: Tensor) -> Tensor:
        """Bool [B, M], true at ``indices`` [B, N]; -1 is ignored."""
        return TorchOps(self.data.device).mask(self._checked(indices), self.memory_length)

    def get_working_memory(self) -> tuple[Engrams, Tensor]:
        """The working memory and its indices [B, W], -1 on the right."""
        return self._part(self.working_memory_mask)

    def get_shortterm_memory(self) -> tuple[Engrams, Tensor]:
        """The short-term memory and its indices [B, S], -1 on the right."""
        return self._part(self.shortterm_memory_mask)

    def get_longterm_memory(self) -> tuple[Engrams, Tensor]:
        """The long-term memory and its indices [B, L], -1 on the right."""
        return self._part(self.longterm_memory_mask)

    def mask_select(self, mask: Tensor) -> Engrams:
        """The engrams at the true entries of ``mask`` [B, M]."""
        return self.select(self.get_indices_with_mask(mask))

    def select(self, indices: Tensor) -> Engrams:
        """The engrams at ``indices`` [N] or [B, N]; -1 gives a null."""
        if indices.dim() == 1:
            indices = indices.unsqueeze(0).expand(self.batch_size, -1)
        wanted = self._checked(indices)
        if self.memory_length == 0:
            return self._with([None if f is None else f[:, :0] for f in self._fields()])
        null, at = wanted < 0, wanted.clamp_min(0)
        data = self.data[torch.arange(self.batch_size, device=at.device).unsqueeze(1), at]
        fills = (EngramType.NULL, -1.0, -1, -1)
        return self._with(
            [
                data.masked_fill(null.unsqueeze(2), 0.0),
                counts_between(self.induce_counts, wanted),
                *(
                    None if field is None else field.gather(1, at).masked_fill(null, fill)
                    for field, fill in zip(self._fields()[2:], fills, strict=True)
                ),
            ]
        )

    def delete(self, indices: Tensor) -> None:
        """Remove the engrams at ``indices`` [B, N]; -1 is ignored."""
        keep = ~self.get_mask_with_indices(indices) & ~self._null_mask
        self.__dict__.update(self.mask_select(keep).__dict__)

    def fire_together_wire_together(self, indices: Tensor) -> None:
        """+1 for every pair of the engrams at ``indices`` [B, N], each counted once."""
        fired = (self.get_mask_with_indices(indices) & ~self._null_mask).to(torch.int32)
        self.induce_counts = self.induce_counts + fired.unsqueeze(2) * fired.unsqueeze(1)

    def extend_lifespan(self, indices: Tensor, lifespan_delta: Tensor) -> None:
        """Add steps of lifespan; repeats add up.

        Args:
            indices: int64 [B, N], -1 ignored.
            lifespan_delta: steps, [B, N].

        Raises:
            ShapeError: they do not fit each other or these engrams.
        """
        at = self._checked(indices)
        gain = as_delta(lifespan_delta, at, self.data.device).masked_fill(at < 0, 0.0)
        if self.memory_length:
            longer = self.lifespan.double().scatter_add_(1, at.clamp_min(0), gain)
            self.lifespan = longer.float()

    def get_local_indices_from_global_indices(
        self, partial_mask: Tensor, global_indices: Tensor
    ) -> Tensor:
        """Ranks of engrams among some of them.

        Args:
            partial_mask: which engrams are counted, bool [B, M].
            global_indices: engrams whose ranks are wanted, int64 [B, N].

        Returns:
            Ascending, each once, int64 [B, K], -1 on the right; indices outside the mask are left
            out.
        """
        wanted = torch.as_tensor(global_indices)  # a list will do
        within = self.get_mask_with_indices(wanted) & partial_mask
        ranks = partial_mask.long().cumsum(1) - 1
        columns = self.get_indices_with_mask(within)
        return ranks.gather(1, columns.clamp_min(0)).masked_fill(columns < 0, -1)

    def decrease_lifespan(self) -> None:
        """Every engram loses one step."""
        self.lifespan = torch.where(self._null_mask, self.lifespan, self.lifespan - 1)

    def increase_age(self) -> None:
        """Every engram ages by one step, when ages are tracked."""
        if self.age is not None:
            self.age = torch.where(self._null_mask, self.age, self.age + 1)

    def status_summary(self) -> list[EngramsInfo]:
        """One record per lane. Raises `StateError` unless ids are tracked."""
        if self.engram_ids is None:
            raise StateError("status_summary needs engram ids", "use track_id=True")
        return [_summary(lane) for lane in self]

    @property
    def _null_mask(self) -> Tensor:
        return self.engrams_types == EngramType.NULL

    def _fields(self) -> list[Tensor | None]:
        return [getattr(self, name) for name in ENGRAM_FIELDS]

    def _with(self, fields: list[Tensor | None]) -> Engrams:
        made = Engrams.empty(self.track_age, self.track_engram_id)
        made.__dict__.update(zip(ENGRAM_FIELDS, fields, strict=True))
        return made

    def _part(self, mask: Tensor) -> tuple[Engrams, Tensor]:
        indices = self.get_indices_with_mask(mask)
        return self.select(indices), indices

    def _checked(self, indices: Tensor) -> Tensor:
        lengths = torch.full((self.batch_size,), self.memory_length, device=self.data.device)
        return as_indices(indices, lengths, self.data.device)

    def _field(
        self,
        name: str,
        value: Tensor | float | None,
        dtype: torch.dtype,
        shape: tuple[int, ...],
    ) -> Tensor:
        if not isinstance(value, Tensor):
            filling = 0 if value is None else value
            return torch.full(shape, filling, dtype=dtype, device=self.data.device)
        if value.shape != shape:
            raise ShapeError(name, str(list(shape)), list(value.shape))
        return value.detach().to(device=self.data.device, dtype=dtype)


def counts_between(counts: Tensor, positions: Tensor) -> Tensor:
    """``counts`` [B, C, C] between all of ``positions`` [B, N]: [B, N, N], -1 where one is -1."""
    at, null = positions.clamp_min(0), positions < 0
    lane = torch.arange(at.shape[0], device=at.device).view(-1, 1, 1)
    taken = counts[lane, at.unsqueeze(2), at.unsqueeze(1)]
    return taken.masked_fill_(null.unsqueeze(2) | null.unsqueeze(1), -1)


def _both(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    return None if first is None or second is None else torch.cat((first, second), 1)


def _summary(lane: Engrams) -> EngramsInfo:
    """The record of one lane; the cost follows the connections there are, not M^2."""
    assert lane.engram_ids is not None
    counts = lane.induce_counts[0].clone().fill_diagonal_(0).clamp_min_(0)
    null = lane._null_mask[0]
    counts.masked_fill_(null | null[:, None], 0)
    source, target = counts.nonzero(as_tuple=True)
    edges = (source, target, counts[source, target])
    return summarize(
        ids=lane.engram_ids[0].cpu().numpy(),
        types=lane.engrams_types[0].cpu().numpy(),
        lifespans=lane.lifespan[0].cpu().numpy(),
        ages=None if lane.age is None else lane.age[0].cpu().numpy(),
        fires=lane.fire_count[0].cpu().numpy(),
        edges=tuple(one.cpu().numpy() for one in edges),  # type: ignore[arg-type]
    )
