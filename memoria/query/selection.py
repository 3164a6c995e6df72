"""Select engrams to forget, pin or unpin: by id, or by age, memory and correlation with a cue."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from memoria.errors import InputError, StateError
from memoria.query.engram_table import EngramTable
from memoria.query.inspection import Inspection
from memoria.query.listing import EngramFilter, NumberRange, parse_time
from memoria.store.events import checked_ids
from memoria.store.reading import open_files
from memoria.timeline.engram_type import EngramType
from memoria.timeline.log import FloatArray, IntArray

_BLOCK_BYTES: Final = 2**25  # of vectors in memory at a time


@dataclass(frozen=True)
class Selection:
    """Selects living engrams that are not pinned; None is unconstrained.

    Attributes:
        older_than: more steps than this number; or of before a time as `parse_time` takes it, such
            as ``"30d"``: its own time, or where it has none when it was remembered.
        cue: vectors [W, D]; ranks by correlation with it, otherwise by age.
        least: lowest correlation with the cue; below 0 the lowest logarithm of it.
        lane, kind: its lane and memory.
        limit: takes the first so many.
        source: pattern of its source's name, with ``*`` and ``?``.
    """

    older_than: str | None = None
    cue: npt.NDArray[np.float32] | None = None
    least: float | None = None
    lane: int | None = None
    kind: Literal["shortterm", "longterm"] | None = None
    limit: int | None = None
    source: str | None = None

    def filter(self) -> EngramFilter:
        """The filter without the cue. Raises `InputError` for a malformed time."""
        age = until = None
        if self.older_than is not None and re.fullmatch("[0-9]{1,15}", self.older_than):
            age = NumberRange(low=int(self.older_than) + 1)
        elif self.older_than is not None:
            until = parse_time("older-than", self.older_than) - 1
        kind = "living" if self.kind is None else self.kind
        return EngramFilter(kind, self.lane, age=age, until=until, source=self.source, pinned=False)


@dataclass(frozen=True)
class Selected:
    """The engrams selected in a memory with this ``digest``, after ``step`` steps.

    Attributes:
        ids: all of them, in order, int64 [N].
        living: those that are not forgotten yet.
        engrams: the first ones as `memoria list` has them; with a cue also the ``correlation``
            and ``log_correlation`` of each.
    """

    step: int
    digest: str
    ids: IntArray
    living: IntArray
    engrams: list[dict[str, Any]]


def select_engrams(
    path: str | os.PathLike[str],
    which: list[int] | Selection,
    shown: int | None = None,
    forgotten: bool = False,
) -> Selected:
    """The engrams of a store with these ids, or that a `Selection` finds.

    ``shown``: of so many the records are read; None: of all. With ``forgotten`` ids may be of
    forgotten engrams that are still there.

    Raises:
        StateError: a step is under way.
        InputError: an id is unknown, forgotten or repeated.
    """
    files = open_files(path)
    with Inspection(files) as view:
        if view.phase != "idle":
            raise StateError(f"a step is under way ({view.phase})", "remind and adjust it first")
        scores = None
        if isinstance(which, Selection):
            table, scores = _found(view, which)
        else:
            table = _named(view, which, forgotten)
        engrams = view.documents(table.take(slice(shown)))
        if scores is not None:
            pairs = zip(engrams, np.exp(scores).tolist(), scores.tolist(), strict=False)
            engrams = [
                {**one, "correlation": score, "log_correlation": logarithm}
                for one, score, logarithm in pairs
            ]
        living = table.ids[table.types != EngramType.NULL]
        return Selected(view.step, view.digest, table.ids, living, engrams)


def _named(view: Inspection, ids: list[int], forgotten: bool) -> EngramTable:
    table = view.table(forgotten)
    wanted = checked_ids(ids, view.created)
    rows = np.searchsorted(table.ids, wanted)
    gone = np.append(table.ids, -1)[rows] != wanted
    if gone.any():
        what = "compaction has removed it" if forgotten else "is forgotten already"
        raise InputError(f"engram {wanted[gone][0]}: {what}", "`memoria list` shows the living")
    return table.take(rows)


def _found(view: Inspection, selection: Selection) -> tuple[EngramTable, FloatArray | None]:
    """The engrams, and with a cue the logarithm of each one's correlation."""
    found = view.listing(selection.filter(), "age", reverse=True).table
    if selection.cue is None:
        return found.take(slice(selection.limit)), None
    scores = _log_correlations(view, found.ids, selection.cue)
    best = np.lexsort((found.ids, -(scores - 1).astype(np.float32)))  # ties as `recall` has them
    if selection.least is not None:
        compared = scores if selection.least < 0 else np.exp(scores)
        best = best[compared[best] >= selection.least]
    best = best[: selection.limit]
    return found.take(best), scores[best]


def _log_correlations(view: Inspection, ids: IntArray, cue: npt.NDArray[np.float32]) -> FloatArray:
    """log of the correlation of each engram [N] with ``cue`` [W, D], block by block."""
    from memoria.core.similarity import log_correlation

    asked = np.asarray(cue, np.float32)[None]
    scores = np.empty(len(ids))
    block = max(1, _BLOCK_BYTES // (4 * view.config.hidden_dim))
    for first in range(0, len(ids), block):
        keys = view.vectors(ids[first : first + block])[None]
        scores[first : first + block] = log_correlation(asked, keys)[0]
    return scores
