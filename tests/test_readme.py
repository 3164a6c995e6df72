"""The README's tour runs as it stands, and what it shows is what comes out."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from cli_tools import Cli, Ran

from memoria.backbones import default_backbone

README = Path(__file__).parent.parent / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text("utf-8"), re.M | re.S)


def shell(tmp_path: Path) -> dict[str, str]:
    """An environment in which `memoria` and `python3` are this interpreter's."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, arguments in (("memoria", "-m memoria_cli"), ("python3", "")):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        (tools / name).chmod(0o755)
    source = str(README.parent)
    return {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": source}


def matches(shown: str, said: str) -> bool:
    """``...`` in the README stands for anything."""
    pattern = ".*?".join(re.escape(part) for part in shown.strip().split("..."))
    return re.fullmatch(pattern, said.strip(), re.S) is not None


@pytest.mark.skipif(default_backbone() != "static", reason="wordllama is not installed")
def test_the_tour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Typed into a shell at first; what needs no shell then runs here, which loads torch once."""
    environment, here = shell(tmp_path), tmp_path / "home"
    here.mkdir()
    monkeypatch.chdir(here)
    cli, commands = Cli(capsys), 0
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, shown = part.partition("\n")
            if commands > 3 and re.fullmatch("memoria [^|<>$;&]*", command):
                ran = cli(*shlex.split(command)[1:])
            else:
                done = subprocess.run(
                    ["bash", "-euo", "pipefail", "-c", command],
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=120,
                )
                ran = Ran(done.returncode, done.stdout, done.stderr)
            assert ran.code == 0, (command, ran.err)
            assert matches(shown, ran.out), (command, shown, ran.out)
            commands += 1
    assert commands >= 10


def test_the_first_python_in_a_process_of_its_own(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", blocks("python")[0]],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(README.parent)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("block", blocks("python")[1:], ids=range(1, len(blocks("python"))))
def test_the_python(
    block: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With names of its own: what it does not import is not there."""
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out.strip()


def test_every_verb_and_exit_code_is_in_the_tables() -> None:
    from memoria import errors
    from memoria_cli.app import VERBS

    text = README.read_text("utf-8")
    for name in VERBS:
        assert re.search(rf"^\| `{name}\b", text, re.M), name
    codes = {getattr(one, "exit_code", None) for one in vars(errors).values()} - {None}
    assert len(codes) > 5
    for code in {0, 130, *codes}:
        assert re.search(rf"^\| {code} \|", text, re.M), code
