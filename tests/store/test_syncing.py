"""Files that change, read again: what is new is remembered, what is gone is forgotten."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_tools import Cli

from memoria.store import MemoryStore
from memoria.store.verify import verify


@pytest.fixture
def st(cli: Cli) -> str:
    """A store that takes a line as one engram."""
    cli.ok("init", "st", "--backbone", "hash", "--unit", "line", "--wm-length", 4)
    return "st"


def texts(store: str) -> list[str]:
    """The texts of the living engrams, sorted."""
    with MemoryStore.open(store) as opened:
        assert verify(store).findings == ()
        living = opened.living(np.arange(opened.files.created)).tolist()
        return sorted(str(opened.first_text(engram)) for engram in living)


def write(path: str, *lines: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text("".join(line + "\n" for line in lines))


def sync(cli: Cli, *arguments: object) -> Any:
    return cli.ok("step", "st", *arguments, "--sync", "--json").json


def test_what_is_unchanged_is_not_read_again(cli: Cli, st: str) -> None:
    write("n/a.txt", "One.", "Two.")
    assert sync(cli, "n")["engrams_added"] == 2
    again = sync(cli, "n")
    assert (again["steps"], again["skipped"], again["files"]["unchanged"]) == (0, 2, 1)
    assert texts(st) == ["One.", "Two."]


CHANGES = {
    "edited": ["One.", "Another.", "Three."],
    "prepended": ["Zero.", "One.", "Two.", "Three."],
    "appended": ["One.", "Two.", "Three.", "Four."],
    "shuffled": ["Three.", "One.", "Two."],
    "cut": ["Two."],
    "doubled": ["One.", "Two.", "Two.", "Three.", "One."],
    "rotated": ["New one."],
    "emptied": [],
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_file_that_changes_is_held_as_it_is(cli: Cli, st: str, name: str) -> None:
    write("n/a.txt", "One.", "Two.", "Three.")
    sync(cli, "n")
    write("n/a.txt", *CHANGES[name])
    changed = sync(cli, "n")
    assert texts(st) == sorted(CHANGES[name])
    kept = sum((Counter(CHANGES[name]) & Counter(["One.", "Two.", "Three."])).values())
    assert changed["engrams_added"] == len(CHANGES[name]) - kept
    assert changed["forgotten"] == 3 - kept
    assert sync(cli, "n")["steps"] == 0
    write("n/a.txt", "One.", "Two.", "Three.")
    sync(cli, "n")
    assert texts(st) == ["One.", "Three.", "Two."]


@pytest.mark.parametrize("name", CHANGES)
def test_what_vanishes_is_kept_if_asked_and_comes_back_once(cli: Cli, st: str, name: str) -> None:
    old = ["One.", "Two.", "Three."]
    write("n/a.txt", *old)
    cli.ok("step", st, "n", "--resume")
    write("n/a.txt", *CHANGES[name])
    cli.ok("step", st, "n", "--sync", "--on-delete", "keep")
    expected = Counter(old) | Counter(CHANGES[name])
    if name == "edited":  # it stands changed in its place: its old form is not kept
        expected -= Counter(["Two."])
    assert texts(st) == sorted(expected.elements())
    again = cli.ok("step", st, "n", "--resume", "--json").json
    assert (again["steps"], again["files"]["read"]) == (0, 0)
    write("n/a.txt", *old)
    cli.ok("step", st, "n", "--resume")
    expected |= Counter(old)
    if name == "edited":
        expected = Counter(old)
    assert texts(st) == sorted(expected.elements())
    sync(cli, "n")
    assert texts(st) == sorted(old)


def test_what_has_moved_stays_where_the_sync_was_stopped(cli: Cli, st: str) -> None:
    write("n/c.txt", "One.", "Two.")
    sync(cli, "n")
    write("n/a.txt", "Zero.")
    write("n/b.txt", "One.")
    write("n/c.txt", "Two.", "Three.")
    sync(cli, "n", "--limit", 1, "--wm-length", 1)
    sync(cli, "n")
    assert texts(st) == ["One.", "Three.", "Two.", "Zero."]


def test_renamed_and_moved_texts_stay_the_engrams_they_are(cli: Cli, st: str) -> None:
    write("n/a.txt", "One.", "Two.")
    write("n/b.txt", "Three.", "Four.")
    sync(cli, "n")
    os.rename("n/a.txt", "n/c.txt")
    renamed = sync(cli, "n")
    assert (renamed["engrams_added"], renamed["forgotten"]) == (0, 0)
    assert renamed["files"] == {
        "read": 0, "unchanged": 1, "renamed": 1, "vanished": 0, "other": 0
    }  # fmt: skip
    write("n/b.txt", "Four.")
    write("n/c.txt", "One.", "Three.", "Two.")
    moved = sync(cli, "n")
    assert (moved["engrams_added"], moved["forgotten"], moved["moved"]) == (0, 0, 1)
    os.rename("n/c.txt", "n/d.txt")
    write("n/d.txt", "One.", "Three.", "Five.")
    both = sync(cli, "n")
    assert (both["engrams_added"], both["forgotten"], both["moved"]) == (1, 1, 2)
    shutil.rmtree("n/", ignore_errors=True)
    write("n/e/d.txt", "One.")
    sync(cli, "n")
    assert texts(st) == ["One."]


def test_a_file_renamed_alone_is_found(cli: Cli, st: str) -> None:
    write("a.txt", "One.", "Two.", "Three.")
    sync(cli, "a.txt")
    os.rename("a.txt", "b.txt")
    assert sync(cli, "b.txt")["steps"] == 0
    os.rename("b.txt", "c.txt")
    write("c.txt", "One.", "Two.", "Four.")
    assert sync(cli, "c.txt")["engrams_added"] == 1
    assert texts(st) == ["Four.", "One.", "Two."]


def test_a_named_file_that_is_gone_is_forgotten_if_it_was_known(cli: Cli, st: str) -> None:
    write("a.txt", "One.")
    write("b.txt", "Two.")
    sync(cli, "a.txt", "b.txt")
    os.remove("a.txt")
    assert cli("step", st, "a.txt", "--resume").code == 2
    assert sync(cli, "a.txt", "b.txt")["forgotten"] == 1
    assert cli("step", st, "never.txt", "--sync").code == 2
    assert texts(st) == ["Two."]


def test_the_same_name_in_another_folder_is_another_file(cli: Cli, st: str) -> None:
    write("a/log.txt", "Alpha.")
    write("b/log.txt", "Beta.")
    for folder in ("a", "b", "a", "b"):
        os.chdir(folder)
        cli.ok("step", "../st", "log.txt", "--resume")
        os.chdir("..")
    assert texts(st) == ["Alpha.", "Beta."]
    os.chdir("b")
    write("log.txt", "Gamma.")
    cli.ok("step", "../st", "log.txt", "--sync")
    os.chdir("..")
    assert texts(st) == ["Alpha.", "Gamma."]


def test_another_spelling_of_a_path_is_the_same_file(cli: Cli, st: str) -> None:
    write("n/a.txt", "One.")
    os.symlink("n", "link")
    os.symlink("n/a.txt", "direct.txt")
    sync(cli, "n/a.txt")
    for name in ("./n/a.txt", "n/../n/a.txt", os.path.abspath("n/a.txt"), "link/a.txt",
                 "direct.txt", "n", "n/*.txt"):  # fmt: skip
        assert sync(cli, name)["steps"] == 0, name
    assert sync(cli, "n/a.txt", "link/a.txt", "n")["steps"] == 0
    assert texts(st) == ["One."]


def test_fields_of_records_are_known_apart(cli: Cli, st: str) -> None:
    records = [{"q": "What is a bee?", "a": "An insect."}, {"q": "Where?", "a": "In a hive."}]
    write("qa.jsonl", *map(json.dumps, records))
    sync(cli, "qa.jsonl:q")
    assert sync(cli, "qa.jsonl:a")["engrams_added"] == 2
    assert sync(cli, "qa.jsonl:q", "qa.jsonl:a")["steps"] == 0
    records[1]["a"] = "In a tree."
    write("qa.jsonl", *map(json.dumps, records))
    sync(cli, "qa.jsonl:q", "qa.jsonl:a")
    assert texts(st) == ["An insect.", "In a tree.", "What is a bee?", "Where?"]


def test_standard_input_and_texts_are_never_known(cli: Cli, st: str, monkeypatch: Any) -> None:
    for said in ("First.", "Second."):
        path = Path("in.txt")
        path.write_text(said)
        with path.open() as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            cli.ok("step", st, "-", "--resume", "--text", f"{said} Too.")
    assert texts(st) == ["First.", "First. Too.", "Second.", "Second. Too."]


def test_an_unfinished_line_that_goes_on_is_one(cli: Cli) -> None:
    cli.ok("init", "st", "--backbone", "hash")
    Path("g.txt").write_text("Bees fly. The queen is")
    cli.ok("step", "st", "g.txt", "--resume")
    with open("g.txt", "a") as file:
        file.write(" old and wise. A new one comes.\n")
    cli.ok("step", "st", "g.txt", "--resume")
    assert texts("st") == ["A new one comes.", "Bees fly.", "The queen is old and wise."]


def test_a_change_of_the_same_size_and_time_is_seen(cli: Cli, st: str) -> None:
    write("n/a.txt", "One.")
    old = os.stat("n/a.txt")
    for path in Path("n").iterdir():
        os.utime(path, (old.st_atime - 100, old.st_mtime - 100))
    looks = os.stat("n/a.txt")
    sync(cli, "n")
    Path("n/a.txt").write_text("Two.\n")
    os.utime("n/a.txt", ns=(looks.st_atime_ns, looks.st_mtime_ns))
    sync(cli, "n")
    assert texts(st) == ["Two."]


def test_another_unit_is_another_cut(cli: Cli, st: str) -> None:
    write("a.txt", "One. Two.")
    sync(cli, "a.txt")
    sync(cli, "a.txt", "--unit", "sentence")
    assert texts(st) == ["One.", "Two."]


def test_what_was_stepped_twice_is_held_once_after_a_sync(cli: Cli, st: str) -> None:
    write("a.txt", "One.", "Two.")
    cli.ok("step", st, "a.txt")
    cli.ok("step", st, "a.txt")
    sync(cli, "a.txt")
    assert texts(st) == ["One.", "Two."]


def test_what_is_forgotten_by_hand_stays_forgotten(cli: Cli, st: str) -> None:
    write("a.txt", "One.", "Two.")
    sync(cli, "a.txt")
    cli.ok("forget", st, 0, "--yes")
    write("a.txt", "One.", "Two.", "Three.")
    sync(cli, "a.txt")
    assert texts(st) == ["Three.", "Two."]


def test_a_sync_is_undone_as_a_whole(cli: Cli, st: str) -> None:
    write("a.txt", "One.", "Two.")
    sync(cli, "a.txt")
    write("a.txt", "Two.", "Three.")
    sync(cli, "a.txt")
    cli.ok("undo", st, "--yes")
    assert texts(st) == ["One.", "Two."]
    sync(cli, "a.txt")
    assert texts(st) == ["Three.", "Two."]


def test_a_limit_forgets_nothing_too_early(cli: Cli, st: str) -> None:
    write("a.txt", *[f"Old {i}." for i in range(12)])
    sync(cli, "a.txt")
    write("a.txt", *[f"New {i}." for i in range(12)])
    first = sync(cli, "a.txt", "--limit", 1)
    assert (first["engrams_added"], first["forgotten"]) == (4, 0)
    sync(cli, "a.txt")
    assert texts(st) == sorted(f"New {i}." for i in range(12))


def test_lanes_are_synced_each(cli: Cli) -> None:
    cli.ok("init", "st", "--backbone", "hash", "--unit", "line", "--lanes", 2, "--wm-length", 2)
    write("a.txt", "One.", "Two.")
    write("b.txt", "Uno.", "Due.")
    sync(cli, "a.txt", "b.txt")
    assert sync(cli, "a.txt", "b.txt")["steps"] == 0
    write("a.txt", "One.", "Three.")
    write("b.txt", "Tre.", "Due.")
    sync(cli, "a.txt", "b.txt")
    assert texts("st") == ["Due.", "One.", "Three.", "Tre."]


def test_arrays_are_known_by_their_rows(cli: Cli) -> None:
    cli.ok("init", "st", "--backbone", "array", "--hidden-dim", 4, "--wm-length", 2)
    rows = np.eye(4, dtype=np.float32)
    np.save("a.npy", rows[:2])
    assert sync(cli, "a.npy")["engrams_added"] == 2
    np.save("a.npy", rows[[2, 0, 1]])
    assert sync(cli, "a.npy")["engrams_added"] == 1
    np.save("a.npy", rows[[2]])
    assert sync(cli, "a.npy")["forgotten"] == 2
    np.save("b.npy", rows[None])  # a whole step of rows
    assert sync(cli, "b.npy")["engrams_added"] == 4
    np.save("b.npy", np.stack([rows, rows * 2]))
    assert sync(cli, "b.npy")["engrams_added"] == 4


@pytest.mark.parametrize("words", [["--on-delete", "keep"], ["--resume", "--on-delete", "forget"]])
def test_options_that_do_not_fit(cli: Cli, st: str, words: list[str]) -> None:
    ran = cli("step", st, "--text", "One.", *words)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
