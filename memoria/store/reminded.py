"""What a store answers: the engrams that came back, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from memoria.timeline.engram_type import EngramType

__all__ = ["Reminded"]


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
