"""A disk that fails at any one operation, and readers that come between any two."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from fault_operations import OPERATIONS
from fault_runs import Recording, disk_errors, readers_at_every_instant

SHORT = [name for name in OPERATIONS if name != "compact twice"]


@pytest.mark.parametrize("name", SHORT)
def test_an_error_of_the_disk_loses_nothing(quick_folder: Path, name: str) -> None:
    recording = Recording.of(OPERATIONS[name], quick_folder)
    every = max(1, len(recording.done) // 12)
    tally = disk_errors(recording, quick_folder / "again", errno.EIO, every=every)
    assert tally.problems == []
    assert tally.lost == 0
    assert tally.tried > 5


@pytest.mark.parametrize("name", ["init", "step", "compact"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_stays_full_or_read_only_loses_nothing(
    quick_folder: Path, name: str, code: int
) -> None:
    recording = Recording.of(OPERATIONS[name], quick_folder)
    every = max(1, len(recording.done) // 6)
    tally = disk_errors(recording, quick_folder / "again", code, lasting=True, every=every)
    assert tally.problems == []
    assert tally.lost == 0
    assert tally.tried > 5


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("lasting", [False, True])
def test_an_error_at_every_operation_of_the_disk_loses_nothing(
    quick_folder: Path, name: str, code: int, lasting: bool
) -> None:
    recording = Recording.of(OPERATIONS[name], quick_folder)
    assert disk_errors(recording, quick_folder / "again", code, lasting).problems == []


@pytest.mark.parametrize("name", SHORT)
@pytest.mark.parametrize("held", [False, True])
def test_a_reader_sees_the_old_memory_or_the_new(quick_folder: Path, name: str, held: bool) -> None:
    """``held``: one from before stays open, and must see to the end what it saw at first."""
    if held and name == "init":
        pytest.skip("there is nothing to open before")
    recording = Recording.of(OPERATIONS[name], quick_folder)
    tally = readers_at_every_instant(recording, quick_folder / "again", held)
    assert tally.problems == []
    assert tally.lost == 0
    assert tally.tried >= 10
