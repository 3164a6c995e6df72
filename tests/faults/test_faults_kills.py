"""`memoria step` killed at work: what a commit acknowledged is there, and nothing comes twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from fault_kills import kills


def check(folder: Path, count: int) -> None:
    tally = kills(folder, count)
    assert tally.problems == []
    assert tally.lost == 0
    assert tally.tried == count
    assert tally.acknowledged > count


@pytest.mark.slow
def test_killed_processes_lose_nothing_they_acknowledged(tmp_path: Path) -> None:
    check(tmp_path, 25)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_thousand_killed_processes_lose_nothing_they_acknowledged(tmp_path: Path) -> None:
    check(tmp_path, 1000)
