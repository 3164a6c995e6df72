"""The command line as real processes: signals, pipes, locales, two at a time.

Starting a process with tensors takes seconds, so only what needs one runs in one.
"""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_tools import Cli, command_line, environment, process

from memoria.store import MemoryStore, read_config

PEEK = ("remind", "s", "--peek", "--cue-text", "Katze")


def committed() -> int:
    with MemoryStore.open("s") as opened:
        return opened.timestep


def started(*arguments: object, **more: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command_line(*arguments), env=environment(), stderr=subprocess.PIPE, text=True, **more
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_half_way_it_goes_on_from_what_was_committed(
    cli: Cli, tmp_path: Path, number: signal.Signals
) -> None:
    words = "cat dog moon rain market apple garden river stone light winter song".split()
    rng = np.random.default_rng(0)
    lines = [" ".join(rng.choice(words, 8)).capitalize() + "." for _ in range(4000)]
    (tmp_path / "long.txt").write_text("\n".join(lines))
    for name in ("s", "whole"):
        cli.ok("init", name, "--hidden-dim", 32)
    line = ("step", "s", "long.txt", "--commit-every", 0)
    running = started(*line, stdout=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while committed() < 3 and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(number)
    out, err = running.communicate(timeout=60)
    done = committed()
    assert 3 <= done < 500
    assert out == ""
    if number == signal.SIGKILL:
        assert running.returncode == -signal.SIGKILL
    else:
        assert running.returncode == 130
        assert err.count("\n") == 1
        assert f"{done} steps committed, the store is at step {done}" in err
        assert "--resume" in err

    resumed = cli.ok("step", "s", "long.txt", "--resume", "--limit", 5, "--json").json
    assert (resumed["timestep"], resumed["skipped"]) == (done + 5, done * 8)
    whole = cli.ok("step", "whole", "long.txt", "--limit", done + 5, "--json").json
    assert whole["digest"] == resumed["digest"]


def test_locked_by_another_process(cli: Cli) -> None:
    cli.ok("init", "s")
    hold = (
        "import sys; from memoria.chunkstore.files import StoreFiles\n"
        "files = StoreFiles.open('s', 'r+'); print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        ran = cli("add", "s", "--text", "One.")
        assert (ran.code, ran.out) == (11, "")
        assert str(holder.pid) in ran.err
    finally:
        holder.communicate(timeout=60)
    cli.ok("add", "s", "--text", "One.")


def test_a_pipe_that_closes_and_a_disk_that_is_full(cli: Cli) -> None:
    cli.ok("init", "s")
    cli.ok("step", "s", "--text", "Eine Katze.")
    reader, writer = os.pipe()
    os.close(reader)
    with open("/dev/full", "w") as full:
        to_full, to_nobody = started(*PEEK, stdout=full), started(*PEEK, stdout=writer)
    os.close(writer)
    assert to_full.communicate(timeout=60)[1] == (
        "memoria: standard output: No space left on device\n"
    )
    assert to_full.returncode == 1
    assert to_nobody.communicate(timeout=60)[1] == ""
    assert to_nobody.returncode == 0


def test_any_locale(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("Grüße an die Katze. 猫が座った。", encoding="utf-8")
    cli.ok("init", "s")
    cli.ok("step", "s", "t.txt")
    variables = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    ran = process(*PEEK, variables=variables)
    assert (ran.code, ran.err) == (0, "")
    assert "Gr\\xfc\\xdfe" in ran.out
    document = cli.ok(*PEEK, "--json").json
    assert document["lanes"][0]["reminded"][0]["text"].startswith("Grüße")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_csv_is_utf8_in_any_locale(cli: Cli, tmp_path: Path, encoding: str) -> None:
    text = "Grüße an die Katze. 猫が座った。"
    (tmp_path / "t.txt").write_text(text, encoding="utf-8")
    cli.ok("init", "s", "--unit", "line")
    cli.ok("step", "s", "t.txt")
    variables = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "LC_ALL": "C"}
    command = command_line("list", "s", "--format", "csv")
    ran = subprocess.run(command, env=environment() | variables, capture_output=True, check=True)
    (row,) = csv.DictReader(ran.stdout.decode("utf-8").splitlines())
    assert row["text"] == text


def test_a_file_name_that_is_no_text(cli: Cli, tmp_path: Path) -> None:
    name = os.fsdecode(b"s\xff")
    assert "\\udcff" in cli.ok("init", name, "--seed", 7).out
    assert read_config(tmp_path / name).seed == 7


@pytest.mark.parametrize("line", ["--help", "step --help", "snapshot", "--version"])
def test_help_into_a_pipe_that_is_closed_is_no_failure(line: str) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        command_line(*line.split()), stdout=write, stderr=subprocess.PIPE, env=environment()
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("columns", ["0", "", "-3", "wide"])
def test_help_is_there_whatever_the_width(columns: str) -> None:
    told = process("step", "--help", variables={"COLUMNS": columns})
    assert (told.code, told.err) == (0, "")
    assert "--commit-every" in told.out
