"""`memoria diff`: its document, what people see of it, and its errors."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_tools import Cli, environment, fingerprint

from memoria import MemoriaConfig
from memoria.query.diff import compare
from memoria.query.inspection import Inspection
from memoria.store import MemoryStore

pytestmark = pytest.mark.usefixtures("notes")


def test_the_document_is_the_one_of_the_library(cli: Cli) -> None:
    document = cli.ok("diff", "notes@3", "notes", "--json", "--limit", 5).json
    with Inspection.open("notes", at=3) as a, Inspection.open("notes") as b:
        assert document == compare(a, b, limit=5)
    assert document["relation"] == "continues"
    assert document["counts"]["forgotten"] == 6
    assert len(document["born"]) == 5


def test_what_people_see(cli: Cli) -> None:
    told = cli.ok("diff", "notes@3", "notes").out
    assert told.startswith("B goes on from A\n")
    assert "forgotten: 6\n" in told
    assert "The cat sat on the mat." in told
    assert "beyond ageing" in cli.ok("diff", "notes@3", "notes@5").out
    assert cli.ok("diff", "notes", "notes@3").out.startswith("A goes on from B\n")
    assert cli.ok("diff", "notes", "notes").out.startswith("B is the same as A\n")
    assert "the first 2\n" in cli.ok("diff", "notes@3", "notes", "--limit", 2).out


def test_stores_that_parted_and_strangers(cli: Cli) -> None:
    shutil.copytree("notes", "other")
    cli.ok("step", "notes", "--text", "Something happened here.")
    cli.ok("step", "other", "--text", "Something else happened there.")
    told = cli.ok("diff", "notes", "other").out
    assert told.startswith("A and B parted after step 14\n")
    assert "in A only: 1\n" in told
    cli.ok("init", "new", "--seed", 7)
    told = cli.ok("diff", "notes", "new").out
    assert told.startswith("A and B are not related\n")
    assert "settings that differ" in told
    assert "seed" in told


def test_hostile_texts_reach_no_terminal(cli: Cli) -> None:
    bad = "\x1b[2J\x07 \u202eleft\nsecond line"
    with MemoryStore.create("bad", MemoriaConfig(hidden_dim=4, backbone="array")) as store:
        for _ in range(2):
            store.step(np.eye(4, dtype=np.float32)[:2], texts=[bad, bad])
    for a, b in (("bad@0", "bad"), ("bad@1", "bad"), ("bad", "bad@1")):
        told = cli.ok("diff", a, b).out
        assert "\\x1b[2J" in told
        assert not {"\x1b", "\x07", "\u202e"} & set(told)


def test_many_connections_are_compared_when_asked(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memoria.query.diff.COMPARED_PAIRS", 3)
    told = cli.ok("diff", "notes@3", "notes")
    assert "--connections does" in told.out
    assert cli.ok("diff", "notes@3", "notes", "--json").json["connections"] is None
    document = cli.ok("diff", "notes@3", "notes", "--json", "--connections").json
    assert document["counts"]["connections"] > 0


def test_errors_are_one_line_and_nothing_changes(cli: Cli, tmp_path: Path) -> None:
    before = fingerprint(tmp_path)
    cases = [
        (("nowhere", "notes"), 10, "no store"),
        (("notes", "nowhere"), 10, "no store"),
        (("notes@99", "notes"), 2, "step = 99"),
        (("notes", "notes@name"), 2, "snapshot = 'name'"),
        (("notes",), 2, "B"),
        (("notes", "notes", "--limit", -1), 2, "--limit"),
    ]
    for arguments, code, part in cases:
        ran = cli("diff", *arguments)
        assert (ran.code, ran.out) == (code, ""), ran
        assert part in ran.err
        assert ran.err.count("\n") == 1
    cli.ok("diff", "notes@1", "notes")
    assert fingerprint(tmp_path) == before


def test_comparing_loads_nothing_heavy(cli: Cli) -> None:
    probe = (
        "import sys; from memoria_cli.__main__ import main\n"
        "codes = [main(['diff', *more]) for more in (['notes@2', 'notes'], ['--help'])]\n"
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
    assert "LOADED [0, 0] []" in done.stdout
