"""Units of texts: verbatim, in order, never blank, in linear time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memoria.errors import UsageError
from memoria.io.units import MAX_SENTENCE, MAX_UNIT, flatten, parse_unit, split

UNITS = ["sentence", "paragraph", "line", "window:1", "window:3", "window:50"]
MESSY = st.text(
    st.sampled_from(list("aBc1 .!?…\n\r\t\"')(#-*=。」\u3000\u00a0\ufeff🙂")) | st.characters(),
    max_size=300,
)


def sentences(text: str) -> list[str]:
    return [unit.text for unit in split(text, "sentence")]


@given(MESSY, st.sampled_from(UNITS))
def test_units_are_verbatim_ordered_and_not_blank(text: str, unit: str) -> None:
    end = 0
    for piece in split(text, unit):
        assert text[piece.offset : piece.offset + len(piece.text)] == piece.text
        assert piece.text.strip() == piece.text != ""
        assert piece.offset >= end
        end = piece.offset + len(piece.text)


@given(MESSY, st.sampled_from(["paragraph", "line", "window:2"]))
def test_no_visible_character_is_lost(text: str, unit: str) -> None:
    kept = "".join("".join(piece.text.split()) for piece in split(text, unit))
    assert kept == "".join(text.split())


@given(st.lists(st.sampled_from(["One two.", "Is it?", "Yes!", "It costs 3.50 now."]), min_size=1))
def test_plain_sentences_come_apart_where_they_were_joined(parts: list[str]) -> None:
    assert sentences(" ".join(parts)) == parts
    assert sentences("\n".join(parts)) == parts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Smith met J. K. Lee. He left.", ["Dr. Smith met J. K. Lee.", "He left."]),
        ("It is 3.14 or 2.71. Fine.", ["It is 3.14 or 2.71.", "Fine."]),
        ("See Fig. 3 and e.g. this. Good.", ["See Fig. 3 and e.g. this.", "Good."]),
        ("The U.S. Army. No. I won't.", ["The U.S. Army.", "No.", "I won't."]),
        ("Apples, etc. are here. Pears, etc. Then.",
         ["Apples, etc. are here.", "Pears, etc.", "Then."]),
        ('"Really?" she asked. "Yes." He sat.', ['"Really?" she asked.', '"Yes."', "He sat."]),
        ("Wait... what? He left… Then ran.", ["Wait... what?", "He left…", "Then ran."]),
        ("no capitals here. none at all.", ["no capitals here.", "none at all."]),
        ("A wrapped\nsentence here. Next.", ["A wrapped\nsentence here.", "Next."]),
        ("Title\n\nText without end\n\nMore", ["Title", "Text without end", "More"]),
        ("# Head\nText. More.", ["# Head", "Text.", "More."]),
        ("Title\n=====\nText", ["Title", "Text"]),
        ("- one\n  wrapped\n- two\n1. First\n2. Second",
         ["- one\n  wrapped", "- two", "1. First", "2. Second"]),
        ("你好。世界！是吗？「好。」完", ["你好。", "世界！", "是吗？", "「好。」", "完"]),
        ("", []),
        (" \n\t\r\n ", []),
    ],
)  # fmt: skip
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_other_units() -> None:
    text = "one two\r\nthree\r\n\r\n  four five six  \n \nseven"
    assert [u.text for u in split(text, "line")] == ["one two", "three", "four five six", "seven"]
    assert [u.text for u in split(text, "paragraph")] == [
        "one two\r\nthree",
        "four five six",
        "seven",
    ]
    assert [u.text for u in split(text, "window:3")] == [
        "one two\r\nthree",
        "four five six",
        "seven",
    ]


def test_long_units_are_cut_at_a_space_and_nothing_is_lost() -> None:
    text = "word " * 5_000
    for unit, most in (("sentence", MAX_SENTENCE), ("line", MAX_UNIT), ("paragraph", MAX_UNIT)):
        pieces = split(text, unit)
        assert len(pieces) > 1
        assert all(len(piece.text) <= most for piece in pieces)
        assert " ".join(piece.text for piece in pieces) == text.strip()
    endless = "x" * 10_001
    pieces = split(endless, "sentence")
    assert [len(piece.text) for piece in pieces] == [2000] * 5 + [1]


ENDLESS = ["a", ".", " ", "\n ", '."', ". ", "mr. ", "1. ", "# \n", "\r", "ก ", "और। ", "der 1. A ",
           "» . ", "и т. д. "]  # fmt: skip


@pytest.mark.parametrize("part", ENDLESS)
@pytest.mark.parametrize("unit", ["sentence", "paragraph", "line", "window:7"])
def test_a_megabyte_of_anything_ends(part: str, unit: str) -> None:
    text = part * (1_000_000 // len(part))  # quadratic work here would take hours
    pieces = split(text, unit)
    assert all(len(piece.text) <= MAX_UNIT for piece in pieces)


def test_flatten_joins_wrapped_lines() -> None:
    assert flatten(" a\n  b\t c\r\n") == "a b c"


@pytest.mark.parametrize(
    "unit", ["", "word", "window", "window:", "window:0", "window:x", "line:2"]
)
def test_unknown_units_are_refused(unit: str) -> None:
    with pytest.raises(UsageError, match="unknown"):
        split("text", unit)


def test_parse_unit() -> None:
    assert parse_unit("window:64") == ("window", 64)
    assert parse_unit("line") == ("line", 0)
