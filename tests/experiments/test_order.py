"""Order: which pairs are drawn from a book, and what stores and networks tell of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_tools import Cli

from memoria.errors import ConfigError, InputError
from memoria.experiments import execute, find_experiment, make_plan
from memoria.experiments.books import Book, make_book, read_books, word_numbers
from memoria.experiments.order.pairs import Pair, distance_bins, draw_pairs
from memoria.experiments.order.scoring import Scored, cells_of, chosen_sign

TINY: dict[str, Any] = {"lengths": [100], "excerpts": 3, "choosing": 1, "shown": 10, "words": 400}


def text_of(sentences: int, seed: int = 0) -> str:
    """Sentences of six to nine words, none like another."""
    rng = np.random.default_rng(seed)
    made = (rng.integers(10**6, size=rng.integers(6, 10)) for _ in range(sentences))
    return "\n".join(" ".join(f"w{word}" for word in one) + "." for one in made)


@pytest.fixture
def book() -> Book:
    return make_book("mine", text_of(300))


def test_a_book_is_its_sentences_without_what_stands_around_it() -> None:
    told = "It rains. He\nwalks on."
    book = make_book("x", f"By X.\n*** START OF THE EBOOK ***\n{told}\n*** END OF IT ***\nBye.")
    assert book.sentences == ["It rains.", "He walks on."]
    assert book.starts.tolist() == [0, 2]
    assert book.text(1, 3) == "rains. He walks"
    assert book.first(3).sentences == ["It rains."]
    assert book.first(0) is book


def test_a_folder_of_books_is_read_in_order_and_an_empty_one_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no book in this folder"):
        read_books([str(tmp_path)])
    for name in "ba":
        (tmp_path / f"{name}.txt").write_text(f"I am {name}.")
    assert [one.name for one in read_books([str(tmp_path)])] == ["a", "b"]


@pytest.mark.parametrize("line", ["order", "recognition", "associate --set hay=books"])
def test_books_not_there_are_told_before_a_run(cli: Cli, tmp_path: Path, line: str) -> None:
    (tmp_path / "empty").mkdir()
    for data in ("none.txt", "empty"):
        ran = cli("experiment", "run", *line.split(), "--set", f"data={data}", "-o", "out")
        assert (ran.code in (1, 2), ran.err.count("\n")) == (True, 1), ran
        assert f"{data}: no" in ran.err.lower()
        assert not (tmp_path / "out").exists()


def test_words_have_the_same_number_whatever_their_case_and_marks() -> None:
    numbers = word_numbers(["Bees,", "bees", "hum", "--"], 1000)
    assert numbers[0] == numbers[1] != numbers[2]
    assert (numbers < 1000).all()


@pytest.mark.parametrize(
    ("length", "bins"),
    [
        (250, [(20, 62.5), (62.5, 250 / 3), (250 / 3, 125), (125, 312.5)]),
        (20_000, [(1000, 5000), (5000, 10_000), (10_000, 25_000)]),
    ],
)
def test_bins_are_those_of_the_protocol(length: int, bins: Sequence[tuple[float, float]]) -> None:
    np.testing.assert_allclose(distance_bins(length, 20), bins)


def test_pairs_begin_with_sentences_of_one_excerpt_as_far_apart_as_their_bin(book: Book) -> None:
    pairs = draw_pairs(book, 250, 20, 20, 5, 0)
    assert len(pairs) > 90
    assert {pair.excerpt for pair in pairs if pair.chooses} == set(range(5))
    for pair in pairs:
        low, high = distance_bins(250, 20)[pair.bin]
        assert low < pair.second - pair.first <= high
        assert pair.begin <= pair.first
        assert pair.second + 20 <= pair.begin + 250 <= len(book.words)
        assert {pair.begin, pair.first, pair.second} <= set(book.starts.tolist())
    assert draw_pairs(book, 250, 20, 20, 5, 0) == pairs
    assert draw_pairs(book, 250, 20, 20, 5, 1) != pairs
    assert not draw_pairs(book, 10_000, 20, 20, 5, 0)


def test_the_direction_of_a_clue_is_chosen_apart_from_what_is_counted() -> None:
    def scored(chooses: bool, second: float) -> Scored:
        return Scored("b", Pair(0, 0, 250, 0, 50, 0, chooses), 1.0, second)

    earlier = [scored(True, 0.0), scored(True, -1.0), scored(True, 2.0)]
    counted = [scored(False, 0.0), scored(False, 2.0), scored(False, 1.0), scored(False, np.nan)]
    assert chosen_sign(earlier) == -1.0
    (cell,) = cells_of([*earlier, *counted], 20)
    assert (cell.pairs, cell.accuracy) == (4, 0.5)  # one right, one wrong, two guessed


def test_a_store_knows_the_order_by_creation(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(text_of(40))
    asked = {**TINY, "data": [str(tmp_path)], "models": ["creation", "random"]}
    records = [execute(spec) for spec in make_plan("order", "small", asked).specs(tmp_path / "o")]
    creation, random = (record.metrics for record in records)
    assert creation["accuracy"] == 1.0
    assert creation["pairs"] == random["pairs"] > 10
    rows = find_experiment("order").breakdown(records)
    assert {row["variant"] for row in rows} == {"creation", "random"}
    assert sum(row["pairs"] for row in rows) == 2 * creation["pairs"]


@pytest.mark.slow
def test_engrams_of_one_step_are_of_one_age(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(text_of(60))
    asked = {**TINY, "data": [str(tmp_path)], "models": ["age"]}
    for width, least, most in ((1, 1.0, 1.0), (1000, 0.5, 0.5)):
        (spec,) = make_plan("order", "small", {**asked, "width": width}).specs(
            tmp_path / f"{width}"
        )
        assert least <= execute(spec).metrics["accuracy"] <= most


@pytest.mark.slow
def test_a_network_without_memory_guesses(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(text_of(400))
    sizes = {"hidden": 16, "inner": 96, "heads": 2, "vocabulary": 64, "segment": 16, "memory": 32}
    learned = {"steps": 4, "batch": 2, "unbroken": 4, "models": ["none", "xl"], "device": "cpu"}
    asked = {**TINY, **sizes, **learned, "data": [str(tmp_path)]}
    records = [execute(spec) for spec in make_plan("order", "small", asked).specs(tmp_path / "o")]
    assert records[0].metrics["accuracy"] == 0.5
    assert records[1].metrics["pairs"] == records[0].metrics["pairs"]
    assert (records[0].arrays()["clues"] == 0).all()
    assert (records[1].arrays()["clues"] != 0).any()
    (picture,) = find_experiment("order").draw(records, tmp_path)
    assert picture.stat().st_size > 1000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": ["oldest"]}, "no model 'oldest'"),
        ({"lengths": [20]}, "20 words: an excerpt has 100"),
        ({"words": -1}, "words = -1"),
    ],
)
def test_what_cannot_be_asked_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_plan("order", "small", changes)


def test_a_book_too_short_for_any_pair_is_refused(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("It rains.")
    asked = {**TINY, "data": [str(tmp_path / "book.txt")], "models": ["random"]}
    (spec,) = make_plan("order", "small", asked).specs(tmp_path / "o")
    with pytest.raises(InputError, match="no book has an excerpt"):
        execute(spec)
