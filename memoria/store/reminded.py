"""What a store answers: the engrams that came back, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.core.arrays import Array
from memoria.core.memory_core import MemoryCore
from memoria.core.recall import Recalled
from memoria.io.notebook import SHOWN_ROWS, html_table, shorten
from memoria.store.attributes import Pending
from memoria.store.source_lines import source_lines
from memoria.store.texts import StoredTexts
from memoria.timeline.engram_type import EngramType
from memoria.timeline.log import FloatArray, IntArray

_IDLE: Final = Pending()
_SHOWN: Final = 80  # characters of a text in a repr


@dataclass(frozen=True, repr=False)
class Reminded:
    """Reminded engrams, long-term search first, then short-term, each newest to oldest.

    ``ids`` and ``indices`` int64 [B, R], -1 pads (the store's id, the rank among the lane's
    living); ``memories`` float32 [B, R, D]; ``log_correlation`` float64 [B, R], the logarithm of
    the mean over the cue of exp(-squared distance), -inf pads; ``types`` uint8, ``lifespans``
    float64; ``longterm`` [B] how many came from long-term search; ``texts`` [B][R].
    """

    ids: IntArray
    indices: IntArray
    memories: npt.NDArray[np.float32]
    log_correlation: FloatArray
    types: npt.NDArray[np.uint8]
    lifespans: FloatArray
    longterm: IntArray
    texts: Sequence[Sequence[str | None]]
    _stored: StoredTexts = field(repr=False)

    @property
    def correlation(self) -> FloatArray:
        """float64 [B, R]; of vectors that are not short it underflows to 0, so rank by its log."""
        return np.exp(self.log_correlation)

    def records(self) -> list[dict[str, Any]]:
        """One record a lane, as plain values: the ``lanes`` of `memoria remind --json`.

        Reads where the engrams came from, so the store must be open.
        """
        return [
            {"lane": lane, "reminded": self._of_lane(lane)} for lane in range(self.ids.shape[0])
        ]

    def __repr__(self) -> str:
        lines = [f"Reminded, {int((self.ids >= 0).sum())} in {len(self.ids)} lanes:"]
        for lane, id_, score, text in self._rows():
            lines.append(f"{score:9.4g}  lane {lane}, {id_}: {shorten(text, _SHOWN)}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """What was reminded as a notebook shows it."""
        rows = [(lane, id_, f"{score:.4g}", text) for lane, id_, score, text in self._rows()]
        title = f"Reminded, {len(rows)} in {len(self.ids)} lanes"
        columns = ("lane", "id", "log correlation", "text")
        return html_table(title, columns, rows[:SHOWN_ROWS], len(rows) - SHOWN_ROWS)

    def _rows(self) -> list[tuple[int, int, float, str | None]]:
        """Lane, id, log correlation and text of each, lane by lane."""
        return [
            (lane, id_, score, text)
            for lane, (ids, scores, texts) in enumerate(
                zip(self.ids.tolist(), self.log_correlation.tolist(), self.texts, strict=True)
            )
            for id_, score, text in zip(ids, scores, texts, strict=True)
            if id_ >= 0
        ]

    def _of_lane(self, lane: int) -> list[dict[str, Any]]:
        ids = self.ids[lane][self.ids[lane] >= 0]
        count, early = len(ids), int(self.longterm[lane])
        places, texts = self._stored.places(ids), self.texts[lane][:count]
        columns: dict[str, Sequence[Any]] = {
            "id": ids.tolist(),
            "index": self.indices[lane].tolist(),
            "type": [EngramType(kind).name.lower() for kind in self.types[lane].tolist()],
            "lifespan": self.lifespans[lane].tolist(),
            "correlation": self.correlation[lane].tolist(),
            "log_correlation": self.log_correlation[lane].tolist(),
            "memory": ["longterm" if at < early else "shortterm" for at in range(count)],
            "text": texts,
            "source": [None if place is None else place[0] for place in places],
            "line": source_lines(self._stored, places, texts),
            "time": self._stored.times(ids),
        }
        rows = [values[:count] for values in columns.values()]
        return [dict(zip(columns, row, strict=True)) for row in zip(*rows, strict=True)]


def as_pending(core: MemoryCore, found: Recalled, expiry: tuple[float, ...] = ()) -> Pending:
    """What was recalled, in the store's ids, by a working memory that expires at ``expiry``."""
    positions = found.packed(core.ops)
    local = core.ops.numpy(core.state.at(core.state.ids, positions, -1))
    ids = local * len(local) + np.arange(len(local))[:, None]
    scores, valid = core.ops.numpy(found.scores(core.state, positions)), local >= 0
    reminded = {  # a copy of it is not checked number by number, which a step would feel
        "phase": "reminded",
        "reminded": tuple(tuple(row[keep].tolist()) for row, keep in zip(ids, valid, strict=True)),
        "scores": tuple(tuple(row[keep].tolist()) for row, keep in zip(scores, valid, strict=True)),
        "longterm": tuple((found.longterm >= 0).sum(1).tolist()),
        "partial": tuple(found.partial.tolist()),
        "expiry": expiry,
    }
    return _IDLE.model_copy(update=reminded)


def padded_ids(pending: Pending) -> IntArray:
    """The reminded ids [B, R], -1 on the right; one -1 column where the answer has one."""
    ids: IntArray = _padded(pending, pending.reminded, -1, np.int64)
    return ids


def positions_of_ids(core: MemoryCore, ids: IntArray) -> Array:
    """Positions of the store's ids [B, R], -1 stays."""
    local = np.where(ids < 0, -1, ids // core.config.lanes)
    return core.state.find(core.ops.array(local))


def answer(core: MemoryCore, stored_texts: StoredTexts, pending: Pending) -> Reminded:
    """What was recalled as the store's user sees it."""
    ids = padded_ids(pending)
    positions = positions_of_ids(core, ids)
    state, numpy, width = core.state, core.ops.numpy, ids.shape[1]
    texts = [stored_texts.texts(row[row >= 0]) for row in ids]
    return Reminded(
        ids=ids,
        indices=numpy(state.indices(positions)),
        memories=numpy(state.data_at(positions)),
        log_correlation=_padded(pending, pending.scores, -np.inf, np.float64),
        types=numpy(state.at(state.types, positions, EngramType.NULL)),
        lifespans=numpy(state.at(state.expiry, positions, core.step - 1)) - core.step,
        longterm=np.array(pending.longterm),
        texts=[[*row, *[None] * (width - len(row))] for row in texts],
        _stored=stored_texts,
    )


def _padded(pending: Pending, values: Sequence[Sequence[float]], fill: float, dtype: Any) -> Any:
    """``values`` [B][R] of what was reminded as one array."""
    width = max(
        (len(row) + more for row, more in zip(pending.reminded, pending.partial, strict=True)),
        default=0,
    )
    return np.array([[*row, *[fill] * (width - len(row))] for row in values], dtype)


def log_order(working: int, lanes: int, fired: IntArray) -> tuple[Any, Any]:
    """Cells of ``fired`` [B, W + R] as the log holds them: new engrams by id, then the reminded."""
    new = np.indices((working, lanes)).reshape(2, -1)
    lane, column = (fired[:, working:] >= 0).nonzero()
    return np.concatenate((new[1], lane)), np.concatenate((new[0], column + working))
