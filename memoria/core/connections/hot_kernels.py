"""The compiled loops of `HotRows`. Arrays are laid out as that class describes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["follow_kernel", "pack_kernel", "tied_kernel"]


@njit(cache=True)
def follow_kernel(
    known: int, entries: Any, starts: Any, previous: Any, row: Any, lists: Any, head: Any
) -> None:
    """Take in the log's firings from number ``known`` on."""
    for firing in range(known, len(starts) - 1):
        first, last = starts[firing], starts[firing + 1]
        listed = False
        for at in range(first, last):
            position = entries[at]
            previous[at] = row[0, position]
            row[0, position] = at
            row[1, position] += 1
            listed |= row[2, position] >= 0
        if listed:
            _count_up(entries[first:last], row, lists, head)


@njit(cache=True)
def _count_up(fired: Any, row: Any, lists: Any, head: Any) -> None:
    """Bring the lists of those who just fired together up to date."""
    by_fires = np.sort(row[1][fired])
    row[3][fired] = 1
    for position in fired:
        place = row[2, position]
        if place < 0:
            continue
        bound = head[place, 2]
        able = len(fired) - np.searchsorted(by_fires, bound, side="right")
        if row[1, position] > bound:
            able -= 1
        for k in range(head[place, 1]):  # in order of counts, and so that it stays: see _renew
            partner = lists[place, 0, k]
            if row[3, partner] == 1:
                _raise(lists[place], k)
                if row[1, partner] > bound:
                    able -= 1
        if able > 0:  # somebody unlisted may now have passed the bound
            head[place, 2] = bound + 1
    row[3][fired] = 0


@njit(cache=True)
def tied_kernel(
    positions: Any,
    shut: Any,
    oldest: bool,
    hot: int,
    entries: Any,
    starts: Any,
    previous: Any,
    row: Any,
    lists: Any,
    head: Any,
    places: Any,
) -> Any:
    """See `HotRows.tied`."""
    which = np.empty(1024, np.int64)
    partners = np.empty(1024, np.int64)
    found = 0
    now = len(starts) - 1
    touched = np.empty(4096, np.int32)
    for r in range(len(positions)):
        position = positions[r]
        place = row[2, position]
        best = 0
        decided = False
        if place >= 0:
            head[place, 3] = now
            length = head[place, 1]
            first = 0
            while first < length and shut[lists[place, 0, first]]:
                first += 1
            if first < length:
                best = lists[place, 1, first]
            decided = best > head[place, 2] or head[place, 2] == 0
            while decided and first < length and lists[place, 1, first] == best:
                first += 1
            length = first
        if not decided:
            length, touched = _count(position, entries, starts, previous, row, touched)
            best = 0
            for t in range(length):
                partner = touched[t]
                if row[3, partner] > best and not shut[partner]:
                    best = row[3, partner]
            if row[1, position] >= hot:
                if place < 0:
                    place = _take_list(position, now, places, row, head)
                if place >= 0:
                    _renew(place, touched[:length], row, lists, head)
                    head[place, 3] = now
        if found + length > len(which):
            size = 2 * (found + length)
            which = _grown(which, found, size)
            partners = _grown(partners, found, size)
        for t in range(length):
            partner = lists[place, 0, t] if decided else touched[t]
            count = lists[place, 1, t] if decided else row[3, partner]
            if best == 0 or count != best or shut[partner]:
                continue
            if oldest and found > 0 and which[found - 1] == r:
                partners[found - 1] = min(partners[found - 1], partner)
                continue
            which[found] = r
            partners[found] = partner
            found += 1
        if not decided:
            for t in range(length):
                row[3, touched[t]] = 0
    return which[:found], partners[:found]


