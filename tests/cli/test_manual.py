"""Man pages are made from the help, for every verb."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from memoria_cli.app import VERBS, command
from memoria_cli.help_page import is_group
from memoria_cli.manual import write


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write(tmp_path_factory.mktemp("man"))


def test_every_verb_has_a_page(pages: list[Path]) -> None:
    names = {page.stem for page in pages}
    assert "memoria" in names
    for verb in VERBS:
        assert f"memoria-{verb}" in names
        made = command().commands[verb]
        for below in made.commands if is_group(made) else ():
            assert f"memoria-{verb}-{below}" in names


def test_a_page_says_what_the_help_says(pages: list[Path]) -> None:
    (page,) = [page for page in pages if page.stem == "memoria-ask"]
    text = page.read_text()
    assert VERBS["ask"].summary.removesuffix(".") in text
    assert r"\-n, \-\-limit" in text
    assert ".SH EXAMPLES" in text


def test_the_pages_are_sound(pages: list[Path]) -> None:
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", *map(str, pages)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=True,
    )
    assert done.stderr == ""
    assert "Ask which engrams answer a question" in " ".join(done.stdout.split())
