"""What stands for vectors in a first look: how near it comes, and how little it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ask_oracle import Table
from test_index_file import BESIDE, IDENTITY, texts
from test_ranking import batch_of

from memoria.errors import ConfigError
from memoria.search.first_pass import FIRST_PASSES, bears, check_first_pass
from memoria.search.index_file import IndexFile
from memoria.search.languages import ENGLISH
from memoria.search.quantized import unit
from memoria.search.ranked import Cue, Memory, rank
from memoria.search.ranking import SENTENCE
from memoria.search.text_index import TextIndex

D = 100  # no multiple of eight


def vectors(count: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(count, D)).astype(np.float32)


def index_of(count: int, first_pass: str) -> TextIndex:
    index = TextIndex(ENGLISH, Table(), D, first_pass)
    index.append(batch_of(texts(count), 0, vectors(count)))
    return index


@pytest.mark.parametrize(("name", "error", "row"), [("int8", 0.01, D + 4), ("binary", 0.3, 13)])
def test_estimates_come_as_near_as_they_say(name: str, error: float, row: int) -> None:
    rows = FIRST_PASSES[name](D)
    for first in range(0, 3000, 700):
        rows.append(vectors(3000)[first : first + 700])
    asked = unit(vectors(4, 1) + 0.7 * vectors(3000)[:4])
    off = rows.products(asked) - asked @ unit(vectors(3000)).T
    assert len(rows) == 3000
    assert sum(column.nbytes for column in rows.arrays) == 3000 * row
    assert abs(off.mean()) < 0.003  # neither too small nor too large on average
    assert np.abs(off).max() < error
    expected = {"int8": 0.004, "binary": np.sqrt((np.pi / 2 - 1) / D)}[name]
    assert off.std() < 1.05 * expected


@pytest.mark.parametrize("name", FIRST_PASSES)
def test_rows_are_replaced_and_cut(name: str) -> None:
    rows, other = FIRST_PASSES[name](D), FIRST_PASSES[name](D)
    rows.append(vectors(30))
    rows.replace(np.array([3, 7]), vectors(2, 5))
    rows.cut(9)
    wanted = vectors(30)[:9]
    wanted[[3, 7]] = vectors(2, 5)
    other.append(wanted)
    for found, expected in zip(rows.arrays, other.arrays, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", FIRST_PASSES)
def test_an_index_in_a_file_keeps_its_first_pass_through_revisions(
    name: str, tmp_path: Path
) -> None:
    index, path = index_of(40, name), tmp_path / "lane.sqlite"
    before = [column.copy() for column in index.vectors.arrays]
    mark = index.mark()
    index.revise(np.array([3]), batch_of(texts(1), 0, vectors(1, 8)))
    index.cut(mark)
    assert IndexFile(path, IDENTITY).save(index, BESIDE)
    loaded = IndexFile(path, IDENTITY).load(ENGLISH, Table(), D, name)
    assert loaded is not None
    for found, expected in zip(loaded[0].vectors.arrays, before, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_best_of_a_binary_first_look_are_scored_exactly() -> None:
    index, exact = index_of(400, "binary"), vectors(400)
    memory = Memory(np.arange(400), lambda at: exact[at])
    alike = 0
    for number in range(20):
        asked = unit(exact[[number]] + 0.8 * vectors(1, number + 1))
        cue = Cue(None, asked[[0, 0]])
        whole, looked = (
            rank(index, cue, memory, SENTENCE, 10, exact_texts=most) for most in (400, 0)
        )
        assert looked.texts[0] == whole.texts[0]
        assert number in looked.texts
        alike += len(set(looked.texts.tolist()) & set(whole.texts.tolist()))
        np.testing.assert_allclose(
            looked.cosines, cue.vectors @ unit(exact[looked.texts]).T, atol=1e-5
        )
    assert alike >= 180  # of 200


def test_vectors_of_hash_are_not_looked_at_by_signs() -> None:
    assert bears("int8", "hash")
    assert bears("binary", "static")
    for backbone in ("hash", "hash:512"):
        with pytest.raises(ConfigError, match=r"misses a third"):
            check_first_pass("binary", backbone)
    with pytest.raises(ConfigError, match=r"'ternary': unknown"):
        check_first_pass("ternary", "static")
