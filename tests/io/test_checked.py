"""Records of checked values: what passes, what is refused, and what a hostile file could try."""

from __future__ import annotations

from typing import Any

import pytest

from memoria.io.checked import (
    AnyOf,
    Choice,
    DictOf,
    Flag,
    Many,
    Number,
    OrNone,
    Record,
    RecordOf,
    RefusedError,
    Text,
    Whole,
    field,
)


class Inner(Record):
    """A record within another."""

    count: int = field(Whole(0, 9))
    ratio: float = field(Number(), default=0.5)


class Outer(Record):
    """One field of each kind."""

    name: str = field(Text(1, 4, "[a-z]+"))
    kind: str = field(Choice(("a", "b")), default="a")
    on: bool = field(Flag(), default=False)
    rows: tuple[tuple[int, ...], ...] = field(Many(Many(Whole(-1, 5))), default=())
    free: dict[str, int | str] = field(DictOf(Text(), AnyOf(Text(), Whole(0, 3))), default={})
    inner: Inner | None = field(OrNone(RecordOf(Inner)), default=None)


class Open(Record):
    """Keeps what it does not know."""

    extra = "keep"

    size: int = field(Whole(0, 9), default=0)


@pytest.mark.parametrize(
    "values",
    [
        {"name": "ab"},
        {"name": "abcd", "kind": "b", "on": True, "rows": [[1, -1], []]},
        {"name": "a", "free": {"x": 3, "": "y"}, "inner": {"count": 9, "ratio": 2}},
    ],
    ids=str,
)
def test_a_record_is_read_back_from_what_it_dumps(values: dict[str, Any]) -> None:
    made = Outer(**values)
    assert Outer(**made.model_dump("json")) == made
    assert made.model_fields_set == values.keys()
    assert {**made.model_dump("json"), **values} == made.model_dump("json")


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({}, ("name",)),
        ({"name": ""}, ("name",)),
        ({"name": "abcde"}, ("name",)),
        ({"name": "aB"}, ("name",)),
        ({"name": "ab\n"}, ("name",)),
        ({"name": "a", "free": {"x": "\ud800"}}, ("free", "x")),
        ({"name": 3}, ("name",)),
        ({"name": "a", "kind": "c"}, ("kind",)),
        ({"name": "a", "kind": ["a"]}, ("kind",)),
        ({"name": "a", "on": 1}, ("on",)),
        ({"name": "a", "rows": [[1], [True]]}, ("rows", 1, 0)),
        ({"name": "a", "rows": [[1.0]]}, ("rows", 0, 0)),
        ({"name": "a", "rows": "11"}, ("rows",)),
        ({"name": "a", "free": {"x": 4}}, ("free", "x")),
        ({"name": "a", "free": []}, ("free",)),
        ({"name": "a", "inner": {"count": -1}}, ("inner", "count")),
        ({"name": "a", "inner": {}}, ("inner", "count")),
        ({"name": "a", "inner": {"count": 1, "more": 1}}, ("inner", "more")),
        ({"name": "a", "inner": {"count": 1, "ratio": float("nan")}}, ("inner", "ratio")),
        ({"name": "a", "inner": {"count": 1, "ratio": 10**400}}, ("inner", "ratio")),
        ({"name": "a", "inner": {"count": 1, "ratio": True}}, ("inner", "ratio")),
        ({"name": "a", "inner": 3}, ("inner",)),
        ({"name": "a", "self": 1}, ("self",)),
    ],
    ids=str,
)
def test_what_is_refused_says_where(values: dict[str, Any], place: tuple[str | int, ...]) -> None:
    with pytest.raises(RefusedError) as caught:
        Outer(**values)
    assert caught.value.place == place
    assert caught.value.message


def test_unknown_keys_are_kept_apart_from_what_the_record_can_do() -> None:
    names = {"model_dump": 1, "model_extra": 2, "size": 3, "self": 4, "__dict__": 5, "extra": 6}
    made = Open(**names)
    assert made.size == 3
    assert made.model_dump() == names
    assert Open(**made.model_dump()) == made
    assert Open(size=3) != made


def test_a_record_is_frozen_and_a_copy_changes() -> None:
    made = Inner(count=1)
    with pytest.raises(AttributeError, match="frozen"):
        made.count = 2  # type: ignore[misc]
    with pytest.raises(AttributeError, match="frozen"):
        del made.count
    changed = made.model_copy({"count": 2})
    assert (made.count, changed.count, changed.ratio) == (1, 2, 0.5)
    assert changed == Inner(count=2)
    assert hash(changed) == hash(Inner(count=2))


def test_a_default_is_not_shared() -> None:
    Outer(name="a").free["x"] = 1
    assert Outer(name="a").free == {}
