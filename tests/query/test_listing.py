"""Lists of engrams: every column and every filter against the engrams' own stories."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoria import MemoriaConfig
from memoria.errors import InputError
from memoria.query.engram_table import FIELDS
from memoria.query.inspection import Inspection
from memoria.query.listing import EngramFilter, NumberRange, parse_time
from memoria.query.selection import Selection, select_engrams
from memoria.store import MemoryStore

WORDS = ("Straße", "KELVIN", "apple", "Cat", "moon", "rain", "")
SOURCES = ("a.txt", "b/a.txt", "[x].md")


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inspection]:
    """Two lanes, every type of engram, texts and sources for some, a step under way."""
    path = tmp_path_factory.mktemp("listing") / "store"
    config = MemoriaConfig(
        hidden_dim=4, lanes=2, num_reminded_stm=2, stm_capacity=4, initial_lifespan=3.5
    )
    rng = random.Random(5)
    numbers = np.random.default_rng(5)

    def lines() -> list[list[str | None]]:
        return [
            [f"{rng.choice(WORDS)} {rng.choice(WORDS)}".strip() or None for _ in range(3)]
            for _ in range(2)
        ]

    def places() -> list[list[tuple[str, int] | None]]:
        return [
            [rng.choice([None, (rng.choice(SOURCES), rng.randrange(99))]) for _ in range(3)]
            for _ in range(2)
        ]

    with MemoryStore.create(path, config) as store:
        for _ in range(20):
            data = numbers.random((2, 3, 4), dtype=np.float32)
            store.step(data, "uniform:1.25", texts=lines(), places=places())
            if store.timestep == 14:
                store.pin([75, 76, 80])
                store.forget([77])
        store.unpin([80])
        store.add(numbers.random((2, 3, 4), dtype=np.float32), lines(), places())
        store.remind()
    with Inspection.open(path) as opened:
        yield opened


@pytest.fixture(scope="module")
def stories(view: Inspection) -> list[dict[str, Any]]:
    """Every engram by its own story, as a list would have it."""
    told = []
    for id_ in range(view.created):
        story = view.engram(id_)
        gone = story["forgotten"]
        told.append(
            {
                **{name: story[name] for name in FIELDS if name in story},
                "created_step": story["created"]["step"],
                "created_time": story["created"]["time"],
                "forgotten_step": None if gone is None else gone["step"],
            }
        )
    return told


def listed(view: Inspection, wanted: EngramFilter, **more: Any) -> list[dict[str, Any]]:
    return list(view.listing(wanted, **more).documents())


def test_every_column_is_what_the_stories_say(
    view: Inspection, stories: list[dict[str, Any]]
) -> None:
    everyone = listed(view, EngramFilter("all"))
    assert everyone == stories
    assert [tuple(one) for one in everyone] == [FIELDS] * len(stories)
    assert [one["id"] for one in everyone if one["pinned"]] == [75, 76]
    assert {one["type"] for one in everyone} == {"working", "shortterm", "longterm", "forgotten"}
    living = [one for one in stories if one["forgotten_step"] is None]
    assert listed(view, EngramFilter()) == living
    assert [one["id"] for one in living] == [one["id"] for one in view.engram_list()]


Test = Callable[[dict[str, Any]], bool]


def within(span: NumberRange, key: str) -> Test:
    return lambda one: span.low <= one[key] <= span.high


@st.composite
def filters(draw: st.DrawFn) -> tuple[EngramFilter, list[Test]]:
    """A filter, and what it stands for, one test a part."""
    kind = draw(st.sampled_from(["living", "working", "shortterm", "longterm", "forgotten", "all"]))
    tests: list[Test] = [
        lambda one: (
            kind == "all"
            or one["type"] == kind
            or (kind == "living" and one["forgotten_step"] is None)
        )
    ]
    chosen: dict[str, Any] = {"kind": kind}
    for name, key in (("age", "age"), ("lifespan", "lifespan"), ("fired", "fire_count")):
        ends = draw(st.none() | st.tuples(st.integers(-1, 12), st.integers(0, 12)))
        if ends is not None:
            chosen[name] = NumberRange(ends[0], ends[0] + ends[1])
            tests.append(within(chosen[name], key))
    pinned = draw(st.none() | st.booleans())
    if pinned is not None:
        chosen["pinned"] = pinned
        tests.append(lambda one: one["pinned"] == pinned)
    lane = draw(st.none() | st.integers(0, 1))
    if lane is not None:
        chosen["lane"] = lane
        tests.append(lambda one: one["lane"] == lane)
    prefix = draw(st.none() | st.integers(0, 130).map(str))
    if prefix is not None:
        first = draw(st.integers(0, 130))
        chosen["ids"] = (prefix, f"{first}..{first + 5}")
        tests.append(
            lambda one: str(one["id"]).startswith(prefix) or first <= one["id"] <= first + 5
        )
    part = draw(st.none() | st.sampled_from(["STRASSE", "a", "kelvin", "  ", "T", "moon rain"]))
    if part is not None:
        chosen["text"] = part
        tests.append(lambda one: part.casefold() in (one["text"] or "").casefold())
    glob = draw(st.none() | st.sampled_from(["*", "a.txt", "*.txt", "?.txt", "[[]x].md", "none"]))
    if glob is not None:
        chosen["source"] = glob
        tests.append(lambda one: one["source"] is not None and fnmatchcase(one["source"], glob))
    return EngramFilter(**chosen), tests


@given(
    given_=filters(),
    order=st.sampled_from(["id", "age", "lifespan", "fires"]),
    reverse=st.booleans(),
    limit=st.none() | st.integers(1, 20),
)
def test_filters_and_orders(
    view: Inspection,
    stories: list[dict[str, Any]],
    given_: tuple[EngramFilter, list[Test]],
    order: Any,
    reverse: bool,
    limit: int | None,
) -> None:
    wanted, tests = given_
    key = "fire_count" if order == "fires" else order
    expected = [one for one in stories if all(test(one) for test in tests)]
    expected.sort(key=lambda one: one[key], reverse=reverse)  # stable: the oldest first
    found = view.listing(wanted, order, reverse, limit)
    assert found.count == len(expected)
    assert found.step == 20
    assert list(found.documents()) == expected[:limit]


def test_an_engrams_own_time_goes_before_that_of_its_creation(tmp_path: Path) -> None:
    path, day = tmp_path / "store", 24 * 3_600_000
    with MemoryStore.create(path, MemoriaConfig(hidden_dim=2, initial_lifespan=1e6)) as store:
        data = np.eye(3, 2, dtype=np.float32) + 1
        store.step(data, texts=["old", "new", "now"], times=[5 * day, 9 * day, None])
    with Inspection.open(path) as view:
        found = {
            name: [one["id"] for one in listed(view, EngramFilter("all", **{name: 7 * day}))]
            for name in ("since", "until")
        }
    assert found == {"since": [1, 2], "until": [0]}
    assert select_engrams(path, Selection(older_than="1970-01-08")).ids.tolist() == [0]


def test_times_of_creation(view: Inspection, stories: list[dict[str, Any]]) -> None:
    times = sorted({one["created_time"] for one in stories if one["created_time"] is not None})
    middle = parse_time("since", times[10].removesuffix("Z") + "+00:00")
    later = listed(view, EngramFilter("all", since=middle))
    assert later == [
        one for one in stories if one["created_time"] is None or one["created_time"] >= times[10]
    ]
    earlier = listed(view, EngramFilter("all", until=middle))
    assert earlier == [
        one
        for one in stories
        if one["created_time"] is not None and one["created_time"] <= times[10]
    ]


def test_moments() -> None:
    day = 86_400_000
    assert parse_time("since", "1970-01-02") == day
    assert parse_time("until", "1970-01-02", end=True) == 2 * day - 1
    assert parse_time("until", "1970-01-02T00:00", end=True) == day
    assert parse_time("since", "1970-01-01T01:00+01:00") == 0
    assert parse_time("since", "1969-12-31T23:59:59.999") == -1
    assert parse_time("since", "3d", now=4 * 86_400) == day
    assert parse_time("since", "90m", now=7200) == 1_800_000
    for wrong in ("", "soon", "3y", "-3d", "2025-02-30", "99999-01-01", "1e3d", "٣d"):
        with pytest.raises(InputError, match="since"):
            parse_time("since", wrong)


def test_spans() -> None:
    assert NumberRange.parse("age", "3..10") == NumberRange(3, 10)
    assert NumberRange.parse("age", "3..") == NumberRange(3)
    assert NumberRange.parse("age", "..-0.5") == NumberRange(high=-0.5)
    assert NumberRange.parse("age", "7") == NumberRange(7, 7)
    for wrong in ("", "..", "x", "3..x", "10..3", "nan", "..inf", "1..2..3"):
        with pytest.raises(InputError, match="age"):
            NumberRange.parse("age", wrong)


@pytest.mark.parametrize("id_", ["", "..", "-1", "x", "5..2", "1.5", "1" * 20, "٣", "1..x"])
def test_ids_that_are_none(id_: str) -> None:
    with pytest.raises(InputError, match="id = "):
        EngramFilter(ids=(id_,))


def test_great_ids_and_lanes(view: Inspection) -> None:
    assert listed(view, EngramFilter("all", ids=("9" * 19, "9223372036854775807..", "00"))) == []
    assert [one["id"] for one in listed(view, EngramFilter("all", ids=("0",)))] == [0]
    with pytest.raises(InputError, match="lane = 2"):
        view.listing(EngramFilter(lane=2))
    with pytest.raises(InputError, match="type"):
        EngramFilter("dreams")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="sort"):
        view.listing(order="colour")  # type: ignore[arg-type]


def test_an_empty_store(tmp_path: Path) -> None:
    MemoryStore.create(tmp_path / "s", MemoriaConfig(hidden_dim=4)).close()
    with Inspection.open(tmp_path / "s") as view:
        for kind in ("living", "all", "forgotten"):
            found = view.listing(EngramFilter(kind, text="a", source="*", ids=("1",), since=0))
            assert (found.count, list(found.documents())) == (0, [])


def test_texts_far_apart_and_long_ones(tmp_path: Path) -> None:
    texts = ["first", "x" * 3_000_000, None, "é" * 40_000, "near", "last"]
    with MemoryStore.create(tmp_path / "s", MemoriaConfig(hidden_dim=6)) as store:
        store.step(np.eye(6, dtype=np.float32), texts=texts)
    with Inspection.open(tmp_path / "s") as view:
        assert view.texts([5, 0, 2, 4, 3, 1, 0]) == [texts[i] for i in (5, 0, 2, 4, 3, 1, 0)]
        assert [one["id"] for one in listed(view, EngramFilter(text="XXX"))] == [1]
