"""`memoria list`: its three forms, what a terminal is spared, and its errors."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_tools import Cli, command_line, environment, fingerprint

from memoria import MemoriaConfig
from memoria.query.engram_table import FIELDS
from memoria.query.inspection import Inspection
from memoria.query.listing import EngramFilter
from memoria.store import MemoryStore

BAD = '\x1b[2J\x1b]0;owned\x07 \u202eleft\u202c [bold]x[/bold]\r\nsecond, "line"\x7f'


pytestmark = pytest.mark.usefixtures("notes")


@pytest.fixture
def bad(cli: Cli) -> str:
    with MemoryStore.create("bad", MemoriaConfig(hidden_dim=4, backbone="array")) as store:
        places = [(BAD, 1), None]
        store.step(np.eye(4, dtype=np.float32)[:2], texts=[BAD, "=1+1"], places=places)
    return "bad"


def test_all_three_forms_and_the_document_agree(cli: Cli) -> None:
    with Inspection.open("notes") as view:
        expected = list(view.listing(EngramFilter("all")).documents())
    document = cli.ok("list", "notes", "--type", "all", "--json").json
    assert document == {"step": 14, "count": len(expected), "engrams": expected}
    lines = cli.ok("list", "notes", "--type", "all", "--format", "jsonl").out.splitlines()
    assert [json.loads(line) for line in lines] == expected
    text = cli.ok("list", "notes", "--type", "all", "--format", "csv").out
    table = list(csv.DictReader(io.StringIO(text, newline="")))
    assert table == [
        {name: "" if value is None else str(value) for name, value in one.items()}
        for one in expected
    ]
    assert tuple(table[0]) == FIELDS
    shown = cli.ok("list", "notes", "--type", "all", "--full", "-n", 0).out.splitlines()
    assert shown[0] == "engrams"
    assert len(shown) == len(expected) + 2
    for one, line in zip(expected, shown[2:], strict=True):
        assert line.split()[:3] == [str(one["id"]), "0", one["type"]]
        assert one["text"] in line


def test_filters_reach_the_library(cli: Cli) -> None:
    document = cli.ok(
        *("list", "notes", "--type", "forgotten", "--text", "CAT", "--source", "d*.txt"),
        *("--age", "2..9", "--fired", "1..", "--lifespan", "..0", "--lane", 0, "--since", "1h"),
        *("--until", "2999-01-01", "--id", "1", "--id", "0..5", "--sort", "fires", "--reverse"),
        "--json",
    ).json
    engrams = document["engrams"]
    assert engrams
    for one in engrams:
        assert "cat" in one["text"].lower()
        assert one["type"] == "forgotten"
        assert 2 <= one["age"] <= 9
        assert one["id"] <= 5 or str(one["id"]).startswith("1")
    fires = [one["fire_count"] for one in engrams]
    assert fires == sorted(fires, reverse=True)
    assert cli.ok("list", "notes", "--since", "2999-01-01", "--json").json["engrams"] == []
    assert cli.ok("list", "notes", "--text", "no such").out == "living engrams: none\n"


def test_the_past(cli: Cli) -> None:
    document = cli.ok("list", "notes@3", "--type", "all", "--json").json
    assert document["step"] == 3
    assert {one["created_step"] for one in document["engrams"]} == {1, 2, 3}
    assert {one["age"] for one in document["engrams"] if one["created_step"] == 3} == {1}
    assert cli("list", "notes@99").code == 2


def test_pinned_engrams(cli: Cli) -> None:
    with MemoryStore.open("notes", "r+") as store:
        one = cli.ok("list", "notes", "--json").json["engrams"][-1]["id"]
        store.pin([one])
    pinned = cli.ok("list", "notes", "--pinned", "--json").json["engrams"]
    assert [engram["id"] for engram in pinned] == [one]
    others = cli.ok("list", "notes", "--not-pinned", "--json").json["engrams"]
    assert one not in [engram["id"] for engram in others]
    assert ", pinned" in cli.ok("list", "notes", "--id", one).out
    assert ", pinned" not in cli.ok("list", "notes", "--not-pinned").out
    told = cli.ok("diff", "notes@14", "notes").out
    assert "pinned or unpinned: 1\n" in told


def test_the_limit_says_how_many_are_left_out(cli: Cli) -> None:
    whole = cli.ok("list", "notes", "--json").json
    for more in (["--json"], [], ["--format", "csv"], ["--format", "jsonl"]):
        ran = cli("list", "notes", "--limit", 2, *more)
        assert ran.code == 0
        assert ran.err.startswith(f"{whole['count'] - 2} more engrams are left out")
        assert ran.err.count("\n") == 1
    few = cli("list", "notes", "--limit", 2, "--json").json
    assert few == {**whole, "engrams": whole["engrams"][:2]}
    assert cli.ok("list", "notes", "--limit", whole["count"], "--json").json == whole


def test_a_table_has_an_end(cli: Cli) -> None:
    config = MemoriaConfig(hidden_dim=2, backbone="array", initial_lifespan=9)
    with MemoryStore.create("many", config) as store:
        store.step(np.ones((1, 1003, 2), np.float32))
    shown = cli.ok("list", "many").out.splitlines()
    assert shown[0] == "living engrams, 10 of 1,003; -n 0 lists all"
    assert len(shown) == 12
    assert len(cli.ok("list", "many", "-n", 0).out.splitlines()) == 1005
    assert len(cli.ok("list", "many", "--format", "jsonl").out.splitlines()) == 1003
    assert len(cli.ok("list", "many", "--json").json["engrams"]) == 1003


def test_hostile_texts_stay_harmless(cli: Cli, bad: str) -> None:
    shown = cli.ok("list", bad).out
    assert "\\x1b[2J" in shown
    for out in (
        shown,
        cli.ok("list", bad, "--format", "jsonl").out,
        cli.ok("list", bad, "--json").out,
    ):
        assert not {"\x1b", "\x07", "\u202e", "\x7f", "\r"} & set(out)
    piped = cli.ok("list", bad, "--format", "csv").out
    first, second = csv.DictReader(io.StringIO(piped, newline=""))
    assert (first["text"], first["source"], first["offset"]) == (BAD, BAD, "1")
    assert (second["text"], second["source"], second["offset"]) == ("=1+1", "", "")


def test_line_ends_within_a_text_break_no_row(cli: Cli) -> None:
    texts = ["one\rtwo", "one\ntwo", "one\r\ntwo", "\r", 'a "quote", and a comma']
    with MemoryStore.create("ends", MemoriaConfig(hidden_dim=2, backbone="array")) as store:
        store.step(np.ones((5, 2), np.float32), texts=texts)
    table = cli.ok("list", "ends", "--format", "csv").out
    rows = csv.DictReader(io.StringIO(table, newline=""))
    assert [row["text"] for row in rows] == texts


def test_a_terminal_gets_csv_without_escapes(cli: Cli, bad: str) -> None:
    leader, follower = pty.openpty()
    with os.fdopen(leader, "rb", buffering=0) as shown:
        arguments = command_line("list", bad, "--format", "csv")
        subprocess.run(arguments, stdout=follower, env=environment(), check=True, timeout=60)
        text = os.read(shown.fileno(), 65536).decode()
        os.close(follower)
    assert "\\x1b[2J" in text
    assert not {"\x1b", "\x07", "\u202e", "\x7f"} & set(text)
    assert len(text.splitlines()) == 3


def test_errors_are_one_line_and_nothing_changes(cli: Cli, tmp_path: Path) -> None:
    before = fingerprint(tmp_path)
    cases = [
        (("nowhere",), 10, "no store"),
        (("notes", "--age", "x"), 2, "age = 'x'"),
        (("notes", "--lifespan", "5..1"), 2, "lifespan = '5..1'"),
        (("notes", "--fired", "nan"), 2, "fired = 'nan'"),
        (("notes", "--since", "soon"), 2, "since = 'soon'"),
        (("notes", "--until", "9"), 2, "until = '9'"),
        (("notes", "--id", "x"), 2, "id = 'x'"),
        (("notes", "--lane", 1), 2, "lane = 1"),
        (("notes", "--type", "dreams"), 2, "--type"),
        (("notes", "--format", "xml"), 2, "--format"),
        (("notes", "--json", "--format", "csv"), 2, "exclude each other"),
        (("notes", "--limit", -1), 2, "--limit"),
    ]
    for arguments, code, part in cases:
        ran = cli("list", *arguments)
        assert (ran.code, ran.out) == (code, ""), ran
        assert part in ran.err
        assert ran.err.count("\n") == 1
    cli.ok("list", "notes", "--type", "all")
    assert fingerprint(tmp_path) == before


def test_listing_loads_nothing_heavy(cli: Cli) -> None:
    probe = (
        "import sys; from memoria_cli.__main__ import main\n"
        "codes = [main(['list', 'notes', *more]) for more in ([], ['--json'], ['--help'],"
        " ['--type', 'all', '--text', 'cat', '--source', '*', '--format', 'csv'])]\n"
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


def test_records_are_found_by_their_file(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "chat.jsonl").write_text('{"text": "One bee."}\n{"text": "Two bees."}\n')
    cli.ok("init", "chats", "--backbone", "hash", "--wm-length", 2)
    cli.ok("step", "chats", "chat.jsonl")
    for glob, found in (("chat.jsonl", 2), ("chat*", 2), ("chat.jsonl:2", 1), ("chat", 0)):
        count = cli.ok("list", "chats", "--source", glob, "--json").json["count"]
        assert count == found, glob
        asked = cli.ok("ask", "chats", "bees?", "--source", glob, "--json").json
        assert len(asked["answers"]) == found, glob


def test_a_text_is_found_however_its_letters_are_composed(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "cafe\u0301.txt").write_text("Le cafe\u0301 est bon.", encoding="utf-8")
    cli.ok("init", "st", "--backbone", "hash")
    texts = ("\u1112\u1161\u11ab\u1100\u1173\u11af.", "ＦＵＬＬ width. Große Straße.")
    cli.ok("step", "st", "cafe\u0301.txt", "--text", texts[0], "--text", texts[1])
    for part, count in (
        ("CAF\u00c9", 1),
        ("한글", 1),
        ("full", 1),
        ("STRASSE", 1),
        ("cafe\u0300", 0),
    ):
        assert cli.ok("list", "st", "--text", part, "--json").json["count"] == count, part
    for source, count in (("caf\u00e9.*", 1), ("caf\u00e8.*", 0)):
        assert cli.ok("list", "st", "--source", source, "--json").json["count"] == count
    for question, first in (("caf\u00e9", 0), ("한글", 1), ("full", 2)):
        assert cli.ok("ask", "st", question, "--json").json["answers"][0]["id"] == first
