"""Folders and patterns as inputs: what is read, what is passed over, what is told."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from cli_tools import Cli, command_line, environment

from memoria.io.folders import list_inputs


def write(path: str, text: str = "One.\n") -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


@pytest.fixture
def st(cli: Cli) -> str:
    cli.ok("init", "st", "--backbone", "hash", "--unit", "line")
    return "st"


def texts(cli: Cli) -> list[str]:
    engrams = cli.ok("list", "st", "--limit", 0, "--json").json["engrams"]
    return sorted(engram["text"] for engram in engrams)


def named(*names: str) -> list[str]:
    return [one.name for one in list_inputs(names).inputs]


def test_files_below_a_folder_in_the_order_of_names(cli: Cli) -> None:
    for path in ("n/b.txt", "n/a/z.md", "n/a.txt", "n/.git/x.txt", "n/.hidden.txt"):
        write(path)
    assert named("n") == ["n/a.txt", "n/b.txt", "n/a/z.md"]
    assert named("n/a/", "n") == ["n/a/z.md", "n/a.txt", "n/b.txt"]
    os.chdir("n")
    assert named(".") == ["a.txt", "b.txt", "a/z.md"]


def test_patterns(cli: Cli) -> None:
    for path in ("n/b.txt", "n/a/z.txt", "n/a.md", "n/[x].txt"):
        write(path)
    assert named("n/*.txt") == ["n/[x].txt", "n/b.txt"]
    assert named("n/**/*.txt") == ["n/[x].txt", "n/a/z.txt", "n/b.txt"]
    assert named("n/[x].txt") == ["n/[x].txt"]
    assert named("*") == ["n/[x].txt", "n/a.md", "n/b.txt", "n/a/z.txt"]
    assert cli("step", "none", "n/*.pdf").code != 0


def test_a_folder_without_anything_to_read_is_told(cli: Cli, st: str) -> None:
    write("n/.hidden.txt")
    refused = cli("step", st, "n")
    assert (refused.code, "n: is a directory without anything" in refused.err) == (2, True)
    told = cli("step", st, "n", "--sync")
    assert (told.code, told.err) == (0, "n: holds nothing to read\n")


@pytest.mark.parametrize("how", [(), ("--sync",)])
def test_a_memory_is_no_input_of_its_own(cli: Cli, st: str, how: tuple[str, ...]) -> None:
    refused = cli("step", st, st, *how)
    assert (refused.code, "st: is the memory itself, not an input" in refused.err) == (2, True)


@pytest.mark.parametrize("how", [(), ("--sync",), ("--resume",)])
def test_names_that_are_not_utf8_stop_no_other(cli: Cli, st: str, how: tuple[str, ...]) -> None:
    write("n/a.txt")
    write(os.fsdecode(b"n/b\xff.txt"), "Two.\n")
    write(os.fsdecode(b"n/d\xff/c.txt"), "Three.\n")
    write(os.fsdecode(b"n/e\xff.bin"), "\0")
    os.symlink("nowhere", "n/link.txt")
    dry = cli("step", st, "n", *how, "--dry-run", "--json")
    done = cli("step", st, "n", *how, "--json")
    names = ["n/link.txt", "n/b\\xff.txt", "n/d\\xff/c.txt"]
    for result in (dry, done):
        assert [one["name"] for one in result.json["unreadable"]] == names
    assert (dry.code, done.code, done.json["engrams_added"]) == (0, 1, 1)
    assert dry.json["other"] == ["n/e\\xff.bin"]
    assert texts(cli) == ["One."]
    named = cli("step", st, os.fsdecode(b"n/b\xff.txt"), *how)
    assert (named.code, "not UTF-8" in named.err) == (2, True)


def test_what_is_ignored_in_gits_form(cli: Cli) -> None:
    for path in ("n/a.txt", "n/b.log", "n/keep.log", "n/out/x.txt", "n/sub/c.log", "n/sub/d.txt"):
        write(path)
    write("n/.memoriaignore", "*.log\n!keep.log\nout/\n# a remark\n")
    write("n/sub/.memoriaignore", "!c.log\n/d.txt\n")
    assert named("n") == ["n/a.txt", "n/keep.log", "n/sub/c.log"]


def test_what_is_ignored_from_now_on_is_forgotten(cli: Cli, st: str) -> None:
    write("n/a.txt", "One.\n")
    write("n/b.txt", "Two.\n")
    cli.ok("step", st, "n", "--sync")
    write("n/.memoriaignore", "b.txt\n")
    cli.ok("step", st, "n", "--sync")
    assert texts(cli) == ["One."]


def test_what_cannot_be_read_stops_nothing_and_is_told(cli: Cli, st: str) -> None:
    write("n/a.txt", "One.\n")
    write("n/c.jsonl", '{"text": "Three."}\n{nonsense\n')
    write("n/d.txt", "Four.\n")
    os.symlink("nowhere", "n/e.txt")
    ran = cli("step", st, "n", "--sync", "--json")
    assert ran.code == 1
    assert "c.jsonl: line 2" in ran.err
    assert [Path(one["name"]).name for one in ran.json["unreadable"]] == ["e.txt", "c.jsonl"]
    assert texts(cli) == ["Four.", "One."]
    write("n/c.jsonl", '{"text": "Three."}\n')
    os.remove("n/e.txt")
    cli.ok("step", st, "n", "--sync")
    write("n/c.jsonl", "{nonsense\n")  # what is known of it stays
    assert cli("step", st, "n", "--sync").code == 1
    assert texts(cli) == ["Four.", "One.", "Three."]


def test_a_faulty_file_that_is_named_is_refused_before_anything_is_remembered(
    cli: Cli, st: str
) -> None:
    write("n/a.txt")
    write("bad.jsonl", "{nonsense\n")
    for words in ([], ["--sync"]):
        assert cli("step", st, "n", "bad.jsonl", *words).code == 2
    assert texts(cli) == []


def test_files_of_other_kinds_and_stores_are_passed_over(cli: Cli) -> None:
    write("n/a.txt")
    Path("n/b.bin").write_bytes(bytes(range(256)))
    Path("n/c.txt").write_text("")
    Path("n/d.txt").write_text(" \n\n")
    cli.ok("init", "n/st", "--backbone", "hash")
    cli.ok("init", "n/other", "--backbone", "hash")
    document = cli.ok("step", "n/st", "n", "--json").json
    assert document["engrams_added"] == 1
    assert document["files"]["other"] == 1


def test_a_dry_run_changes_nothing(cli: Cli, st: str) -> None:
    write("n/a.txt", "One.\n")
    write("n/b.txt", "Two.\n")
    before = cli.ok("inspect", st, "--json").json["digest"]
    plan = cli.ok("step", st, "n", "--sync", "--dry-run", "--json").json
    assert [(one["name"], one["state"], one["bytes"]) for one in plan["files"]] == [
        ("n/a.txt", "new", 5),
        ("n/b.txt", "new", 5),
    ]
    assert cli.ok("inspect", st, "--json").json["digest"] == before
    cli.ok("step", st, "n", "--sync")
    write("n/a.txt", "Other.\n")
    os.rename("n/b.txt", "n/c.txt")
    plan = cli.ok("step", st, "n", "--sync", "--dry-run", "--json").json
    assert [(one["name"], one["state"]) for one in plan["files"]] == [("n/a.txt", "changed")]
    assert plan["renamed"] == [{"before": "n/b.txt", "name": "n/c.txt"}]
    assert "would read 1 file" in cli.ok("step", st, "n", "--sync", "--dry-run").out
    assert texts(cli) == ["One.", "Two."]


def test_a_watched_folder_is_read_until_it_is_interrupted(cli: Cli, st: str) -> None:
    pytest.importorskip("watchfiles")
    write("n/a.txt", "One.\n")
    line = command_line("step", st, "n", "--watch-folder", "--json")
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(line, env=environment(), **pipes) as watching:
        assert watching.stderr is not None
        try:
            assert "1 engram added" in watching.stderr.readline()
            cli.ok("snapshot", "create", st, "meanwhile")  # the lock is free
            write("n/a.txt", "Two.\n")
            assert "1 engram added, 1 forgotten" in watching.stderr.readline()
        finally:
            watching.send_signal(signal.SIGINT)
        out, err = watching.communicate(timeout=60)
    assert (watching.returncode, err) == (0, "")
    assert '"forgotten": 1' in out
    assert texts(cli) == ["Two."]


@pytest.mark.parametrize("how", ["--sync", "--resume"])
def test_a_zarr_folder_is_known_again(cli: Cli, tmp_path: Path, how: str) -> None:
    numbers = zarr.create_array(tmp_path / "x.zarr", shape=(6, 4), chunks=(3, 4), dtype="f4")
    numbers[:] = np.eye(6, 4)
    cli.ok("init", "arrays", "--backbone", "array", "--hidden-dim", "4")
    assert cli.ok("step", "arrays", "x.zarr", how, "--json").json["engrams_added"] == 6
    assert cli.ok("step", "arrays", "x.zarr", how, "--json").json["engrams_added"] == 0
