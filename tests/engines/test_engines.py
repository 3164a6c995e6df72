"""Tasks in processes and on Ray: what comes back, also of those that fail, die or are stopped."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_ray import FakeRay
from fake_ray import fake as fake

from memoria.engines import Outcome, Task, run_tasks
from memoria.errors import ConfigError, MissingExtraError

FUNCTIONS = """
import os, signal, sys
from pathlib import Path
from memoria.errors import InputError

def whoami(document, progress, stopping):
    progress(1, 1)
    return {"pid": os.getpid(), "given": document["number"], "cwd": os.getcwd()}

def fail(document, progress, stopping):
    raise InputError("no good", "take another")

def die(document, progress, stopping):
    print("last words", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

def wait(document, progress, stopping):
    progress(1, 2)
    while not stopping():
        pass
    Path(document["file"]).write_text("stopped")
    raise KeyboardInterrupt
"""


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Task]:
    """Makes a task of a function above, for this process and new ones."""
    (tmp_path / "task_functions.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    monkeypatch.delitem(sys.modules, "task_functions", raising=False)
    return lambda name, **document: Task(f"task_functions:{name}", document)


def test_one_process_does_many_tasks_in_their_order(task: Any) -> None:
    heard: list[tuple[int, int]] = []
    outcomes = run_tasks(
        [task("whoami", number=number) for number in range(4)],
        jobs=1,
        progress=lambda *now: heard.append(now),
    )
    assert [one.document["given"] for one in outcomes] == [0, 1, 2, 3]
    assert len({one.document["pid"] for one in outcomes} - {os.getpid()}) == 1
    assert {one.document["cwd"] for one in outcomes} == {os.getcwd()}
    assert heard == sorted(heard)
    assert heard[-1] == (400, 400)


def test_what_fails_or_dies_does_not_stop_the_others(task: Any) -> None:
    names = ["whoami", "fail", "die", "whoami"]
    outcomes = run_tasks([task(name, number=0) for name in names], jobs=1)
    first, failed, died, last = outcomes
    assert first.error is None
    assert failed == Outcome(
        error={"type": "InputError", "message": "no good", "hint": "take another"}
    )
    assert died.error is not None
    assert "SIGKILL" in died.error["message"]
    assert last.error is None
    assert last.document["pid"] != first.document["pid"]


def test_an_interrupt_lets_the_tasks_stop(task: Any, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    file = tmp_path / "said"
    with pytest.raises(KeyboardInterrupt):
        run_tasks([task("wait", file=str(file)), task("die")], jobs=1, progress=interrupt)
    assert file.read_text() == "stopped"


def test_ray_does_the_same(task: Any, fake: FakeRay) -> None:
    names, heard = ["whoami", "fail", "whoami"], []
    tasks = [task(name, number=number) for number, name in enumerate(names)]
    outcomes = run_tasks(tasks, engine="ray", jobs=2, progress=lambda *now: heard.append(now))
    assert [one.document.get("given") for one in outcomes] == [0, None, 2]
    assert outcomes[1] == run_tasks(tasks[1:2], jobs=1)[0]
    assert heard[-1] == (3, 3)
    assert fake.settings["num_cpus"] == 2


def test_a_lost_task_is_told(task: Any, fake: FakeRay) -> None:
    fake.lose = 1
    outcomes = run_tasks([task("whoami", number=0), task("whoami", number=1)], engine="ray")
    lost = [one.error for one in outcomes if one.error is not None]
    assert [one["message"] for one in lost] == ["the task was lost: ValueError"]


def test_a_node_that_does_not_see_the_folder_says_so(
    task: Any, fake: FakeRay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getcwd", lambda: "/no/such/folder")
    (outcome,) = run_tasks([task("whoami", number=0)], engine="ray")
    assert outcome.error is not None
    assert "/no/such/folder" in outcome.error["message"]
    assert "every node" in outcome.error["hint"]


def test_wrong_calls(task: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="local, ray"):
        run_tasks([], engine="horse")
    with pytest.raises(ConfigError, match="jobs = 0"):
        run_tasks([], jobs=0)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match="sweep"):
        run_tasks([], engine="ray")
