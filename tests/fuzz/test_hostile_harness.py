"""The judge of hostile input: it notices what it must notice."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import pytest
from fuzzing import judge as judging
from fuzzing.judge import CODES, Findings, Judge, wrong_words

from memoria.errors import DamageError


@pytest.fixture
def judge() -> Judge:
    return Judge(Findings(), "a case")


def the_problem(judge: Judge) -> str:
    (problem,) = judge.findings.problems
    assert problem.startswith("a case")
    return problem


def test_errors_of_ours_and_values_are_fine(judge: Judge) -> None:
    def fail() -> None:
        raise DamageError("a file is torn", "restore it")

    assert judge.call("a value", lambda: 5) == 5
    assert judge.call("an error", fail) is None
    assert judge.findings.problems == []
    assert judge.findings.outcomes == {"ok": 1, "DamageError": 1}


def test_other_errors_are_found(judge: Judge) -> None:
    judge.call("a slip", lambda: [][0])
    assert "IndexError" in the_problem(judge)


def test_errors_of_two_lines_are_found(judge: Judge) -> None:
    def fail() -> None:
        raise DamageError("first\nsecond")

    judge.call("two lines", fail)
    assert "several lines" in the_problem(judge)


def test_a_hang_is_found(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    def sleep() -> None:
        try:
            time.sleep(60)
        except Exception:
            pytest.fail("a handler caught the alarm")

    monkeypatch.setattr(judging, "SECONDS", 0.2)
    judge.call("a long sleep", sleep)
    assert "seconds" in the_problem(judge)


def test_a_warning_is_found(judge: Judge) -> None:
    judge.call("a warning", lambda: warnings.warn("divided by zero", RuntimeWarning, stacklevel=1))
    assert "divided by zero" in the_problem(judge)


def test_memory_is_measured(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "MEGABYTES", 100)
    judge.call("little", lambda: len(np.ones(1 << 20)))
    assert judge.findings.problems == []
    judge.call("much", lambda: len(np.ones(1 << 25)))
    assert "took" in the_problem(judge)


@pytest.mark.parametrize(
    ("code", "out", "err", "arguments"),
    [
        (7, "", "memoria: x\n", []),
        (1, "", "", []),
        (1, "", "memoria: x\nmore\n", []),
        (1, "a result\n", "memoria: x\n", []),
        (1, "", "memoria: unexpected KeyError: 'x'\n", []),
        (0, "\x1b[2J\n", "", []),
        (0, "a\u202eb\n", "", []),
        (0, "", "Traceback (most recent call last):\n", []),
        (0, "{", "", ["--json"]),
        (0, '{"a": NaN}', "", ["--json"]),
        (2, "", "memoria: x\n", ["--json"]),
    ],
)
def test_wrong_words_are_found(code: int, out: str, err: str, arguments: list[str]) -> None:
    assert list(wrong_words(code, out, err, arguments))


def test_right_words_are_not() -> None:
    right: list[tuple[Any, ...]] = [
        (0, "some\nlines\n", "", []),
        (0, "x\n", "a note\n", []),
        *[(code, "", "memoria: x; hint: y\n", []) for code in CODES if code],
        (0, '{"a": 1}\n', "", ["--json"]),
        (3, "", '{"error": {"code": 3}}\n', ["--json"]),
    ]
    assert [list(wrong_words(*case)) for case in right] == [[]] * len(right)
