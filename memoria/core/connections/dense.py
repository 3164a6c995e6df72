"""Connections as one matrix per lane, changed in place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from memoria.core.ties import TieRule
from memoria.timeline.cofiring import FiringLog
from memoria.timeline.log import IntArray
from memoria.timeline.strongest import strongest_first

_ROWS_AT_ONCE: Final = 2**24  # elements of gathered rows; bounds memory, keeps them in cache
_COUNTED_AT_ONCE: Final = 2**22  # cells; counting takes three times the memory of the result


class DenseConnections:
    """Co-fire counts as one int32 [B, C, C]. A firing adds to N^2 cells, a row is one gather."""

    def __init__(self, lanes: int, device: torch.device) -> None:
        self._counts = torch.zeros((lanes, 0, 0), dtype=torch.int32, device=device)

    @classmethod
    def from_counts(cls, counts: Tensor) -> DenseConnections:
        """From ``counts``, int32 [B, C, C], not copied."""
        made = cls(counts.shape[0], counts.device)
        made._counts = counts
        return made

    @classmethod
    def from_logs(cls, logs: Sequence[FiringLog], capacity: int) -> DenseConnections:
        """Count the firings of each lane's log, in positions below ``capacity``; on the CPU."""
        made = cls(len(logs), torch.device("cpu"))
        made._counts = torch.empty((len(logs), capacity, capacity), dtype=torch.int32)
        at_once = max(1, _COUNTED_AT_ONCE // max(1, capacity))
        for counts, log in zip(made._counts, logs, strict=True):
            for part in np.array_split(np.arange(capacity), -(-capacity // at_once) or 1):
                if len(part):
                    rows = torch.from_numpy(log.rows(part, capacity))
                    counts[int(part[0]) : int(part[-1]) + 1] = rows
        return made

    def pack(self, kept: Tensor, capacity: int) -> None:
        lanes, living = kept.shape
        packed = self._counts.new_zeros((lanes, capacity, capacity))
        if living:
            for lane in range(lanes):  # lane by lane: half the peak of one big gather
                here = kept[lane][kept[lane] >= 0]
                count, old = len(here), self._counts[lane]
                if count and int(here[-1]) == count - 1:  # no holes: one copy
                    packed[lane, :count, :count] = old[:count, :count]
                else:
                    rows = old.index_select(0, here)
                    packed[lane, :count, :count] = rows.index_select(1, here)
        self._counts = packed

    def fire(self, positions: Tensor) -> None:
        unique = _without_repeats(positions)
        valid = (unique >= 0).to(torch.int32)
        at = unique.clamp_min(0)
        lane = torch.arange(at.shape[0], device=at.device).view(-1, 1, 1)
        pairs = valid.unsqueeze(2) * valid.unsqueeze(1)
        self._counts.index_put_((lane, at.unsqueeze(2), at.unsqueeze(1)), pairs, accumulate=True)

    def strongest(
        self, current: Tensor, closed: Tensor, ids: Tensor, ties: TieRule | None
    ) -> Tensor:
        lanes, paths = current.shape
        if paths == 0 or closed.shape[1] == 0:
            return torch.full_like(current, -1)
        preference = None if ties is None else ties.values(ids)
        at_once = max(1, _ROWS_AT_ONCE // (paths * closed.shape[1]))
        parts = []
        for first in range(0, lanes, at_once):
            part = slice(first, first + at_once)
            preferred = None if preference is None else preference[part]
            parts.append(self._strongest(first, current[part], closed[part], preferred))
        return torch.cat(parts)

    def _strongest(
        self, first: int, current: Tensor, closed: Tensor, preference: Tensor | None
    ) -> Tensor:
        lane = torch.arange(first, first + current.shape[0], device=current.device).unsqueeze(1)
        rows = self._counts[lane, current.clamp_min(0)]
        rows.masked_fill_(closed.unsqueeze(1), -1)
        most, choice = rows.max(dim=2)  # the first of equals, hence the oldest
        if preference is not None:
            wishes = preference.unsqueeze(1).expand_as(rows)
            choice = wishes.masked_fill(rows != most.unsqueeze(2), -1).argmax(dim=2)
        return choice.masked_fill((most < 0) | (current < 0), -1)

    def counts(self) -> Tensor:
        return self._counts

    def by_lane(self) -> Sequence[LaneCounts]:
        return [LaneCounts(counts) for counts in self._counts]


class LaneCounts:
    """The matrix of one lane, asked as a `FiringLog` is."""

    def __init__(self, counts: Tensor) -> None:
        self._counts = counts

    def pair_count(self) -> int:
        return int(self._counts.sum())

    def edges(self, engrams: int, most: int) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
        at_once = max(1, _COUNTED_AT_ONCE // max(1, engrams))
        for first in range(0, engrams, at_once):
            rows = self._counts[first : min(first + at_once, engrams), :engrams].cpu().numpy()
            which, partner = np.nonzero(rows)
            other = which + first != partner
            which, partner = which[other], partner[other]
            count = rows[which, partner].astype(np.int64)
            kept = strongest_first(which, partner, count, most)
            yield which[kept] + first, partner[kept], count[kept]


def _without_repeats(positions: Tensor) -> Tensor:
    """Each position once per lane, the repeats as -1."""
    ordered = positions.sort(dim=1).values
    repeat = torch.zeros_like(ordered, dtype=torch.bool)
    repeat[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    return ordered.masked_fill(repeat, -1)
