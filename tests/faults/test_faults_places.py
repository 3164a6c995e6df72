"""Full and read-only file systems, limits, clocks, locks: every step is kept, work goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fault_kills import Nursery, nursery
from fault_places import (
    NoMountError,
    clock_jumps,
    dead_holders,
    full_disk,
    other_hosts,
    read_only,
    size_limit,
)
from fault_runs import Tally


def check(tally: Tally) -> None:
    assert tally.problems == []
    assert tally.lost == 0
    assert tally.acknowledged >= 6 * tally.tried > 0


@pytest.mark.parametrize("fault", [full_disk, read_only])
def test_a_file_system_that_takes_nothing(tmp_path: Path, fault: Callable[[Path], Tally]) -> None:
    try:
        tally = fault(tmp_path)
    except NoMountError as error:  # test_faults_disk.py does the same through the disk seam
        pytest.skip(f"mounting needs more rights: {error}")
    check(tally)


@pytest.mark.parametrize("fault", [clock_jumps, other_hosts])
def test_clocks_and_hosts(tmp_path: Path, fault: Callable[[Path], Tally]) -> None:
    check(fault(tmp_path))


@pytest.fixture(scope="module")
def made() -> Iterator[Nursery]:
    with nursery() as one:
        yield one


@pytest.mark.parametrize("fault", [size_limit, dead_holders])
def test_processes(made: Nursery, tmp_path: Path, fault: Callable[[Nursery, Path], Tally]) -> None:
    check(fault(made, tmp_path))
