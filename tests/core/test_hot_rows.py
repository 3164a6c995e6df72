"""All ways to count large logs beside plain recounting, at sizes that the oracle cannot reach."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memoria.core.connections import hot_kernels
from memoria.core.connections.hot_kernels import LAST_STAMP, STAMPED
from memoria.core.connections.hot_rows import HotRows
from memoria.timeline.cofiring import FiringLog, FrequentEngrams
from memoria.timeline.log import IntArray

Rows = list[tuple[int, list[int]]]


class Life:
    """One log with its index, and the same firings in a log that only ever counts."""

    def __init__(self, seed: int, **lists: int) -> None:
        self.random = np.random.default_rng(seed)
        self.log, self.plain = FiringLog(), FiringLog()
        self.living, self.capacity = 0, 64
        self.index = HotRows(self.log, self.capacity, **lists)

    def step(self, born: int, fellows: int) -> None:
        """``born`` engrams come and fire with others, the older ones far more often."""
        if self.living + born > self.capacity:
            self.forget(0.0, 2 * (self.living + born))
        old = (self.living * self.random.random(fellows) ** 4).astype(np.int64)
        new = np.arange(self.living, self.living + born)
        fired = np.unique(np.concatenate((old[: self.living], new)))
        self.living += born
        fired = self.random.permutation(fired)
        for log in (self.log, self.plain):
            log.append(fired)

    def forget(self, share: float, capacity: int) -> None:
        kept = np.flatnonzero(self.random.random(self.living) >= share)
        self.plain = FiringLog(*recounted(self.plain, kept))
        self.capacity = max(capacity, len(kept))
        self.index.pack(kept, self.capacity)
        self.living = len(kept)

    def ask(self, rows: int) -> None:
        """Some rows, most of them hot, with some of the engrams shut out."""
        asked = np.unique((self.living * self.random.random(rows) ** 3).astype(np.int64))
        shut = self.random.random(self.capacity) < self.random.choice([0.0, 0.3, 0.9])
        shut[asked] = True  # paths go on only to engrams not visited yet
        expected = strongest(self.plain, asked, shut)
        oldest = np.full(len(asked), -1)
        for row, best in expected:
            oldest[row] = best[0]
        for counted in (self.index, self.log):
            assert sorted_rows(*counted.tied(asked, shut)) == expected
            assert counted.oldest(asked, shut).tolist() == oldest.tolist()
        depth = int(self.random.integers(5))
        assert self.index.walk(asked, shut.copy(), depth).tolist() == walked(
            self.plain, asked, shut, depth
        )

    def ask_regulars(self, rows: int, most: int) -> int:
        """As `ask`, of the regulars alone; returns how many rows they decided."""
        asked = np.unique((self.living * self.random.random(rows) ** 3).astype(np.int64))
        shut = self.random.random(self.capacity) < self.random.choice([0.0, 0.3, 0.9])
        shut[asked] = True
        regulars = FrequentEngrams(self.plain.entries, self.plain.starts, most)
        which, partner, left = regulars.tied(asked, shut)
        expected = [one for one in strongest(self.plain, asked, shut) if not left[one[0]]]
        assert sorted_rows(which, partner) == expected
        return int((~left).sum())


def recounted(log: FiringLog, kept: IntArray) -> tuple[IntArray, IntArray]:
    """Entries and starts of ``log`` with ``kept`` renamed, firing by firing."""
    name = {int(old): new for new, old in enumerate(kept)}
    firings = [
        [name[p] for p in log.entries[a:b].tolist() if p in name]
        for a, b in zip(log.starts[:-1], log.starts[1:], strict=True)
    ]
    firings = [firing for firing in firings if firing]
    sizes = [len(firing) for firing in firings]
    entries = np.array([p for firing in firings for p in firing], np.int64)
    return entries, np.cumsum([0, *sizes])[:-1].astype(np.int64)


def strongest(log: FiringLog, asked: IntArray, shut: np.ndarray) -> Rows:
    """What `tied` must answer, from all firings of every row, one after another."""
    firing = np.repeat(np.arange(len(log.starts) - 1), np.diff(log.starts))
    answer: Rows = []
    for row, position in enumerate(asked.tolist()):
        mine = np.isin(firing, firing[log.entries == position])
        counts = np.bincount(log.entries[mine], minlength=len(shut))
        counts[shut] = 0
        if counts.any():
            best = np.flatnonzero(counts == counts.max()).tolist()
            answer.append((row, best))
    return answer


def walked(log: FiringLog, paths: IntArray, shut: np.ndarray, depth: int) -> list[int]:
    """Whom ``paths`` meet that go on to the oldest of their strongest open partners, or of all."""
    shut, found = shut.copy(), set(paths.tolist())
    for _ in range(depth):
        shut[list(found)] = True
        if shut.all():
            break
        best = dict(strongest(log, paths, shut))
        paths = np.unique([best.get(row, [int(np.argmin(shut))])[0] for row in range(len(paths))])
        found |= set(paths.tolist())
    return sorted(found)


def sorted_rows(which: IntArray, partner: IntArray) -> Rows:
    return [(int(row), sorted(partner[which == row].tolist())) for row in np.unique(which)]


def test_counting_goes_on_when_the_stamps_are_used_up() -> None:
    life = Life(5, hot=100, listed=8, most_lists=8)
    for _ in range(30):
        life.step(6, 30)
    life.index._cursor[STAMPED] = LAST_STAMP - 40
    for _ in range(6):
        life.ask(20)
    assert 0 < life.index._cursor[STAMPED] < LAST_STAMP


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    lists=st.sampled_from([(1, 1, 1), (2, 3, 5), (4, 16, 40), (16, 512, 1000)]),
    steps=st.lists(st.sampled_from(["ask", "step", "step", "forget", "grow"]), max_size=40),
)
def test_the_index_equals_recounting(
    seed: int, lists: tuple[int, int, int], steps: list[str]
) -> None:
    hot, listed, most_lists = lists
    life = Life(seed, hot=hot, listed=listed, most_lists=most_lists)
    for _ in range(30):
        life.step(6, 30)
    for what in steps:
        if what == "ask" and life.living:
            life.ask(20)
        elif what == "step":
            life.step(4, 25)
        elif what == "forget":
            life.forget(0.1, life.capacity + 10)
        else:
            life.forget(0.0, life.capacity + 7)
    if life.living:
        life.ask(40)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 120), packed=st.booleans())
def test_questions_that_regulars_answer_equal_recounting(
    seed: int, steps: int, packed: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("memoria.timeline.cofiring._FREQUENT_FROM", 0)
        life = Life(seed)
        for _ in range(steps):
            life.step(5, 40)
        if packed:
            life.forget(0.2, life.capacity)
        life.ask(60)
        life.step(5, 40)  # what was known of the regulars is old now
        life.ask(60)


@pytest.mark.parametrize("most", [1, 6, 50, 2048])
@pytest.mark.parametrize("compared", [1, 16, 256])
def test_regulars_decide_what_recounting_says(
    most: int, compared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memoria.timeline.cofiring._COMPARED", compared)
    monkeypatch.setattr("memoria.timeline.cofiring._FIRINGS_AT_ONCE", 64)
    life = Life(most)
    for _ in range(200):
        life.step(4, 40)
    decided = sum(life.ask_regulars(60, most) for _ in range(6))
    assert (decided > 0) == (most > 1)  # one alone has nobody to be compared with
    assert (
        FrequentEngrams(np.empty(0, np.int32), np.zeros(1, np.int64))
        .tied(np.arange(3), np.zeros(3, np.bool_))[2]
        .all()
    )


@pytest.mark.slow
def test_a_large_index_equals_recounting() -> None:
    """Thousands of lists, with evictions, deaths and growth, in a log of 300,000 entries."""
    life = Life(7, listed=64, most_lists=2000)
    for step in range(2500):
        life.step(20, 120)
        if step % 50 == 0:
            life.ask(60)
        if step % 400 == 399:
            life.forget(0.05 if step % 800 == 399 else 0.0, life.capacity + 5000)


def test_a_log_that_loses_nobody_stays_as_it_is() -> None:
    log = FiringLog(np.array([0, 1, 1, 2]), np.array([0, 2]))
    assert not log.pack(np.arange(4))
    assert log.entries.tolist() == [0, 1, 1, 2]
    assert log.pack(np.array([0, 1]))
    assert (log.entries.tolist(), log.starts.tolist()) == ([0, 1, 1], [0, 2, 3])
    assert log.pack(np.array([0]))
    assert (log.entries.tolist(), log.starts.tolist()) == ([0], [0, 1])


@settings(max_examples=200, deadline=None)
@given(sizes=st.lists(st.sampled_from([1, 1, 2, 3, 100]), min_size=1, max_size=40))
def test_the_firing_of_an_entry_is_found_within_the_log(sizes: list[int]) -> None:
    """In Python, where looking beyond the last firing is an error."""
    starts = np.concatenate(([0], np.cumsum(sizes)))
    last = len(sizes) - 1
    for at in range(starts[-1]):
        of = int(np.searchsorted(starts, at, side="right")) - 1
        for later in {of, (of + last) // 2, last}:
            assert hot_kernels._firing_of.py_func(at, later, starts) == of


def test_no_search_for_a_firing_looks_beyond_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies behind is anything, and kept a search from ending. Python looks at bounds."""
    log = FiringLog()
    for fired in (np.array([0]), np.array([1]), np.arange(2, 10)):
        log.append(fired)
    index = HotRows(log, 16)
    index.oldest(np.arange(10), np.zeros(16, np.bool_))
    monkeypatch.setattr(hot_kernels, "_firing_of", hot_kernels._firing_of.py_func)
    firings = np.empty((1, 2), np.int64)
    for position, spans in ((0, [0, 1]), (1, [1, 2]), (2, [2, 10]), (9, [2, 10])):
        asked = (log.starts, index._previous, index._rows)
        assert hot_kernels._find_firings.py_func(position, *asked, firings) == spans[1] - spans[0]
        assert firings.tolist() == [spans]
        touched = np.empty(4, np.int32)
        length, _ = hot_kernels._count.py_func(position, log.entries, *asked, touched)
        assert length == spans[1] - spans[0] - 1
        index._rows[hot_kernels.SCRATCH] = 0
