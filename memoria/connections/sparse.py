"""Connections as the log of what fired: exact counts, computed for the rows that are asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from memoria.connections.firing_log import FiringLog, IntArray
from memoria.hashing import TieRule

__all__ = ["SparseConnections"]

_TABLE: Final = 2**20  # cells up to which counting in a table beats sorting


class SparseConnections:
    """A `FiringLog` per lane. Lives on the CPU, whatever device the traces are on."""

    def __init__(
        self, lanes: int, logs: Sequence[FiringLog] | None = None, capacity: int = 0
    ) -> None:
        self._logs = [FiringLog() for _ in range(lanes)] if logs is None else list(logs)
        self._capacity = capacity

    def pack(self, kept: Tensor, capacity: int) -> None:
        for log, row in zip(self._logs, kept.cpu().numpy(), strict=True):
            log.pack(row[row >= 0], max(self._capacity, capacity))
        self._capacity = capacity

    def fire(self, positions: Tensor) -> None:
        for log, row in zip(self._logs, positions.cpu().numpy(), strict=True):
            log.append(np.unique(row[row >= 0]))

    def strongest(
        self, current: Tensor, closed: Tensor, ids: Tensor, ties: TieRule | None
    ) -> Tensor:
        out = torch.full(current.shape, -1, dtype=torch.int64)
        shut = closed.cpu().numpy()
        for lane, row in enumerate(current.cpu().numpy()):
            valid = row >= 0
            if not valid.any() or shut[lane].all():
                continue
            unique, back = np.unique(row[valid], return_inverse=True)
            best = self._best(lane, unique, shut[lane], ids, ties)
            out[lane, torch.from_numpy(valid)] = torch.from_numpy(best[back])
        return out.to(current.device)

    def counts(self) -> Tensor:
        everyone = np.arange(self._capacity)
        return torch.from_numpy(
            np.stack([log.rows(everyone, self._capacity) for log in self._logs])
        )

    def _candidates(
        self, lane: int, current: IntArray, shut: npt.NDArray[np.bool_]
    ) -> tuple[IntArray, IntArray, IntArray]:
        """(which of ``current``, open partner, co-fire count) in ascending order, all [total]."""
        which, partner = self._logs[lane].pairs(current)
        is_open = ~shut[partner]
        cell = which[is_open] * len(shut) + partner[is_open]
        if len(current) * len(shut) <= max(_TABLE, 2 * len(cell)):
            table = np.bincount(cell)
            cell = np.flatnonzero(table)
            count = table[cell]
        else:
            cell, count = np.unique(cell, return_counts=True)
        return cell // len(shut), cell % len(shut), count

    def _best(
        self,
        lane: int,
        current: IntArray,
        shut: npt.NDArray[np.bool_],
        ids: Tensor,
        ties: TieRule | None,
    ) -> IntArray:
        which, partner, count = self._candidates(lane, current, shut)
        most = np.zeros(len(current), np.int64)
        np.maximum.at(most, which, count)
        tied = count == most[which]
        which, partner = which[tied], partner[tied]
        best = np.full(len(current), -1, np.int64)
        order = np.lexsort((-partner, self._wishes(lane, partner, ids, ties), which))
        last = np.flatnonzero(np.diff(which, append=-1))  # each row's last is its choice
        best[which[last]] = partner[order[last]]
        if (best < 0).any():  # nobody open ever fired with it: all that is open ties at zero
            everyone = np.flatnonzero(~shut)
            wishes = self._wishes(lane, everyone, ids, ties)
            best[best < 0] = everyone[int(wishes.argmax())]
        return best

    def _wishes(
        self, lane: int, positions: IntArray, ids: Tensor, ties: TieRule | None
    ) -> IntArray:
        """The greatest is preferred: the hash of the id, or the oldest."""
        if ties is None:
            return -positions
        wishes: IntArray = ties.values_of_lane(lane, ids[lane].cpu()[positions]).numpy()
        return wishes
