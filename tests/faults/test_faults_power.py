"""The power goes at any instant of any operation: no step that was acknowledged is lost.

Every prefix of what an operation did to the disk is replayed, with what was not fsynced dropped in
several ways. Leaving out any one group of fsyncs must break a store, or the test is blind.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from fault_operations import OPERATIONS
from fault_power import CONTROLS, Group, breaks, recorded
from fault_runs import Recording, power_loss

LONG = ("compact twice", "undo", "restore in place", "checkpoint", "compact")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in OPERATIONS]
)
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


@pytest.mark.parametrize("name", ["edit", "undo", "export .jsonl --force"])
def test_a_verb_survives_the_loss_of_power(quick_folder: Path, name: str) -> None:
    recording = recorded(f"memoria {name}", quick_folder)
    tally = power_loss(recording, quick_folder / "after", survivals=(0.0, 0.6), step_on=25)
    assert tally.problems == []
    assert tally.tried == 2 * (len(recording.done) + 1) > 8


@pytest.mark.parametrize(("name", "group"), CONTROLS)
def test_every_group_of_fsyncs_is_needed(quick_folder: Path, name: str, group: Group) -> None:
    assert breaks(recorded(name, quick_folder), quick_folder / "after", group)
