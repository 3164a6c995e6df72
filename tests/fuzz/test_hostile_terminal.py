"""Texts, names and paths that would play with a terminal come out as what they are."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from cli_tools import Cli
from fuzzing.judge import CONTROLS

from memoria_cli.terminal.output import escape

STYLE = re.compile(r"\x1b\[[0-9;]*m")
EVIL = (
    "A cat\x1b[2J \x1b]0;owned\x07 \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\ \x1b]52;c;eA==\x07"
    " \x9b31m \u202eevil\u2066 \u200bzero\ufeff [link=http://x]y[/link] [/] [bold red]z \r\b\x7f"
)
NAME = "e\x1b[31m\u202e[link=x]\nvil.txt"
PLACE = "st\x1b]0;t\x07ore\n[b]\u202e"

# S: the store, I: the input with the evil name.
VERBS: tuple[tuple[str, ...], ...] = (
    ("step", "S", "I", "--text", EVIL),
    ("inspect", "S"),
    ("inspect", "S", "0"),
    ("inspect", "S", "--engrams", "--edges", "--history", "--forgotten"),
    ("list", "S", "--type", "all"),
    ("remind", "S", "--peek", "--cue-text", EVIL),
    ("snapshot", "create", "S", "name", "--note", EVIL),
    ("snapshot", "list", "S"),
    ("snapshot", "show", "S", "name"),
    ("diff", "S@1", "S"),
    ("verify", "S"),
    ("add", "S", "I", "--wm-length", "99"),
    ("remind", "S"),
    ("adjust", "S"),
)
FAILING: tuple[tuple[str, ...], ...] = (
    ("inspect", NAME),
    ("inspect", "S@" + NAME),
    ("step", "S", EVIL + ".npy"),
    ("step", "S", "I", "--unit", EVIL),
    ("add", "S", "I", "--backbone", EVIL),
    ("init", "S"),
    ("init", "new", "--config", NAME),
    ("init", "new", "--rule", EVIL),
    ("init", "new", "--preset", EVIL),
    (EVIL,),
    ("inspect", "S", "--" + EVIL),
    ("snapshot", "show", "S", EVIL),
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")
    Path(NAME).write_text(EVIL + " A dog ran. " + EVIL)
    return tmp_path


def _filled(line: tuple[str, ...]) -> list[str]:
    return [{"S": PLACE, "I": NAME}.get(word, word.replace("S@", PLACE + "@")) for word in line]


@pytest.mark.parametrize("terminal", [False, True])
def test_every_verb(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    cli = Cli(capsys)
    cli("init", PLACE, "--hidden-dim", "16", "--wm-length", "2", "--initial-lifespan", "2")
    if terminal:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm-256color")
    marked = False
    for line in VERBS:
        ran = cli(*_filled(line))
        assert ran.code == 0, (line, ran)
        for told in (STYLE.sub("", ran.out) if terminal else ran.out, ran.err):
            assert CONTROLS.search(told) is None, (line, told)
        marked |= "[bold red]z" in ran.out and "[link=http://x]y[/link] [/]" in ran.out
        assert "]8;;http" not in ran.out.replace("\\x1b]8;;http", "")
    assert marked  # the markup is shown, not obeyed


def test_every_verb_in_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli = Cli(capsys)
    cli("init", PLACE, "--hidden-dim", "16", "--wm-length", "2", "--initial-lifespan", "2")
    texts = set()
    for line in VERBS:
        ran = cli(*_filled(line), "--json")
        assert (ran.code, ran.err, ran.out.count("\n")) == (0, "", 1), (line, ran)
        assert ran.out.isascii()
        assert CONTROLS.search(ran.out) is None
        if line[:1] == ("inspect",) and len(line) == 3:
            texts.add(ran.json["text"])
        if line[:1] == ("inspect",):
            assert ran.json.get("path", str(here / PLACE)) == str(here / PLACE)
    assert any("\x1b]52;c" in text for text in texts)  # whole, for programs


@pytest.mark.parametrize("line", FAILING)
def test_errors(here: Path, capsys: pytest.CaptureFixture[str], line: tuple[str, ...]) -> None:
    cli = Cli(capsys)
    cli("init", PLACE, "--hidden-dim", "16", "--wm-length", "2")
    ran = cli(*_filled(line))
    assert ran.code in (1, 2, 10), ran
    assert (ran.out, ran.err.count("\n")) == ("", 1)
    assert CONTROLS.search(ran.err) is None
    ran = cli(*_filled(line), "--json")
    assert CONTROLS.search(ran.err) is None
    assert json.loads(ran.err)["error"]["code"] == ran.code


def test_long_values_are_cut(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = Cli(capsys)("init", "new", "--rule", "x" * 100_000)
    assert ran.code == 2
    assert len(ran.err) < 3_000
    assert "characters)" in ran.err


def test_escape_keeps_letters_and_writes_out_controls() -> None:
    assert escape("é 猫 👩‍👩‍👧 नमस्ते \U0001f600") == "é 猫 👩‍👩‍👧 नमस्ते \U0001f600"
    for code in (
        0,
        7,
        0x1B,
        0x7F,
        0x9B,
        0xAD,
        0x200B,
        0x200F,
        0x2028,
        0x202E,
        0x2066,
        0xFEFF,
        0xD800,
    ):
        assert escape(f"a{chr(code)}b").isprintable()
        assert chr(code) not in escape(f"a{chr(code)}b")
    assert escape("\U000e0041") == "\\U000e0041"