@njit(cache=True)
def pack_kernel(rename: Any, row: Any, lists: Any, head: Any, places: Any) -> None:
    """Give owners and partners their new positions, and drop those that have none (-1).

    Counts of the others stand, and so do the bounds: what was unlisted stays so, or is gone.
    """
    kept = 0
    for place in range(places[0]):
        owner = rename[head[place, 0]]
        if owner < 0:
            continue
        length = 0
        for k in range(head[place, 1]):
            partner = rename[lists[place, 0, k]]
            if partner >= 0:
                lists[kept, 0, length] = partner
                lists[kept, 1, length] = lists[place, 1, k]
                length += 1
        head[kept, 0] = owner
        head[kept, 1] = length
        head[kept, 2] = head[place, 2]
        head[kept, 3] = head[place, 3]
        row[2, owner] = kept
        kept += 1
    places[0] = kept


@njit(cache=True)
def _count(position: Any, entries: Any, starts: Any, previous: Any, row: Any, touched: Any) -> Any:
    """Co-fire counts of one row into the scratch counts; the partners touched."""
    length = 0
    at = row[0, position]
    firing = len(starts) - 1
    while at >= 0:
        firing = _firing_of(at, firing, starts)
        first, last = starts[firing], starts[firing + 1]
        if length + last - first > len(touched):
            touched = _grown(touched, length, 2 * (length + last - first))
        for e in range(first, last):
            partner = entries[e]
            if partner != position:
                if row[3, partner] == 0:
                    touched[length] = partner
                    length += 1
                row[3, partner] += 1
        at = previous[at]
    return length, touched


@njit(cache=True)
def _firing_of(at: Any, later: Any, starts: Any) -> Any:
    """The firing that entry ``at`` is in, ``later`` or one before it, of hot rows one near it."""
    stride = 1
    low, high = later, later + 1
    while starts[low] > at:
        high = low
        low = max(0, low - stride)
        stride *= 2
    while high - low > 1:
        middle = (low + high) // 2
        if starts[middle] > at:
            high = middle
        else:
            low = middle
    return low


@njit(cache=True)
def _renew(place: Any, touched: Any, row: Any, lists: Any, head: Any) -> None:
    """List the strongest of the partners just counted; the bound is the best left out."""
    room = lists.shape[2]
    most = 0
    for partner in touched:
        most = max(most, row[3, partner])
    spread = np.zeros(most + 2, np.int64)
    for partner in touched:
        spread[row[3, partner]] += 1
    least, taken = most + 1, 0  # list every count above `least - 1`, as far as there is room
    while least > 1 and taken + spread[least - 1] <= room:
        least -= 1
        taken += spread[least]
    length = 0
    spare = room - taken
    left_out = 0
    for partner in touched:
        count = row[3, partner]
        if count < least:
            if count < least - 1 or spare == 0:
                left_out = max(left_out, count)
                continue
            spare -= 1
        lists[place, 0, length] = partner
        lists[place, 1, length] = count
        length += 1
    order = np.argsort(-lists[place, 1, :length])
    lists[place, 0, :length] = lists[place, 0, :length][order]
    lists[place, 1, :length] = lists[place, 1, :length][order]
    head[place, 1] = length
    head[place, 2] = left_out


@njit(cache=True)
def _raise(pairs: Any, k: Any) -> None:
    """Add one to count k of a list in descending order: it trades places with its run's first."""
    count = pairs[1, k]
    low, high = 0, k  # the run of equal counts begins in low..high
    while low < high:
        middle = (low + high) // 2
        if pairs[1, middle] > count:
            low = middle + 1
        else:
            high = middle
    partner = pairs[0, k]
    pairs[0, k] = pairs[0, low]
    pairs[0, low] = partner
    pairs[1, low] = count + 1


@njit(cache=True)
def _take_list(position: Any, now: Any, places: Any, row: Any, head: Any) -> Any:
    """A free list, or one that was not used since the last firing; -1 when there is none."""
    if places[0] < len(head):
        place = places[0]
        places[0] += 1
    else:
        place = -1
        for _ in range(len(head)):
            places[1] = (places[1] + 1) % len(head)
            if head[places[1], 3] != now:
                place = places[1]
                break
        if place < 0:
            return place
        row[2, head[place, 0]] = -1
    head[place, 0] = position
    row[2, position] = place
    return place


@njit(cache=True)
def _grown(array: Any, used: int, size: int) -> Any:
    grown = np.empty(size, array.dtype)
    grown[:used] = array[:used]
    return grown
