"""Every verb that changes a memory leaves a record of where the memory stood before it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from memoria.store.reading import open_files
from memoria.store.schema import CommandColumn


def commands(path: str) -> list[tuple[str, int, int]]:
    """Each recorded command: its words, finished steps and events when it began."""
    files = open_files(path)
    try:
        table, raw = files.read("commands/index"), files.read("commands/bytes").tobytes()
    finally:
        files.close()
    ends = table[:, CommandColumn.END].tolist()
    words = [raw[a:b].decode() for a, b in zip([0, *ends], ends, strict=False)]
    columns = (table[:, CommandColumn.STEP], table[:, CommandColumn.EVENTS])
    return list(zip(words, *(column.tolist() for column in columns), strict=True))


@pytest.fixture
def notes(cli: Callable[..., object]) -> str:
    Path("diary.txt").write_text("The bees came back. It rained all day. The hive is full.")
    cli("init", "notes", "--wm-length", "1")
    return "notes"


def test_a_step_is_recorded_once_however_often_it_commits(
    cli: Callable[..., object], notes: str
) -> None:
    cli("step", notes, "diary.txt", "--commit-every", "0")
    assert commands(notes) == [("step", 0, 0)]
    cli("step", notes, "diary.txt", "--limit", "1")
    assert commands(notes) == [("step", 0, 0), ("step", 3, 0)]


def test_events_by_hand_are_recorded_and_what_changes_nothing_is_not(
    cli: Callable[..., object], notes: str
) -> None:
    cli("step", notes, "diary.txt")
    cli("pin", notes, "1")
    cli("pin", notes, "1")  # it is pinned already
    cli("forget", notes, "0", "--yes")
    cli("remind", notes, "--peek", "--cue-text", "bees")
    assert commands(notes) == [("step", 0, 0), ("pin", 3, 0), ("forget", 3, 1)]


def test_the_three_verbs_of_a_step_are_recorded_where_it_began(
    cli: Callable[..., object], notes: str
) -> None:
    cli("add", notes, "--text", "A new queen.")
    cli("remind", notes)
    cli("adjust", notes)
    assert commands(notes) == [("add", 0, 0), ("remind", 0, 0), ("adjust", 0, 0)]
