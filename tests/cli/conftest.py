"""What tests of several verbs begin with."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_tools import DIARY, Cli


@pytest.fixture
def notes(cli: Cli, tmp_path: Path) -> None:
    """A store `notes` that has read a diary, and forgot some of it."""
    (tmp_path / "diary.txt").write_text(DIARY * 3, encoding="utf-8")
    cli.ok("init", "notes", "--initial-lifespan", 3, "--stm-capacity", 4, "--wm-length", 2)
    cli.ok("step", "notes", "diary.txt", "--rule", "uniform:0.5")
