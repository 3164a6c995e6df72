"""The compiled loops of `HotRows`, and the arrays they work on.

A *row* is an engram's row of the co-fire matrix; hot rows have a *list* of their strongest
partners, in a *slot*. C positions, N slots, K partners a list, all arrays int32 but the stamps:

    rows [4, C]      of each position: its last entry in the log (-1: none), its firings, the slot
                     of its list (-1: none), and a scratch count, 0 between calls
    stamps [C]       uint16, small enough for the cache: of each position a count above
                     ``cursor[STAMPED]``, so that no call has to clear it
    lists [N, 2, K]  partners by descending count, and their co-fire counts with the owner
    heads [N, 4]     of each list: its owner, its length, a bound that no partner left out exceeds,
                     and the firings in the log when it last answered
    cursor [3]       slots in use, the slot last considered for reuse, and the greatest stamp
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

LAST, FIRES, SLOT, SCRATCH = 0, 1, 2, 3  # of rows
PARTNER, COUNT = 0, 1  # of lists
OWNER, LENGTH, BOUND, USED = 0, 1, 2, 3  # of heads
STAMPED = 2  # of cursor
LAST_STAMP = 2**16 - 1
NOBODY = 2**62  # above every position


@njit(cache=True)
def follow_kernel(
    known: int, entries: Any, starts: Any, previous: Any, rows: Any, lists: Any, heads: Any
) -> None:
    """Count the log's firings from number ``known`` on, whose entries ascend from then on."""
    for firing in range(known, len(starts) - 1):
        first, last = starts[firing], starts[firing + 1]
        for at in range(first + 1, last):
            if entries[at] < entries[at - 1]:
                entries[first:last].sort()
                break
        listed = False
        for at in range(first, last):
            position = entries[at]
            previous[at] = rows[LAST, position]
            rows[LAST, position] = at
            rows[FIRES, position] += 1
            listed |= rows[SLOT, position] >= 0
        if listed:
            _count_up(entries[first:last], rows, lists, heads)


@njit(cache=True)
def _count_up(fired: Any, rows: Any, lists: Any, heads: Any) -> None:
    """Update the lists of the positions ``fired``, which fired together."""
    by_fires = np.sort(rows[FIRES][fired])
    rows[SCRATCH][fired] = 1
    for position in fired:
        slot = rows[SLOT, position]
        if slot < 0:
            continue
        bound = heads[slot, BOUND]
        able = len(fired) - np.searchsorted(by_fires, bound, side="right")
        if rows[FIRES, position] > bound:
            able -= 1
        for k in range(heads[slot, LENGTH]):  # in order of counts, and so that it stays: see _renew
            partner = lists[slot, PARTNER, k]
            if rows[SCRATCH, partner] == 1:
                _raise(lists[slot], k)
                if rows[FIRES, partner] > bound:
                    able -= 1
        if able > 0:  # a partner left out may now have passed the bound
            heads[slot, BOUND] = bound + 1
    rows[SCRATCH][fired] = 0


@njit(cache=True)
def tied_kernel(
    positions: Any,
    shut: Any,
    hot: int,
    entries: Any,
    starts: Any,
    previous: Any,
    rows: Any,
    lists: Any,
    heads: Any,
    cursor: Any,
    stamps: Any,
) -> Any:
    """See `HotRows.tied`."""
    which = np.empty(1024, np.int64)
    partners = np.empty(1024, np.int64)
    found = 0
    now = len(starts) - 1
    touched = np.empty(4096, np.int32)
    spans = np.empty((hot, 2), np.int64)
    for r in range(len(positions)):
        position = positions[r]
        slot = rows[SLOT, position]
        decided, best, length = _listed(slot, now, shut, lists, heads)
        if not decided and rows[FIRES, position] < hot:
            firings = spans[: rows[FIRES, position]]
            total = _find_firings(position, starts, previous, rows, firings)
            if found + total > len(which):
                size = 2 * (found + total)
                which = _grown(which, found, size)
                partners = _grown(partners, found, size)
            tied = _count_tied(position, firings, shut, entries, cursor, stamps, partners[found:])
            which[found : found + tied] = r
            found += tied
            continue
        if not decided:
            length, touched = _count(position, entries, starts, previous, rows, touched)
            best = 0
            for t in range(length):
                partner = touched[t]
                if rows[SCRATCH, partner] > best and not shut[partner]:
                    best = rows[SCRATCH, partner]
            if slot < 0:
                slot = _take_list(position, now, rows, heads, cursor)
            if slot >= 0:
                _renew(slot, touched[:length], rows, lists, heads)
                heads[slot, USED] = now
        if found + length > len(which):
            size = 2 * (found + length)
            which = _grown(which, found, size)
            partners = _grown(partners, found, size)
        for t in range(length):
            partner = lists[slot, PARTNER, t] if decided else touched[t]
            count = lists[slot, COUNT, t] if decided else rows[SCRATCH, partner]
            if best == 0 or count != best or shut[partner]:
                continue
            which[found] = r
            partners[found] = partner
            found += 1
        if not decided:
            for t in range(length):
                rows[SCRATCH, touched[t]] = 0
    return which[:found], partners[:found]


