"""SECURITY.md: behind every sentence of what strangers can and cannot do stands a test."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
SENTENCES = re.findall(r"^- (.*?)(?=^- |^## |\Z)", PAGE, re.M | re.S)
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


@cache
def names_in(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return frozenset(one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef))


def test_there_are_sentences_about_every_stranger() -> None:
    assert re.findall(r"^## (.*)$", PAGE, re.M) == [
        "A hostile store",
        "A hostile archive",
        "A hostile server",
        "A hostile model",
        "Hostile texts and files",
    ]
    assert len(SENTENCES) > 30


@pytest.mark.parametrize("sentence", SENTENCES, ids=lambda one: " ".join(one.split()[:8]))
def test_every_sentence_has_its_tests(sentence: str) -> None:
    named = NAMED.findall(sentence)
    assert named
    assert [(file, name) for file, name in named if name not in names_in(file)] == []
    assert "cannot" in sentence or "**can**" in sentence


def test_the_locks_are_audited_every_week() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    job = workflow.partition("\n  audit:")[2].partition("\n\n")[0]
    assert "schedule" in job
    assert "pip-audit --no-deps --disable-pip -r locks/${{ matrix.lock }}.txt" in job
    locks = re.findall(r"python3\.\d+", re.search(r"lock: \[(.*)\]", job)[1])  # type: ignore[index]
    assert [f"{one}.txt" for one in locks] == sorted(
        path.name for path in (ROOT / "locks").glob("python*.txt")
    )
