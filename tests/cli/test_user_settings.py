"""A user's own settings: flag, environment, file, default; never a memory that is there."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from cli_tools import DIARY, Cli

from memoria_cli.app import VERBS, command
from memoria_cli.help_page import is_group
from memoria_cli.user_settings import MAY_BE_SET, read_settings, settable, settings_path


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The configuration file, which does not exist yet."""
    path = tmp_path / "home" / "config.toml"
    monkeypatch.setenv("MEMORIA_CONFIG", str(path))
    return path


def shown(cli: Cli, *more: object) -> int:
    return len(cli.ok("ask", "notes", "cat", "--json", *more).json["answers"])


@pytest.mark.usefixtures("notes")
def test_a_flag_outweighs_the_environment_and_that_the_file(
    cli: Cli, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shown(cli) > 3
    told = cli.ok("config", "set", "--user", "ask.limit=3", "--json").json
    assert told == {"path": str(file), "settings": {"ask": {"limit": 3}}, "changed": ["ask.limit"]}
    assert shown(cli) == 3
    monkeypatch.setenv("MEMORIA_ASK_LIMIT", "2")
    assert shown(cli) == 2
    assert shown(cli, "-n", 1) == 1
    (found,) = cli.ok("config", "show", "--user", "--json").json["settings"]
    assert found == {"name": "ask.limit", "value": "2", "source": "MEMORIA_ASK_LIMIT"}
    assert "ask.limit = 2 (MEMORIA_ASK_LIMIT)" in cli("ask", "notes", "cat", "-v").err
    monkeypatch.delenv("MEMORIA_ASK_LIMIT")
    cli.ok("config", "set", "--user", "ask.limit=")
    assert shown(cli) > 3


def test_switches_and_lists(cli: Cli, file: Path) -> None:
    cli.ok("config", "set", "--user", "list.full=true", "init.backbone=hash", "init.lanes=2")
    made = cli.ok("init", "two", "--json").json["config"]
    assert (made["backbone"], made["lanes"]) == ("hash", 2)
    assert cli.ok("init", "one", "--lanes", 1, "--json").json["config"]["lanes"] == 1
    file.write_text("[list]\nfull = 3\n")
    ran = cli("list", "two")
    assert ran.code == 2
    assert "list.full" in ran.err


@pytest.mark.parametrize("words", ["bees \U0001f41d", "\x7f", 'a "quote" \\ here'])
def test_the_file_may_hold_any_words(cli: Cli, file: Path, words: str) -> None:
    cli.ok("config", "set", "--user", f"init.backbone={words}")
    assert read_settings() == {"init": {"backbone": words}}


def test_what_is_not_right_is_one_line(cli: Cli, file: Path) -> None:
    for pair, part in (
        ("ask.limit=x", "--limit"),
        ("step.rule=uniform:5", "no such setting of yours"),
        ("forget.yes=true", "no such setting of yours"),
        ("nothing.x=1", "no such setting of yours"),
        ("ask", "not KEY=VALUE"),
    ):
        ran = cli("config", "set", "--user", pair)
        assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1), ran
        assert part in ran.err
    assert not file.exists()
    file.parent.mkdir()
    for text, part in (("[list]\nlimt = 3", "list.limt"), ("x", "not TOML"), ("list = 1", "table")):
        file.write_text(text)
        ran = cli("list", "nowhere")
        assert (ran.code, ran.err.count("\n")) == (2, 1)
        assert part in ran.err
        assert str(file) in ran.err
    assert cli("list", "--help").code == 0


def test_a_pipe_is_no_file_of_settings(cli: Cli, file: Path) -> None:
    file.parent.mkdir()
    os.mkfifo(file)
    ran = cli("list", "nowhere")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "is not a regular file" in ran.err


def every_setting() -> dict[str, dict[str, object]]:
    """A value for each setting of every verb, other than its default."""
    made: dict[str, dict[str, object]] = {}
    for verb in VERBS:
        built = command().commands[verb]
        if is_group(built):
            continue
        for name in settable(verb, built):
            key = name.partition(".")[2]
            option = next(one for one in built.params if f"--{key}" in one.opts)
            kind = option.type_descriptor.annotation
            is_flag = bool(getattr(option, "is_flag", False))
            value = True if is_flag else 1 if "int" in str(kind) or "float" in str(kind) else "x"
            made.setdefault(verb, {})[key] = value
    return made


def test_no_setting_changes_a_memory_that_is_there(cli: Cli, file: Path) -> None:
    """Every setting of every verb at once; the words that are no right value are left out."""
    for name in ("a", "b"):
        cli.ok("init", name, "--backbone", "hash", "--hidden-dim", 32)
    cli.ok("step", "a", "--text", DIARY, "--wm-length", 2)
    file.parent.mkdir()
    lines: list[str] = []
    for verb, table in every_setting().items():
        kept = {key: value for key, value in table.items() if value != "x"}
        lines += [f"[{verb}]", *(f"{key} = {json.dumps(value)}" for key, value in kept.items())]
    file.write_text("\n".join(lines))
    for line in ("ask b cat", "inspect b", "list b", "remind b --peek --cue-text cat"):
        cli(*line.split())
    before = cli.ok("config", "show", "b", "--json").json
    cli.ok("step", "b", "--text", DIARY, "--wm-length", 2)
    after = cli.ok("config", "show", "b", "--json").json
    assert after == before
    digests = [cli.ok("inspect", name, "--json").json["digest"] for name in "ab"]
    assert digests[0] == digests[1]


def test_nothing_that_decides_about_a_memory_can_be_set() -> None:
    built = command().commands["step"]
    names = {*settable("step", built)}
    assert names.isdisjoint({"step.rule", "step.unit", "step.wm-length", "step.device"})
    for verb in ("forget", "undo", "compact", "edit", "adjust", "add"):
        assert not MAY_BE_SET.get(verb)


def test_the_place_is_that_of_the_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MEMORIA_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    from platformdirs import user_config_path

    path = settings_path()
    assert path == user_config_path("memoria", appauthor=False) / "config.toml"
    assert read_settings() == {}
    path.parent.mkdir()
    path.write_text("[ask]\nlimit = 1\n")
    assert read_settings() == {"ask": {"limit": 1}}
    monkeypatch.setenv("MEMORIA_CONFIG", "")
    assert settings_path() is None