@njit(cache=True)
def oldest_kernel(
    positions: Any,
    shut: Any,
    hot: int,
    entries: Any,
    starts: Any,
    previous: Any,
    rows: Any,
    lists: Any,
    heads: Any,
    cursor: Any,
    stamps: Any,
) -> Any:
    """See `HotRows.oldest`."""
    chosen = np.full(len(positions), -1, np.int64)
    now = len(starts) - 1
    touched = np.empty(4096, np.int32)
    spans = np.empty((hot, 2), np.int64)
    for r in range(len(positions)):
        position = positions[r]
        slot = rows[SLOT, position]
        decided, best, length = _listed(slot, now, shut, lists, heads)
        if decided:
            for t in range(length):
                partner = lists[slot, PARTNER, t]
                if lists[slot, COUNT, t] == best and not shut[partner]:
                    chosen[r] = partner if chosen[r] < 0 else min(chosen[r], partner)
        elif rows[FIRES, position] < hot:
            firings = spans[: rows[FIRES, position]]
            _find_firings(position, starts, previous, rows, firings)
            if len(firings) == 1:
                chosen[r] = _first_open(position, entries[firings[0, 0] : firings[0, 1]], shut)
            else:
                chosen[r] = _count_oldest(position, firings, shut, entries, cursor, stamps)
        else:
            length, touched = _count(position, entries, starts, previous, rows, touched)
            for t in range(length):
                partner = touched[t]
                count = rows[SCRATCH, partner]
                if shut[partner] or count < best:
                    continue
                if count > best or chosen[r] < 0 or partner < chosen[r]:
                    best, chosen[r] = count, partner
            if slot < 0:
                slot = _take_list(position, now, rows, heads, cursor)
            if slot >= 0:
                _renew(slot, touched[:length], rows, lists, heads)
                heads[slot, USED] = now
            for t in range(length):
                rows[SCRATCH, touched[t]] = 0
    return chosen


@njit(cache=True)
def walk_kernel(
    paths: Any,
    shut: Any,
    depth: int,
    hot: int,
    entries: Any,
    starts: Any,
    previous: Any,
    rows: Any,
    lists: Any,
    heads: Any,
    cursor: Any,
    stamps: Any,
) -> Any:
    """See `HotRows.walk`."""
    index = (entries, starts, previous, rows, lists, heads, cursor, stamps)
    found = np.empty(len(paths) * (depth + 1), np.int64)
    length = len(paths)
    found[:length] = paths
    for path in paths:
        shut[path] = True
    oldest = 0  # of the open positions: where a path goes whose engram fired with none of them
    for _ in range(depth):
        chosen = oldest_kernel(paths, shut, hot, *index)
        first = length
        for k in range(len(paths)):
            choice = chosen[k]
            if choice < 0:
                while oldest < len(shut) and shut[oldest]:
                    oldest += 1
                if oldest == len(shut):
                    continue
                choice = oldest
            found[length] = choice
            length += 1
        paths = np.unique(found[first:length])  # paths that meet go on as one
        length = first + len(paths)
        found[first:length] = paths
        for path in paths:
            shut[path] = True
        if len(paths) == 0:
            break
    return np.sort(found[:length])


@njit(cache=True)
def _listed(slot: Any, now: Any, shut: Any, lists: Any, heads: Any) -> Any:
    """(whether the list in ``slot`` decides, the greatest open count, where its run ends)."""
    if slot < 0:
        return False, 0, 0
    heads[slot, USED] = now
    length = heads[slot, LENGTH]
    first = 0
    best = 0
    while first < length and shut[lists[slot, PARTNER, first]]:
        first += 1
    if first < length:
        best = lists[slot, COUNT, first]
    decided = best > heads[slot, BOUND] or heads[slot, BOUND] == 0
    while decided and first < length and lists[slot, COUNT, first] == best:
        first += 1
    return decided, best, first


