"""Cases in a process of their own, which may be killed without harm to the tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from cli_tools import environment

TESTS = Path(__file__).resolve().parents[1]


def run(kind: str, seed: int, cases: int, seconds: float) -> dict[str, Any]:
    """What `fuzzing.judge.Findings` holds after the cases; the run ends soon after ``seconds``."""
    line = [sys.executable, "-X", "faulthandler", "-m", "fuzzing", kind]
    numbers = {"--seed": seed, "--cases": cases, "--seconds": seconds}
    line += [str(word) for pair in numbers.items() for word in pair]
    done = subprocess.run(
        line,
        cwd=TESTS,
        env=environment(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1"),
        capture_output=True,
        text=True,
        timeout=seconds + 120,
    )
    assert done.returncode in (0, 1), (done.returncode, done.stderr[-3000:])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def check(kind: str, seed: int, cases: int, seconds: float) -> None:
    """Run the cases; none of them may find anything."""
    found = run(kind, seed, cases, seconds)
    assert found["problems"] == []
    assert found["calls"] >= cases // 2 or seconds < 1e6
    assert "ok" in found["outcomes"] or "exit 0" in found["outcomes"]
