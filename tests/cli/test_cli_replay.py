"""`memoria replay` as a user runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_tools import DIARY, Cli

from memoria.store import MemoryStore


@pytest.fixture(autouse=True)
def _notes(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text(DIARY * 4, encoding="utf-8")
    cli.ok("init", "notes", "--wm-length", 2, "--backbone", "hash")
    cli.ok("step", "notes", "diary.txt")


def test_a_life_comes_out_again(cli: Cli) -> None:
    steps = cli.ok("inspect", "notes", "--json").json["step"]
    for more in ((), ("--recompute",)):
        told = cli.ok("replay", "notes", *more, "--json").json
        assert told["steps"] == steps
        assert told["identical"] is True
        assert told["first_difference"] is None
        assert told["near_ties"] == []
    part = cli.ok("replay", "notes@5", "--recompute", "--from", 2, "--to", 4, "--json").json
    assert (part["steps"], part["from"], part["to"]) == (3, 2, 4)
    assert "bit for bit" in cli.ok("replay", "notes", "--recompute").out


def test_another_life_is_compared_with_diff(cli: Cli) -> None:
    told = cli.ok(
        "replay", "notes", "--set", "stm_capacity=2", "--set", "rule=uniform:1", "-o", "o", "--json"
    ).json
    assert told["skipped_events"] == 0
    other = cli.ok("inspect", "o", "--json").json
    assert other["config"]["stm_capacity"] == 2
    assert other["config"]["rule"] == "uniform:1"
    assert other["digest"] == told["digest"]
    assert cli.ok("diff", "notes", "o", "--json").json["relation"] != "same"


def test_a_draw(cli: Cli, tmp_path: Path) -> None:
    told = cli.ok("replay", "notes", "--sample", 3, "--seed", 5, "-o", "b.npz", "--json").json
    with np.load(tmp_path / "b.npz", allow_pickle=False) as arrays:
        assert arrays["ids"].tolist() == told["ids"]
        assert arrays["vectors"].shape == (3, 384)
        ends, text = arrays["text_ends"].tolist(), arrays["text_bytes"].tobytes()
    first = text[: ends[0]].decode()
    with MemoryStore.open(tmp_path / "notes") as store:
        assert store.config.hidden_dim == 384
    assert first in DIARY


@pytest.mark.parametrize(
    "line",
    [
        "replay notes --set stm_capacity=4",
        "replay notes --set stm_capacity -o x",
        "replay notes --set stm_capacity=much -o x",
        "replay notes --set stm_capacity=1 --set stm_capacity=2 -o x",
        "replay notes --set hidden_dim=4 -o x",
        "replay notes --sample 3",
        "replay notes --sample 3000 -o x.npz",
        "replay notes --sample 3 --priority best -o x.npz",
        "replay notes --sample 3 --recompute -o x.npz",
        "replay notes --recompute -o x",
        "replay notes --recompute --from 9999",
        "replay notes --recompute --from 3 --to 2",
        "replay notes --recompute --lane 7",
        "replay notes --set seed=1 --lane 0 -o x",
        "replay notes@nothing",
    ],
)
def test_bad_requests_are_one_line_and_write_nothing(cli: Cli, tmp_path: Path, line: str) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    ran = cli(*line.split())
    assert ran.code == 2
    assert ran.out == ""
    assert 1 <= ran.err.count("\n") <= 2
    assert sorted(path.name for path in tmp_path.iterdir()) == before