@njit(cache=True)
def _find_firings(position: Any, starts: Any, previous: Any, rows: Any, firings: Any) -> Any:
    """Write where each of ``firings`` [rows[FIRES, position], 2] begins and ends; their entries."""
    total = 0
    at = rows[LAST, position]
    firing = len(starts) - 2  # the last
    for k in range(len(firings)):
        firing = _firing_of(at, firing, starts)
        firings[k, 0], firings[k, 1] = starts[firing], starts[firing + 1]
        total += firings[k, 1] - firings[k, 0]
        at = previous[at]
    return total


@njit(cache=True)
def _first_open(position: Any, fired: Any, shut: Any) -> Any:
    """The oldest open partner of ``position``, which fired with ``fired`` alone; -1: none."""
    for e in range(len(fired)):
        partner = np.uint32(fired[e])
        if not shut[partner] and partner != position:
            return np.int64(partner)
    return np.int64(-1)


@njit(cache=True)
def _count_oldest(
    position: Any, firings: Any, shut: Any, entries: Any, cursor: Any, stamps: Any
) -> Any:
    """The oldest open partner with the greatest count in a row that fired seldom; -1: none."""
    base = _take_stamps(len(firings), cursor, stamps)
    most = base + len(firings)
    best, chosen = base + 1, np.int64(NOBODY)
    for k in range(len(firings)):
        fired = entries[firings[k, 0] : firings[k, 1]]
        for e in range(len(fired)):
            partner = np.uint32(fired[e])  # unsigned: no test for a place from the end
            count = max(np.int64(stamps[partner]), base) + 1
            stamps[partner] = count
            if count < best:
                continue  # before a look at `shut`, which is rarely in the cache
            is_better = count > best or np.int64(partner) < chosen
            if is_better and partner != position and not shut[partner]:
                best, chosen = count, np.int64(partner)
                if best == most:  # entries ascend: none that is older has as many
                    return chosen
    return chosen if chosen < NOBODY else np.int64(-1)


@njit(cache=True)
def _count_tied(
    position: Any, firings: Any, shut: Any, entries: Any, cursor: Any, stamps: Any, tied: Any
) -> Any:
    """Write the open partners with the greatest count in a row that fired seldom; how many."""
    base = _take_stamps(len(firings), cursor, stamps)
    best = base + 1
    for k in range(len(firings)):
        fired = entries[firings[k, 0] : firings[k, 1]]
        for e in range(len(fired)):
            partner = np.uint32(fired[e])
            count = max(np.int64(stamps[partner]), base) + 1
            stamps[partner] = count
            if count > best and partner != position and not shut[partner]:
                best = count
    length = 0
    for k in range(len(firings)):
        fired = entries[firings[k, 0] : firings[k, 1]]
        for e in range(len(fired)):
            partner = np.uint32(fired[e])
            if stamps[partner] == best and partner != position and not shut[partner]:
                stamps[partner] = base  # once
                tied[length] = partner
                length += 1
    return length


@njit(cache=True)
def _take_stamps(count: Any, cursor: Any, stamps: Any) -> Any:
    """What stamps count from that reach ``count`` more; none of them is above it."""
    base = np.int64(cursor[STAMPED])
    if base > LAST_STAMP - count:
        stamps[:] = 0
        base = np.int64(0)
    cursor[STAMPED] = base + count
    return base


@njit(cache=True)
def pack_kernel(rename: Any, rows: Any, lists: Any, heads: Any, cursor: Any) -> None:
    """Move owners and partners to positions ``rename`` [C], and drop those with -1.

    The other counts and the bounds stay true: a partner left out stays so, or is gone.
    """
    kept = 0
    for slot in range(cursor[0]):
        owner = rename[heads[slot, OWNER]]
        if owner < 0:
            continue
        length = 0
        for k in range(heads[slot, LENGTH]):
            partner = rename[lists[slot, PARTNER, k]]
            if partner >= 0:
                lists[kept, PARTNER, length] = partner
                lists[kept, COUNT, length] = lists[slot, COUNT, k]
                length += 1
        heads[kept, OWNER] = owner
        heads[kept, LENGTH] = length
        heads[kept, BOUND] = heads[slot, BOUND]
        heads[kept, USED] = heads[slot, USED]
        rows[SLOT, owner] = kept
        kept += 1
    cursor[0] = kept


