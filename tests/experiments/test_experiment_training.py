"""Training: sequences to sort, steps, and a run that was killed ending as one that was not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cli_tools import ROOT, Cli, environment
from experiment_tools import runs_here as runs_here
from experiment_tools import start, wait_for
from hypothesis import given, settings
from hypothesis import strategies as st

from memoria.errors import ConfigError, StateError
from memoria.experiments import RunRecord, RunSpec, execute, local, make_plan, read_plan
from memoria.experiments.rivals import RIVALS
from memoria.experiments.sorting.sequences import oracle, sequences, sorted_symbols
from memoria.experiments.training import batch_order
from memoria.experiments.training_config import TrainingConfig

TINY = {
    "symbols": 4,
    "length": 24,
    "segment": 8,
    "hidden": 16,
    "inner": 64,
    "heads": 2,
    "memory": 8,
    "dropout": 0.1,
    "batch": 4,
    "sequences": 24,
    "held_out": 8,
    "steps": 14,
    "validate_every": 7,
    "checkpoint_every": 3,
    "log_every": 1,
    "equal_parameters": False,
    "seeds": [0],
    "device": "cpu",
}
_STATES = ("none", "xl", "titans", "gated-delta", "memoria", "memoria-gpt2")


def specs_of(folder: Path, **changes: Any) -> list[RunSpec]:
    return make_plan("sorting", "small", {**TINY, **changes}).specs(folder)


def rows(record: RunRecord) -> list[dict[str, Any]]:
    return list(record.rows())


class TestSequences:
    def test_the_target_is_what_a_counter_says(self) -> None:
        tokens, targets = sequences(40, 6, seed=1, split="training", numbers=range(20))
        for row, target in zip(tokens.tolist(), targets.tolist(), strict=True):
            counted = [symbol for symbol, _ in Counter(row).most_common()]
            assert target == counted + sorted(set(range(6)) - set(counted))

    @given(st.lists(st.integers(0, 4), min_size=1, max_size=12))
    def test_ties_go_to_the_first_to_appear(self, row: list[int]) -> None:
        counted = [symbol for symbol, _ in Counter(row).most_common()]
        target = sorted_symbols(np.array([row]), 5)[0].tolist()
        assert target == counted + sorted(set(range(5)) - set(counted))

    def test_each_is_a_function_of_its_number(self) -> None:
        tokens, _ = sequences(50, 5, 3, "test", [7, 2])
        again, _ = sequences(50, 5, 3, "test", [2])
        np.testing.assert_array_equal(tokens[1], again[0])
        assert not np.array_equal(tokens[0], tokens[1])
        for other in (sequences(50, 5, 4, "test", [2]), sequences(50, 5, 3, "training", [2])):
            assert not np.array_equal(other[0][0], again[0])

    def test_what_is_frequent_changes_on_the_way(self) -> None:
        """The first and last tenth follow p0 and p1, whose weights lie within 1..9."""
        tokens, _ = sequences(100_000, 4, 0, "training", [0])
        first, last = (
            np.bincount(part, minlength=4) / 10_000
            for part in (tokens[0, :10_000], tokens[0, -10_000:])
        )
        weights = np.random.default_rng([0, 0, 0]).integers(1, 9, (2, 4), endpoint=True)
        p0, p1 = weights / weights.sum(1, keepdims=True)
        np.testing.assert_allclose(first, 0.95 * p0 + 0.05 * p1, atol=0.02)
        np.testing.assert_allclose(last, 0.05 * p0 + 0.95 * p1, atol=0.02)

    def test_the_oracle(self) -> None:
        tokens, targets = sequences(512, 8, 0, "test", range(64))
        found = [oracle(tokens, targets, last) for last in (64, 128, 256, 512)]
        assert found == sorted(found)
        assert found[-1] == 1.0
        assert 0.4 < found[0] < 0.6
        assert oracle(np.array([[0, 0, 1]]), np.array([[0, 1]]), 1) == 0.5

    def test_every_epoch_holds_every_sequence_once(self) -> None:
        places = [one for step in range(6) for one in batch_order(5, step, 4, 8)]
        assert sorted(places[:8]) == sorted(places[8:16]) == list(range(8))
        assert places[:8] != places[8:16]
        assert batch_order(5, 3, 4, 8) == places[12:16]
        assert batch_order(6, 0, 8, 8) != places[:8]


class TestConfig:
    def test_the_rate_rises_and_falls_in_lines(self) -> None:
        config = TrainingConfig(models=["none"], steps=10, warmup=0.2, learning_rate=1.0)
        rates = [config.rate(step) for step in range(10)]
        assert rates == pytest.approx([0.5, 1, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125])
        assert TrainingConfig(models=["none"], steps=1).rate(0) == 2e-4

    def test_settings_of_memoria_hold_for_its_parts_too(self) -> None:
        own = {"memoria": {"depth": 3, "alpha": 1.0}, "memoria-wm": {"alpha": 2.0}}
        config = TrainingConfig(models=["memoria-wm", "xl", "memoria"], settings=own)
        assert config.single("memoria-wm", 0).network(5).settings == {"depth": 3, "alpha": 2.0}
        assert config.single("memoria", 0).network(5).settings == {"depth": 3, "alpha": 1.0}
        assert config.single("xl", 0).network(5).settings == {}

    @pytest.mark.parametrize(
        ("values", "says"),
        [
            ({"models": ["lstm"]}, "no model 'lstm'; known are none, xl"),
            ({"settings": {"lstm": {}}}, "no model 'lstm'"),
            ({"optimizer": "sgd"}, "optimizer = 'sgd'"),
            ({"symbols": 9}, "segment = 8: shorter than the answer of 9 symbols"),
            ({"steps": 1.5}, "steps = 1.5"),
        ],
    )
    def test_what_is_wrong_is_one_line(self, values: dict[str, Any], says: str) -> None:
        with pytest.raises(ConfigError) as caught:
            make_plan("sorting", "small", {**TINY, **values})
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "model",  # one of each way of keeping a state; the others take their minute
    [one if one in _STATES else pytest.param(one, marks=pytest.mark.slow) for one in RIVALS],
)
def test_a_run_that_was_stopped_ends_as_one_that_was_not(model: str, tmp_path: Path) -> None:
    whole = execute(specs_of(tmp_path / "whole", models=[model])[0])
    spec = specs_of(tmp_path / "broken", models=[model])[0]
    for stops in ([False] * 4 + [True] * 2, [False] * 3 + [True] * 2):
        answers = iter(stops)
        with pytest.raises(KeyboardInterrupt):
            execute(spec, stopping=lambda: next(answers))  # noqa: B023
    again = execute(spec)
    assert again.document["attempts"] == 3
    assert rows(again) == rows(whole)
    assert dict(again.metrics) == dict(whole.metrics)
    assert set(whole.metrics) == {"accuracy", "inner", "loss", "parameters", "steps"}


@pytest.mark.slow
def test_a_run_that_was_killed_ends_as_one_that_was_not(tmp_path: Path) -> None:
    """A real process, ended by SIGKILL amid its steps; another one goes on from there."""
    changes = {"models": ["memoria"], "steps": 40}
    whole = execute(specs_of(tmp_path / "whole", **changes)[0])
    spec = specs_of(tmp_path / "broken", **changes)[0]
    process = start(spec)
    wait_for(lambda: len(list(RunRecord.read(spec.path).rows())) > 12, spec)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed = RunRecord.read(spec.path)
    assert killed.status == "interrupted"
    assert len(rows(killed)) < len(rows(whole))
    again = local([spec])[0]
    assert again.status == "done", again.error
    assert rows(again) == rows(whole)
    assert dict(again.metrics) == dict(whole.metrics)
    weights = [torch.load(one.path / "checkpoint.pt")["state"]["model"] for one in (whole, again)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


class TestTraining:
    def test_seeds_differ_and_repeat(self, tmp_path: Path) -> None:
        first, second = (
            execute(spec) for spec in specs_of(tmp_path / "a", models=["none"], seeds=[0, 1])
        )
        again = execute(specs_of(tmp_path / "b", models=["none"])[0])
        assert rows(first) == rows(again) != rows(second)

    def test_shared_generators_stay_as_they_were(self, tmp_path: Path) -> None:
        torch.manual_seed(3)
        np.random.seed(3)
        before, other = torch.get_rng_state(), np.random.get_state()[1].copy()
        execute(specs_of(tmp_path, models=["memoria"])[0])
        assert torch.equal(torch.get_rng_state(), before)
        np.testing.assert_array_equal(np.random.get_state()[1], other)

    def test_it_learns(self, tmp_path: Path) -> None:
        """One symbol dominates: whoever learns anything says it first."""
        changes = {"models": ["none"], "symbols": 2, "steps": 60, "learning_rate": 0.01}
        record = execute(specs_of(tmp_path, **changes)[0])
        losses = [row["loss"] for row in rows(record) if row["kind"] == "training"]
        assert np.mean(losses[-10:]) < np.mean(losses[:5])
        assert record.metrics["accuracy"] >= 0.5

    def test_a_loss_that_is_not_a_number_ends_the_run(self, tmp_path: Path) -> None:
        spec = specs_of(tmp_path, models=["none"], learning_rate=1e30)[0]
        with pytest.raises(StateError, match="is not a number at step"):
            execute(spec)
        assert RunRecord.read(spec.path).status == "failed"

    @settings(max_examples=5, deadline=None)
    @given(st.integers(0, 2**31 - 1))
    def test_any_seed_will_do(self, seed: int) -> None:
        assert len(batch_order(seed, 0, 4, 8)) == 4


@pytest.mark.usefixtures("runs_here")
def test_the_verb_ends_with_a_table_and_a_plot(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cli, options = Cli(capsys), []
    for key, value in {**TINY, "models": "memoria,none", "seeds": "0,1"}.items():
        options += ["--set", f"{key}={str(value).lower() if isinstance(value, bool) else value}"]
    ran = cli("experiment", "run", "sorting", *options, "--jobs", 2, "--json")
    assert ran.code == 0, ran
    told = ran.json
    assert set(told) == {
        "experiment",
        "preset",
        "path",
        "runs",
        "table",
        "reference",
        "breakdown",
        "findings",
        "plots",
    }
    assert told["path"] == str(tmp_path / "runs" / "sorting-small")
    assert [(one["model"], one["seed"], one["status"]) for one in told["runs"]] == [
        ("memoria", 0, "done"),
        ("none", 0, "done"),
        ("memoria", 1, "done"),
        ("none", 1, "done"),
    ]
    assert Path(told["plots"][0]).read_bytes().startswith(b"\x89PNG")
    assert told["reference"]["everything counted"] == 1.0
    memoria, none = told["table"]
    lead = none["behind"]["accuracy"]
    assert lead["runs"] == 2
    expected = memoria["metrics"]["accuracy"]["mean"] - none["metrics"]["accuracy"]["mean"]
    assert lead["mean"] == pytest.approx(expected)
    shown = cli("experiment", "run", "sorting", *options).out
    assert "memoria minus each" in shown
    assert f"{memoria['metrics']['accuracy']['mean']:.4g} ± " in shown


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            ("sort", "experiment 'sort': unknown; hint: known are"),
            ("sorting --preset big", "choose one of small, paper"),
            ("sorting --set steps", "not KEY=VALUE"),
            ("sorting --set steps=none", "steps = 'none'"),
            ("sorting --set models=lstm", "no model 'lstm'; known are"),
            ("sorting --seeds x", "neither a count nor a list"),
            ("sorting --set stepz=1", "no such setting"),
            ("nowhere.toml", "nowhere.toml: No such file"),
            ("sorting --set settings.memoria=3", "settings = 3"),
        ],
    )
    def test_it_is_one_line_and_nothing_is_made(
        self,
        arguments: str,
        says: str,
        capsys: pytest.CaptureFixture[str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        ran = Cli(capsys)("experiment", "run", *arguments.split())
        assert ran.code == 2
        assert says in ran.err
        assert ran.err.count("\n") == 1
        assert list(tmp_path.iterdir()) == []

    def test_a_failing_run_is_told_and_fails_the_command(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        short = tmp_path / "short.txt"
        short.write_text("Too short for a segment.\n")
        options = [f"--set=data={short}", "--set=models=none", "--seeds=1", "--set=device=cpu"]
        ran = Cli(capsys)("experiment", "run", "lm", *options, "-o", tmp_path / "x", "--json")
        assert ran.code == 1
        assert [one["status"] for one in ran.json["runs"]] == ["failed"]
        assert "none-0 failed: data = " in ran.err
        assert "tokens for training, 16 rows of 65 are needed" in ran.err


def launched(count: int, folder: Path) -> subprocess.CompletedProcess[str]:
    values = {**TINY, "dropout": 0, "models": "memoria,none"}
    options = [f"--set={key}={str(value).lower()}" for key, value in values.items()]
    command = [sys.executable, "-m"]
    if count == 1:
        command += ["accelerate.commands.launch", "--cpu", "--num_processes", "1"]
        command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    else:  # accelerate starts several on processors through MPI only
        command += ["torch.distributed.run", "--standalone", "--nproc_per_node", str(count)]
    command += ["-m", "memoria_cli", "experiment", "run", "sorting", *options]
    command += ["-o", str(folder), "--json"]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=250, env=environment(), check=False
    )


@pytest.mark.slow
def test_under_accelerate_one_process_does_what_none_does(tmp_path: Path) -> None:
    done = launched(1, tmp_path / "launched")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    plain = [execute(one) for one in specs_of(tmp_path, models=["memoria", "none"], dropout=0.0)]
    assert [one["summary"] for one in told["runs"]] == [dict(one.metrics) for one in plain]


@pytest.mark.slow
def test_two_processes_share_the_batches(tmp_path: Path) -> None:
    """Averaged gradients of halves are those of the whole; so are the sums of validation."""
    done = launched(2, tmp_path / "launched")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    plain = execute(specs_of(tmp_path, models=["none"], dropout=0.0)[0])
    losses = [row["loss"] for row in rows(plain) if row["kind"] == "validation"]
    shared = RunRecord.read(tmp_path / "launched" / "none-0")
    assert shared.document["processes"] == 2
    both = [row["loss"] for row in rows(shared) if row["kind"] == "validation"]
    assert both == pytest.approx(losses, rel=1e-3)
    assert [one["status"] for one in told["runs"]] == ["done", "done"]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "examples" / "experiments").glob("*.toml")), ids=lambda one: one.stem
)
def test_the_example_files_are_plans(path: Path, tmp_path: Path) -> None:
    specs = read_plan(path).specs(tmp_path)
    assert len({spec.path for spec in specs}) == len(specs) > 1
    assert [RunSpec.of(spec.document()) for spec in specs] == specs
