"""What a shell completes, asked as its script asks, and in a real bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_tools import Cli, environment

from memoria_cli.app import VERBS

pytestmark = pytest.mark.usefixtures("notes")


@pytest.fixture
def completed(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> object:
    """The words that a line, as far as it is typed, may go on with."""
    cli.ok("snapshot", "create", "notes", "spring")
    cli.ok("init", "other", "--backbone", "hash")
    Path("folder").mkdir()

    def ask(line: str, shell: str = "bash", breaks: str = "") -> list[str]:
        with monkeypatch.context() as patched:
            patched.setenv("COMP_LINE", line)
            patched.setenv("_MEMORIA_BREAKS", breaks)
            patched.setenv("_MEMORIA_COMPLETE", f"complete_{shell}")
            return cli.ok().out.splitlines()

    return ask


def test_verbs(completed) -> None:  # type: ignore[no-untyped-def]
    assert completed("memoria ") == [*VERBS]
    assert completed("memoria ins") == ["inspect"]
    assert completed("memoria snapshot re") == ["restore"]
    assert completed("memoria -q ins") == ["inspect"]


def test_options_and_their_words(completed) -> None:  # type: ignore[no-untyped-def]
    assert completed("memoria list notes --so") == ["--source", "--sort"]
    assert completed("memoria list notes --sort id --so") == ["--source"]
    assert completed("memoria list notes --sort ") == ["id", "age", "lifespan", "fires"]
    assert completed("memoria list notes --sort f") == ["fires"]
    assert "--install-completion" in completed("memoria --")


def test_stores_and_their_past(completed) -> None:  # type: ignore[no-untyped-def]
    assert completed("memoria list n") == ["notes"]
    assert completed("memoria list ") == ["folder/", "notes", "other"]
    assert completed("memoria ask no") == ["notes"]
    assert completed("memoria list --store o") == ["other"]
    assert completed("memoria list notes@") == ["notes@spring"]
    assert completed("memoria list notes@s", breaks="@:=") == ["spring"]
    assert completed("memoria pin notes@") == []  # the past is not written to
    assert completed(f"memoria list {os.getcwd()}/no") == [f"{os.getcwd()}/notes"]
    assert completed("memoria snapshot show notes ") == ["spring"]


def test_engrams(completed, cli: Cli) -> None:  # type: ignore[no-untyped-def]
    living = [str(one["id"]) for one in cli.ok("list", "notes", "--json").json["engrams"]]
    assert sorted(completed("memoria pin notes "), key=int) == living
    one = living[-1]
    assert one in completed(f"memoria inspect notes {one[0]}")
    assert one in completed(f"memoria ask notes cat --used {one}")
    assert f"{one}\t" in "\n".join(completed(f"memoria inspect notes {one}", "fish"))


def test_zsh_and_fish_are_told_what_a_word_is(completed) -> None:  # type: ignore[no-untyped-def]
    assert completed("memoria ini", "zsh") == [f"init:{VERBS['init'].summary}"]
    assert completed("memoria ini", "fish") == [f"init\t{VERBS['init'].summary}"]


@pytest.mark.parametrize("line", ["memoria nothing ", "memoria list nowhere@", 'memoria ask "wh'])
def test_where_nothing_is_known_nothing_is_said(completed, line: str) -> None:  # type: ignore[no-untyped-def]
    assert completed(line) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_are_shown_and_installed(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shell: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    shown = cli.ok("--show-completion", shell).out
    assert f"complete_{shell}" in shown
    (written,) = cli.ok("--install-completion", shell).out.splitlines()
    assert Path(written.partition(": ")[0]).read_text() == shown


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_script_is_sound(cli: Cli, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = cli.ok("--show-completion", shell).out
    Path("script").write_text(script)
    subprocess.run([shell, "-n", "script"], check=True, timeout=60)


BASH = """
source ./script
complete -p memoria >/dev/null || exit 9
try() {
    COMP_LINE="$1" COMP_POINT=${#1} COMP_CWORD=$2
    COMPREPLY=()
    _memoria_completion memoria
    printf '%s|' "${COMPREPLY[@]}"; echo
}
try 'memoria snapsh' 1
try 'memoria list notes --so' 3
try 'memoria ask notes@s' 4
"""


def test_a_real_bash(cli: Cli, tmp_path: Path, completed) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "memoria"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m memoria_cli "$@"\n')
    program.chmod(0o755)
    Path("script").write_text(cli.ok("--show-completion", "bash").out)
    done = subprocess.run(
        ["bash", "--norc", "-c", BASH],
        env=environment(PATH=f"{program.parent}:{os.environ['PATH']}"),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.split() == ["snapshot|", "--source|--sort|", "spring|"]
