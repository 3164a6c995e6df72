"""Verbs that correct and teach a memory: edit, used, undo, snapshots of steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_tools import Cli, fingerprint
from spec_reader import SpecReader

from memoria.io.text_unit import hash_unit
from memoria.store import MemoryStore
from memoria.store.verify import verify

STORY = "The cat sat on the mat. Dinner was late. The bell rang at noon. Fog came in."


@pytest.fixture
def notes(cli: Cli, tmp_path: Path) -> Path:
    (tmp_path / "story.txt").write_text(STORY)
    cli.ok("init", "notes", "--backbone", "hash", "--wm-length", 1)
    cli.ok("step", "notes", "story.txt")
    return tmp_path / "notes"


def vectors(path: Path, engram: int) -> list[float]:
    with MemoryStore.open(path) as store:
        found: list[float] = store.files.vectors(np.array([engram]))[0].tolist()
        return found


def test_edit_gives_another_text_with_its_vector_and_meta(cli: Cli, notes: Path) -> None:
    cli.ok("edit", "notes", 1, "--meta", "day=3", "--meta", "who=Ann")
    before = vectors(notes, 1)
    document = cli.ok("edit", "notes", 1, "--text", "Fog came in.", "--json").json
    assert document == {"step": 4, "id": 1, "text": "Fog came in.", "meta": None}
    assert vectors(notes, 1) == vectors(notes, 3) != before
    cli.ok("edit", "notes", 1, "--meta", "day=4")
    (row,) = cli.ok("list", "notes", "--id", "1", "--json").json["engrams"]
    assert (row["text"], row["meta"]) == ("Fog came in.", {"day": 4, "who": "Ann"})
    assert cli("edit", "notes", 1).code == 2
    assert cli("edit", "notes", 1, "--text", " ").code == 2
    assert cli("edit", "notes", 99, "--text", "x").code == 2
    assert verify(notes).findings == ()


def test_used_gives_lifespan_and_keeps_the_question(cli: Cli, notes: Path) -> None:
    before = SpecReader(notes).state().engrams
    document = cli.ok("used", "notes", 2, 0, "--question", "when did it ring?", "--json").json
    assert document == {"step": 4, "used": [0, 2], "gain": 50.0, "question": "when did it ring?"}
    cli.ok("used", "notes", 1, "--gain", 7)
    after = SpecReader(notes).state().engrams
    gains = [after[i].expiry - before[i].expiry for i in range(4)]
    assert gains == [50.0, 7.0, 50.0, 0.0]
    with MemoryStore.open(notes) as store:
        (cue,) = store.confirmed_cues()
        assert (cue.text, cue.ids) == ("when did it ring?", (0, 2))
        assert cue.vector is not None
    assert cli("used", "notes", 77).code == 2
    assert cli("used", "notes", 1, "--gain", -1).code == 2


def test_undo_takes_back_the_last_command(cli: Cli, notes: Path) -> None:
    digest = cli.ok("inspect", "notes", "--json").json["digest"]
    cli.ok("edit", "notes", 1, "--text", "wrong")
    cli.ok("step", "notes", "--text", "Snow falls. The keeper reads.")
    told = fingerprint(notes)
    plan = cli.ok("undo", "notes", "--dry-run", "--json").json
    assert (plan["commands"], plan["lost_steps"], plan["dry_run"]) == (["step"], 2, True)
    assert fingerprint(notes) == told
    asked = cli("undo", "notes")
    assert (asked.code, "--yes" in asked.err) == (2, True)
    assert cli.ok("undo", "notes", "--yes", "--json").json["step"] == 4
    assert "undone: edit" in cli.ok("undo", "notes", "--yes").out
    assert cli.ok("inspect", "notes", "--json").json["digest"] == digest
    cli.ok("undo", "notes", "--yes")
    nothing = cli("undo", "notes", "--yes")
    assert (nothing.code, "no command" in nothing.err) == (2, True)
    assert verify(notes).findings == ()
    cli.ok("step", "notes", "story.txt")
    assert cli.ok("inspect", "notes", "--json").json["digest"] == digest


def test_a_step_can_be_named_and_gone_back_to(cli: Cli, notes: Path, tmp_path: Path) -> None:
    then = cli.ok("inspect", "notes@2", "--json").json["digest"]
    assert cli.ok("snapshot", "create", "notes@2", "early", "--json").json["digest"] == then
    assert cli("snapshot", "create", "notes@9", "never").code == 2
    cli.ok("snapshot", "restore", "notes@3", "-o", "copy")
    assert cli.ok("inspect", "copy", "--json").json["step"] == 3
    for words in (("notes",), ("notes@2", "early")):
        assert cli("snapshot", "restore", *words, "--yes").code == 2
    back = cli.ok("snapshot", "restore", "notes@2", "--yes", "--json").json
    assert (back["step"], back["digest"], back["name"]) == (2, then, 2)
    assert verify(notes).findings == ()


def test_forgetting_a_source_tells_the_first_and_counts_the_rest(cli: Cli, notes: Path) -> None:
    (notes.parent / "b.txt").write_text("\n".join(f"Line {n}." for n in range(1100)))
    cli.ok("step", "notes", "b.txt", "--wm-length", 100)
    asked = ("forget", "notes", "--source", "b.*", "--dry-run")
    shown = cli(*asked)
    assert "would forget: 1,100 engrams" in shown.out
    assert shown.out.count("Line ") == 10
    assert "1,090 more are not named" in shown.err
    document = cli(*asked, "--json").json
    assert (document["count"], len(document["forgotten"])) == (1100, 1000)
    assert len(cli.ok(*asked, "--json", "--limit", 0).json["forgotten"]) == 1100
    assert len(cli.ok(*asked, "--json", "--limit", 7).json["forgotten"]) == 7
    many = cli(*asked, "--limit", 1050)
    assert "would forget: 1,050 engrams" in many.out
    assert many.out.count("Line ") == 10
    assert len(cli(*asked, "--json", "--limit", 1050).json["forgotten"]) == 1000
    done = cli("forget", "notes", "--source", "b.*", "--yes", "--json").json
    assert done["count"] == 1100
    assert len(cli.ok("list", "notes", "--json").json["engrams"]) == 4
    assert verify(notes).findings == ()


def holding(path: Path, words: bytes) -> list[Path]:
    return [file for file in path.rglob("*") if file.is_file() and words in file.read_bytes()]


def test_erasing_leaves_nothing_in_any_file_but_what_snapshots_hold(cli: Cli, notes: Path) -> None:
    cli.ok("edit", "notes", 1, "--text", "Supper was cold.")
    cli.ok("ask", "notes", "what was cold?")
    cli.ok("snapshot", "create", "notes", "held")
    held = cli("forget", "notes", 1, "--erase", "--yes", "--json")
    assert held.json["erased"] == {"count": 0, "held": [1], "snapshots": ["held"], "waiting": False}
    assert "delete these and erase again" in held.err
    assert holding(notes, b"Supper was cold")
    cli.ok("snapshot", "delete", "notes", "held", "--yes")
    erased = cli("forget", "notes", 1, "--erase", "--yes", "--json").json["erased"]
    assert (erased["count"], erased["held"]) == (1, [])
    for words in (b"Supper", b"supper", b"Dinner", b"dinner"):
        assert holding(notes, words) == []
    assert verify(notes).findings == ()
    assert "Dinner" not in cli.ok("list", "notes", "--type", "all", "--json").out
    with MemoryStore.open(notes) as store:
        (reading,) = store.readings()
        units = {unit.engram: unit.hash for unit in store.units(reading)}
    assert (units[1], reading.content) == (bytes(16), b"\xff" * 32)
    assert units[0] == hash_unit("The cat sat on the mat.")
    gone = cli("forget", "notes", 1, "--erase", "--yes")
    assert (gone.code, "compaction has removed it" in gone.err) == (2, True)
    cli.ok("step", "notes", "--text", "It goes on.")
    assert verify(notes).findings == ()
