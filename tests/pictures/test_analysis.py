"""Every kind of analysis against a slow recount, on lives with pins, forgetting and compaction."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from analysis_oracle import Oracle, Rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from past_lives import PastLife, live

from memoria.analysis import KINDS, Analysis, Chronicle, analyse, open_chronicle
from memoria.errors import InputError
from memoria.store.compacting import compact
from memoria.store.reading import open_files


def rows_of(analysis: Analysis, name: str | None = None) -> Rows:
    """The main table, or another one, row by row as JSON has it."""
    document = json.loads(json.dumps(analysis.document(), allow_nan=False))
    frame = document["frames"][name or next(iter(document["frames"]))]
    lengths = {len(column) for column in frame.values()}
    assert len(lengths) == 1
    return [dict(zip(frame, row, strict=True)) for row in zip(*frame.values(), strict=True)]


def same(found: Rows, expected: Rows) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert list(one) == list(other)
        for name, value in other.items():
            exact = not isinstance(value, float)
            assert one[name] == (value if exact else pytest.approx(value, rel=1e-9, abs=1e-9)), name


@contextmanager
def a_life(seed: int, steps: int, compacted: bool, lane: int | None) -> Iterator[Any]:
    """A chronicle and the oracle of the same store."""
    with tempfile.TemporaryDirectory() as folder:
        path, life = Path(folder) / "store", PastLife(seed)
        live(life, path, steps, random.Random(seed), snapshots=0.1)
        if compacted:
            compact(path)
            life.go_on(path, steps // 2)
        lane = None if lane is None else lane % life.config.lanes
        with open_chronicle(path) as chronicle:
            yield chronicle, Oracle(path, chronicle.ids.tolist(), lane, chronicle.first_step), lane


def test_weights_that_are_all_the_same_do_not_spread() -> None:
    """In a life of three steps, where sums of squares would leave a rest."""
    with a_life(37969, 3, False, None) as (chronicle, oracle, _):
        found = rows_of(analyse(chronicle, "contiguity", max_lag=2))
        same(found, oracle.contiguity(2, False))
        assert found[-1]["std"] < 1e-15


LIVES = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


@LIVES
@given(
    seed=st.integers(0, 2**20),
    steps=st.integers(1, 24),
    compacted=st.booleans(),
    lane=st.none() | st.integers(0, 2),
    bins=st.integers(1, 40),
    max_lag=st.integers(1, 12),
)
def test_every_kind_counts_what_was_lived(
    seed: int, steps: int, compacted: bool, lane: int | None, bins: int, max_lag: int
) -> None:
    with a_life(seed, steps, compacted, lane) as (chronicle, oracle, lane):

        def found(kind: str, **options: Any) -> Rows:
            return rows_of(analyse(chronicle, kind, lane=lane, **options))

        same(found("survival", bins=bins), oracle.survival(bins))
        same(found("sizes", bins=bins), oracle.sizes(bins))
        same(found("reminded-age", bins=bins), oracle.reminded_age(bins))
        for forgotten in (False, True):
            expected = oracle.contiguity(max_lag, forgotten)
            same(found("contiguity", max_lag=max_lag, forgotten=forgotten), expected)
        same(found("autocorrelation", max_lag=max_lag), oracle.autocorrelation(max_lag))
        first = random.Random(seed).randint(1, chronicle.steps)
        window = {"first": first, "last": min(first + 6, chronicle.steps)}
        same(found("raster", limit=10**6, **window), oracle.raster(*window.values()))
        check_lifespans(chronicle, oracle, lane)
        check_connections(chronicle, oracle, lane)


def check_lifespans(chronicle: Chronicle, oracle: Oracle, lane: int | None) -> None:
    by_id = {e.id: e for e in oracle.engrams}
    for by in ("lived", "fired"):
        analysis = analyse(chronicle, "lifespans", lane=lane, by=by, limit=4)
        worth = {
            e.id: len(e.fired) if by == "fired" else e.end(oracle.steps) - e.born
            for e in oracle.engrams
        }
        best = sorted(sorted(worth), key=lambda id_: -worth[id_])[:4]
        assert [one["id"] for one in rows_of(analysis, "engrams")] == sorted(best)
        rows = rows_of(analysis)
        expected = [
            (id_, step)
            for id_ in sorted(best)
            for step in range(by_id[id_].born, by_id[id_].end(oracle.steps) + 1)
        ]
        assert [(row["id"], row["step"]) for row in rows] == expected
        for row in rows:
            engram = by_id[row["id"]]
            assert row["memory"] == engram.memory_after(row["step"])
            assert (row["lifespan"] > 0) == engram.alive(row["step"])


def check_connections(chronicle: Chronicle, oracle: Oracle, lane: int | None) -> None:
    shown = lane or 0
    for forgotten in (False, True):
        mine = [
            e for e in oracle.engrams if e.lane == shown and (forgotten or e.alive(oracle.steps))
        ]
        most = sorted(mine, key=lambda e: (-len(e.fired), e.id))[:7]
        options = {"lane": lane, "limit": 7, "forgotten": forgotten}
        analysis = analyse(chronicle, "connections", **options)
        same(rows_of(analysis), oracle.connections(sorted(e.id for e in most)))
        newest = analyse(chronicle, "connections", by="newest", **options)
        same(rows_of(newest), oracle.connections([e.id for e in mine[-7:]]))


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chronicle]:
    """Two lanes or more, 60 steps."""
    path = tmp_path_factory.mktemp("life") / "store"
    live(PastLife(12), path, 60, random.Random(1))
    with open_chronicle(path) as chronicle:
        assert chronicle.lanes > 1
        yield chronicle


def test_a_lifespan_of_a_long_life_is_told_by_its_turns(
    lived: Chronicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = rows_of(analyse(lived, "lifespans", limit=50))
    monkeypatch.setattr("memoria.analysis.lives._EVERY_STEP", 5)
    turns = rows_of(analyse(lived, "lifespans", limit=50))
    assert len(turns) < len(whole)
    for id_ in {row["id"] for row in whole}:
        every = [(row["step"], row["lifespan"]) for row in whole if row["id"] == id_]
        some = [(row["step"], row["lifespan"]) for row in turns if row["id"] == id_]
        steps, values = zip(*every, strict=True)
        known, told = zip(*some, strict=True)
        assert np.interp(steps, known, told).tolist() == pytest.approx(list(values))


def test_a_sample_of_connections_stays_close(lived: Chronicle) -> None:
    exact = rows_of(analyse(lived, "contiguity", forgotten=True, max_lag=3))
    few = analyse(lived, "contiguity", forgotten=True, max_lag=3, sample=60, seed=1)
    again = analyse(lived, "contiguity", forgotten=True, max_lag=3, sample=60, seed=1)
    assert few.document() == again.document()
    other = analyse(lived, "contiguity", forgotten=True, max_lag=3, sample=60, seed=2)
    assert few.document()["frames"] != other.document()["frames"]
    assert "a sample of 60" in few.note
    means = [analysis["mean"] for analysis in exact]
    seen = [
        rows_of(analyse(lived, "contiguity", forgotten=True, max_lag=3, sample=60, seed=seed))
        for seed in range(30)
    ]
    for lag, mean in enumerate(means):
        drawn = [one[lag]["mean"] for one in seen if one[lag]["mean"] is not None]
        assert np.mean(drawn) == pytest.approx(mean, rel=0.15)


def test_weights_counted_in_parts_are_the_same(
    lived: Chronicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = rows_of(analyse(lived, "contiguity", forgotten=True))
    monkeypatch.setattr("memoria.analysis.connections._PAIRS_AT_ONCE", 50)
    same(rows_of(analyse(lived, "contiguity", forgotten=True)), whole)


def test_big_memories_are_sampled_by_themselves(
    lived: Chronicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memoria.analysis.connections._ALL_PAIRS", 500)
    assert "a sample of" in analyse(lived, "contiguity", forgotten=True).note
    monkeypatch.setattr("memoria.analysis.autocorrelation._ALL_FIRINGS", 5)
    monkeypatch.setattr("memoria.analysis.lives._MOST_POINTS", 20)
    assert len(analyse(lived, "raster", limit=10)) <= 20
    analyse(lived, "autocorrelation")


def test_the_raster_takes_some_of_many(lived: Chronicle) -> None:
    for by in ("even", "fired", "newest"):
        analysis = analyse(lived, "raster", first=1, limit=5, by=by)
        chosen = rows_of(analysis, "engrams")
        assert [one["row"] for one in chosen] == [0, 1, 2, 3, 4]
        assert {row["id"] for row in rows_of(analysis)} == {one["id"] for one in chosen}
        fires = sorted(lived.fires.tolist())[-5:]
        if by == "fired":
            assert sorted(one["fires"] for one in chosen) == fires
        if by == "newest":
            assert [one["id"] for one in chosen] == lived.ids[-5:].tolist()
    late = analyse(lived, "raster")
    assert late.frame()["step"].min() == 31
    assert late.note.startswith("the last 30 of 60 steps")
    named = analyse(lived, "raster", engrams=[3, 1, 3])
    assert [one["id"] for one in rows_of(named, "engrams")] == [1, 3]
    assert len(named) == lived.fires[1] + lived.fires[3]


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("nonsense", {}, "kind = 'nonsense': unknown; known are survival, contiguity"),
        ("survival", {"lane": 9}, "lane = 9: there is none; the lanes are 0 to"),
        ("survival", {"bins": 0}, "bins = 0: less than 1"),
        ("survival", {"bins": 1.5}, "bins = 1.5: not a whole number"),
        ("survival", {"max_lag": 3}, "survival takes no max_lag; it takes lane, bins"),
        ("raster", {"by": "luck"}, "by = 'luck': unknown; known: even, fired, newest"),
        ("raster", {"first": 5, "last": 4}, "steps 5 to 4: not there; the steps are 1 to 60"),
        ("raster", {"last": 61}, "steps 1 to 61: not there"),
        ("raster", {"engrams": [10**9]}, "engram 1000000000: there is none; the ids are 0 to"),
        ("lifespans", {"engrams": [1], "lane": 0}, "engram 1: is of lane 1, not of 0"),
        ("connections", {"engrams": [0, 1]}, "lanes are not connected"),
        ("connections", {"limit": 1001}, "limit = 1001: more than 1000"),
        ("lifespans", {"engrams": list(range(1001))}, "1001 engrams: at most 1000"),
        ("contiguity", {"max_lag": 2001}, "max_lag = 2001: more than 2000"),
    ],
)
def test_wrong_options_are_refused(
    lived: Chronicle, kind: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as error:
        analyse(lived, kind, **options)
    assert message in str(error.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [0, 1])
def test_a_memory_that_hardly_lived(quick_folder: Path, kind: str, steps: int) -> None:
    path = quick_folder / "store"
    live(PastLife(5), path, steps, random.Random(1))
    files = open_files(path)
    try:
        analysis = analyse(Chronicle.of_store(files), kind)
    finally:
        files.close()
    assert analysis.kind == kind
    rows = rows_of(analysis)
    assert steps or rows == []
    assert analysis.title
    assert analysis.x_label


@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_to_pandas_and_parquet(lived: Chronicle, kind: str, tmp_path: Path) -> None:
    import pandas
    import pyarrow.parquet as pq

    analysis = analyse(lived, kind)
    for name, frame in analysis.frames.items():
        table = analysis.to_pandas(name)
        assert list(table) == list(frame)
        analysis.write_parquet(tmp_path / "t.parquet", name)
        again = pandas.read_parquet(tmp_path / "t.parquet")
        pandas.testing.assert_frame_equal(again, table, check_dtype=False)
    about = json.loads(pq.read_schema(tmp_path / "t.parquet").metadata[b"memoria"])
    assert about["kind"] == kind
    assert about["options"] == json.loads(json.dumps(dict(analysis.options)))
    with pytest.raises(InputError, match="frame = 'none': there is none"):
        analysis.to_pandas("none")
