"""The texts of segments, kept beside the engrams that were made of them."""

from __future__ import annotations

import json
from collections.abc import Sequence

import torch
from torch import Tensor

from memoria.core.memory_core import MemoryCore
from memoria.errors import InputError
from memoria.timeline.engram_type import EngramType

__all__ = ["SegmentTexts", "checked_texts"]

_SPARE = 256  # entries kept before the forgotten are looked for


class SegmentTexts:
    """``coming`` [B] are of the segment read next, ``now`` of that being read, ``seen`` before.

    For every step with texts it has the ids [first, first + count) of its engrams, and a text a
    lane; engrams have the same ids in all lanes, and as many in each.
    """

    def __init__(self) -> None:
        self.coming: tuple[str, ...] | None = None
        self.now: tuple[str, ...] | None = None
        self.seen: tuple[str, ...] | None = None
        self._entries: list[tuple[int, int, tuple[str, ...]]] = []
        self._most = _SPARE

    def add(self, core: MemoryCore, count: int, texts: tuple[str, ...]) -> None:
        """The newest ``count`` engrams of each lane were made of ``texts`` [B]."""
        self._entries.append((core.state.next_id - count, count, texts))
        if len(self._entries) > self._most:
            self.forget(core)

    def forget(self, core: MemoryCore) -> None:
        """Keep what some living engram was made of."""
        living = {number for lane in _living(core) for number in lane}
        self._entries = [
            entry
            for entry in self._entries
            if any(number in living for number in range(entry[0], entry[0] + entry[1]))
        ]
        self._most = 2 * len(self._entries) + _SPARE

    def of_engrams(self, core: MemoryCore) -> list[dict[int, str]]:
        """Lane by lane, the texts of living engrams by id."""
        found: list[dict[int, str]] = []
        for lane, living in enumerate(_living(core)):
            mine = {
                number: texts[lane]
                for first, count, texts in self._entries
                for number in range(first, first + count)
            }
            found.append({number: mine[number] for number in living if number in mine})
        return found

    def state(self) -> Tensor:
        """As bytes in a tensor, uint8 [N]."""
        text = json.dumps([self._entries, self.seen])
        return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)

    @classmethod
    def from_state(cls, state: Tensor) -> SegmentTexts:
        """What `state` was of."""
        made = cls()
        entries, seen = json.loads(bytes(state.cpu().tolist()))
        made.seen = None if seen is None else tuple(seen)
        made._entries = [(int(at), int(count), tuple(texts)) for at, count, texts in entries]
        return made


def checked_texts(texts: Sequence[str], lanes: int | None = None) -> tuple[str, ...]:
    """One string for each lane. Raises `InputError`."""
    if isinstance(texts, str) or not all(isinstance(one, str) for one in texts):
        raise InputError(f"texts = {texts!r}: must be one string for each row of the batch")
    if lanes is not None and len(texts) != lanes:
        raise InputError(f"{len(texts)} texts for a batch of {lanes}", "give one for each row")
    return tuple(texts)


def _living(core: MemoryCore) -> list[list[int]]:
    ids, types = core.state.ids.cpu(), core.state.types.cpu()
    return [mine[kinds != EngramType.NULL].tolist() for mine, kinds in zip(ids, types, strict=True)]
