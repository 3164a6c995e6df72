"""Every verb that writes, failing and killed at its k-th operation; and the one command for all."""

from __future__ import annotations

import errno
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_tools import ROOT, environment
from fault_runs import Tally
from fault_verbs import KILL, OTHERS, VERBS, Bench, bench, built_shim, verb_faults

from memoria_cli.app import VERBS as ALL

needs_shim = pytest.mark.skipif(built_shim() is None, reason="no compiler, or no Linux")


def test_every_verb_is_here_or_writes_nothing_of_its_own() -> None:
    here = {name.split()[0] for name in VERBS}
    assert here.isdisjoint(OTHERS)
    assert set(ALL) <= here | OTHERS


@needs_shim
@pytest.mark.slow
def test_the_command_finds_nothing(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.faults", "--quick", "--out", str(tmp_path / "out.json")]
    done = subprocess.run(words, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    rows = {row["fault"]: row for row in json.loads((tmp_path / "out.json").read_text())["faults"]}
    assert len(rows) >= 10
    for row in rows.values():
        assert row["problems"] == []
        assert row["lost"] == 0
        assert row["tried"] > 0
    assert rows["kill -9 of every verb"]["readings"] > 0
    assert "| kill -9 of every verb |" in done.stdout


@pytest.fixture
def work(quick_folder: Path) -> Iterator[Bench]:
    with bench(quick_folder) as made:
        yield made


@needs_shim
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", VERBS)
@pytest.mark.parametrize(
    ("code", "lasting"),
    [(KILL, False), (errno.EIO, False), (errno.ENOSPC, False), (errno.ENOSPC, True)],
)
def test_a_verb_that_fails_anywhere(work: Bench, name: str, code: int, lasting: bool) -> None:
    """Killed, or with a disk that fails or is full, at each of its operations."""
    tally = verb_faults(work, code, lasting, random.Random(0), lambda: False, [name])
    assert tally.problems == []
    assert tally.lost == 0
    assert tally.tried == tally.possible


@needs_shim
def test_a_blind_harness_would_be_noticed(work: Bench) -> None:
    """What a verb has not done is not taken for done."""
    one = work.undisturbed("edit")
    assert len(one.states) == 2
    assert one.states[0] != one.states[1]
    work.fail("edit", 0, errno.EIO, False, tally := Tally(""))
    assert tally.problems == []
    one.states[0] = one.states[1]  # as if nothing could be told apart
    work.fail("edit", 0, errno.EIO, False, tally)
    assert len(tally.problems) == 1
