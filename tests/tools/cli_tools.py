"""What the tests of the command line share: running it here or in a process, and its files."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memoria_cli.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
DIARY = (
    "The cat sat on the mat. The dog barked at the moon. It rained all night long. "
    "We went to the market. Anna bought apples and pears. The cat slept on the sofa. "
    "Dinner was late. The moon was full and bright. A dog ran through the garden.\n"
)


@dataclass(frozen=True)
class Ran:
    """What one command line did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document of stdout."""
        return json.loads(self.out)


class Cli:
    """Runs command lines in this process, in the current directory."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *arguments: object) -> Ran:
        self._capture.readouterr()
        code = main([str(one) for one in arguments])
        captured = self._capture.readouterr()
        return Ran(code, captured.out, captured.err)

    def ok(self, *arguments: object) -> Ran:
        """Like calling it; the command must succeed without a word on stderr."""
        ran = self(*arguments)
        assert (ran.code, ran.err) == (0, ""), (arguments, ran)
        return ran


def command_line(*arguments: object) -> list[str]:
    """The command line as a process of its own."""
    return [sys.executable, "-m", "memoria_cli", *[str(one) for one in arguments]]


def environment(**more: str) -> dict[str, str]:
    """Of a process that finds the package and has a wide page."""
    path = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), str(ROOT)])
    wide = {"PYTHONPATH": path, "COLUMNS": "200", "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}
    return {**os.environ, **wide, **more}


def process(*arguments: object, variables: Mapping[str, str] = {}, **more: Any) -> Ran:
    """Run the command line in a process of its own."""
    done = subprocess.run(
        command_line(*arguments),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        env=environment(**variables),
        **more,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def fingerprint(folder: Path) -> dict[str, str]:
    """Every file below ``folder`` with the hash of its bytes."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows(*shape: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Random vectors."""
    return np.random.default_rng(seed).random(shape, dtype=np.float32)
