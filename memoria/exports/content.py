"""What is exported of a memory, block by block: engrams, connections, firings, steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.io.progress import Progress
from memoria.query.engram_table import EngramTable
from memoria.query.inspection import Inspection

Columns = dict[str, npt.NDArray[Any]]

_BLOCK: Final = 8192  # engrams at a time
_FIRINGS: Final = 2**20  # firings at a time


@dataclass
class Content:
    """A memory as it is written out: of every engram the ``most`` strongest connections.

    With ``forgotten`` the forgotten engrams too. ``progress`` is called with the rows taken so far.
    """

    view: Inspection
    vectors: bool
    forgotten: bool
    most: int
    progress: Progress

    def __post_init__(self) -> None:
        self.edges_taken = 0
        self._taken = 0

    @cached_property
    def table(self) -> EngramTable:
        """Everyone who is exported, ascending by id."""
        return self.view.table(self.forgotten)

    @property
    def lanes(self) -> int:
        """Of the memory."""
        return self.view.config.lanes

    def about(self) -> dict[str, Any]:
        """What it is an export of."""
        return {
            "step": self.view.step,
            "digest": self.view.digest,
            "config": self.view.config.model_dump(mode="json"),
        }

    def engrams(self, table: EngramTable | None = None) -> Iterator[EngramTable]:
        """Everyone, or the rows of ``table``, in blocks."""
        table = self.table if table is None else table
        for first in range(0, len(table), _BLOCK):
            block = table.take(slice(first, first + _BLOCK))
            yield block
            self._tell(len(block))

    def edges(self, lane: int | None = None) -> Iterator[Columns]:
        """``source, target, lane, cofire_count, weight`` in blocks, ascending by source in a lane.

        ``weight = cofire_count / fire count of the source``.
        """
        for one in range(self.lanes) if lane is None else (lane,):
            if not self.most:
                return
            for source, target, count, weight in self.view.edge_blocks(one, self.most):
                yield {
                    "source": source,
                    "target": target,
                    "lane": np.full(len(source), one, np.int32),
                    "cofire_count": count,
                    "weight": weight,
                }
                self.edges_taken += len(source)
                self._tell(len(source))

    def firings(self) -> Iterator[Columns]:
        """``step, id, lane, lifespan`` of every firing, in blocks, oldest first.

        ``lifespan`` is what the step left of it; NaN in the running step.
        """
        log = self.view.firings
        for first in range(0, len(log.ids), _FIRINGS):
            block = slice(first, first + _FIRINGS)
            ids, steps = log.ids[block], log.steps[block]
            yield {
                "step": steps,
                "id": ids,
                "lane": (ids % self.lanes).astype(np.int32),
                "lifespan": log.expiry[block] - steps,
            }
            self._tell(len(ids))

    def steps(self) -> Columns:
        """``step, time, added, fired, reminded, forgotten, living`` of every finished step.

        -1 where only what compaction took could tell.
        """
        records = self.view.history()
        names = ("step", "added", "fired", "reminded", "forgotten", "living")
        columns: Columns = {
            name: np.array([-1 if one[name] is None else one[name] for one in records], np.int64)
            for name in names
        }
        return {"step": columns.pop("step"), "time": self.view.steps.times(), **columns}

    def _tell(self, rows: int) -> None:
        self._taken += rows
        self.progress(self._taken, 0)
