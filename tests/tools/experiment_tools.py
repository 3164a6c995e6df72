"""A small experiment in a package of its own, as a user would install one; runs as processes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_tools import environment

from memoria.engines import Outcome, Task, processes
from memoria.engines.task import failed
from memoria.errors import MemoriaError
from memoria.experiments import RunSpec
from memoria.io.progress import no_progress

TASK = "memoria.experiments.engines:execute_document"

TOY = """
import time
from collections.abc import Callable
from pathlib import Path
from pydantic import Field
from memoria.errors import InputError
from memoria.experiments import Experiment, ExperimentConfig, Metric, ModelNames

class Config(ExperimentConfig):
    presets = {"small": {"steps": 5}, "paper": {"steps": 50}}
    models: ModelNames = ["plus", "minus"]
    steps: int = Field(5, ge=1, le=1000, description="Steps.")
    wait: str = Field("", description="A file that lets the run go on after three steps.")
    options: list[float] = Field([1.0], description="Any numbers.")

class Toy(Experiment[Config]):
    name = "toy"
    summary = "Counts."
    Config = Config
    metrics = (Metric("total", "total", "higher"),)

    def execute(self, config, run):
        import torch
        sign = {"plus": 1, "minus": -1, "flaky": 1}.get(config.model)
        if config.model == "dead":
            import os, signal
            os.kill(os.getpid(), signal.SIGKILL)
        if sign is None:
            raise InputError(f"no such sign: {config.model}", "take plus")
        state = run.restored()
        if state is None:
            state = {"step": 0, "total": torch.zeros(1)}
            if config.model == "flaky":  # works the second time
                run.checkpoint(state)
                raise InputError("not yet")
        for step in range(state["step"], config.steps):
            state = {"step": step + 1, "total": state["total"] + sign * (config.seed + 1)}
            run.log({"kind": "validation", "step": step + 1, "total": state["total"].item()})
            run.checkpoint(state)
            while config.wait and step == 2 and not Path(config.wait).exists() and not run.stopping:
                time.sleep(0.01)
            run.progress(step + 1, config.steps)
        run.array("total", state["total"])
        return {"total": state["total"].item()}
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package's folder; the experiment ``toy`` is known here and in new processes."""
    folder = tmp_path / "site"
    about = folder / "toy-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[memoria.experiments]\ntoy = toy_experiment:Toy\n")
    (folder / "toy_experiment.py").write_text(TOY)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")
    monkeypatch.delitem(sys.modules, "toy_experiment", raising=False)
    return folder


@pytest.fixture
def runs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are done in this process, one at a time, where processes of their own prove nothing."""
    lock = threading.Lock()

    def do(self: Any, number: int, task: Task) -> Outcome:
        try:
            with lock:
                return Outcome(task.perform(no_progress, lambda: False))
        except MemoriaError as error:
            return failed(error)

    monkeypatch.setattr(processes._Processes, "_do", do)


def start(spec: RunSpec) -> subprocess.Popen[str]:
    """The run in a process of its own, whose words nobody hears."""
    process = subprocess.Popen(
        [sys.executable, "-m", "memoria.engines.worker", "1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=environment(),
    )
    assert process.stdin is not None
    with process.stdin as file:
        task = {"function": TASK, "document": spec.document()}
        file.write(json.dumps(task) + "\n")
    return process


def wait_for(condition: Any, spec: RunSpec) -> None:
    wait_until(lambda: (spec.path / "run.json").is_file() and condition())


def wait_until(condition: Callable[[], bool]) -> None:
    """Until it holds, for two minutes at most."""
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it did not come so far")
