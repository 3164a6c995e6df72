"""The firings of one lane as a growing log, and co-fire counts counted from it.

A firing appends the positions that fired and nothing else; row i of the co-fire matrix is counted
by going through the firings that i took part in. Plain numpy: `inspect` needs no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from memoria.timeline.log import Firings, IntArray
from memoria.timeline.strongest import Edges, ranges, strongest_of_all, strongest_of_each

_Number = TypeVar("_Number", bound=np.generic)

_TABLE: Final = 2**20  # cells up to which counting in a table beats sorting
_CELLS_AT_ONCE: Final = 2**22  # bounds the memory of `matrix`
_TAIL: Final = 4096  # entries that are always gone through, never sorted
_FREQUENT_FROM: Final = 2**20  # pairs in one question that make it worth building `FrequentEngrams`
_WORDS_PER_PAIR: Final = 48  # compared in the time that a pair takes to count
_SCANS: Final = 32  # going through all entries so many times costs as much as sorting them
_MOST: Final = 2048  # engrams taken as frequent
_WORDS: Final = 2**19  # of bits, 64 each, that they may fill
_COMPARED: Final = 256  # of them with one row at once
_FIRINGS_AT_ONCE: Final = 2**14  # bounds the memory of what is built on the way


class FiringLog:
    """``entries`` are positions, ``starts[f]`` is where firing f begins."""

    def __init__(
        self,
        entries: npt.NDArray[np.int32] | IntArray | None = None,
        starts: IntArray | None = None,
    ) -> None:
        nothing = np.empty(0, np.int64)
        self.work = 0  # of all questions so far, in pairs counted
        self._load(nothing if entries is None else entries, nothing if starts is None else starts)

    def _load(self, entries: npt.NDArray[np.int32] | IntArray, starts: IntArray) -> None:
        self._entries = entries.astype(np.int32, copy=False)  # half the memory of int64
        self._used = len(entries)
        self._starts = np.append(starts, self._used)
        self._firings = len(starts)
        self._width = int(entries.max()) + 1 if len(entries) else 0  # above every position
        self._indexed = 0
        self._scanned = 0  # entries gone through unsorted since they were sorted last
        self._by_engram = np.empty(0, np.int32)  # firings, grouped by who took part
        self._groups: IntArray = np.zeros(1, np.int64)  # position p's group is [p] to [p + 1]
        self._frequent: FrequentEngrams | None = None

    @classmethod
    def of(cls, positions: IntArray | npt.NDArray[np.int32], firings: IntArray) -> FiringLog:
        """The log of ``positions`` [N], below 0 where they do not count, that fired together.

        Args:
            positions: who fired, by firing; nobody twice in one.
            firings: number, 0 or more, of the firing that each took part in, [N].
        """
        here = positions >= 0
        if not here.all():
            positions, firings = positions[here], firings[here]
        if (firings[1:] < firings[:-1]).any():
            order = np.argsort(firings, kind="stable")
            positions, firings = positions[order], firings[order]
        return cls(positions, np.flatnonzero(np.diff(firings, prepend=-1)))

    def __len__(self) -> int:
        return self._used

    @property
    def entries(self) -> npt.NDArray[np.int32]:
        """Positions that fired, [N], firing after firing."""
        return self._entries[: self._used]

    @property
    def starts(self) -> IntArray:
        """Where every firing begins in `entries`, and where the last one ends, [F + 1]."""
        return self._starts[: self._firings + 1]

    @property
    def room(self) -> int:
        """Entries there is memory for."""
        return len(self._entries)

    def append(self, positions: IntArray) -> None:
        """One firing of distinct ``positions``."""
        end = self._used + len(positions)
        self._entries = with_room(self._entries, end)
        self._starts = with_room(self._starts, self._firings + 2)
        self._entries[self._used : end] = positions
        self._width = max(self._width, int(positions.max(initial=-1)) + 1)
        self._used = end
        self._firings += 1
        self._starts[self._firings] = end
        self._frequent = None

    def pack(self, kept: IntArray) -> bool:
        """Rename positions ``kept`` to 0..K-1, drop the others and firings left with nobody.

        Returns whether that changed anything.
        """
        if self._width <= len(kept) and (len(kept) == 0 or int(kept[-1]) == len(kept) - 1):
            return False
        rename = np.full(max(self._width, int(kept.max(initial=-1)) + 1), -1, np.int32)
        rename[kept] = np.arange(len(kept))
        entries = rename[self.entries]
        lives = entries >= 0
        before = np.zeros(len(lives) + 1, np.int64)
        np.cumsum(lives, out=before[1:])
        sizes = np.diff(before[self.starts])
        sizes = sizes[sizes > 0]
        self._load(entries[lives], np.cumsum(sizes) - sizes)
        return True

    def drop_index(self) -> None:
        """Release what questions have sorted; the next ones sort again if they must."""
        self._indexed = self._scanned = 0
        self._by_engram, self._groups = np.empty(0, np.int32), np.zeros(1, np.int64)
        self._frequent = None

    def pairs(self, positions: IntArray) -> tuple[IntArray, IntArray]:
        """Everyone who fired with each of ``positions``, once per common firing.

        Returns (which of ``positions``, partner's position), both [total].
        """
        return self._partners(*self._firings_of(positions))

    def oldest(self, positions: IntArray, shut: npt.NDArray[np.bool_]) -> IntArray:
        """The oldest partner that `tied` finds for each of ``positions``, [P]; -1: none."""
        which, partner = self.tied(positions, shut)
        chosen = np.full(len(positions), -1)
        chosen[which[::-1]] = partner[::-1]  # the last written is the first found, the oldest
        return chosen

    def tied(self, positions: IntArray, shut: npt.NDArray[np.bool_]) -> tuple[IntArray, IntArray]:
        """(which of ``positions``, open partner) of all that share a row's greatest count.

        Both ascend. ``shut`` [C] marks what must not be chosen. A row without an open partner
        gives nothing.
        """
        which, firing = self._firings_of(positions)
        row, found = np.empty(0, np.int64), np.empty(0, np.int64)
        frequent = self._frequent_for(firing)
        if frequent is not None:
            before = frequent.words
            row, found, left = frequent.tied(positions, shut)
            self.work += (frequent.words - before) // _WORDS_PER_PAIR
            keep = left[which]
            which, firing = which[keep], firing[keep]
        which, partner = self._most_frequent(which, firing, len(positions), shut)
        if len(row):
            which, partner = np.concatenate((row, which)), np.concatenate((found, partner))
            order = np.argsort(which, kind="stable")
            which, partner = which[order], partner[order]
        return which, partner

    def _most_frequent(
        self, which: IntArray, firing: IntArray, rows: int, shut: npt.NDArray[np.bool_]
    ) -> tuple[IntArray, IntArray]:
        """(row, partner), both ascending: the open ones that came most often to the row's firings.

        ``which`` of ``rows`` rows took part in each ``firing``.
        """
        which, partner = self._partners(which, firing)
        is_open = ~shut[partner]
        cell = which[is_open] * len(shut) + partner[is_open]
        if rows * len(shut) <= max(_TABLE, 2 * len(cell)):
            table = np.bincount(cell)
            cell = np.flatnonzero(table)
            count = table[cell]
        else:
            cell, count = count_distinct(cell, rows * len(shut))
        which, partner = cell // len(shut), cell % len(shut)
        most = np.zeros(rows, np.int64)
        np.maximum.at(most, which, count)
        best = count == most[which]
        return which[best], partner[best]

    def _partners(self, which: IntArray, firing: IntArray) -> tuple[IntArray, IntArray]:
        """``which`` of some rows with everyone in the ``firing`` it took part in, [total]."""
        first = self._starts[firing]
        sizes = self._starts[firing + 1] - first
        partner = self._entries[ranges(first, sizes)]
        self.work += len(partner)
        return np.repeat(which, sizes), partner.astype(np.int64)

    def _frequent_for(self, firing: IntArray) -> FrequentEngrams | None:
        """The frequent engrams, if they are known or pay for a question about so many firings."""
        if self._frequent is None:
            pairs = int((self._starts[firing + 1] - self._starts[firing]).sum())
            if pairs > max(self._used, _FREQUENT_FROM):
                self._frequent = FrequentEngrams(self.entries, self.starts)
                self.work += self._used // 2
        return self._frequent

    def rows(self, positions: IntArray, capacity: int) -> npt.NDArray[np.int32]:
        """Rows of the co-fire matrix, [P, capacity]."""
        which, partner = self.pairs(positions)
        cells = np.bincount(which * capacity + partner, minlength=len(positions) * capacity)
        return cells.reshape(len(positions), capacity).astype(np.int32)

    def connections(self, engrams: int) -> tuple[IntArray, Edges]:
        """Fire counts [M] of positions 0 to ``engrams`` - 1, and all of their connections.

        Those are (source, target, co-fire count), by source, then by target.
        """
        fires = np.bincount(self.entries, minlength=engrams)
        which, partner = self.pairs(np.arange(engrams))
        other = partner != which
        cells, counts = count_distinct(which[other] * engrams + partner[other], engrams * engrams)
        return fires, (cells // max(1, engrams), cells % max(1, engrams), counts)

    def connected_pairs(self) -> int:
        """How many directed pairs of different engrams ever fired together."""
        who, sizes = self.entries.astype(np.int64), np.diff(self.starts)
        firing = np.repeat(np.arange(len(sizes)), sizes)
        # Pairs with one that fired only once cannot repeat; only the others need comparing.
        once = np.bincount(who)[who] == 1 if len(who) else np.zeros(0, np.bool_)
        singles = np.bincount(firing[once], minlength=len(sizes))
        others = np.bincount(firing[~once], minlength=len(sizes))
        total = int((singles * (singles - 1 + 2 * others)).sum())
        return total + 2 * _distinct_pairs(who[~once], firing[~once], others)

    def matrix(self, engrams: int) -> IntArray:
        """Co-fire counts [M, M] of positions 0 to ``engrams`` - 1; the diagonal is fire counts.

        The product of the 0/1 incidence of firings with itself, in blocks: its cost is bounded,
        however many take part in a firing.
        """
        counts = np.zeros((engrams, engrams), np.int64)
        at_once = max(1, _CELLS_AT_ONCE // max(1, engrams))
        for first in range(0, self._firings, at_once):
            starts = self.starts[first : first + at_once + 1]
            fired = np.zeros((at_once, engrams), np.float32)
            firing = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
            fired[firing, self.entries[starts[0] : starts[-1]]] = 1  # sums below 2**24 are exact
            counts += (fired.T @ fired).astype(np.int64)
        return counts

    def edges(self, engrams: int, most: int) -> Iterator[Edges]:
        """The ``most`` strongest connections of positions 0 to ``engrams`` - 1, in batches.

        Yields (source, target, co-fire count) as `strongest_of_each` does.
        """
        return strongest_of_each(self.entries, self.starts, engrams, most)

    def strongest(self, fires: IntArray, most: int) -> Edges | None:
        """The ``most`` strongest connections of all, as `strongest_of_all` has them.

        None where that cannot tell, and where ``fires`` [M] are not those of the log.
        """
        if not np.array_equal(np.bincount(self.entries, minlength=len(fires)), fires):
            return None
        return strongest_of_all(self.entries, self.starts, fires, most)

    def pair_count(self) -> int:
        """How many pairs `pairs` would give for all positions: the sum of squared firings."""
        sizes = np.diff(self.starts)
        return int((sizes * sizes).sum())

    def pair_counts(self, engrams: int) -> IntArray:
        """How many pairs `pairs` would give for each of positions 0 to ``engrams`` - 1, [M]."""
        sizes = np.diff(self.starts)
        pairs = np.bincount(self.entries, weights=np.repeat(sizes, sizes), minlength=engrams)
        return pairs[:engrams].astype(np.int64)

    def _firings_of(self, positions: IntArray) -> tuple[IntArray, IntArray]:
        """(which of ``positions``, number of a firing it took part in), both [total]."""
        self._index()
        inside = positions < len(self._groups) - 1
        at = np.where(inside, positions, 0)
        low, high = self._groups[at], self._groups[np.minimum(at + 1, len(self._groups) - 1)]
        sizes = np.where(inside, high - low, 0)
        which = np.repeat(np.arange(len(positions)), sizes)
        firing = self._by_engram[ranges(low, sizes)].astype(np.int64)
        if self._indexed == self._used:
            return which, firing
        tail = self._entries[self._indexed : self._used]
        wanted = np.zeros(self._width, np.bool_)
        wanted[positions[positions < self._width]] = True
        entry = np.flatnonzero(wanted[tail])
        order = np.argsort(positions)
        found = order[np.searchsorted(positions, tail[entry], sorter=order)]
        late = np.searchsorted(self.starts, entry + self._indexed, side="right") - 1
        return np.concatenate((which, found)), np.concatenate((firing, late))

    def _index(self) -> None:
        """Sort the entries by engram once going through the unsorted ones has cost as much."""
        tail = self._used - self._indexed
        self._scanned += tail
        if tail <= _TAIL or self._scanned <= _SCANS * self._used:
            return
        entries = self._entries[: self._used]
        order = np.argsort(entries, kind="stable")
        firing = np.repeat(np.arange(self._firings, dtype=np.int32), np.diff(self.starts))
        self._by_engram = firing[order]
        sizes = np.bincount(entries)
        self._groups = np.concatenate(([0], np.cumsum(sizes)))
        self._indexed = self._used
        self._scanned = 0


def cofired(firings: Firings, engram: int, lanes: int) -> tuple[IntArray, IntArray]:
    """(partner, co-fire count) of all that fired with an engram of a memory of ``lanes``, by id."""
    together = np.isin(firings.steps, firings.steps[firings.ids == engram])
    together &= (firings.ids % lanes == engram % lanes) & (firings.ids != engram)
    return np.unique(firings.ids[together], return_counts=True)


def cofire_counts(
    firings: Firings, low: IntArray, high: IntArray, shared: int | None = None
) -> tuple[IntArray, IntArray, IntArray]:
    """(co-fire count, fire counts of ``low``, of ``high``) of pairs; 0 for ids from ``shared``."""
    wanted = np.unique(np.concatenate((low, high)))
    known = wanted if shared is None else wanted[wanted < shared]
    log = FiringLog.of(ranks(known, firings.ids), firings.steps)
    fires, (source, target, count) = log.connections(len(wanted))
    first, second = np.searchsorted(wanted, low), np.searchsorted(wanted, high)
    pairs, asked = source * len(wanted) + target, first * len(wanted) + second
    at = np.searchsorted(pairs, asked)
    together = np.where(np.append(pairs, -1)[at] == asked, np.append(count, 0)[at], 0)
    return together, fires[first], fires[second]


def lane_logs(ids: IntArray, ends: IntArray, living: IntArray, lanes: int) -> list[FiringLog]:
    """What fired together lane by lane, in ranks among the lane's living engrams.

    Args:
        ids: who fired, firing after firing, [N]; the engram ``i`` is of lane ``i % lanes``.
        ends: 0, and where each firing ends in ``ids``, [F + 1].
        living: ids of the living, ascending; others do not count.
        lanes: number of lanes, B.

    Returns:
        A log for each lane, [B].
    """
    logs = []
    for lane in range(lanes):
        position = ranks(living if lanes == 1 else living[living % lanes == lane], ids)
        here = position >= 0
        lane_ends = ends
        if not here.all():
            position = position[here]
            lane_ends = np.concatenate(([0], np.cumsum(here)))[ends]
        starts, sizes = lane_ends[:-1], np.diff(lane_ends)
        logs.append(FiringLog(position, starts[sizes > 0]))
    return logs


def ranks(living: IntArray, wanted: IntArray) -> npt.NDArray[np.int32]:
    """The rank of each of ``wanted`` in ``living`` (ascending), -1 for what does not live."""
    if len(living) == 0 or len(wanted) == 0:
        return np.full(len(wanted), -1, np.int32)
    first = min(int(living[0]), int(wanted.min()))
    span = max(int(living[-1]), int(wanted.max())) + 1 - first
    if span > 64 * (len(living) + len(wanted)) + 2**20:  # of a few that are far between
        at = np.searchsorted(living, wanted).astype(np.int32)
        return np.where(np.append(living, -1)[at] == wanted, at, np.int32(-1))
    table = np.full(span, -1, np.int32)
    table[living - first] = np.arange(len(living))
    return table[wanted - first if first else wanted]


def _distinct_pairs(who: IntArray, firing: IntArray, sizes: IntArray) -> int:
    """Unordered pairs that share a firing; ``sizes`` [F] of the firings."""
    names = np.flatnonzero(np.bincount(who))
    compact = ranks(names, who).astype(np.int64)
    order = np.lexsort((compact, firing))
    compact = compact[order]
    ends = np.cumsum(sizes)
    keys = []
    for size in np.flatnonzero(np.bincount(sizes[sizes > 1])).tolist():
        first = (ends - sizes)[sizes == size]
        members = compact[first[:, None] + np.arange(size)]
        low, high = np.triu_indices(size, 1)
        keys.append((members[:, low] * len(names) + members[:, high]).reshape(-1))
    if not keys:
        return 0
    together = np.sort(np.concatenate(keys))  # far faster here than np.unique, which hashes
    return 1 + int(np.count_nonzero(np.diff(together)))


def count_distinct(cells: IntArray, limit: int) -> tuple[IntArray, IntArray]:
    """The distinct ``cells``, below ``limit``, and how often each occurs."""
    narrow = np.int32 if limit < 2**31 else np.int64  # sorts twice as fast
    ordered = np.sort(cells.astype(narrow))
    first = np.flatnonzero(np.diff(ordered, prepend=-1))
    return ordered[first].astype(np.int64), np.diff(first, append=len(ordered))


def with_room(array: npt.NDArray[_Number], size: int) -> npt.NDArray[_Number]:
    """``array`` with memory for ``size`` elements or more, the new ones undefined."""
    if size <= len(array):
        return array
    grown = np.empty(max(size + size // 4, 1024), array.dtype)
    grown[: len(array)] = array
    return grown


class FrequentEngrams:
    """Co-fire counts among the engrams that fire most, from who took part in which firing as bits.

    Some hundred engrams can hold most of a large log. Counting one of their rows goes through all
    who ever fired with it; here two of them are compared by the bits that they share. Nobody
    else's count exceeds how often it fired, so a row whose best is above that is decided.

    Args:
        entries: positions that fired, [N].
        starts: where each firing begins in ``entries``, and where the last one ends, [F + 1].
        most: engrams taken as frequent.
    """

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
