"""Co-fire counts among the engrams that fire most, from who took part in which firing as bits.

Some hundred engrams can hold most of a large log. Counting one of their rows goes through all who
ever fired with it; here two of them are compared by the bits that they share. Nobody else's count
exceeds how often it fired, so a row whose best is above that is decided.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["Regulars"]

IntArray = npt.NDArray[np.int64]

_MOST: Final = 2048  # engrams taken as regulars
_WORDS: Final = 2**19  # of bits, 64 each, that they may fill
_COMPARED: Final = 256  # of them with one row at once
_FIRINGS_AT_ONCE: Final = 2**14  # bounds the memory of what is built on the way


class Regulars:
    """Those of ``entries`` (firings begin at ``starts`` [F + 1]) that fired most often."""

    def __init__(self, entries: npt.NDArray[np.int32], starts: IntArray, most: int = _MOST) -> None:
        self.fires = np.bincount(entries)  # of every engram
        spread = np.bincount(self.fires)  # how many fired so often
        most = min(most, _WORDS // (len(starts) // 64 + 1))
        self._least = len(spread) - int(np.searchsorted(np.cumsum(spread[::-1]), most, "right"))
        members = np.flatnonzero(self.fires >= max(1, self._least))
        members = members[np.argsort(-self.fires[members], kind="stable")]
        self._rank = np.full(len(self.fires), -1, np.int32)
        self._rank[members] = np.arange(len(members))
        self._members = members  # from those who fired most
        firings = len(starts) - 1
        parts = [np.empty((len(members), 0), np.uint64)]
        for first in range(0, firings, _FIRINGS_AT_ONCE):
            ends = starts[first : first + _FIRINGS_AT_ONCE + 1]
            rank = self._rank[entries[ends[0] : ends[-1]]]
            firing = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
            theirs = np.flatnonzero(rank >= 0)
            table = np.zeros((len(members), -(-(len(ends) - 1) // 64) * 64), np.bool_)
            table[rank[theirs], firing[theirs]] = True
            parts.append(np.packbits(table, axis=1).view(np.uint64))
        self._bits = np.concatenate(parts, axis=1)
        self.words = 0  # compared so far

    def tied(
        self, positions: IntArray, shut: npt.NDArray[np.bool_]
    ) -> tuple[IntArray, IntArray, npt.NDArray[np.bool_]]:
        """(which of ``positions``, open partner) of the rows decided here, and who is left.

        Both ascend. Partners are all that share the row's greatest count; left is bool [P].
        """
        rank = np.full(len(positions), -1)
        fired = positions < len(self._rank)
        rank[fired] = self._rank[positions[fired]]
        able = np.flatnonzero(~shut[self._members])
        bits, fires = self._bits[able], self.fires[self._members[able]]
        which, chosen = [], []
        left = rank < 0
        for row in np.flatnonzero(~left):
            found = self._strongest(self._bits[rank[row]], bits, fires)
            left[row] = len(found) == 0
            which.append(np.full(len(found), row))
            chosen.append(np.sort(self._members[able[found]]))
        nobody = np.empty(0, np.int64)
        return (
            np.concatenate((nobody, *which)),
            np.concatenate((nobody, *chosen)),
            left,
        )

    def _strongest(
        self, mine: npt.NDArray[np.uint64], bits: npt.NDArray[np.uint64], fires: IntArray
    ) -> IntArray:
        """Which rows of ``bits`` [N, words] share the most with ``mine``; ``fires`` [N] descend.

        None, where somebody beside them may have fired with it as often.
        """
        counts: list[IntArray] = []
        best = 0
        for first in range(0, len(bits), _COMPARED):
            if best > fires[first]:
                break
            shared = np.bitwise_count(bits[first : first + _COMPARED] & mine)
            self.words += shared.size
            counts.append(shared.sum(axis=1, dtype=np.int64))
            best = max(best, int(counts[-1].max()))
        if best < max(1, self._least):
            return np.empty(0, np.int64)
        return np.flatnonzero(np.concatenate(counts) == best)