@njit(cache=True)
def _count(position: Any, entries: Any, starts: Any, previous: Any, rows: Any, touched: Any) -> Any:
    """Count one row into ``rows[SCRATCH]``; returns (number of partners, ``touched``)."""
    length = 0
    at = rows[LAST, position]
    firing = len(starts) - 2  # the last
    while at >= 0:
        firing = _firing_of(at, firing, starts)
        first, last = starts[firing], starts[firing + 1]
        if length + last - first > len(touched):
            touched = _grown(touched, length, 2 * (length + last - first))
        for e in range(first, last):
            partner = entries[e]
            if partner != position:
                if rows[SCRATCH, partner] == 0:
                    touched[length] = partner
                    length += 1
                rows[SCRATCH, partner] += 1
        at = previous[at]
    return length, touched


@njit(cache=True)
def _firing_of(at: Any, later: Any, starts: Any) -> Any:
    """The firing of entry ``at``: ``later`` or one before it.

    Firings are of about one size, so that two guesses come close to it.
    """
    size = starts[len(starts) - 1] / (len(starts) - 1)
    low = min(later, np.int64(at / size))
    low = min(later, max(0, low + np.int64((at - starts[low]) / size)))
    stride, high = 1, low + 1
    while starts[low] > at:
        high = low
        low = max(0, low - stride)
        stride *= 2
    while starts[high] <= at:
        low = high
        high = min(later + 1, high + stride)
        stride *= 2
    while high - low > 1:
        middle = (low + high) // 2
        if starts[middle] > at:
            high = middle
        else:
            low = middle
    return low


@njit(cache=True)
def _renew(slot: Any, touched: Any, rows: Any, lists: Any, heads: Any) -> None:
    """List the strongest of the partners just counted; the bound is the best left out."""
    room = lists.shape[2]
    most = 0
    for partner in touched:
        most = max(most, rows[SCRATCH, partner])
    spread = np.zeros(most + 2, np.int64)
    for partner in touched:
        spread[rows[SCRATCH, partner]] += 1
    least, taken = most + 1, 0  # list every count above `least - 1`, as far as there is room
    while least > 1 and taken + spread[least - 1] <= room:
        least -= 1
        taken += spread[least]
    length = 0
    spare = room - taken
    left_out = 0
    for partner in touched:
        count = rows[SCRATCH, partner]
        if count < least:
            if count < least - 1 or spare == 0:
                left_out = max(left_out, count)
                continue
            spare -= 1
        lists[slot, PARTNER, length] = partner
        lists[slot, COUNT, length] = count
        length += 1
    order = np.argsort(-lists[slot, COUNT, :length])
    lists[slot, PARTNER, :length] = lists[slot, PARTNER, :length][order]
    lists[slot, COUNT, :length] = lists[slot, COUNT, :length][order]
    heads[slot, LENGTH] = length
    heads[slot, BOUND] = left_out


@njit(cache=True)
def _raise(pairs: Any, k: Any) -> None:
    """Add 1 to count k of a list in descending order: it swaps with the first of equal counts."""
    count = pairs[COUNT, k]
    low, high = 0, k  # the run of equal counts begins in low..high
    while low < high:
        middle = (low + high) // 2
        if pairs[COUNT, middle] > count:
            low = middle + 1
        else:
            high = middle
    partner = pairs[PARTNER, k]
    pairs[PARTNER, k] = pairs[PARTNER, low]
    pairs[PARTNER, low] = partner
    pairs[COUNT, low] = count + 1


@njit(cache=True)
def _take_list(position: Any, now: Any, rows: Any, heads: Any, cursor: Any) -> Any:
    """A free slot for ``position``, or one unused since the last firing; -1 without any."""
    if cursor[0] < len(heads):
        slot = cursor[0]
        cursor[0] += 1
    else:
        slot = -1
        for _ in range(len(heads)):
            cursor[1] = (cursor[1] + 1) % len(heads)
            if heads[cursor[1], USED] != now:
                slot = cursor[1]
                break
        if slot < 0:
            return slot
        rows[SLOT, heads[slot, OWNER]] = -1
    heads[slot, OWNER] = position
    rows[SLOT, position] = slot
    return slot


@njit(cache=True)
def _grown(array: Any, used: int, size: int) -> Any:
    grown = np.empty(size, array.dtype)
    grown[:used] = array[:used]
    return grown
