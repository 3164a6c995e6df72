"""Texts of every form, from the shell to an answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_tools import Cli

from memoria.store.meta_matching import has_meta

NOTE = """---
title: Garden
date: 2026-03-01
tags: [spring, wax]
---
# Beekeeping

They dance in the morning.

# Clocks

They are wound in the evening.
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli) -> Path:
    monkeypatch.chdir(tmp_path)
    cli.ok("init", "notes", "--backbone", "hash")
    return tmp_path


def listed(cli: Cli, *options: str) -> list[str]:
    found = cli.ok("list", "notes", *options, "--limit", 0, "--json").json["engrams"]
    return [one["text"] for one in found]


def test_a_heading_helps_to_find_what_stands_below_it(cli: Cli, here: Path) -> None:
    Path("garden.md").write_text(NOTE)
    cli.ok("step", "notes", "garden.md")
    assert len(listed(cli)) == 2
    for question, text in (
        ("what about beekeeping?", "They dance in the morning."),
        ("what about clocks?", "They are wound in the evening."),
    ):
        best = cli.ok("ask", "notes", question, "--top", 1, "--json").json["answers"][0]
        assert (best["text"], best["meta"]["title"]) == (text, "Garden")
        assert best["time"] == 1772323200000
    assert len(listed(cli, "--since", "2026-02-28", "--until", "2026-03-02")) == 2
    assert listed(cli, "--since", "2026-03-02") == []
    assert len(listed(cli, "--meta", "tags=wax")) == 2
    assert listed(cli, "--meta", "tags=honey") == []


def test_options_of_reading(cli: Cli, here: Path) -> None:
    records = [{"m": {"c": "One. Two."}, "at": "1970-01-02"}, {"m": {}}]
    Path("a.log").write_text("".join(json.dumps(one) + "\n" for one in records))
    options = ["--text-field", "m.c", "--time-field", "at", "--unit", "record"]
    refused = cli("step", "notes", "a.log", *options)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "a.log: line 2: no field 'm.c'" in refused.err
    assert listed(cli) == []
    ran = cli("step", "notes", "a.log", *options, "--skip-bad")
    assert ran.code == 0
    assert "a.log: line 2: no field 'm.c'" in ran.err
    [one] = cli.ok("list", "notes", "--json").json["engrams"]
    assert (one["text"], one["time"], one["source"]) == ("One. Two.", 86400000, "a.log:1:m.c")
    ran = cli("step", "notes", "--text", "one.  TWO.", "--unit", "record", "--dedup")
    assert "such as engram 0: passed over" in ran.err
    assert len(listed(cli)) == 1


def test_two_fields_of_the_same_records_are_both_read(cli: Cli, here: Path) -> None:
    Path("qa.jsonl").write_text('{"q":"What is a bee?","a":"An insect."}\n')
    Path("qa.csv").write_text("q,a\nWhat is wax?,A fat.\n")
    for file in ("qa.jsonl", "qa.csv"):
        for _ in range(2):
            for field in ("q", "a"):
                cli.ok("step", "notes", f"{file}:{field}", "--resume")
    expected = ["What is a bee?", "An insect.", "What is wax?", "A fat."]
    assert listed(cli) == expected


def test_what_a_command_says_is_read(cli: Cli, here: Path) -> None:
    root = str(Path(__file__).parents[2])
    command = f'"{sys.executable}" -m memoria_cli step notes <(echo \'{{"text": "From a pipe."}}\')'
    subprocess.run(
        ["bash", "-c", command],
        env={**os.environ, "PYTHONPATH": root},
        check=True,
        capture_output=True,
    )
    assert listed(cli) == ["From a pipe."]


@pytest.mark.parametrize(
    ("held", "wanted", "is_there"),
    [
        ({"a": 3}, {"a": "3"}, True),
        ({"a": True}, {"a": "True"}, True),
        ({"a": ["x", "y"]}, {"a": "y"}, True),
        ({"a": ["x", "y"]}, {"a": ["x", "y"]}, True),
        ({"a": "cafe\u0301"}, {"a": "caf\u00e9"}, True),
        ({"a": "x"}, {"b": "x"}, False),
        ({"a": "xy"}, {"a": "x"}, False),
        (None, {"a": "x"}, False),
    ],
)
def test_values_of_meta(
    held: dict[str, object] | None, wanted: dict[str, object], is_there: bool
) -> None:
    assert has_meta(held, wanted) is is_there
