"""What a store answers: the engrams that came back, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from memoria.core.memory_core import MemoryCore
from memoria.core.recall import Recalled
from memoria.store.attributes import Pending
from memoria.store.texts import StoredTexts
from memoria.timeline.engram_type import EngramType


@dataclass(frozen=True)
class Reminded:
    """Reminded engrams, long-term search first, then short-term, each newest to oldest.

    ``ids`` and ``indices`` int64 [B, R], -1 pads (the store's id, the rank among the lane's
    living); ``memories`` float32 [B, R, D]; ``correlation`` float64 [B, R], the mean over the cue
    of exp(-squared distance); ``types`` uint8, ``lifespans`` float64; ``longterm`` [B] how many
    came from long-term search; ``texts`` [B][R].
    """

    ids: Tensor
    indices: Tensor
    memories: Tensor
    correlation: Tensor
    types: Tensor
    lifespans: Tensor
    longterm: Tensor
    texts: Sequence[Sequence[str | None]]

    def records(self) -> list[dict[str, Any]]:
        """One record a lane, as plain values: the ``lanes`` of `memoria remind --json`."""
        return [
            {"lane": lane, "reminded": self._of_lane(lane)} for lane in range(self.ids.shape[0])
        ]

    def _of_lane(self, lane: int) -> list[dict[str, Any]]:
        columns = zip(
            self.ids[lane].tolist(),
            self.indices[lane].tolist(),
            self.types[lane].tolist(),
            self.lifespans[lane].tolist(),
            self.correlation[lane].tolist(),
            self.texts[lane],
            strict=True,
        )
        return [
            {
                "id": id_,
                "index": index,
                "type": EngramType(kind).name.lower(),
                "lifespan": lifespan,
                "correlation": correlation,
                "source": "longterm" if at < int(self.longterm[lane]) else "shortterm",
                "text": text,
            }
            for at, (id_, index, kind, lifespan, correlation, text) in enumerate(columns)
            if id_ >= 0
        ]


def as_pending(core: MemoryCore, found: Recalled) -> Pending:
    """What was recalled, in the store's ids."""
    positions, scores = found.packed()
    lanes = core.config.lanes
    ids = core.state.at(core.state.ids, positions, -1)
    valid = [row >= 0 for row in ids]
    return Pending(
        phase="reminded",
        reminded=tuple(
            tuple((row[keep] * lanes + lane).tolist())
            for lane, (row, keep) in enumerate(zip(ids, valid, strict=True))
        ),
        scores=tuple(tuple(row[keep].tolist()) for row, keep in zip(scores, valid, strict=True)),
        longterm=tuple((found.longterm >= 0).sum(1).tolist()),
        partial=tuple(found.partial.tolist()),
    )


def padded_ids(pending: Pending) -> Tensor:
    """The reminded ids [B, R], -1 on the right; one -1 column where the answer has one."""
    width = max(
        (len(row) + more for row, more in zip(pending.reminded, pending.partial, strict=True)),
        default=0,
    )
    rows = [[*row, *[-1] * (width - len(row))] for row in pending.reminded]
    return torch.tensor(rows, dtype=torch.int64)


def positions_of_ids(core: MemoryCore, ids: Tensor) -> Tensor:
    """Positions of the store's ids [B, R], -1 stays."""
    local = ids.div(core.config.lanes, rounding_mode="floor")
    return core.state.find(local.masked_fill(ids < 0, -1))


def answer(core: MemoryCore, stored_texts: StoredTexts, pending: Pending) -> Reminded:
    """What was recalled as the store's user sees it."""
    ids = padded_ids(pending)
    positions = positions_of_ids(core, ids)
    width = ids.shape[1]
    scores = torch.tensor(
        [[*row, *[-torch.inf] * (width - len(row))] for row in pending.scores],
        dtype=torch.float64,
    )
    expiry = core.state.expiry.gather(1, positions.clamp_min(0)) - core.step
    texts = [stored_texts.texts(row[row >= 0].numpy()) for row in ids]
    return Reminded(
        ids=ids,
        indices=core.state.indices(positions),
        memories=core.state.data_at(positions),
        correlation=scores.exp(),
        types=core.state.at(core.state.types, positions, EngramType.NULL),
        lifespans=expiry.masked_fill(positions < 0, -1.0),
        longterm=torch.tensor(pending.longterm),
        texts=[[*row, *[None] * (width - len(row))] for row in texts],
    )


def log_order(working: int, lanes: int, fired: Tensor) -> tuple[Any, Any]:
    """Cells of ``fired`` [B, W + R] as the log holds them: new engrams by id, then the reminded."""
    new = np.indices((working, lanes)).reshape(2, -1)
    lane, column = (fired[:, working:] >= 0).nonzero(as_tuple=True)
    return (
        np.concatenate((new[1], lane.numpy())),
        np.concatenate((new[0], column.numpy() + working)),
    )
