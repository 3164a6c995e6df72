"""Where verbs may write: never into a store, and over nothing but regular files."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from cli_tools import DIARY, Cli, fingerprint


@pytest.fixture(autouse=True)
def _notes(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text(DIARY, encoding="utf-8")
    cli.ok("init", "notes", "--hidden-dim", 16)
    cli.ok("step", "notes", "diary.txt")
    cli.ok("snapshot", "create", "notes", "now")
    cli.ok("export", "notes", "notes.zip")


INTO_THE_STORE = [
    "export notes notes/x.zip",
    "export notes notes/copy --format zarr",
    "export notes notes/tables --format parquet",
    "export notes notes/x.jsonl",
    "export notes notes/x.graphml",
    "export notes notes/log/x.jsonl",
    "export notes.zip notes/x.jsonl",
    "import notes.zip notes/again",
    "init notes/inner",
    "encode diary.txt -o notes/x.npy --backbone hash",
    "remind notes --peek --cue-text bees -o notes/r.npz",
    "replay notes --set stm_capacity=2 -o notes/other",
    "replay notes --sample 1 -o notes/s.npz",
    "replay notes --render notes/a.gif",
    "plot notes sizes -o notes/a.png",
    "plot notes sizes -o notes/a.csv",
    "report notes -o notes/a.html",
    "snapshot restore notes now -o notes/then",
    "experiment run sorting --set steps=1 --set models=none --seeds 1 -o notes/runs",
]


@pytest.mark.parametrize("command", INTO_THE_STORE)
def test_no_verb_writes_into_a_store(cli: Cli, command: str) -> None:
    before = fingerprint(Path("notes"))
    for more in ((), ("--force",)):
        if more and command.split()[0] not in ("export", "report", "plot"):
            continue
        ran = cli(*command.split(), *more)
        assert "--force" in ran.err or "lies in the store itself" in ran.err
        assert ran.code == 2
    assert fingerprint(Path("notes")) == before
    assert cli("verify", "notes").code == 0


@pytest.mark.parametrize(
    "command",
    [
        "export notes {}.jsonl",
        "export notes {}.graphml",
        "export notes {}.zip",
        "plot notes sizes -o {}.csv",
        "report notes -o {}.html",
    ],
)
def test_force_writes_through_pipes_and_refuses_links(cli: Cli, command: str) -> None:
    (name,) = [part for part in command.split() if "{}" in part]
    pipe, link, target = (Path(name.format(one)) for one in ("pipe", "link", "target"))
    os.mkfifo(pipe)
    target.write_text("old")
    link.symlink_to(target)
    refused = cli(*command.format("link").split(), "--force")
    assert refused.code == 1
    assert "symbolic link" in refused.err
    assert target.read_text() == "old"
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    cli.ok(*command.format("pipe").split(), "--force")
    reader.join()
    assert pipe.is_fifo()
    cli.ok(*command.format("plain").split())
    assert read == [Path(name.format("plain")).read_bytes()]


def test_a_dash_is_standard_output(cli: Cli) -> None:
    cli.ok("export", "notes", "plain.jsonl")
    command = [sys.executable, "-m", "memoria_cli", "export", "notes", "-"]
    ran = subprocess.run(command, capture_output=True, check=True)
    assert ran.stdout == Path("plain.jsonl").read_bytes()
    assert b"engrams" in ran.stderr
    assert not Path("-").exists()
    zipped = subprocess.run([*command, "--format", "zip"], capture_output=True, check=True)
    assert zipped.stdout == Path("notes.zip").read_bytes()
