"""What the README and the pages of the documentation show is what comes out."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_tools import Cli, Ran

from memoria.backbones import default_backbone

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """The code blocks of a page, with their language."""
    for found in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S):
        yield found.group(1), found.group(2)


def runs(text: str) -> list[tuple[str, str]]:
    """The blocks that are run, in order."""
    return [
        (language, code) for language, code in blocks(text) if language in ("console", "python")
    ]


RUNNING = [page for page in PAGES if runs(page.read_text("utf-8"))]


def matches(shown: str, said: str) -> bool:
    """``...`` on a page stands for anything."""
    pattern = ".*?".join(re.escape(part) for part in shown.strip().split("..."))
    return re.fullmatch(pattern, said.strip(), re.S) is not None


def commands(block: str) -> Iterator[tuple[str, str]]:
    """Each command of a console block, its lines after ``>`` too, and the output shown."""
    for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
        lines = part.splitlines()
        more = 1
        while more < len(lines) and lines[more].startswith("> "):
            more += 1
        yield (
            "\n".join([lines[0], *(line[2:] for line in lines[1:more])]),
            "\n".join(lines[more:]),
        )


class Page:
    """Runs the blocks of one page, from the top, in one empty folder."""

    def __init__(self, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self.capsys, self.cli = capsys, Cli(capsys)
        tools = folder / "bin"
        tools.mkdir()
        for name, arguments in (("memoria", "-m memoria_cli"), ("python3", "")):
            (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
            (tools / name).chmod(0o755)
        path = f"{tools}:{os.environ['PATH']}"
        # As wide as the pages are written.
        self.environment = {**os.environ, "COLUMNS": "100", "PATH": path, "PYTHONPATH": str(ROOT)}

    def run(self, command: str) -> Ran:
        """What needs no shell runs in this process, which loads torch once."""
        if re.fullmatch(r"memoria [^|<>$;&\n]*", command):
            return self.cli(*shlex.split(command)[1:])
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def check(self, text: str) -> None:
        for language, code in runs(text):
            if language == "python":
                exec(compile(code, "page", "exec"), {"__name__": "__main__"})
                assert self.capsys.readouterr().out.strip(), code
                continue
            for command, shown in commands(code):
                ran = self.run(command)
                assert ran.code == 0, (command, ran.err)
                assert matches(shown, ran.out), (command, shown, ran.out)


@pytest.fixture
def page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Page:
    here = tmp_path / "home"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("COLUMNS", "100")
    return Page(capsys, tmp_path)


@pytest.mark.skipif(default_backbone() != "static", reason="wordllama is not installed")
@pytest.mark.parametrize("path", RUNNING, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_shows_what_comes_out(path: Path, page: Page) -> None:
    page.check(path.read_text("utf-8"))


def test_a_page_that_shows_something_else_is_found(page: Page) -> None:
    text = (ROOT / "docs" / "guides" / "ship.md").read_text("utf-8")
    with pytest.raises(AssertionError, match="3 engrams"):
        page.check(text.replace("2 engrams at step 1 in", "3 engrams at step 1 in"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    """Of relative links, the file and the heading."""
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", path.read_text("utf-8")):
        name, _, heading = target.partition("#")
        file = path.parent / name if name else path
        assert file.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.M)
            slugs = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
            assert heading in slugs, target


def test_the_readme_is_short() -> None:
    assert len(PAGES[0].read_text("utf-8").splitlines()) <= 160


def test_every_exit_code_is_told() -> None:
    from memoria import errors

    text = (ROOT / "docs" / "reference" / "environment.md").read_text("utf-8")
    codes = {getattr(one, "exit_code", None) for one in vars(errors).values()} - {None}
    assert len(codes) > 5
    for code in {0, 130, *codes}:
        assert re.search(rf"^\| {code} \|", text, re.M), code
