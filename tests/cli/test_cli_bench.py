"""`memoria bench`: it measures, and leaves everything as it was."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from cli_tools import DIARY, Cli, fingerprint, rows

from memoria import benchmark
from memoria.errors import ConfigError
from memoria.store import MemoryStore

TIMES = {"samples", "median_seconds", "p99_seconds", "max_seconds"}


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    small = {"_SIZES": (100, 200), "_STEPS": 2, "_COMMITS": 2, "_DIMENSION": 16}
    for name, value in small.items():
        monkeypatch.setattr(benchmark, name, value)
    return Cli(capsys)


def test_all_parts(cli: Cli, tmp_path: Path) -> None:
    cli.ok("init", "s")
    cli.ok("step", "s", "--text", DIARY)
    (tmp_path / "disk").mkdir()
    before = fingerprint(tmp_path)
    told = cli("bench", "s", "--dir", "disk", "--json").json
    assert list(told) == ["machine", "disk", "steps", "commit", "encode", "store"]
    assert fingerprint(tmp_path) == before
    assert not list((tmp_path / "disk").iterdir())
    assert told["disk"]["fsync"].keys() == TIMES
    assert [(row["layout"], row["engrams"]) for row in told["steps"]] == [
        ("sparse", 100),
        ("sparse", 200),
        ("dense", 100),
        ("dense", 200),
    ]
    assert all(row["samples"] >= 2 for row in told["steps"])
    commit = told["commit"]
    assert commit["fsyncs_per_commit"] == pytest.approx(
        commit["median_seconds"] / commit["fsync"]["median_seconds"]
    )
    assert told["encode"]["texts_per_second"] > 0
    assert told["store"]["step"] == 2
    assert told["store"]["open"].keys() == told["store"]["peek"].keys() == TIMES
    machine = told["machine"]
    assert machine["torch_threads"] >= 1
    assert machine["packages"]["numpy"] == np.__version__
    assert str(tmp_path) not in str(machine)


def test_parts_one_by_one(cli: Cli) -> None:
    assert list(cli.ok("bench", "--only", "disk", "--json").json) == ["machine", "disk"]
    text = cli.ok("bench", "--only", "disk", "--only", "encode").out
    assert "this machine" in text
    assert "fsync of 64 KiB" in text
    assert "sentences a second" in text
    assert "step," not in text


def test_every_number_is_shown(cli: Cli) -> None:
    cli.ok("init", "s")
    cli.ok("step", "s", "--text", DIARY)
    text = cli("bench", "s").out
    for words in ("step, sparse, 100", "step, dense, 200", "commit of one step", "fsyncs"):
        assert words in text
    for words in ("opening the store", "first question", "later questions"):
        assert words in text


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_store_stays_as_it_is(cli: Cli, tmp_path: Path, lanes: int) -> None:
    cli.ok("init", "s", "--backbone", "array", "--hidden-dim", "8", "--lanes", lanes)
    told = cli.ok("bench", "s", "--only", "store", "--json").json  # empty
    assert told["store"]["step"] == 0
    with MemoryStore.open("s", "r+") as store:
        store.step(rows(lanes, 3, 8))
        store.add(rows(lanes, 3, 8, seed=1))
    before, digest = fingerprint(tmp_path / "s"), cli.ok("inspect", "s", "--json").json["digest"]
    told = cli.ok("bench", "s", "--only", "store", "--json").json
    assert told["store"]["step"] == 1
    assert fingerprint(tmp_path / "s") == before
    assert cli.ok("inspect", "s", "--json").json["digest"] == digest


def test_while_somebody_writes(cli: Cli) -> None:
    cli.ok("init", "s", "--backbone", "array", "--hidden-dim", "8")
    with MemoryStore.open("s", "r+") as store:
        store.step(rows(1, 3, 8))
        store.commit()
        assert cli.ok("bench", "s", "--only", "store", "--json").json["store"]["step"] == 1


def test_what_cannot_be_measured(cli: Cli) -> None:
    for words, code, said in (
        (("bench", "--only", "nothing"), 2, "nothing"),
        (("bench", "--only", "store"), 2, "name the store"),
        (("bench", "nowhere"), 10, "no store"),
        (("bench", "--only", "disk", "--dir", "nowhere"), 1, "nowhere"),
    ):
        ran = cli(*words)
        assert (ran.code, ran.out) == (code, ""), words
        assert said in ran.err
        assert ran.err.count("\n") == 1


def test_a_python_without_its_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    told = benchmark.bench(parts=["encode"])
    assert told["encode"] is None


def test_parts_of_the_library() -> None:
    seen: list[tuple[int, int]] = []
    benchmark.bench(parts=("disk",), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 1)]
    with pytest.raises(ConfigError, match="disk"):
        benchmark.bench(parts=("fast",))
    assert benchmark.timing([1.0, 3.0, 2.0]) == {
        "samples": 3,
        "median_seconds": 2.0,
        "p99_seconds": pytest.approx(2.98),
        "max_seconds": 3.0,
    }
