"""The cues that were confirmed, with what answered them. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from memoria.store.memory_files import MemoryFiles
from memoria.store.payloads import decode_cue
from memoria.store.schema import EventColumn
from memoria.timeline.log import EventKind


@dataclass(frozen=True)
class ConfirmedCue:
    """A cue and what was confirmed as its answer.

    Attributes:
        text: the cue in words; None if it had none.
        vector: the cue as a vector, float32 [D]; None if it had none.
        ids: the engrams, ascending; some may have been forgotten since.
        step: finished steps by then.
        time: milliseconds since 1970-01-01 UTC.
    """

    text: str | None
    vector: npt.NDArray[np.float32] | None
    ids: tuple[int, ...]
    step: int
    time: int


def confirmed_cues(files: MemoryFiles) -> list[ConfirmedCue]:
    """Every cue that was confirmed, the oldest first, unless all its engrams are compacted away."""
    rows = files.event_rows()
    found: dict[tuple[int, int, bytes], None] = {}
    for at in np.flatnonzero(rows[:, EventColumn.KIND] == EventKind.CONFIRM).tolist():
        step, _, _, time, _ = rows[at].tolist()
        found[step, time, files.event_payload(at)] = None  # each of its engrams has it
    cues = []
    for step, time, payload in found:
        if payload:
            cue = decode_cue(payload, files.config)
            ids = tuple(cue.get("ids", ()))
            cues.append(ConfirmedCue(cue.get("text"), cue.get("vector"), ids, step, time))
    return cues
