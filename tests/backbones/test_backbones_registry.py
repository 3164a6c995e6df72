"""Names to backbones: the built-in ones, entry points, and what a store holds."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memoria.backbones import (
    Backbone,
    BackboneBase,
    check_backbone,
    known_backbones,
    load_backbone,
    split_name,
)
from memoria.errors import BackboneError, InputError, MissingExtraError, ShapeError

EXAMPLE = Path(__file__).parents[2] / "examples" / "custom_backbone"


class Odd:
    """Not derived from anything of ours; what it answers is the test's choice."""

    def __init__(self, answer: Any) -> None:
        self.name, self.dimension, self.options = "odd", 3, {"k": 1}
        self.answer = answer

    def encode(self, batch: Any) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


ANSWER: list[Any] = [None]


def create_odd(argument: str | None, dimension: int | None, options: Mapping[str, object]) -> Odd:
    if argument == "broken":
        raise RuntimeError("no luck\nsecond line")
    return Odd(ANSWER[0])


@pytest.fixture
def entry_points(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    group = "memoria.backbones"
    found = [
        EntryPoint("odd", f"{__name__}:create_odd", group),
        EntryPoint("letters", "memoria_letters:create", group),
        EntryPoint("gone", "no_such_module_at_all:create", group),
        EntryPoint("hash", "no_such_module_at_all:create", group),  # must not hide ours
    ]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: found)
    monkeypatch.syspath_prepend(str(EXAMPLE))
    yield
    sys.modules.pop("memoria_letters", None)


@pytest.mark.usefixtures("entry_points")
def test_entry_points_are_known_and_never_hide_the_built_in_ones() -> None:
    assert known_backbones() == ["array", "gone", "hash", "hf:ID_OR_PATH", "http:URL#MODEL",
                                 "letters", "odd", "st:ID_OR_PATH", "static"]  # fmt: skip
    assert load_backbone("hash").name == "hash"


@pytest.mark.usefixtures("entry_points")
def test_the_example_package_works() -> None:
    backbone = load_backbone("letters", 26)
    assert isinstance(backbone, Backbone)
    vectors = backbone.encode(["abba", "", "zzz"])
    assert vectors.dtype == np.float32
    assert np.allclose(vectors[0, :2], [0.5**0.5] * 2)
    assert vectors[2, 25] == 1
    assert [rows.shape for rows in backbone.encode_rows(["a", "b"])] == [(1, 26), (1, 26)]
    assert backbone.notices() == []
    vowels = load_backbone("letters:aeiou", normalize=False)
    assert vowels.name == "letters:aeiou"
    assert vowels.options == {"normalize": False}
    assert vowels.encode(["aeea"]).tolist() == [[2, 2, 0, 0, 0]]
    with pytest.raises(BackboneError, match="no option 'x'"):
        load_backbone("letters", x=1)
    with pytest.raises(BackboneError, match="26 numbers, 27 are needed"):
        load_backbone("letters", 27)


@pytest.mark.usefixtures("entry_points")
@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (np.zeros((1, 3)), r"shape \[1, 3\], expected \[2, 3\]"),
        (np.zeros((2, 4)), r"shape \[2, 4\]"),
        (np.full((2, 3), np.nan), "NaN"),
        (ValueError("it broke"), "ValueError: it broke"),
    ],
)
def test_answers_from_elsewhere_are_checked(answer: Any, complaint: str) -> None:
    ANSWER[0] = answer
    backbone = load_backbone("odd")
    assert backbone.options == {"k": 1}
    with pytest.raises(BackboneError, match=complaint):
        backbone.encode(["a", "b"])


@pytest.mark.usefixtures("entry_points")
def test_backbones_that_do_not_load() -> None:
    with pytest.raises(BackboneError, match="no_such_module_at_all"):
        load_backbone("gone")
    with pytest.raises(BackboneError, match="RuntimeError: no luck; repair") as caught:
        load_backbone("odd:broken")
    assert "\n" not in str(caught.value)


def test_unknown_names_and_options() -> None:
    with pytest.raises(BackboneError, match=r"'nope' is unknown; known are array, .*hash"):
        load_backbone("nope")
    with pytest.raises(BackboneError, match="no option 'poling'; did you mean 'pooling'"):
        load_backbone("hf:x", poling="cls")
    with pytest.raises(BackboneError, match="no option 'pooling'; it takes none"):
        load_backbone("hash", pooling="cls")
    with pytest.raises(BackboneError, match="nothing after the colon"):
        load_backbone("hf:")
    for name in ("hf", "st"):
        with pytest.raises(BackboneError, match="needs a model"):
            load_backbone(name)
    assert split_name("hf:a/b:c") == ("hf", "a/b:c")


@pytest.mark.parametrize("name", ["hf:x/y", "st:x/y"])
def test_missing_packages(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("transformers", "sentence_transformers"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'memoria-engrams\[hf\]'"):
        load_backbone(name)


def test_array() -> None:
    backbone = load_backbone("array", 3)
    rows = np.arange(6, dtype=np.int64).reshape(2, 3)
    assert backbone.encode(rows).tolist() == rows.tolist()
    assert backbone.encode([[1.0, 2.0, 3.0]]).dtype == np.float32
    assert backbone.encode([]).shape == (0, 3)
    with pytest.raises(BackboneError, match=r"takes vectors.*'hash'"):
        backbone.encode(["text"])
    with pytest.raises(ShapeError, match=r"expected shape \[N, 3\]"):
        backbone.encode(np.zeros((2, 4)))
    for bad in (np.nan, np.inf, 1e300):
        with pytest.raises(InputError, match="vector 1 of the batch holds NaN or Inf"):
            backbone.encode(np.array([[0, 0, 0], [0, bad, 0]]))
    with pytest.raises(InputError, match="not numbers"):
        backbone.encode(np.array([["a", "b", "c"]]))
    with pytest.raises(ShapeError, match="uneven"):
        backbone.encode([[1, 2, 3], [1, 2]])


def test_array_takes_the_first_dimension() -> None:
    backbone = load_backbone("array")
    backbone.encode(np.zeros((1, 5)))
    assert backbone.dimension == 5
    with pytest.raises(ShapeError):
        backbone.encode(np.zeros((1, 6)))


def test_what_a_store_holds_against_what_is_asked() -> None:
    held = ("hf:a/b", 384, {"pooling": "mean", "normalize": True})
    check_backbone(*held)
    check_backbone(*held, "hf:a/b", 384, {"pooling": "mean", "device": "cpu", "normalize": None})
    with pytest.raises(BackboneError, match="holds vectors of 'hf:a/b', asked for 'hash'"):
        check_backbone(*held, "hash")
    with pytest.raises(BackboneError, match="384 numbers, asked for 768"):
        check_backbone(*held, None, 768)
    with pytest.raises(BackboneError, match="pooling = 'mean', asked for pooling = 'cls'"):
        check_backbone(*held, "hf:a/b", None, {"pooling": "cls"})


def test_a_base_without_encode_says_so() -> None:
    with pytest.raises(NotImplementedError, match="BackboneBase must define encode"):
        BackboneBase("x", 1).encode([])
