"""What a command must not load before it begins: libraries that take longer than its work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli_tools import DIARY, environment

NETWORKS = ("torch", "transformers", "numba")
FORMATS = ("zarr", "pydantic", "pydantic_core", "tempfile", "importlib.metadata", "email")
SHORT = (*NETWORKS, *FORMATS, "asyncio", "unittest", "scipy", "pandas")
PROBE = """
import sys
from memoria_cli.__main__ import main
before = set()
for line in {lines!r}:
    code = main(line)
    loaded = [name for name in {names!r} if name in sys.modules and name not in before]
    before.update(loaded)
    print("LOADED", code, line[0], loaded)
"""


def loaded(lines: list[list[str]], names: tuple[str, ...], folder: Path) -> list[str]:
    """What each line, all in one process, ended with and which of ``names`` it loaded first."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(lines=lines, names=names)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(),
        cwd=folder,
        check=True,
    )
    return [line for line in done.stdout.splitlines() if line.startswith("LOADED")]


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_version_and_help_load_no_library_but_those_that_print(option: str, tmp_path: Path) -> None:
    names = (*SHORT, "numpy", "memoria.store", "memoria.config")
    assert loaded([[option]], names, tmp_path) == [f"LOADED 0 {option} []"]


def test_verbs_on_a_store_load_neither_torch_nor_zarr_nor_pydantic(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text(DIARY, encoding="utf-8")
    lines = [
        ["init", "notes", "--backbone", "hash", "--hidden-dim", "32", "--lifespan-by", "constant"],
        ["add", "notes", "--text", "The cat sat on the mat. It was raining."],
        ["remind", "notes", "--json"],
        ["adjust", "notes", "--rule", "uniform:5"],
        ["step", "notes", "diary.txt", "--wm-length", "2"],
        ["remind", "notes", "--peek", "--cue-text", "Where is the cat?", "--top", "3"],
        ["list", "notes", "--type", "longterm", "--limit", "2", "--json"],
        ["inspect", "notes", "--edges", "--limit", "5"],
        ["inspect", "notes", "--json"],
        ["inspect", "notes", "1"],
        ["pin", "notes", "1"],
        ["unpin", "notes", "1"],
        ["forget", "notes", "1", "--yes"],
        ["snapshot", "create", "notes", "before"],
        ["snapshot", "list", "notes"],
        ["diff", "notes@before", "notes"],
        ["ask", "notes", "Where is the cat?"],
        ["replay", "notes", "--recompute"],
    ]
    wanted = [f"LOADED 0 {line[0]} []" for line in lines]
    assert loaded(lines, SHORT, tmp_path) == wanted


def test_verbs_that_check_load_neither_torch_nor_zarr_nor_pydantic(tmp_path: Path) -> None:
    lines = [
        ["init", "notes", "--backbone", "hash"],
        ["step", "notes", "--text", DIARY],
        ["verify", "notes"],
        ["compact", "notes", "--dry-run"],
        ["config", "show", "notes"],
        ["config", "set", "notes", "unit=line", "ask.language=english"],
    ]
    wanted = [f"LOADED 0 {line[0]} []" for line in lines]
    assert loaded(lines, (*NETWORKS, *FORMATS), tmp_path) == wanted


def test_a_value_that_is_not_plain_is_judged_by_typer(tmp_path: Path) -> None:
    lines = [
        ["list", "nowhere", "--limit", "-1"],
        ["list", "nowhere", "--limit", "two"],
        ["list", "nowhere", "--limit", " 2 "],
        ["list", "nowhere", "--sort", "IDs"],
    ]
    codes = [line.split()[1] for line in loaded(lines, (), tmp_path)]
    assert codes == ["2", "2", "10", "2"]
