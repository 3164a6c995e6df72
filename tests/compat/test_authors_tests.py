"""The tests of memoria-pytorch itself, run on this package, from a clone that the user names.

    MEMORIA_PYTORCH=path/to/clone python -m pytest -n 0 -m slow tests/compat/test_authors_tests.py

Each that fails has its row in docs/guides/from-memoria-pytorch.md, and no other has one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guides" / "from-memoria-pytorch.md"
VARIABLE = "MEMORIA_PYTORCH"


def listed() -> set[str]:
    """Names of their tests in the first column of the guide's table of those that fail."""
    rows = [line.split("|")[1] for line in GUIDE.read_text("utf-8").splitlines() if line[:1] == "|"]
    return {name for row in rows for name in re.findall(r"`(test_\w+)`", row)}


@pytest.mark.slow
@pytest.mark.skipif(VARIABLE not in os.environ, reason=f"{VARIABLE} names no clone")
def test_each_of_the_authors_tests_passes_or_has_its_reason(tmp_path: Path) -> None:
    tests = Path(os.environ[VARIABLE]) / "tests"
    assert tests.is_dir(), f"{VARIABLE}: {tests} is no folder"
    shutil.copytree(tests, tmp_path / "theirs")  # beside their package, theirs would be imported
    report = tmp_path / "report.xml"
    options = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, f"--junitxml={report}"]
    command = [sys.executable, "-m", "pytest", *options, "--rootdir", str(tmp_path), "theirs"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert report.exists(), done.stdout + done.stderr
    cases = list(ElementTree.parse(report).iter("testcase"))
    passed, failed = set(), set()
    for case in cases:
        name = re.sub(r"\[.*", "", case.attrib["name"])
        wrong = case.find("failure") is not None or case.find("error") is not None
        (failed if wrong else passed).add(name)
    assert len(passed) > len(failed)
    assert failed == listed()
