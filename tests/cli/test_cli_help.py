"""Help, version, completion and start-up: what a newcomer meets first."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from cli_tools import DIARY, Cli, command_line, environment, process, rows
from experiment_tools import runs_here as runs_here
from terminals import Terminal

from memoria import __version__
from memoria.config import MemoriaConfig
from memoria_cli.app import VERBS, command
from memoria_cli.documents import schema

HEAVY = ("torch", "transformers", "zarr", "sentence_transformers", "PIL", "matplotlib")


def examples_in(text: str) -> list[str]:
    """The example command lines of a verb's help."""
    after = text.partition("Examples:")[2]
    return [line.strip() for line in after.splitlines() if line.strip().startswith("memoria ")]


def leaves(names: Iterable[str]) -> dict[str, Any]:
    """The commands of these names; in place of a group, its own as "group command"."""
    found: dict[str, Any] = {}
    for name in names:
        one = command().commands[name]
        below = getattr(one, "commands", None)
        found |= {name: one} if below is None else {f"{name} {n}": c for n, c in below.items()}
    return found


LEAVES = leaves(command().commands)


def parameters(verb: str) -> list[Any]:
    return list(LEAVES[verb].params)


@pytest.mark.parametrize("verb", sorted(LEAVES))
def test_every_verb_and_option_is_documented(cli: Cli, verb: str) -> None:
    assert LEAVES[verb].help
    text = cli.ok(*verb.split(), "--help").out
    for parameter in parameters(verb):
        assert parameter.help, f"{verb}: {parameter.name} has no help"
        for name in [*parameter.opts, *parameter.secondary_opts]:
            if name.startswith("-"):
                assert name in text, f"{verb}: {name} is not in the help"
    assert "--json" in text
    assert len(examples_in(text)) >= 2


def test_the_help_lists_the_verbs_and_exit_codes(cli: Cli) -> None:
    text = cli.ok("--help").out
    for verb in command().commands:
        assert re.search(rf"^\W*{verb}\s", text, re.MULTILINE)
    for code in (
        "1 failure",
        "2 usage",
        "3 damage",
        "10 no store",
        "11 locked",
        "12 another format",
        "130",
    ):
        assert code in " ".join(text.split())
    assert cli.ok().out.split() == text.split()


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_all_verbs_says_what_each_says_of_itself(verb: str) -> None:
    first = inspect.cleandoc(command().commands[verb].help).split("\n\n")[0]
    assert VERBS[verb].summary == " ".join(first.split())


@pytest.mark.parametrize("group", sorted({verb.split()[0] for verb in LEAVES if " " in verb}))
def test_the_help_of_a_group_lists_its_verbs(cli: Cli, group: str) -> None:
    assert command().commands[group].help
    text = cli.ok(group, "--help").out
    for verb in leaves([group]):
        assert re.search(rf"^\W*{verb.split()[1]}\s", text, re.MULTILINE)
    examples = [line for verb in leaves([group]) for line in examples_in(help_of(cli, verb))]
    assert len(examples_in(text)) >= 2
    assert set(examples_in(text)) <= set(examples)
    assert cli.ok(group).out.split() == text.split()


def help_of(cli: Cli, verb: str) -> str:
    return cli.ok(*verb.split(), "--help").out


SWEEP = """
experiment = "recall"
[config]
models = ["memoria"]
seeds = [0]
steps = 8
probes = 2
checkpoints = 1
[sweep.grid]
ltm_search_depth = [1, 10]
"""


@pytest.mark.usefixtures("runs_here")
def test_every_example_runs(
    cli: Cli, tmp_path: Path, s3: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MEMORIA_CONFIG", str(tmp_path / "mine.toml"))
    (tmp_path / "diary.txt").write_text(DIARY * 2, encoding="utf-8")
    for name in ("journal/today.txt", "logs/sea.txt"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(DIARY, encoding="utf-8")
    np.save(tmp_path / "a.npy", rows(2, 8, 64))
    np.save(tmp_path / "stream.npy", rows(3, 2, 8, 64, seed=1))
    (tmp_path / "depths.toml").write_text(SWEEP)
    each = {"store": "notes", "inputs": ["diary.txt"]}
    (tmp_path / "stores.jsonl").write_text(json.dumps(each))
    begun = ("init", "add", "remind", "adjust", "step")  # then each finds what these have made
    for verb in leaves(dict.fromkeys((*begun, *VERBS))):
        for line in examples_in(help_of(cli, verb)):
            if "--watch" in line:
                with Terminal(*shlex.split(line)[1:]) as terminal:
                    assert terminal.end() == 0, line
                continue
            if verb == "serve":
                assert run_until_it_says_something(line), line
                continue
            if line == "memoria mcp notes":  # ends with its input
                ran = process(*shlex.split(line)[1:], stdin=subprocess.DEVNULL)
                assert (ran.code, ran.out, ran.err) == (0, "", ""), line
                continue
            ran = cli(*shlex.split(line)[1:])
            assert (ran.code, ran.err) == (0, ""), line
            assert ran.out
            if "--json" in line:
                jsonschema.validate(ran.json, schema(verb))
    assert (tmp_path / "reminded.npz").is_file()


def run_until_it_says_something(line: str) -> str:
    """The first line of a command that runs until it is stopped, on a port that is free."""
    arguments = [*shlex.split(line)[1:], "--port", "0"]
    with subprocess.Popen(
        command_line(*arguments), stdout=subprocess.PIPE, text=True, env=environment()
    ) as started:
        try:
            assert started.stdout is not None
            return started.stdout.readline()
        finally:
            started.terminate()
            assert started.wait(60) == 0


def test_every_setting_is_an_option_of_init() -> None:
    declared = {parameter.name: parameter for parameter in parameters("init")}
    for name, field in MemoriaConfig.model_fields.items():
        if name == "backbone_options":
            assert "backbone_option" in declared
            continue
        if name == "backbone_fingerprint":
            assert name not in declared
            continue
        assert declared[name].opts == ["--" + name.replace("_", "-")]
        assert declared[name].help == field.description


def test_version(cli: Cli) -> None:
    assert cli.ok("--version").out == f"memoria {__version__}\n"


def test_help_and_version_load_nothing_heavy() -> None:
    probe = (
        "import sys; from memoria_cli.__main__ import main\n"
        "codes = [main(line.split()) for line in ('--help', '--version', 'init --help',"
        " 'step --help', 'remind nowhere', 'step nowhere x.txt')]\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print('LOADED', codes, heavy)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
        check=True,
    )
    assert "LOADED [0, 0, 0, 0, 10, 10] []" in done.stdout


def test_completion_in_the_shell() -> None:
    words = {"_MEMORIA_COMPLETE": "complete_bash", "COMP_WORDS": "memoria st", "COMP_CWORD": "1"}
    assert process(variables=words).out.split() == ["step"]
    words |= {"COMP_WORDS": "memoria init x --preset g", "COMP_CWORD": "4"}
    assert process(variables=words).out.split() == ["gpt2"]
    assert "_MEMORIA_COMPLETE" in process("--show-completion", "bash").out
