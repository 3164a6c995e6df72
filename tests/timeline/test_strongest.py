"""The strongest connections of a log, against counting every pair."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memoria.timeline.cofiring import FiringLog

ENGRAMS = 9

# Firings of few engrams, so that many always fire together and counts are often equal.
logs = st.lists(st.sets(st.integers(0, ENGRAMS - 1), min_size=1, max_size=6), max_size=30)


def log_of(firings: list[set[int]]) -> FiringLog:
    """The log, with the members of each firing in no order."""
    members = [sorted(one, key=lambda engram: (engram * 7) % 5) for one in firings]
    starts = np.cumsum([0, *map(len, members)])[:-1]
    entries = np.array([engram for one in members for engram in one], np.int32)
    return FiringLog(entries, starts)


def ordered(firings: list[set[int]]) -> list[tuple[float, int, int, int]]:
    """(weight, count, source, target) of all connections, the strongest first."""
    together = Counter((a, b) for one in firings for a in one for b in one if a != b)
    fires = Counter(engram for one in firings for engram in one)
    edges = [(n / fires[a], n, a, b) for (a, b), n in together.items()]
    return sorted(edges, key=lambda edge: (-edge[0], -edge[1], *edge[2:]))


@given(logs, st.integers(1, 4))
def test_the_strongest_of_each_engram(firings: list[set[int]], most: int) -> None:
    wanted = [
        (a, b, n)
        for source in range(ENGRAMS)
        for _, n, a, b in [edge for edge in ordered(firings) if edge[2] == source][:most]
    ]
    blocks = log_of(firings).edges(ENGRAMS, most)
    found = [edge for block in blocks for edge in zip(*(c.tolist() for c in block), strict=True)]
    assert found == wanted


@given(logs, st.integers(1, 40))
def test_the_strongest_of_all_are_those_of_weight_one_if_they_suffice(
    firings: list[set[int]], most: int
) -> None:
    edges = ordered(firings)
    fires = np.bincount([i for one in firings for i in one], minlength=ENGRAMS)
    found = log_of(firings).strongest(fires, most)
    if sum(weight == 1 for weight, *_ in edges) < most:
        assert found is None
        return
    assert found is not None
    wanted = [(a, b, n) for _, n, a, b in edges[:most]]
    assert list(zip(*(column.tolist() for column in found), strict=True)) == wanted


def test_other_fire_counts_than_the_log_has_are_not_answered() -> None:
    firings = [{0, 1}, {0, 1, 2}]
    assert log_of(firings).strongest(np.array([2, 2, 1]), 1) is not None
    assert log_of(firings).strongest(np.array([3, 2, 1]), 1) is None
