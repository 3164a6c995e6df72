"""`memoria inspect`: its documents, what people see of them, and its errors."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cli_tools import Cli, command_line, environment, fingerprint, rows

from memoria import MemoriaConfig
from memoria.query.inspection import Inspection
from memoria.query.summary_statistics import hubs, pyramid, survival
from memoria.store import MemoryStore
from memoria_cli.terminal.formatting import shorten

SUMMARY = (
    "path at format step config lanes engrams connections bytes digest phase"
    " first_step_time last_step_time histograms pyramid survival hubs"
).split()


pytestmark = pytest.mark.usefixtures("notes")


def test_the_document_is_the_one_of_the_library(cli: Cli) -> None:
    document = cli.ok("inspect", "notes", "--json").json
    assert sorted(document) == sorted(SUMMARY)
    with Inspection.open("notes") as view:
        pictures = {"pyramid": pyramid(view), "survival": survival(view), "hubs": hubs(view)}
        assert document == {**view.summary(), "histograms": view.histograms(), **pictures}
    assert document["path"] == os.path.abspath("notes")
    with MemoryStore.open("notes") as store:
        assert (document["step"], document["digest"]) == (store.timestep, store.digest())


@pytest.mark.parametrize("option", ["engrams", "edges", "history", "forgotten"])
def test_each_list_is_added_when_asked(cli: Cli, option: str) -> None:
    key = {"engrams": "engram_list", "forgotten": "forgotten_list"}.get(option, option)
    document = cli.ok("inspect", "notes", f"--{option}", "--json").json
    assert sorted(document) == sorted([*SUMMARY, key])
    with Inspection.open("notes") as view:
        lists = {
            "engrams": view.engram_list(),
            "edges": view.edges(),
            "history": view.history(),
            "forgotten": view.forgotten_list(),
        }
    assert document[key] == lists[option]
    assert len(document[key]) > 2
    few = cli.ok("inspect", "notes", f"--{option}", "--json", "--limit", 2).json[key]
    assert few == (lists[option][-2:] if option == "history" else lists[option][:2])


def test_one_engram(cli: Cli) -> None:
    with Inspection.open("notes") as view:
        living = view.engram_list()[0]["id"]
        gone = view.forgotten_list()[0]["id"]
        for engram in (living, gone):
            assert cli.ok("inspect", "notes", engram, "--json").json == view.engram(engram)
    told = cli.ok("inspect", "notes", gone).out
    assert f"engram {gone}\n" in told
    assert told.index("created") < told.index("into short-term memory") < told.rindex("forgotten")
    assert "diary.txt, character" in told
    assert "diary.txt" in cli.ok("inspect", "notes", living).out


def test_a_long_life_is_cut_in_the_middle(cli: Cli) -> None:
    with Inspection.open("notes") as view:
        busy = max(view.engram_list(), key=lambda one: one["fire_count"])["id"]
    told = cli.ok("inspect", "notes", busy, "--limit", 3).out
    assert "more events" in told
    assert "created" in told
    assert "more events" not in cli.ok("inspect", "notes", busy, "--limit", 100).out


def test_what_people_see(cli: Cli) -> None:
    told = cli.ok("inspect", "notes", "--full").out
    document = cli.ok("inspect", "notes", "--json").json
    assert told.startswith(document["path"] + "\n")
    for part in ("engrams by memory", "lifespan: steps left", "age: steps lived", "█"):
        assert part in told
    assert "survival: share that lives beyond each age, 27 engrams" in told
    assert "most connected" in told
    assert "└─ " in told
    assert "Dinner was late." in told
    assert document["digest"] in told
    assert "\x1b" not in told  # plain where it is piped
    lists = cli.ok("inspect", "notes", "--engrams", "--history", "--limit", 2).out
    assert "living engrams" in lists
    assert "engrams by memory" not in lists


def test_a_life_without_end_has_no_numbers_for_it(cli: Cli) -> None:
    cli.ok("init", "kept", "--backbone", "hash")
    cli.ok("step", "kept", "--text", "The cat sat on the mat.")
    seen = cli.ok("inspect", "kept", "0").out + cli.ok("inspect", "kept", "--full").out
    assert "no end" in seen
    assert "forgotten with time" in seen
    assert "e+1" not in seen


def test_the_next_verb_of_a_step_under_way_is_named(cli: Cli) -> None:
    assert "under way" not in cli.ok("inspect", "notes").out
    cli.ok("add", "notes", "--text", "A new thing happened.")
    assert "`memoria remind` comes next" in cli.ok("inspect", "notes").out
    cli.ok("remind", "notes")
    assert "`memoria adjust` comes next" in cli.ok("inspect", "notes").out
    assert cli.ok("inspect", "notes", "--json").json["phase"] == "reminded"


def test_of_one_lane_only(cli: Cli) -> None:
    np.save("stream.npy", rows(4, 2, 3, 8))
    cli.ok("init", "two", "--backbone", "array", "--hidden-dim", 8, "--lanes", 2)
    cli.ok("step", "two", "stream.npy")
    document = cli.ok("inspect", "two", "--lane", 1, "--engrams", "--edges", "--json").json
    assert {one["lane"] for one in document["engram_list"] + document["edges"]} == {1}
    assert len(document["lanes"]) == 2
    ran = cli("inspect", "two", "--lane", 2)
    assert (ran.code, ran.out) == (2, "")
    assert "lane = 2" in ran.err
    assert "0 to 1" in ran.err


def test_hostile_texts_reach_no_terminal(cli: Cli) -> None:
    bad = "\x1b[2J\x1b]0;owned\x07 right \u202eleft\u202c [bold]markup[/bold]\nsecond line"
    with MemoryStore.create("bad", MemoriaConfig(hidden_dim=4, backbone="array")) as store:
        store.step(np.eye(4, dtype=np.float32)[:2], texts=[bad, bad])
    for arguments in ([], ["--engrams"], ["--edges"], [0]):
        told = cli.ok("inspect", "bad", *arguments).out
        assert not {"\x1b", "\x07", "\u202e"} & set(told)
        assert "\\x1b[2J" in told
        assert "\\u202e" in told


def test_errors_are_one_line(cli: Cli) -> None:
    cases = [
        (("inspect", "nowhere"), 10, "no store"),
        (("inspect", "notes", 10**6), 2, "the ids are 0 to 26"),
        (("inspect", "notes", 1, "--edges"), 2, "engram 1 is told alone"),
        (("inspect", "notes", "--limit", -1), 2, "--limit"),
        (("inspect",), 2, "STORE"),
    ]
    for arguments, code, part in cases:
        ran = cli(*arguments)
        assert (ran.code, ran.out) == (code, ""), ran
        assert part in ran.err
        assert ran.err.count("\n") == 1


def test_inspecting_changes_nothing(cli: Cli, tmp_path: Path) -> None:
    before = fingerprint(tmp_path / "notes")
    cli.ok("inspect", "notes", "--engrams", "--edges", "--history", "--forgotten")
    cli.ok("inspect", "notes", 3)
    assert fingerprint(tmp_path / "notes") == before


def test_inspecting_works_while_another_writes(cli: Cli) -> None:
    with MemoryStore.open("notes", "r+"):
        assert cli.ok("inspect", "notes", "--json").json["engrams"] > 0


def test_inspecting_loads_nothing_heavy(cli: Cli) -> None:
    probe = (
        "import sys; from memoria_cli.__main__ import main\n"
        "codes = [main(['inspect', 'notes', *more]) for more in"
        " ([], ['3'], ['--engrams', '--edges', '--history', '--json'], ['--help'])]\n"
        "print('LOADED', codes, [n for n in ('torch', 'transformers', 'zarr') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        env=environment(),
        check=True,
    )
    assert "LOADED [0, 0, 0, 0] []" in done.stdout


def test_a_terminal_gets_a_panel(cli: Cli) -> None:
    leader, follower = pty.openpty()
    with subprocess.Popen(
        command_line("inspect", "notes", "--full"), stdout=follower, env=environment(TERM="xterm")
    ) as process:
        os.close(follower)
        shown = b""
        end = time.monotonic() + 60
        while select.select([leader], [], [], max(0.0, end - time.monotonic()))[0]:
            try:
                piece = os.read(leader, 65536)
            except OSError:  # how Linux says that the other side has closed
                break
            if not piece:
                break
            shown += piece
    os.close(leader)
    assert process.returncode == 0
    text = shown.decode()
    assert "╭" in text
    assert "\x1b[1m" in text
    assert "engrams by memory" in text


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_pictures_keep_to_the_page(cli: Cli, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    told = cli.ok("inspect", "notes", "--full").out
    pictures = told[told.index("lifespan: steps left") :].splitlines()
    drawn = [line for line in pictures if line.startswith("  ")]
    assert len(drawn) > 20
    assert max(map(len, drawn)) <= columns
    if columns < 200:
        assert max(map(len, drawn)) > columns // 2


def test_pictures_are_ascii_where_nothing_else_can_be_shown(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    with MemoryStore.open("notes", "r+") as store:
        data = np.ones((1, store.config.hidden_dim), np.float32)
        store.step(data, texts=["Überall läuft 猫 umher."])
    monkeypatch.setenv("LC_ALL", "C")
    told = cli.ok("inspect", "notes", "--full").out
    assert told.isascii()
    assert "#" in told
    assert "`- " in told


def test_an_empty_memory_has_no_pictures(cli: Cli) -> None:
    cli.ok("init", "empty")
    told = cli.ok("inspect", "empty", "--full").out
    assert "lifespan" not in told
    assert "survival" not in told
    document = cli.ok("inspect", "empty", "--json").json
    assert (document["pyramid"], document["hubs"]) == ([], [])
    assert document["survival"] == {"engrams": 0, "since": 0, "median": None, "points": []}


def test_shorten() -> None:
    assert shorten("  a\n b ") == "a b"
    assert shorten(None) == ""
    assert len(shorten("word " * 99)) <= 36
    assert shorten("word " * 99).endswith("…")
