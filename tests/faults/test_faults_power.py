"""The power goes at any instant of any operation: no step that was acknowledged is lost.

Every prefix of what an operation did to the disk is replayed, with what was not fsynced dropped in
several ways. Leaving out any one group of fsyncs must break a store, or the test is blind.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
from fault_operations import OPERATIONS
from fault_runs import Recording, power_loss

LONG = "compact twice"
ROOTS = ("zarr.json.tmp", "zarr.json.old.tmp")


def is_chunk(what: str, path: str) -> bool:
    return what == "fsync" and PurePosixPath(path).name.startswith("c.")


def is_root(what: str, path: str) -> bool:
    return what == "fsync" and PurePosixPath(path).name in ROOTS


def is_directory(what: str, path: str) -> bool:
    return what == "fsync_dir" and len(PurePosixPath(path).parts) > 1


def is_store_directory(what: str, path: str) -> bool:
    return what == "fsync_dir" and len(PurePosixPath(path).parts) == 1


def is_parent(what: str, path: str) -> bool:
    return what == "fsync_dir" and path == "."


EVERY_GROUP = (is_chunk, is_root, is_directory, is_store_directory)
CONTROLS = [
    *(("step", group) for group in EVERY_GROUP),
    *(("many commits", group) for group in EVERY_GROUP),
    *(("checkpoint", group) for group in EVERY_GROUP),
    *(("compact", group) for group in EVERY_GROUP),
    *(("restore in place", group) for group in EVERY_GROUP),
    *(("copy to a new store", group) for group in (*EVERY_GROUP, is_parent)),
    *(("init", group) for group in (is_root, is_directory, is_store_directory, is_parent)),
    ("add, remind, adjust", is_chunk),
    ("snapshot", is_root),
    ("snapshot", is_store_directory),
]


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != LONG])
def test_an_operation_survives_the_loss_of_power(quick_folder: Path, name: str) -> None:
    recording = Recording.of(OPERATIONS[name], quick_folder)
    tally = power_loss(recording, quick_folder / "after", survivals=(0.0, 0.6), step_on=25)
    assert tally.problems == []
    assert tally.lost == 0
    assert tally.tried == 2 * (len(recording.done) + 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_survives_every_loss_of_power(quick_folder: Path, name: str) -> None:
    recording = Recording.of(OPERATIONS[name], quick_folder)
    assert power_loss(recording, quick_folder / "after").problems == []


@pytest.mark.parametrize(("name", "group"), CONTROLS)
def test_every_group_of_fsyncs_is_needed(
    quick_folder: Path, name: str, group: Callable[[str, str], bool]
) -> None:
    recording = Recording.of(OPERATIONS[name], quick_folder)
    assert any(group(*one[:2]) for one in recording.done)
    tally = power_loss(
        recording,
        quick_folder / "after",
        group,
        survivals=(0.0, 0.6),
        step_on=10**9,
        to_the_end=False,
    )
    assert tally.problems
