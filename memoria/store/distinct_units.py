"""Which units of what is read repeat others: those are passed over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from memoria.backbones.streams import UnitChoice
from memoria.errors import UsageError
from memoria.io.duplicates import Duplicates, Fingerprint
from memoria.io.inputs import Piece
from memoria.store.store import MemoryStore
from memoria.store.syncing import Syncing
from memoria.store.texts import StoredTexts

if TYPE_CHECKING:
    from memoria.io.record_lines import RecordLines

_BLOCK: Final = 8192  # engrams whose texts are in memory at a time
_SHOWN: Final = 3


class DistinctUnits:
    """Takes a unit unless its text repeats one that lives in the memory or was taken before it.

    What is passed over for another reason, and what the memory is about to forget, repeats nothing
    and is repeated by nothing. With ``syncing``, what was forgotten otherwise and still stands in
    its file is repeated too: it stays forgotten. A `UnitChoice`.

    Args:
        store: the memory, of one lane.
        syncing: what chooses among units first; None: all are taken.
        near: whether texts that are nearly the same repeat each other: see `Duplicates`.

    Raises:
        UsageError: the memory has several lanes.
        MissingExtraError: ``near`` without `datasketch`.
    """

    def __init__(self, store: MemoryStore, syncing: Syncing | None, near: bool) -> None:
        if store.config.lanes > 1:
            raise UsageError(
                f"--dedup: the memory has {store.config.lanes} lanes",
                "what is left out of one would shift it against the others",
            )
        self._store, self._syncing = store, syncing
        self._inner: UnitChoice | None = syncing
        self._known = Duplicates(near)
        self._seen: dict[int, list[Fingerprint | None]] = {}
        self._failed: set[int] = set()
        self._dropped: set[tuple[int, int]] = set()
        self._dropped_of = Counter[int]()
        self._repeated: dict[int, int] = {}  # how often each text is, by its key

    @property
    def passed_over(self) -> int:
        """How many units repeat others."""
        return len(self._dropped)

    def see(self, number: int, piece: Piece) -> None:
        """Look at the next unit of input ``number``."""
        if self._inner is not None:
            self._inner.see(number, piece)
        text = piece.text
        seen = self._seen.setdefault(number, [])
        seen.append(self._known.fingerprint(text) if text is not None else None)

    def known_lines(self, number: int) -> None:
        """None: the text of each unit is needed."""

    def see_lines(self, number: int, lines: RecordLines) -> None:
        """Never asked for."""
        raise AssertionError

    def taken_of_lines(self, number: int) -> Sequence[int]:
        """Never asked for."""
        raise AssertionError

    def fail(self, number: int) -> None:
        """Input ``number`` cannot be read to its end: nothing of it is taken."""
        self._failed.add(number)
        if self._inner is not None:
            self._inner.fail(number)

    def decide(self) -> None:
        """All inputs have been seen."""
        leaving: Collection[int] = ()
        if self._inner is not None:
            self._inner.decide()
        if self._syncing is not None:
            leaving = self._syncing.leaving()
        self._know_the_living(leaving)
        taken = 0
        for number in sorted(self._seen.keys() - self._failed):
            for unit, fingerprint in enumerate(self._seen[number]):
                is_new = self._inner is None or self._inner.takes(number, unit)
                if fingerprint is None or not is_new:
                    continue
                taken += 1
                found = self._known.add(-taken, fingerprint)
                if found is not None:
                    self._dropped.add((number, unit))
                    self._dropped_of[number] += 1
                    self._repeated[found] = self._repeated.get(found, 0) + 1
        self._seen.clear()

    def count(self, number: int, units: int) -> int:
        """How many of the ``units`` of input ``number`` are taken."""
        count = units if self._inner is None else self._inner.count(number, units)
        return count - self._dropped_of[number]

    def takes(self, number: int, unit: int) -> bool:
        """Whether unit ``unit`` of input ``number`` is taken."""
        if (number, unit) in self._dropped:
            return False
        return self._inner is None or self._inner.takes(number, unit)

    def notices(self) -> list[str]:
        """What a user should know: how many repeat what."""
        if not self._dropped:
            return []
        engrams = [str(key) for key in self._repeated if key >= 0]
        shown = ", ".join(engrams[:_SHOWN]) + (", ..." if len(engrams) > _SHOWN else "")
        also = f", such as engram {shown}" if len(engrams) == 1 else f", such as engrams {shown}"
        count = len(self._dropped)
        what = "unit repeats" if count == 1 else "units repeat"
        return [f"{count} {what} what was read before{also if engrams else ''}: passed over"]

    def omits_of(self, number: int) -> bool:
        """Whether units of input ``number`` repeat others."""
        return self._dropped_of[number] > 0

    def _know_the_living(self, leaving: Collection[int]) -> None:
        ids = self._store.living(np.arange(self._store.files.created))
        if self._syncing is not None:
            ids = np.union1d(ids, self._syncing.held.engrams())
        ids = ids[np.isin(ids, np.array(sorted(leaving), np.int64), invert=True)]
        stored = StoredTexts(self._store.files)
        for first in range(0, len(ids), _BLOCK):
            part = ids[first : first + _BLOCK]
            for engram, text in zip(part.tolist(), stored.texts(part), strict=True):
                if text is not None:
                    self._known.add(engram, text)
