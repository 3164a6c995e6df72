"""Pictures of characters: widths, shares and fallbacks."""

from __future__ import annotations

import pytest
from fuzzing.judge import CONTROLS
from hypothesis import given
from hypothesis import strategies as st

from memoria_cli.terminal.charts import (
    Branch,
    Line,
    Page,
    bar,
    bars,
    cell_width,
    fit,
    pyramid,
    sparkline,
    tree,
)

PAGES = st.builds(Page, st.integers(20, 200), st.booleans())
COUNTS = st.integers(0, 10**7)


def text_of(line: Line) -> str:
    return "".join(text for text, _ in line)


def test_bars_have_eighths() -> None:
    page = Page()
    assert bar(0.0, 40, page) == ""
    assert bar(1.0, 40, page) == "█" * 40
    assert bar(0.5, 40, page) == "█" * 20
    assert bar(1e-9, 40, page) == "▏"
    assert bar(0.51, 40, page) == "█" * 20 + "▍"
    ascii_page = Page(unicode=False)
    assert bar(0.5, 40, ascii_page) == "#" * 20
    assert bar(1e-9, 40, ascii_page) == "#"
    assert bar(0.0, 40, ascii_page) == ""


@given(st.lists(st.tuples(st.text("ab ", max_size=5), COUNTS), max_size=9), PAGES)
def test_bars_are_as_long_as_their_counts(rows: list[tuple[str, int]], page: Page) -> None:
    lines = [text_of(line) for line in bars(rows, page)]
    assert len(lines) == len(rows)
    lengths = [sum(c in "█#" for c in line) for line in lines]
    for (label, count), line in zip(rows, lines, strict=True):
        assert label in line
        assert f"{count:,}" in line
        assert cell_width(line.rstrip()) <= max(page.width, 31)
        assert page.unicode or line.isascii()
    for (_, a), x in zip(rows, lengths, strict=True):
        for (_, b), y in zip(rows, lengths, strict=True):
            assert a <= b or x >= y


@given(
    st.lists(st.tuples(st.text("ab", max_size=5), COUNTS, COUNTS), min_size=1, max_size=9), PAGES
)
def test_a_pyramid_has_one_middle(rows: list[tuple[str, int, int]], page: Page) -> None:
    lines = pyramid(("short-term", "age", "long-term"), rows, page)
    assert len(lines) == len(rows) + 1
    starts = {cell_width(text_of(line[:2])) for line in lines[1:]}
    assert len(starts) == 1  # every label begins in the same column
    most = max(max(left, right) for _, left, right in rows)
    for (label, left, right), line in zip(rows, lines[1:], strict=True):
        assert label in line[2][0]
        assert bool(left) == bool(line[1][0])
        assert bool(right) == bool(line[3][0])
        if left == most > 0:
            assert len(line[1][0]) == max(len(text_of([other[1]])) for other in lines[1:])
    assert page.unicode or all(text_of(line).isascii() for line in lines)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300), st.integers(1, 100), st.booleans())
def test_a_sparkline_rises_with_its_values(values: list[float], width: int, unicode: bool) -> None:
    line = sparkline(values, Page(unicode=unicode), width)
    assert len(line) == min(width, len(values))
    assert unicode or line.isascii()
    rising = sparkline(sorted(values), Page(unicode=unicode), width)
    order = "▁▂▃▄▅▆▇█" if unicode else "_.-=+*%#"
    heights = [order.index(c) for c in rising]
    assert heights == sorted(heights)
    if max(values) > 0:
        assert heights[-1] == 7


def test_a_sparkline_against_a_fixed_top() -> None:
    assert sparkline([0.0, 0.5, 1.0], Page(), 10, top=1.0) == "▁▅█"
    assert sparkline([0.0, 0.5], Page(), 10, top=1.0) == "▁▅"
    assert sparkline([0.0, 0.0], Page(), 10) == "▁▁"
    assert sparkline([], Page(), 10) == ""


@pytest.mark.parametrize("unicode", [True, False])
def test_a_tree(unicode: bool) -> None:
    leaves = [Branch("0.50 2", "the dog"), Branch("0.25 3", "x" * 99)]
    roots = [Branch("1", "the cat", "bold", leaves), Branch("9", "alone")]
    lines = [text_of(line) for line in tree(roots, Page(30, unicode))]
    mark = "…" if unicode else "..."
    assert lines[0] == "  1  the cat"
    assert lines[1] == ("  ├─ " if unicode else "  |- ") + "0.50 2  the dog"
    assert lines[2].startswith(("  └─ " if unicode else "  `- ") + "0.25 3  xxx")
    assert lines[2].endswith(mark)
    assert lines[3] == "  9  alone"
    assert max(map(len, lines)) == 30


@given(st.text(max_size=80), PAGES)
def test_fitted_texts_fit_and_are_harmless(text: str, page: Page) -> None:
    cut = fit(text, page)
    assert cell_width(cut) <= page.width
    assert CONTROLS.search(cut) is None
    assert "\n" not in cut
    assert page.unicode or cut.isascii()
    if text.isascii() and text.isprintable() and len(text) <= page.width:
        assert cut == " ".join(text.split())
