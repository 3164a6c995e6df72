"""Texts that repeat others."""

from __future__ import annotations

import pytest

from memoria.io.duplicates import Duplicates

LONG = "The bees of the old garden fly far over the hill and come back with honey each day."


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The bee  flies.\n", 1),
        ("THE BEE FLIES.", 1),
        ("Le café est bon.", 2),
        ("Le cafe\u0301 est bon.", 2),
        ("ＦＵＬＬ width.", 3),
        ("The bee flew.", None),
        ("", None),
    ],
)
def test_the_same_text_however_it_is_typed(text: str, found: int | None) -> None:
    known = Duplicates()
    for key, one in enumerate(["The bee flies.", "Le café est bon.", "Full width."], 1):
        assert known.add(key, one) is None
    assert known.find(text) == found
    assert known.add(9, text) == found
    assert known.find(text) == (9 if found is None else found)


@pytest.mark.parametrize(
    ("text", "is_near"),
    [
        (LONG.replace("each day", "each long day"), True),
        (LONG.replace("old garden", "old gardens"), True),
        (LONG + " And then they sleep while their keeper writes all of it down.", False),
        ("An old clock runs in the hall, and nobody has wound it since that winter.", False),
        ("The bees.", False),
    ],
)  # fmt: skip
def test_texts_that_are_nearly_the_same(text: str, is_near: bool) -> None:
    pytest.importorskip("datasketch")
    known = Duplicates(near=True)
    known.add(1, LONG)
    assert (known.find(text) == 1) == is_near
    assert Duplicates().find(text) is None
