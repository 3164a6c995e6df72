"""The derived index in a file: what is read back is what was written, or nothing."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ask_oracle import Said, Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_ranking import DIMENSION, all_of, batch_of

from memoria.search import index_file as index_file_module
from memoria.search.index_file import IndexFile
from memoria.search.languages import ENGLISH
from memoria.search.quantized import unit
from memoria.search.ranked import Cue
from memoria.search.ranking import SENTENCE
from memoria.search.text_index import TextIndex

IDENTITY = {"who": "test"}
BESIDE = {"step": 7, "digest": "00ff"}


def texts(count: int, first: int = 0) -> list[Said]:
    draw = np.random.default_rng(first)
    words = "bees honey wax hive queen Oslo Rome".split()
    return [
        Said(f"Ann {n % 3}: {' '.join(draw.choice(words, 4))} number{n}", n * 1000, 0, n, "", n)
        for n in range(first, first + count)
    ]


def vectors(count: int) -> Any:
    return np.random.default_rng(3).normal(size=(count, DIMENSION)).astype(np.float32)


def made(count: int = 40) -> TextIndex:
    index = TextIndex(ENGLISH, Table(), DIMENSION)
    for first in range(0, count, 10):
        part = texts(10, first)
        index.append(batch_of(part, first, vectors(count)[first : first + 10]))
    return index


def load(path: Path, identity: Any = IDENTITY) -> tuple[TextIndex, dict[str, Any]] | None:
    return IndexFile(path, identity).load(ENGLISH, Table(), DIMENSION)


def scores(index: TextIndex) -> list[float]:
    asked = Cue("When did the queen bee go to Oslo?", unit(vectors(2)))
    found = all_of(index, asked, SENTENCE, vectors(len(index)))
    return found.scores[np.argsort(found.texts)].tolist()


def test_what_is_loaded_is_what_was_saved(tmp_path: Path) -> None:
    path, index = tmp_path / "index" / "lane.sqlite", made()
    assert IndexFile(path, IDENTITY).save(index, BESIDE)
    loaded = load(path)
    assert loaded is not None
    assert loaded[1] == BESIDE
    assert scores(loaded[0]) == scores(index)
    assert sorted(os.listdir(path.parent)) == [".lock", "lane.sqlite"]


def test_large_arrays_lie_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_file_module, "_PIECE", 64)
    path, index = tmp_path / "lane.sqlite", made()
    assert IndexFile(path, IDENTITY).save(index, BESIDE)
    loaded = load(path)
    assert loaded is not None
    assert scores(loaded[0]) == scores(index)
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM parts WHERE kind = 'postings' AND first = 64")
    assert load(path) is None


def test_what_comes_later_is_added_and_nothing_is_written_twice(tmp_path: Path) -> None:
    path, index = tmp_path / "index" / "lane.sqlite", made()
    assert IndexFile(path, IDENTITY).save(index, {})
    kept = IndexFile(path, IDENTITY)
    loaded = kept.load(ENGLISH, Table(), DIMENSION)
    assert loaded is not None
    old = path.stat().st_ino
    index = loaded[0]
    for first in (40, 50):
        index.append(batch_of(texts(10, first), first, vectors(60)[first : first + 10]))
        assert kept.save(index, {"step": first})
    assert path.stat().st_ino == old
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT DISTINCT number FROM parts WHERE kind = 'texts'")
        assert sorted(row[0] for row in rows) == [0, 40, 50]
    again = load(path)
    assert again is not None
    assert again[1] == {"step": 50}
    assert scores(again[0]) == scores(index) == scores(made(60))


def test_what_another_process_wrote_meanwhile_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "index" / "lane.sqlite"
    mine, others = IndexFile(path, IDENTITY), IndexFile(path, IDENTITY)
    assert mine.save(made(20), {})
    assert others.save(made(40), {})
    assert mine.save(made(30), BESIDE)
    loaded = load(path)
    assert loaded is not None
    assert scores(loaded[0]) == scores(made(30))


@pytest.mark.parametrize("identity", [{"who": "another"}, {}])
def test_an_index_of_something_else_is_none(tmp_path: Path, identity: Any) -> None:
    path = tmp_path / "lane.sqlite"
    assert IndexFile(path, IDENTITY).save(made(), {})
    assert load(path, identity) is None


def test_an_index_of_another_version_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lane.sqlite"
    assert IndexFile(path, IDENTITY).save(made(), {})
    monkeypatch.setattr(index_file_module, "_VERSION", index_file_module._VERSION + 1)
    assert load(path) is None


@given(st.integers(0, 2**32), st.integers(1, 255), st.booleans())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_damage_is_noticed_or_harmless(
    tmp_path: Path, place: int, change: int, shortens: bool
) -> None:
    path = tmp_path / "lane.sqlite"
    IndexFile(path, IDENTITY).save(made(20), {})
    raw = bytearray(path.read_bytes())
    at = place % len(raw)
    raw[at] ^= change
    path.write_bytes(bytes(raw[:at] if shortens else raw))
    loaded = load(path)
    assert loaded is None or scores(loaded[0]) == scores(made(20))


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("postings", "texts", 10**6),
        ("postings", "words", -1),
        ("postings", "ends", 10**9),
        ("texts", "speaker", 99),
        ("words", "stem", 10**6),
    ],
)
def test_numbers_that_point_at_nothing_are_refused(
    tmp_path: Path, kind: str, name: str, value: int
) -> None:
    path = tmp_path / "lane.sqlite"
    IndexFile(path, IDENTITY).save(made(20), {})
    with sqlite3.connect(path) as database:
        number, _ = database.execute(
            "SELECT number, name FROM parts WHERE kind = ?", (kind,)
        ).fetchone()
        arrays = next(index_file_module._parts(database, kind))
        forged = arrays[name].copy()
        forged[-1] = value
        index_file_module._put(database, kind, number, {**arrays, name: forged})
    assert load(path) is None


def test_a_link_is_neither_read_nor_written(tmp_path: Path) -> None:
    target = tmp_path / "target.sqlite"
    IndexFile(target, IDENTITY).save(made(20), {})
    link = tmp_path / "lane.sqlite"
    link.symlink_to(target)
    before = target.read_bytes()
    assert load(link) is None
    assert not IndexFile(link, IDENTITY).save(made(30), {})
    assert target.read_bytes() == before


def test_where_nothing_can_be_written_nothing_is_raised(tmp_path: Path) -> None:
    (tmp_path / "index").write_text("a file where the directory would be")
    kept = IndexFile(tmp_path / "index" / "lane.sqlite", IDENTITY)
    assert not kept.save(made(20), {})
    assert kept.load(ENGLISH, Table(), DIMENSION) is None


def test_who_is_writing_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "lane.sqlite"
    with index_file_module._locked(tmp_path / ".lock"):
        assert not IndexFile(path, IDENTITY).save(made(20), {})
    assert IndexFile(path, IDENTITY).save(made(20), {})
