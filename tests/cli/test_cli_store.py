"""Which store a verb means where none is named: the same for every verb that takes one first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cli_tools import Cli

from memoria_cli.app import command

OTHERWISE = {"init", "diff", "import", "pull", "encode", "experiment"}  # none, new, or several


@pytest.fixture
def stores(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three stores, and the working directory below one of the name .memoria."""
    monkeypatch.delenv("MEMORIA_STORE", raising=False)
    for number, name in enumerate(("a", "b", ".memoria"), 1):
        cli.ok("init", name, "--backbone", "hash", "--hidden-dim", 32)
        cli.ok("step", name, "--text", "Bees fly. " * number)
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    return tmp_path


def test_every_verb_with_a_store_first_takes_it_otherwise_too() -> None:
    for name in command().commands:
        one = command().commands[name]
        for verb in getattr(one, "commands", {name: one}).values():
            options = {flag for parameter in verb.params for flag in parameter.opts}
            assert ("--store" in options) == (name not in OTHERWISE), name


def test_option_then_argument_then_environment_then_the_nearest(
    cli: Cli, stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def count(*words: object) -> int:
        return int(cli.ok("list", *words, "--json").json["count"])

    assert count() == 3
    assert count("--limit", 5) == 3
    monkeypatch.setenv("MEMORIA_STORE", str(stores / "b"))
    assert count() == 2
    assert count(stores / "a") == 1
    assert count("--store", stores / "a") == 1
    assert count(f"--store={stores / 'a'}@1") == 1
    assert cli("list", "--store", stores / "a", stores / "b").code == 2  # two of them


def test_what_follows_the_store_stays_what_it_is(cli: Cli, stores: Path) -> None:
    (stores / "deep" / "more.txt").write_text("Ada sings.")
    assert cli("step", "more.txt").code == 0
    assert cli("pin", "1", "3").code == 0
    pinned = cli.ok("list", "--pinned", "--json").json["engrams"]
    assert [one["id"] for one in pinned] == [1, 3]
    assert cli.ok("inspect", "3", "--json").json["text"] == "Ada sings."
    assert cli("snapshot", "create", "now").code == 0
    assert cli.ok("snapshot", "show", "now", "--json").json["step"] == 2
    cli.ok("export", "all.jsonl")
    assert len(Path("all.jsonl").read_text().splitlines()) == 4
    cli.ok("verify")


def test_another_zarr_folder_is_an_input(cli: Cli, stores: Path) -> None:
    (stores / "deep" / "more.txt").write_text("Ada sings. Ben oils clocks.")
    cli.ok("encode", "more.txt", "--backbone", "hash", "--dimension", 32, "-o", "more.zarr")
    ran = cli("step", "more.zarr", "--json")
    assert (ran.code, ran.json["engrams_added"]) == (0, 2)
    (stores / "b" / "zarr.json").write_text("{}")  # a store, if a damaged one
    assert cli("list", stores / "b").code == 3


def test_who_writes_to_an_unnamed_store_is_told_which(cli: Cli, stores: Path) -> None:
    place = os.path.join(stores, ".memoria")
    ran = cli("step", "--text", "Ada sings.")
    assert (ran.code, ran.err) == (0, f"the store is {place}\n")
    assert cli.ok("step", "--store", place, "--text", "Ada sings.").err == ""
    assert cli.ok("step", place, "--text", "Ada sings.").err == ""


def test_many_stores_are_not_one(cli: Cli, stores: Path) -> None:
    Path("each.jsonl").write_text(f'{{"store": "{stores}/a", "inputs": ["{stores}/t.txt"]}}\n')
    (stores / "t.txt").write_text("Ada sings.")
    ran = cli.ok("step", "--each", "each.jsonl", "--jobs", 1, "--json")
    assert [one["engrams_added"] for one in ran.json["stores"]] == [1]


def test_without_any_store_the_line_is_judged_as_typed(cli: Cli) -> None:
    ran = cli("list", "nots")
    assert (ran.code, ran.out) == (10, "")
    assert "nots" in ran.err
    assert cli("list").code == 2
