"""A mix with `memoria-pytorch`, which installs the same package, is told in one line on stderr."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli_tools import environment, process

from memoria import __version__
from memoria.distributions import find_conflict


@pytest.fixture
def mixed(tmp_path: Path) -> dict[str, str]:
    """The environment of a Python that has both distributions."""
    metadata = tmp_path / "memoria_pytorch-1.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: memoria-pytorch\n")
    found = environment()
    return {**found, "PYTHONPATH": f"{found['PYTHONPATH']}:{tmp_path}"}


def test_the_command_line_says_so(mixed: dict[str, str]) -> None:
    ran = process("--version", variables=mixed)
    assert (ran.code, ran.out) == (0, f"memoria {__version__}\n")
    assert ran.err.count("\n") == 1
    assert ran.err.startswith("memoria: memoria-pytorch 1.1.0 is installed into the package")
    assert "pip uninstall memoria-pytorch" in ran.err


def test_the_first_import_says_so_once(mixed: dict[str, str]) -> None:
    code = "import memoria; from memoria import EngramType, MemoriaError; print(memoria.EngramType)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env=mixed,
        check=True,
    )
    assert done.stdout == "<enum 'EngramType'>\n"
    assert done.stderr.count("\n") == 1
    assert "memoria-pytorch 1.1.0" in done.stderr


def test_files_of_it_in_our_package_are_a_mix(tmp_path: Path) -> None:
    assert find_conflict() is None
    assert find_conflict(str(tmp_path)) is None
    (tmp_path / "engram.py").write_text("from memoria.compat.engram import *\n")
    assert find_conflict(str(tmp_path)) is None
    (tmp_path / "engram.py").write_text("class Engrams:\n" + "    pass\n" * 100)
    assert "memoria-pytorch is installed" in (find_conflict(str(tmp_path)) or "")
